/** How a GPU or a service does: a picture and a word. */

import { Icon, type IconName, Said, type Tone } from "../parts";

const PICTURES: Readonly<Record<Tone, IconName>> = {
  good: "online",
  warn: "degraded",
  bad: "offline",
  calm: "draining",
  dim: "unknown",
};

const WORD_MAX = 24;

export function Health({ tone, word }: { tone: Tone; word: string }) {
  return (
    <span class="health" data-tone={tone}>
      <Icon name={PICTURES[tone]} />
      <Said text={word} max={WORD_MAX} />
    </span>
  );
}
