/** The page: head, banners, the tab that is open, and the drawer of one node. */

import "./page.css";
import { useState } from "preact/hooks";
import { session } from "../fleet/session";
import { shape } from "../fleet/store";
import { link } from "../live/link";
import { NodesTab } from "../nodes";
import { Announcer } from "../parts";
import { shell } from "../text/shell";
import { place, TABS } from "../url";
import { Banners } from "./banners";
import { Boundary } from "./boundary";
import { Head } from "./head";
import { useKeys } from "./keys";
import { later } from "./later";
import { turnPause } from "./linkbadge";
import { sessionEnded } from "./start";
import { goToTab } from "./tabs";

const VIEWS = {
  nodes: NodesTab,
  models: later(() => import("../models")),
  events: later(() => import("../events")),
  access: later(() => import("../access")),
};

const NodeDrawer = later(() => import("../drawer"));
const SignIn = later<{ ended: boolean }>(() => import("./signin"));
const Help = later<{ onClose: () => void }>(() => import("./help"));

export function Page() {
  const out = session.value === null;
  return (
    <>
      {out ? <SignIn ended={sessionEnded.value} /> : <Fleet />}
      <Announcer />
    </>
  );
}

/** Whether there is anything to show; until then nothing flashes that has to go again. */
function begun(): boolean {
  const kind = link.value.kind;
  return session.value !== undefined || shape.value > 0 || kind === "waiting" || kind === "polling";
}

function Fleet() {
  const [help, setHelp] = useState(false);
  const { tab, node } = place.value;
  useKeys({ "?": () => setHelp(true), p: turnPause, ...tabKeys() });
  const View = VIEWS[tab];
  return (
    <>
      <a class="page-skip" href="#content">
        {shell.skip}
      </a>
      <Head onHelp={() => setHelp(true)} />
      <Banners />
      <main id="content" class="page-content" tabIndex={-1} aria-label={shell.tab[tab]}>
        {begun() ? (
          <Boundary key={tab}>
            <View />
          </Boundary>
        ) : null}
      </main>
      {node && begun() ? (
        <Boundary key={node}>
          <NodeDrawer />
        </Boundary>
      ) : null}
      {help ? <Help onClose={() => setHelp(false)} /> : null}
    </>
  );
}

function tabKeys(): Record<string, () => void> {
  return Object.fromEntries(TABS.map((tab, index) => [`${index + 1}`, () => goToTab(tab)]));
}
