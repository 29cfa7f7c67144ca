/** The Access tab: devices that want in, and what those that are in show. */

import "../parts/table.css";
import "./access.css";
import { may } from "../fleet/session";
import { access } from "../text/access";
import { Clusters } from "./clusters";
import { Enrol } from "./enrol";
import { Gate } from "./gate";
import { People } from "./people";
import { Tokens } from "./tokens";

export default function AccessTab() {
  return (
    <>
      <section class="section" aria-labelledby="enrol-title">
        <h2 id="enrol-title" class="section-title">
          {access.enrol.title}
        </h2>
        <p class="section-hint">{access.enrol.hint}</p>
        <Gate needs="editor">
          <Enrol />
        </Gate>
      </section>
      <section class="section" aria-labelledby="tokens-title">
        <h2 id="tokens-title" class="section-title">
          {access.tokens.title}
        </h2>
        <p class="section-hint">{access.tokens.hint}</p>
        <Gate needs="admin">
          <Tokens />
        </Gate>
      </section>
      {may("admin") ? <Org /> : null}
    </>
  );
}

/** Of the org, for those who may see it; that it needs an admin is said above. */
function Org() {
  return (
    <>
      <section class="section" aria-labelledby="people-title">
        <h2 id="people-title" class="section-title">
          {access.people.title}
        </h2>
        <p class="section-hint">{access.people.hint}</p>
        <People />
      </section>
      <section class="section" aria-labelledby="clusters-title">
        <h2 id="clusters-title" class="section-title">
          {access.clusters.title}
        </h2>
        <p class="section-hint">{access.clusters.hint}</p>
        <Clusters />
      </section>
    </>
  );
}
