/** How a GPU or a service does: a picture and a word. */

import { Icon, type IconName, Said, type Tone } from "../parts";
import { drawer as words } from "../text/drawer";

const PICTURES: Readonly<Record<Tone, IconName>> = {
  good: "online",
  warn: "degraded",
  bad: "offline",
  calm: "draining",
  dim: "unknown",
};

const WORD_MAX = 24;

export interface HealthProps {
  tone: Tone;
  word: string;
  /** Of a silent node it is known how it was, and no more. */
  past: boolean;
}

export function Health({ tone, word, past }: HealthProps) {
  const shown = past ? "dim" : tone;
  return (
    <span class="health" data-tone={shown}>
      <Icon name={PICTURES[shown]} />
      {past ? words.was : null}
      <Said text={word} max={WORD_MAX} />
    </span>
  );
}
