/** Views that are loaded when they are first wanted. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { DEADLINE_SECONDS } from "../api/http";
import { Notice, Spinner } from "../parts";
import { shell } from "../text/shell";

const QUIET_MS = 300;
/** What loads at once flashes no wheel. */

type Load<P> = () => Promise<{ default: ComponentType<P> }>;

/**
 * Make a component of one that is loaded on demand; one that failed may be tried again. What stands
 * there meanwhile, where a wheel would be too much, stands there after a failure, too.
 */
export function later<P extends object>(
  load: Load<P>,
  Meanwhile?: ComponentType<P>,
): ComponentType<P> {
  let loaded: ComponentType<P> | null = null;
  return function Later(props: P) {
    const [view, setView] = useState<{ it: ComponentType<P> | null }>({ it: loaded });
    const [failed, setFailed] = useState(false);
    const [since, setSince] = useState(() => performance.now());
    useEffect(() => {
      let wanted = loaded === null;
      if (!wanted) return;
      load().then(
        (module) => {
          loaded = module.default;
          if (wanted) setView({ it: loaded });
        },
        () => {
          if (wanted) setFailed(true);
        },
      );
      return () => {
        wanted = false;
      };
    }, [since]);
    const again = () => {
      setFailed(false);
      setSince(performance.now());
    };
    const It = view.it;
    if (It) return <It {...props} />;
    if (Meanwhile) return <Meanwhile {...props} />;
    return failed ? <Failed again={again} /> : <Loading since={since} />;
  };
}

function Loading({ since }: { since: number }) {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), QUIET_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="page-notice">
      {shown ? <Spinner since={since} deadlineSeconds={DEADLINE_SECONDS} /> : null}
    </div>
  );
}

function Failed({ again }: { again: () => void }) {
  return (
    <div class="page-notice">
      <Notice
        tone="bad"
        role="alert"
        title={shell.chunkTitle}
        actions={
          <>
            <button type="button" class="button button-main" onClick={() => location.reload()}>
              {shell.reload}
            </button>
            <button type="button" class="button" onClick={again}>
              {shell.again}
            </button>
          </>
        }
      >
        <p>{shell.chunkText}</p>
      </Notice>
    </div>
  );
}
