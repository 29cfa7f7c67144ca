/** A figure that lights up once when it changes. */

import "./flash.css";
import { useRef } from "preact/hooks";

/** Two names of one animation: going from one to the other starts it anew without a layout. */
export function useFlash(value: unknown): string {
  const seen = useRef<{ value: unknown; turns: number }>({ value, turns: 0 });
  if (seen.current.value !== value) {
    seen.current = { value, turns: seen.current.turns + 1 };
  }
  const { turns } = seen.current;
  return turns === 0 ? "" : turns % 2 ? "flash-odd" : "flash-even";
}

export interface FlashProps {
  text: string;
  class?: string;
  title?: string | undefined;
}

export function Flash({ text, class: name = "", title }: FlashProps) {
  const flash = useFlash(text);
  return (
    <span class={flash ? `${name} ${flash}`.trim() : name} title={title}>
      {text}
    </span>
  );
}
