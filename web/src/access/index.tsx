/** The Access tab: devices that want in, and what those that are in show. */

import "../parts/table.css";
import "./access.css";
import { access } from "../text/access";
import { Enrol } from "./enrol";
import { Gate } from "./gate";
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
    </>
  );
}
