/** What a node or a person says, as text: isolated, cut where there is no room, whole in the tooltip. */

const TITLE_MAX = 1024;
/** Characters of a tooltip; more than a screen of it helps nobody. */

/** Cut a text to so many characters, the mark included; a pair of halves is never parted. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 2);
  const end = last >= 0xd800 && last <= 0xdbff ? max - 2 : max - 1;
  return `${text.slice(0, Math.max(0, end))}…`;
}

export interface SaidProps {
  text: string;
  /** Characters shown at most. */
  max?: number;
}

export function Said({ text, max }: SaidProps) {
  const shown = max === undefined ? text : cut(text, max);
  if (shown === text) return <bdi class="said">{text}</bdi>;
  return (
    <bdi class="said" title={cut(text, TITLE_MAX)}>
      {shown}
    </bdi>
  );
}
