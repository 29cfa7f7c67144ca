/** What makes all that is shown less sure, above everything else. */

import "./banners.css";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { now } from "../fleet/clock";
import { newer } from "../fleet/settings";
import { retryNow } from "../live/connection";
import { feed, link } from "../live/link";
import { Icon, type IconName } from "../parts";
import { shell } from "../text/shell";
import { turnPause } from "./linkbadge";
import { clockText, downText, ingestText } from "./linkwords";

const DOWN_AFTER_MS = 3000;
/** A cut that heals by itself is left to the badge. */

export function Banners() {
  const kind = link.value.kind;
  const down = useLasting(kind === "waiting", DOWN_AFTER_MS);
  return (
    <section aria-label={shell.banners}>
      {down ? <DownBanner /> : null}
      {kind === "paused" ? <PausedBanner /> : null}
      {down || kind === "paused" ? null : <IngestBanner />}
      <NewerBanner />
    </section>
  );
}

/** Whether something has held for so long. */
function useLasting(holds: boolean, ms: number): boolean {
  const [lasted, setLasted] = useState(false);
  useEffect(() => {
    setLasted(false);
    if (!holds) return;
    const timer = setTimeout(() => setLasted(true), ms);
    return () => clearTimeout(timer);
  }, [holds]);
  return holds && lasted;
}

function DownBanner() {
  const current = link.value;
  const why = current.kind === "waiting" && current.why ? shell.downWhy(current.why) : "";
  return (
    <Banner tone="bad" icon="offline" about="down">
      <span>
        {downText(feed.value.lastWordMs, now.value)} {why}
      </span>
      <button type="button" class="button" onClick={retryNow}>
        {shell.retryNow}
      </button>
    </Banner>
  );
}

function PausedBanner() {
  const [at] = useState(() => now.peek());
  return (
    <Banner tone="calm" icon="pause" about="paused">
      <span>{at === 0 ? shell.linkTitle.paused : shell.pausedSince(clockText(at))}</span>
      <button type="button" class="button" onClick={turnPause}>
        {shell.resume}
      </button>
    </Banner>
  );
}

function IngestBanner() {
  const text = ingestText(feed.value, now.value);
  if (!text) return null;
  const reason = feed.value.reason;
  return (
    <Banner tone="warn" icon="stale" about="ingest">
      <span>
        {text} {reason ? shell.ingestWhy(reason) : ""}
      </span>
    </Banner>
  );
}

/** The server is of another version than when the page was opened. */
function NewerBanner() {
  const version = newer.value;
  if (!version) return null;
  return (
    <Banner tone="calm" icon="retry" about="newer">
      <span>{shell.newer(version)}</span>
      <button type="button" class="button" onClick={() => location.reload()}>
        {shell.reload}
      </button>
    </Banner>
  );
}

interface BannerProps {
  tone: "bad" | "warn" | "calm";
  icon: IconName;
  about: string;
  children: ComponentChildren;
}

function Banner({ tone, icon, about, children }: BannerProps) {
  return (
    <div class="banner" data-testid="banner" data-tone={tone} data-about={about}>
      <Icon name={icon} />
      {children}
    </div>
  );
}
