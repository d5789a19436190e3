// How fast many connections may be closed: at most N in any one-second window. Knows time only.
import type { Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";

/**
 * Watching clients see closes a little closer together or further apart than they were sent. A window of this much more than
 * a second keeps the promise on their side, too.
 */
const WINDOW_MS = 1_050;

/** Gives leave to close, one at a time. */
export interface Slots {
  /** Resolves when one more connection may be closed. `left` is how many still wait for their turn, this one included. */
  take(left: number): Promise<void>;
}

/** @throws GroupcastError `bad_option`: not a number above 0. */
export function checkRate(perSecond: unknown): number {
  if (typeof perSecond === "number" && perSecond > 0 && Number.isFinite(perSecond)) return perSecond;
  throw new GroupcastError("bad_option", `a rate is a number of connections per second above 0, not ${String(perSecond)}`);
}

/**
 * Evenly spaced slots: one each `1000 / perSecond` ms, and never more than `perSecond` in any second, however late the timers are.
 * A slot that comes late is not caught up with.
 */
export class Pace implements Slots {
  readonly #clock: Clock;
  readonly #gapMs: number;
  readonly #perWindow: number;
  readonly #taken: number[] = []; // when the slots of the last window were taken
  #nextAt: number;

  constructor(clock: Clock, perSecond: number) {
    checkRate(perSecond);
    this.#clock = clock;
    this.#gapMs = 1000 / perSecond;
    this.#perWindow = Math.max(1, Math.floor(perSecond));
    this.#nextAt = clock.now();
  }

  /** Milliseconds until the next slot; 0: now. */
  waitMs(): number {
    const now = this.#clock.now();
    const oldest = this.#taken.length < this.#perWindow ? undefined : this.#taken[this.#taken.length - this.#perWindow];
    const allowedAt = Math.max(this.#nextAt, oldest === undefined ? now : oldest + WINDOW_MS);
    return Math.max(0, allowedAt - now);
  }

  /** Takes the slot that {@link waitMs} said is there. */
  takeNow(): void {
    const now = this.#clock.now();
    this.#taken.push(now);
    if (this.#taken.length > this.#perWindow) this.#taken.shift();
    // A turn of the loop may serve several slots at high rates, but a pause is never made good by a burst of more than 10 ms' worth.
    this.#nextAt = Math.max(this.#nextAt + this.#gapMs, now - 10);
  }

  async take(): Promise<void> {
    for (let wait = this.waitMs(); wait > 0; wait = this.waitMs()) {
      await new Promise<void>((resolve) => void this.#clock.after(wait, resolve));
    }
    this.takeNow();
  }
}
