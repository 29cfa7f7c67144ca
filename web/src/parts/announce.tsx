/** The page's one polite live region: what is said there is bundled, so that it never chatters. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { parts } from "../text/parts";

const GATHER_MS = 400;
/** What comes together is said together. */

const PAUSE_MS = 4000;
/** Between two sentences: about as long as it takes to read one out. */

const SAID_AT_ONCE = 3;
/** More of them nobody listens to; the rest is counted. */

const said = signal("");
const waiting = new Map<string, string>();
let timer: ReturnType<typeof setTimeout> | null = null;
let lastAt = Number.NEGATIVE_INFINITY;
let topics = 0;

/** What is being said. */
export const announced: ReadonlySignal<string> = said;

/** Say something to those who listen. Of a topic only the latest counts. */
export function announce(text: string, topic = `#${topics++}`): void {
  waiting.delete(topic);
  waiting.set(topic, text);
  if (timer !== null) return;
  timer = setTimeout(speak, Math.max(GATHER_MS, lastAt + PAUSE_MS - performance.now()));
}

function speak(): void {
  timer = null;
  lastAt = performance.now();
  const text = sentence([...waiting.values()]);
  waiting.clear();
  // The same words again are news only if the text differs.
  said.value = text === said.peek() ? `${text}\u00a0` : text;
}

/** Put several into one. */
export function sentence(texts: readonly string[]): string {
  const first = texts.slice(0, SAID_AT_ONCE);
  const more = texts.length - first.length;
  return [...first, ...(more > 0 ? [parts.more(more)] : [])].join(". ");
}

/** The region itself; once in the page. */
export function Announcer() {
  return (
    <div class="unseen" role="status" aria-live="polite" data-testid="announcer">
      {said}
    </div>
  );
}
