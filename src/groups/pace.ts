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
  /**
   * Resolves when one more connection may be closed. `left` is how many still wait for their turn, this one included. Once `over`
   * is aborted nobody wants the slot any more: a pace that waits for a timer ends it, and resolves without taking one.
   */
  take(left: number, over?: AbortSignal): Promise<void>;
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
  #gapMs = 0;
  #perWindow = Infinity;
  readonly #taken: number[] = []; // when the slots of the last window were taken
  #nextAt: number;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#nextAt = clock.now();
    this.slowTo(perSecond);
  }

  /** From now on at most `perSecond`; a rate above the present one changes nothing. What was given already counts. */
  slowTo(perSecond: number): void {
    this.#gapMs = Math.max(this.#gapMs, 1000 / checkRate(perSecond));
    this.#perWindow = Math.min(this.#perWindow, Math.max(1, Math.floor(perSecond)));
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

  async take(_left?: number, over?: AbortSignal): Promise<void> {
    for (let wait = this.waitMs(); wait > 0; wait = this.waitMs()) {
      if (over?.aborted === true) return;
      await this.#wait(wait, over);
    }
    this.takeNow();
  }

  #wait(ms: number, over: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        over?.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.#clock.after(ms, done);
      over?.addEventListener("abort", done);
    });
  }
}
