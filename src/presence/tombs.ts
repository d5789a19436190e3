// Who is known to be dead, for a while: so that nothing that he said before, and that comes late, brings him back. Must not know who keeps what.
import type { Clock } from "../base/clock.ts";

/** A word is not on its way for longer than this, ms. */
const LATE_MS = 10_000;
const TOMBS_MAX = 1_000;

export class Tombs {
  readonly #clock: Clock;
  // The oldest first. `incarnation`: the last one that is dead.
  readonly #tombs = new Map<string, { readonly incarnation: number; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** That node is dead, in this incarnation and all before. */
  add(node: string, incarnation: number): void {
    const now = this.#clock.now();
    this.#tombs.delete(node);
    this.#tombs.set(node, { incarnation, until: now + LATE_MS });
    for (const [old, { until }] of this.#tombs) {
      if (until > now && this.#tombs.size <= TOMBS_MAX) break;
      this.#tombs.delete(old);
    }
  }

  /** True if what was said in that incarnation does not count any more. */
  holds(node: string, incarnation: number): boolean {
    const tomb = this.#tombs.get(node);
    return tomb !== undefined && tomb.until > this.#clock.now() && incarnation <= tomb.incarnation;
  }
}
