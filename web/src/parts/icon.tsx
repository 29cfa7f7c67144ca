/** The few pictures of the page: lines on a grid of 16, in the colour of the text. */

import "./icon.css";

const PATHS = {
  online: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M5 8.2l2.2 2.2L11.2 6",
  degraded: "M8 1.8 15 14.2H1zM8 6.4v3.4M8 11.8v.4",
  stale: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M8 4.4V8l2.6 1.8",
  offline: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8",
  draining: "M8 1.8v8.4M4.4 6.8 8 10.4l3.6-3.6M2.5 14h11",
  unknown:
    "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M6 6.3a2 2 0 1 1 3 1.8c-.7.4-1 .8-1 1.5M8 11.5v.4",
  decommissioned: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M3.4 3.4l9.2 9.2",
  search: "M7 2a5 5 0 1 0 0 10A5 5 0 0 0 7 2M10.8 10.8 14.5 14.5",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  check: "M2.5 8.5l3.5 3.5 7.5-8",
  pause: "M5 3v10M11 3v10",
  play: "M4.5 2.5l9 5.5-9 5.5z",
  retry: "M13.5 8a5.5 5.5 0 1 1-1.6-3.9M13.5 1.8v3.2h-3.2",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5 6 6 0 1 0 13.5 9.5",
  auto: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M8 1.5v13M8 5h4.6M8 8h6.4M8 11h4.6",
  help: "M5.5 5.6a2.5 2.5 0 1 1 3.7 2.2c-.9.5-1.2 1-1.2 1.9M8 12.6v.4",
  user: "M8 2a3 3 0 1 0 0 6 3 3 0 0 0 0-6M2.5 14c.5-3 2.6-4.5 5.5-4.5s5 1.5 5.5 4.5",
  down: "M3.5 6 8 10.5 12.5 6",
  right: "M6 3.5 10.5 8 6 12.5",
  link: "M9 3h4v4M13 3 7.5 8.5M11 9.5V13H3V5h3.5",
  download: "M8 2v8M4.6 6.8 8 10.2l3.4-3.4M2.5 13.5h11",
  live: "M8 6.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3M4.6 4.6a4.8 4.8 0 0 0 0 6.8M11.4 4.6a4.8 4.8 0 0 1 0 6.8M2.5 2.5a7.8 7.8 0 0 0 0 11M13.5 2.5a7.8 7.8 0 0 1 0 11",
  gpu: "M2 4h12v7H2zM5 13.5h6M5 11v2.5M11 11v2.5M5 7.5h2.5M10 7.5h1",
  bolt: "M9 1.5 3.5 9H8l-1 5.5L12.5 7H8z",
  gear: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M12.6 3.4l-1.4 1.4M4.8 11.2l-1.4 1.4",
  plus: "M8 3v10M3 8h10",
  key: "M10.5 2a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M8 8l-6 6M4.2 11.8l1.8 1.8",
  table: "M2 3h12v10H2zM2 6.5h12M2 9.8h12M6 6.5V13",
  cards: "M2 2.5h5v5H2zM9 2.5h5v5H9zM2 9.5h5v4H2zM9 9.5h5v4H9z",
  columns: "M2 3h12v10H2zM6 3v10M10 3v10",
} as const;

export type IconName = keyof typeof PATHS;

/** A picture beside a word; where it stands alone the control that holds it has the name. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
