// Whether to wait a moment before everything that has gathered is written: the longer, the more messages share one write. Must not
// know what is written.
import type { Clock } from "./clock.ts";

/** The longest wait that may be asked for, ms: more would be felt by everybody, and gains nothing, as a batch is full long before. */
export const BATCH_DELAY_MS_MAX = 100;

/** Flushes that were quicker are not worth a wait: a timer cannot wait for less, ms. */
const WORTH_MS = 1;
/** After a flush the process may be busy with flushing for a third of the time: the wait is at most so many times as long as the flush. */
const WAIT_PER_FLUSH = 2;
/** Whoever has rested for this share of the last flush is not busy. */
const RESTED_PER_FLUSH = 0.25;
/** When waiting has gained nothing, the next 1, 2, 4, … flushes do not wait; at most so many: fewer than one message in a hundred waits in vain. */
const SKIPS_MAX = 128;

/**
 * A send to a socket costs about 4 µs however much is in it, so a busy process does well to wait until there is more: at 1,000 members
 * and 1,000 messages a second 5 ms of waiting save half of its time. It waits only while flushes follow each other with hardly any rest,
 * and only as long as waiting brings more: a process with time to spare, or whose clients wait for each message, writes at once.
 */
export class BatchDelay {
  readonly #clock: Clock;
  readonly #mostMs: number;
  #beganAt = 0;
  #endedAt = 0;
  #flushMs = 0;
  #idleMs = 0;
  #isWaiting = false;
  #grown = false;
  #skips = 0;
  #skipsNext = 1;

  /** `mostMs`: no wait is longer; 0: none at all. */
  constructor(clock: Clock, mostMs: number) {
    this.#clock = clock;
    this.#mostMs = mostMs;
  }

  /** How long what has gathered should wait, ms; 0: not at all. */
  next(): number {
    if (this.#mostMs === 0 || this.#flushMs < WORTH_MS) return 0;
    if (this.#clock.idleMs() - this.#idleMs > this.#flushMs * RESTED_PER_FLUSH) return 0;
    if (this.#skips > 0) {
      this.#skips--;
      return 0;
    }
    const waitMs = Math.min(this.#mostMs, WAIT_PER_FLUSH * this.#flushMs) - (this.#clock.now() - this.#endedAt);
    if (waitMs < WORTH_MS) return 0;
    this.#isWaiting = true;
    this.#grown = false;
    return waitMs;
  }

  /** More has come for somebody who has something waiting. */
  grew(): void {
    this.#grown = true;
  }

  /** A flush begins. */
  begin(): void {
    if (this.#mostMs === 0) return;
    this.#beganAt = this.#clock.now();
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#skips = this.#grown ? 0 : this.#skipsNext;
    this.#skipsNext = this.#grown ? 1 : Math.min(SKIPS_MAX, this.#skipsNext * 2);
  }

  /** It has ended. */
  end(): void {
    if (this.#mostMs === 0) return;
    this.#endedAt = this.#clock.now();
    this.#flushMs = this.#endedAt - this.#beganAt;
    if (this.#flushMs >= WORTH_MS) this.#idleMs = this.#clock.idleMs();
  }
}
