/** Who has a GPU or a slice of it: pod and container, how, how much. */

import { Said } from "../parts";
import { gpus as words } from "../text/drawer";
import { bytes, span } from "../units";
import type { Gpu, Holder } from "./gpustatus";

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
            <Said text={whoText(holder)} max={120} />
            <span class="gpu-soft"> {howText(holder)}</span>
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
  const how = holder.how ?? "unknown";
  return placeText(holder) ?? (Object.hasOwn(words.hows, how) ? (words.hows[how] ?? how) : how);
}

function howText(holder: Holder): string {
  const how = holder.how ?? "unknown";
  const named = Object.hasOwn(words.hows, how) ? (words.hows[how] ?? how) : how.slice(0, 32);
  const parts = placeText(holder) === null ? [] : [named];
  if (holder.memoryUsed !== null) parts.push(bytes(holder.memoryUsed));
  if (holder.idleSeconds !== null) parts.push(words.idle(span(holder.idleSeconds)));
  return parts.join(", ");
}
