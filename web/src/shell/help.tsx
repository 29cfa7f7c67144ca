/** Shortcuts, what the states mean, and how sure the page is of what it shows. */

import "./help.css";
import { skewSeconds } from "../fleet/clock";
import { STATES } from "../fleet/row";
import { settings } from "../fleet/settings";
import { Dialog, StateBadge } from "../parts";
import { meanings } from "../text/parts";
import { shell } from "../text/shell";
import { span } from "../units";

const SKEW_SECONDS = 2;
/** Less than this is the way that the answer took. */

export default function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={shell.helpTitle} onClose={onClose} testid="help-dialog">
      <div class="help">
        <h3>{shell.keysTitle}</h3>
        <dl class="help-keys">
          {shell.keys.map(([key, meaning]) => (
            <div key={key} class="help-key">
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <h3>{shell.statesTitle}</h3>
        <dl class="help-states">
          {STATES.map((state) => (
            <div key={state} class="help-state">
              <dt>
                <StateBadge state={state} />
              </dt>
              <dd>{meanings[state]}</dd>
            </div>
          ))}
        </dl>
        <h3>{shell.aboutTitle}</h3>
        <About />
      </div>
    </Dialog>
  );
}

function About() {
  const { intervalSeconds, staleSeconds, timeoutSeconds, version } = settings.value;
  const skew = skewSeconds();
  return (
    <div class="help-about">
      <p>{shell.timing(intervalSeconds, staleSeconds, timeoutSeconds)}</p>
      <p>{shell.ages}</p>
      {skew !== null && Math.abs(skew) >= SKEW_SECONDS ? (
        <p>{shell.skew(span(Math.abs(skew)), skew > 0)}</p>
      ) : null}
      {version ? <p>{shell.version(version)}</p> : null}
    </div>
  );
}
