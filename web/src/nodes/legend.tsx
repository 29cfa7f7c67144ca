/** What states, cells and marks mean, each by what is known. */

import "./legend.css";
import { STATES } from "../fleet/row";
import { settings } from "../fleet/settings";
import { StateBadge } from "../parts";
import { legendText as words } from "../text/legend";
import { nodesText } from "../text/nodes";
import { meanings } from "../text/parts";

export default function Legend({ id }: { id: string }) {
  const { intervalSeconds, timeoutSeconds } = settings.value;
  return (
    <section id={id} class="legend" aria-label={nodesText.legend}>
      <div>
        <h3>{words.legendStates}</h3>
        <dl class="legend-states">
          {STATES.map((state) => (
            <div key={state}>
              <dt>
                <StateBadge state={state} />
              </dt>
              <dd>{meanings[state]}</dd>
            </div>
          ))}
          <div>
            <dt>
              <StateBadge state={words.legendUnknown} />
            </dt>
            <dd>{words.legendUnknownMeaning}</dd>
          </div>
        </dl>
      </div>
      <div>
        <h3>{words.legendStrip}</h3>
        <p>{words.legendHeight}</p>
        <ul class="legend-cells">
          {words.bands.map((text, band) => (
            <li key={text}>
              <Sample band={band} /> {text}
            </li>
          ))}
          <li>
            <Sample /> {words.legendHatched}
          </li>
          <li>
            <Sample band={2} mark={1} /> {words.legendDegraded}
          </li>
          <li>
            <Sample band={2} mark={2} /> {words.legendFailed}
          </li>
        </ul>
      </div>
      <div>
        <h3>{words.legendAge}</h3>
        <p>{words.legendOld(intervalSeconds)}</p>
        <p>{words.legendKnown(timeoutSeconds)}</p>
        <h3>{nodesText.column.trend}</h3>
        <p class="legend-lines">
          <span class="legend-util" aria-hidden="true" /> {words.legendUtil}
          <span class="legend-vram" aria-hidden="true" /> {nodesText.column.vram}
        </p>
        <p>{words.legendGap}</p>
      </div>
    </section>
  );
}

function Sample({ band, mark }: { band?: number; mark?: number }) {
  return (
    <i
      class={band === undefined ? "strip-cell strip-unknown" : "strip-cell"}
      data-band={band}
      data-mark={mark}
      aria-hidden="true"
      style={{ "--full": "70%" }}
    />
  );
}
