// How long to wait before a process that ended is started again. Pure: time and chance are given.
import type { Random } from "../base/random.ts";

/** The first wait is below this. */
const FIRST_MS = 100;
/** No wait is longer: somebody who mends what was broken sees it work within this. */
const LONGEST_MS = 5_000;
/** A process that lived this long was well; what ends it is a new trouble. */
const WELL_AFTER_MS = 10_000;

/** Back-off with full jitter: each wait is anything from 0 to a bound that doubles, so that several places do not restart in step. */
export class Backoff {
  readonly #random: Random;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Ends in a row of processes that did not live for 10 s. */
  get failures(): number {
    return this.#failures;
  }

  /** A process has ended that lived for `livedMs`; returns how long to wait before the next. */
  ended(livedMs: number): number {
    if (livedMs >= WELL_AFTER_MS) this.#failures = 0;
    const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    return this.#random.unit() * bound;
  }
}
