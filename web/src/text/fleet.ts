/** Words about nodes and their figures. */

export const fleetText = {
  busy: (busy: number, known: number) => `${busy}/${known} busy`,
  busyWithMean: (busy: number, known: number, mean: string) => `${busy}/${known} busy, ${mean}`,
  gpusUnknown: (count: number) => `${count} unknown`,
  noGpus: "no GPUs",
  unknown: "unknown",
  tooManyWords: (count: number, most: number) =>
    `The search has ${count} words; only the first ${most} count.`,
  tooLong: (most: number) => `The search is longer than ${most} characters; the rest is left out.`,
  noSuchState: (name: string, known: string) => `No state is called “${name}”: ${known}.`,
} as const;
