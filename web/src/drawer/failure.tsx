/** Something could not be read: what, why, and a button to try again. */

import type { ApiError } from "../api/http";
import { Icon, Notice, Said } from "../parts";
import { drawer as words } from "../text/drawer";
import type { Loader } from "./loader";

const MESSAGE_MAX = 300;

export interface FailureProps {
  title: string;
  error: ApiError;
  /** Whether something that was read before is still shown. */
  kept: boolean;
  again: Loader<unknown>;
}

export function Failure({ title, error, kept, again }: FailureProps) {
  return (
    <Notice
      tone="warn"
      title={title}
      testid="part-failed"
      actions={
        error.signedOut ? null : (
          <button type="button" class="button" onClick={() => void again.load()}>
            <Icon name="retry" /> <span>{words.again}</span>
          </button>
        )
      }
    >
      <p>
        <Said text={error.signedOut ? words.signedOut : error.message} max={MESSAGE_MAX} />
        {error.requestId ? (
          <>
            {" "}
            (<Said text={error.requestId} max={48} />)
          </>
        ) : null}
      </p>
      {kept ? <p>{words.kept}</p> : null}
    </Notice>
  );
}
