/** Words of the legend. */

export const legendText = {
  legendStates: "States: what is known",
  legendUnknown: "Any other word",
  legendUnknownMeaning: "A state that this page has not heard of, shown as it is.",
  legendStrip: "GPUs: one cell each",
  legendHeight: "The height is the VRAM in use, the colour the utilization:",
  bands: ["0 to 4 %: idle", "5 to 29 %", "30 to 59 %", "60 to 84 %", "85 % and more"] as const,
  legendHatched: "Hatched: not known",
  legendDegraded: "Notched corner: degraded",
  legendFailed: "Crossed: failed",
  legendAge: "Age",
  legendOld: (interval: number) =>
    `Dimmed: older than one interval (${interval} s); the age stands beside it.`,
  legendKnown: (timeout: number) =>
    `Struck: last known, older than ${timeout} s or of a node that is offline; in no average.`,
  legendUtil: "GPU utilization",
  legendGap: "Gaps in a trend: nothing was reported. They are never filled.",
};
