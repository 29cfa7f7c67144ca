/** Who has a GPU or a slice of it: pod and container, how, how much. */

import { Said } from "../parts";
import { gpus as words } from "../text/drawer";
import { bytes, span } from "../units";
import type { Gpu, Holder } from "./gpu";

const SHOWN = 6;
/** A shared GPU has a few; one that is sliced time and again has dozens. */

export function Holders({ gpu }: { gpu: Gpu }) {
  const holders = gpu.holders;
  if (holders === null) return null;
  return (
    <div class="gpu-holders">
      <span class="gpu-holders-title">{words.holders}</span>
      {holders.length === 0 ? <span class="gpu-soft">{words.holdersNobody}</span> : null}
      <ul>
        {holders.slice(0, SHOWN).map((holder, position) => (
          <li key={`${holder.device}${position}`}>
            <Said text={whoText(holder)} max={120} /> <How holder={holder} />
          </li>
        ))}
        {holders.length > SHOWN ? <li>{words.holderMore(holders.length - SHOWN)}</li> : null}
      </ul>
    </div>
  );
}

interface Place {
  readonly namespace: string | null;
  readonly pod: string | null;
  readonly container: string | null;
}

/** `namespace/pod · container`, as far as it is known. */
export function placeText({ namespace, pod, container }: Place): string | null {
  if (pod === null) return container;
  const whole = namespace === null ? pod : `${namespace}/${pod}`;
  return container === null ? whole : `${whole} · ${container}`;
}

function whoText(holder: Holder): string {
  return placeText(holder) ?? howWord(holder);
}

function howWord({ how }: Holder): string {
  const word = how ?? "unknown";
  return Object.hasOwn(words.hows, word) ? (words.hows[word] ?? word) : word;
}

/** How it is held, unless that is all there is to say; how much of it, and whether it is used. */
function How({ holder }: { holder: Holder }) {
  const { memoryUsed, idleSeconds } = holder;
  const idle = idleSeconds !== null && idleSeconds > 0 ? words.idle(span(idleSeconds)) : null;
  const rest = [memoryUsed === null ? null : bytes(memoryUsed), idle].filter(Boolean).join(", ");
  const how = placeText(holder) === null ? null : howWord(holder);
  return (
    <span class="gpu-soft">
      {how === null ? null : <Said text={how} max={32} />}
      {how !== null && rest ? ", " : null}
      {rest}
    </span>
  );
}
