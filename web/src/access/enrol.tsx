/** Lets devices in: a code is typed, the device looked at, and then decided. */

import { useEffect, useState } from "preact/hooks";
import { DEADLINE_SECONDS } from "../api/http";
import { announce, Copy, Notice, Said, Spinner } from "../parts";
import { access } from "../text/access";
import { go, place } from "../url";
import { codeOf } from "./code";
import { Device } from "./device";
import { decide, lookAt, type Pending, whyText } from "./enrolment";
import { Field } from "./field";

const text = access.enrol;
type Stage =
  | { kind: "typing"; error: string }
  | { kind: "asking"; since: number }
  | { kind: "found"; device: Pending; error: string; busy: boolean }
  | { kind: "decided"; device: Pending };

const TYPING: Stage = { kind: "typing", error: "" };

export function Enrol() {
  const [typed, setTyped] = useState(place.peek().code);
  const [stage, setStage] = useState<Stage>(TYPING);
  const look = async (code: string) => {
    setStage({ kind: "asking", since: performance.now() });
    try {
      const device = await lookAt(code);
      setStage({ kind: "found", device, error: "", busy: false });
    } catch (error) {
      setStage({ kind: "typing", error: whyText(error) });
    }
  };
  useEffect(() => {
    const code = codeOf(place.peek().code);
    if (code) void look(code);
  }, []);
  const send = (event: Event) => {
    event.preventDefault();
    const code = codeOf(typed);
    if (!code) {
      setStage({ kind: "typing", error: text.wrong });
      return;
    }
    setTyped(code);
    go({ code }, "replace");
    void look(code);
  };
  const anew = () => {
    go({ code: "" }, "replace");
    setTyped("");
    setStage(TYPING);
  };
  return (
    <>
      {stage.kind === "decided" ? null : (
        <CodeForm typed={typed} setTyped={setTyped} send={send} stage={stage} />
      )}
      {stage.kind === "found" ? <Found stage={stage} setStage={setStage} /> : null}
      {stage.kind === "decided" ? <Decided device={stage.device} anew={anew} /> : null}
      {stage.kind === "typing" ? <HowToStart /> : null}
    </>
  );
}

interface FormProps {
  typed: string;
  setTyped: (value: string) => void;
  send: (event: Event) => void;
  stage: Stage;
}

function CodeForm({ typed, setTyped, send, stage }: FormProps) {
  const error = stage.kind === "typing" ? stage.error : "";
  return (
    <form class="access-form" onSubmit={send}>
      <Field
        label={text.code}
        value={typed}
        onInput={setTyped}
        placeholder={text.placeholder}
        testid="enrol-code"
        maxLength={300}
        code
      />
      <button
        type="submit"
        class={stage.kind === "found" ? "button" : "button button-main"}
        data-testid="enrol-look"
        disabled={stage.kind === "asking" || typed.trim() === ""}
      >
        {text.look}
      </button>
      {stage.kind === "asking" ? (
        <Spinner since={stage.since} deadlineSeconds={DEADLINE_SECONDS} />
      ) : null}
      {error ? (
        <p class="access-error access-line" role="alert">
          {error}
        </p>
      ) : null}
    </form>
  );
}

interface FoundProps {
  stage: Extract<Stage, { kind: "found" }>;
  setStage: (stage: Stage) => void;
}

function Found({ stage, setStage }: FoundProps) {
  const { device } = stage;
  const act = async (what: "approve" | "deny", nodeId: string | null) => {
    setStage({ ...stage, busy: true, error: "" });
    try {
      const decided = await decide(what, device.user_code, nodeId);
      announce(what === "approve" ? text.approved(decided.node_id ?? "") : text.denied);
      setStage({ kind: "decided", device: decided });
    } catch (error) {
      setStage({ ...stage, busy: false, error: whyText(error) });
    }
  };
  return <Device device={device} busy={stage.busy} error={stage.error} onDecide={act} />;
}

function Decided({ device, anew }: { device: Pending; anew: () => void }) {
  const node = device.node_id ?? "";
  const approved = device.state === "approved";
  return (
    <Notice
      tone={approved ? "good" : "calm"}
      testid="enrol-done"
      title={
        approved ? <Said text={text.approved(node || access.unknown)} max={100} /> : text.denied
      }
      actions={
        <>
          {approved && node ? (
            <button type="button" class="button button-main" onClick={() => go({ node })}>
              {text.open}
            </button>
          ) : null}
          <button type="button" class="button" onClick={anew}>
            {text.another}
          </button>
        </>
      }
    >
      <p>{approved ? text.approvedText : text.deniedText}</p>
    </Notice>
  );
}

function HowToStart() {
  const command = text.command(location.origin);
  return (
    <p class="access-how">
      <span>{text.start}</span> <code>{command}</code>
      <Copy text={command} label={text.copy} />
    </p>
  );
}
