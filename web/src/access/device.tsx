/** Who wants in: what is known, what is only claimed, and as which node it would come. */

import { useState } from "preact/hooks";
import { now } from "../fleet/clock";
import { rowNow } from "../fleet/store";
import { Age, Said } from "../parts";
import { access } from "../text/access";
import { dateOf, span } from "../units";
import { soundNode } from "./code";
import type { Pending } from "./enrolment";
import { Field } from "./field";
import { useSeen } from "./seen";

const text = access.enrol;
const TOLD_MAX = 120;
/** Characters of what a device says of itself. */

interface Props {
  device: Pending;
  busy: boolean;
  error: string;
  onDecide: (what: "approve" | "deny", nodeId: string | null) => void;
}

export function Device({ device, busy, error, onDecide }: Props) {
  const [nodeId, setNodeId] = useState(device.node_id ?? "");
  const seen = useSeen();
  // Left empty, the API makes one out of the name; it says so where it cannot.
  const sound = nodeId === "" || soundNode(nodeId);
  return (
    <div class="access-device" data-testid="enrol-device">
      <h3 class="access-subtitle">{text.asks}</h3>
      <p class="access-compare">{text.compare(device.user_code)}</p>
      <Facts device={device} />
      <p class="access-hint">{text.claims}</p>
      <Field
        label={text.nodeId}
        value={nodeId}
        onInput={(value) => setNodeId(value.trim())}
        hint={text.nodeHint}
        error={sound ? "" : text.nodeWrong}
        testid="enrol-node"
        maxLength={64}
        wide
      />
      {rowNow(nodeId) ? <p class="access-warn">{text.nodeKnown(nodeId)}</p> : null}
      {device.force_new ? <p class="access-hint">{text.forceNew}</p> : null}
      {error ? (
        <p class="access-error" role="alert">
          {error}
        </p>
      ) : null}
      <div class="access-actions">
        <button
          type="button"
          class="button button-main"
          data-testid="enrol-approve"
          disabled={busy || !sound || !seen}
          onClick={() => onDecide("approve", nodeId || null)}
        >
          {text.approve}
        </button>
        <button
          type="button"
          class="button button-grave"
          data-testid="enrol-deny"
          disabled={busy}
          onClick={() => onDecide("deny", null)}
        >
          {text.deny}
        </button>
      </div>
    </div>
  );
}

function Facts({ device }: { device: Pending }) {
  const client = [device.client_id, device.client_version].filter(Boolean).join(" ");
  const asked = dateOf(device.created_at);
  return (
    <dl class="access-facts">
      <dt>{text.host}</dt>
      <dd>{device.hostname ? <Said text={device.hostname} max={TOLD_MAX} /> : text.unnamed}</dd>
      <dt>{text.client}</dt>
      <dd>
        <Said text={client || access.unknown} max={TOLD_MAX} />
      </dd>
      <dt>{text.address}</dt>
      <dd>
        <Said text={device.address ?? access.unknown} max={TOLD_MAX} />
      </dd>
      <dt>{text.asked}</dt>
      <dd>{asked === null ? access.unknown : <Age ms={asked} />}</dd>
      <dt>{text.expires}</dt>
      <dd>
        <Expiry stamp={device.expires_at} />
      </dd>
    </dl>
  );
}

function Expiry({ stamp }: { stamp: string | null }) {
  const end = dateOf(stamp);
  const at = now.value;
  if (end === null || at === 0) return <>{access.unknown}</>;
  return <>{end <= at ? text.expired : text.expiresIn(span((end - at) / 1000))}</>;
}
