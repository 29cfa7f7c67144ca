/** Shortcuts, what the states mean, and how sure the page is of what it shows. */

import "./help.css";
import { skewSeconds } from "../fleet/clock";
import { STATES } from "../fleet/row";
import { settings } from "../fleet/settings";
import { Dialog, StateBadge } from "../parts";
import { help } from "../text/help";
import { meanings } from "../text/parts";
import { span } from "../units";

const SKEW_SECONDS = 2;
/** Less than this is the way that the answer took. */

export default function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={help.helpTitle} onClose={onClose} testid="help-dialog">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and holds nothing else to focus */}
      <section class="help" aria-label={help.helpTitle} tabIndex={0}>
        <h3>{help.keysTitle}</h3>
        <dl class="help-keys">
          {help.keys.map(([key, meaning]) => (
            <div key={key} class="help-key">
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <h3>{help.statesTitle}</h3>
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
        <h3>{help.aboutTitle}</h3>
        <About />
      </section>
    </Dialog>
  );
}

function About() {
  const { intervalSeconds, staleSeconds, timeoutSeconds, version } = settings.value;
  const skew = skewSeconds();
  return (
    <div class="help-about">
      <p>{help.timing(intervalSeconds, staleSeconds, timeoutSeconds)}</p>
      <p>{help.ages}</p>
      {skew !== null && Math.abs(skew) >= SKEW_SECONDS ? (
        <p>{help.skew(span(Math.abs(skew)), skew > 0)}</p>
      ) : null}
      {version ? <p>{help.version(version)}</p> : null}
    </div>
  );
}
