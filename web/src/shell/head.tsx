/** The page's head: whose fleet it is, the tabs, how it is connected. */

import "./head.css";
import { session } from "../fleet/session";
import { Icon, type IconName, Said } from "../parts";
import { shell } from "../text/shell";
import { addressOf, place, TABS, type Tab } from "../url";
import { LinkBadge } from "./linkbadge";
import { goToTab, placeOfTab } from "./tabs";
import { type Theme, theme, turnTheme } from "./theme";
import { User } from "./user";

const ORG_MAX = 32;
/** Characters of an org's name in the head. */

const THEME_PICTURES: Readonly<Record<Theme, IconName>> = {
  auto: "auto",
  light: "sun",
  dark: "moon",
};

export function Head({ onHelp }: { onHelp: () => void }) {
  const org = session.value?.orgName;
  return (
    <header class="head">
      <div class="head-name">
        <img class="head-mark" src="/favicon.svg" alt="" width="20" height="20" />
        <h1 class="head-product">{shell.product}</h1>
        {org ? (
          <span class="head-org">
            <Said text={org} max={ORG_MAX} />
          </span>
        ) : null}
      </div>
      <nav class="head-tabs" aria-label={shell.tabs}>
        {TABS.map((tab) => (
          <TabLink key={tab} tab={tab} />
        ))}
      </nav>
      <div class="head-tools">
        <LinkBadge />
        <Tool
          testid="theme"
          icon={THEME_PICTURES[theme.value]}
          label={shell.theme(shell.themes[theme.value])}
          act={turnTheme}
        />
        <Tool testid="help" icon="help" label={shell.help} act={onHelp} />
        <User />
      </div>
    </header>
  );
}

function TabLink({ tab }: { tab: Tab }) {
  return (
    <a
      class="head-tab"
      href={addressOf(placeOfTab(tab))}
      aria-current={place.value.tab === tab ? "page" : undefined}
      data-testid={`tab-${tab}`}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        goToTab(tab);
      }}
    >
      {shell.tab[tab]}
    </a>
  );
}

interface ToolProps {
  testid: string;
  icon: IconName;
  label: string;
  act: () => void;
}

function Tool({ testid, icon, label, act }: ToolProps) {
  return (
    <button
      type="button"
      class="button button-bare"
      data-testid={testid}
      aria-label={label}
      title={label}
      onClick={act}
    >
      <Icon name={icon} />
    </button>
  );
}
