/** What is wrong with a GPU, and what to do; the driver's own errors with it. */

import { Said, type Tone } from "../parts";
import { gpus as words } from "../text/drawer";
import { count, dateOf, span, UNKNOWN } from "../units";
import type { Gpu, Verdict, Xid } from "./gpu";

/** What is wrong, the gravest first, with what to do; the driver's errors beside it. */
export function Faults({ gpu, nowMs }: { gpu: Gpu; nowMs: number }) {
  const verdicts = gpu.verdicts ?? [];
  const xids = gpu.xids ?? [];
  const own = verdicts.length === 0 && gpu.health !== "ok" ? (gpu.message ?? gpu.reason) : null;
  if (verdicts.length === 0 && xids.length === 0 && own === null) return null;
  return (
    <div class="gpu-faults" data-tone={faultTone(verdicts, xids)}>
      {own === null ? null : (
        <p>
          <Said text={own} max={400} />
        </p>
      )}
      {verdicts.slice(0, 8).map((verdict, position) => (
        <p key={`${verdict.reason}${position}`}>
          <strong>
            <Said text={verdict.reason ?? UNKNOWN} max={64} />
          </strong>{" "}
          <Said text={verdict.message ?? ""} max={400} />
          {verdict.remedy ? (
            <span class="gpu-remedy">
              <Said text={words.remedy(verdict.remedy)} max={400} />
            </span>
          ) : null}
        </p>
      ))}
      {xids.length === 0 ? null : (
        <ul>
          {xids.slice(0, 12).map((xid, position) => (
            <li key={`${xid.xid}${position}`}>
              <Said text={xidText(xid, nowMs)} max={240} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function faultTone(verdicts: readonly Verdict[], xids: readonly Xid[]): Tone {
  const worst = new Set([...verdicts, ...xids].map((one) => one.severity));
  if (worst.has("fatal")) return "bad";
  return worst.has("info") && worst.size === 1 ? "dim" : "warn";
}

function xidText(xid: Xid, nowMs: number): string {
  const number = xid.xid === null ? UNKNOWN : String(xid.xid);
  const name = xid.name === null ? "" : ` (${xid.name})`;
  const last = dateOf(xid.lastAt);
  const ago = last === null || nowMs === 0 ? "" : words.lastAt(span((nowMs - last) / 1000));
  const often =
    xid.count === 1 ? words.xidOnce(number, name) : words.xid(number, name, count(xid.count));
  return `${often}${ago}`;
}
