/** What is asked of the node, and what it says it has; editors may ask for something else. */

import { dateOf } from "../units";
import "./raw.css";
import "./config.css";
import type { ConfigView } from "../api/types";
import { may } from "../fleet/session";
import { Age, Notice, Said, Spinner } from "../parts";
import { drawer, config as words } from "../text/drawer";
import { type Configured, readConfig } from "./configuring";
import { Editor } from "./editor";
import { Failure } from "./failure";
import { useLoader } from "./loader";
import type { OpenNode } from "./node";
import { Parting } from "./parting";
import { Pre } from "./pre";

export function Config({ node }: { node: OpenNode }) {
  const loader = useLoader((signal) => readConfig(node.id, signal), [node]);
  const { value, error, since } = loader.state.value;
  return (
    <div class="config" data-testid="node-config">
      {value === null && since !== null ? (
        <p class="config-wait">
          {words.loading} <Spinner since={since} />
        </p>
      ) : null}
      {error ? (
        <Failure title={words.failed} error={error} kept={value !== null} again={loader} />
      ) : null}
      {value === null ? null : <Asked asked={value} />}
      {value !== null && may("editor") ? (
        <Editor id={node.id} asked={value} loader={loader} />
      ) : null}
      {may("editor") ? <Parting node={node} /> : null}
    </div>
  );
}

function Asked({ asked }: { asked: Configured }) {
  const { view } = asked;
  return (
    <>
      {view.revision || view.config ? null : <Notice tone="dim" title={words.nothing} />}
      <dl class="config-list">
        <dt>{words.revision}</dt>
        <dd>
          <Told text={view.revision} />
        </dd>
        <dt>{words.applied}</dt>
        <dd>{appliedText(view)}</dd>
        <dt>{words.reported}</dt>
        <dd>
          <Told text={view.reportedRevision} />
        </dd>
        {view.changedAt ? (
          <>
            <dt>{words.changed}</dt>
            <dd>
              <Age ms={dateOf(view.changedAt)} />{" "}
              {view.changedBy ? <Said text={words.changedBy(view.changedBy)} max={96} /> : null}
            </dd>
          </>
        ) : null}
        {view.reportedError ? (
          <>
            <dt>{words.error}</dt>
            <dd class="config-wrong">
              <Said text={view.reportedError} max={400} />
            </dd>
          </>
        ) : null}
        {view.unsupported?.length ? (
          <>
            <dt>{words.unsupported}</dt>
            <dd>
              <Said text={view.unsupported.join(", ")} max={400} />
            </dd>
          </>
        ) : null}
      </dl>
      {view.config && !may("editor") ? (
        <Pre text={JSON.stringify(view.config, null, 2)} label={words.json} />
      ) : null}
    </>
  );
}

function Told({ text }: { text: string | null | undefined }) {
  return text ? <Said text={text} max={96} /> : drawer.none;
}

function appliedText({ applied }: ConfigView): string {
  if (applied === null || applied === undefined) return words.appliedUnknown;
  return applied ? words.appliedYes : words.appliedNo;
}
