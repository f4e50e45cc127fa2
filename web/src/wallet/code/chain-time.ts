// The chain's time, by which codes expire. The daemon tells the newest block's; between two answers it goes on by the
// browser's steady clock, which nobody can set. The wall clock is never asked.

/** Follows the chain's time from samples. */
export class ChainTime {
  #offsetMs = Number.NEGATIVE_INFINITY;
  readonly #steadyMs: () => number;

  constructor(steadyMs: () => number = () => performance.now()) {
    this.#steadyMs = steadyMs;
  }

  /** Takes a block's time that was just told. It is a block old at the most, never ahead: so the latest sample wins. */
  sample(blockTimeMs: number): void {
    this.#offsetMs = Math.max(this.#offsetMs, blockTimeMs - this.#steadyMs());
  }

  /** Milliseconds since 1970; undefined before the first sample. */
  now(): number | undefined {
    return Number.isFinite(this.#offsetMs) ? this.#steadyMs() + this.#offsetMs : undefined;
  }

  /** Seconds until `expiryMs`, rounded up; never below zero. The code is good in the second of its expiry still. */
  secondsUntil(expiryMs: number): number | undefined {
    const now = this.now();
    return now === undefined ? undefined : Math.max(0, Math.ceil((expiryMs - now) / 1_000));
  }
}
