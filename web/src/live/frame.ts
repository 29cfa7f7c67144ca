/** Once a frame, or soon where no frames are drawn: a hidden tab has none. */

const NO_FRAME_MS = 250;
/** Milliseconds after which nobody waits for a frame any longer. */

/** Call `work` with the next frame, once, however often it is asked for until then. */
export class Frame {
  #frame: number | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly work: () => void) {}

  ask(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(this.#run, NO_FRAME_MS);
    this.#frame = requestAnimationFrame(this.#run);
  }

  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#timer = this.#frame = null;
  }

  readonly #run = (): void => {
    this.cancel();
    this.work();
  };
}
