// Time that stands still until a test moves it. Must not touch the machine's timers.
import type { Cancel, Clock } from "../base/clock.ts";

type Timer = { dueMs: number; readonly everyMs: number | undefined; readonly run: () => void };

/** Runs in one `advance`; more are a timer that starts itself again without time passing. */
const RUNS_MAX = 1_000_000;

/**
 * A clock for tests. It starts at 0 and moves only in {@link advance}, {@link advanceAsync} and {@link work}.
 *
 * Timers run in the order in which they are due, those due at the same moment in the order in which they were made. What a timer
 * throws comes out of the call that ran it.
 */
export class FakeClock implements Clock {
  readonly #timers = new Set<Timer>();
  #turnEnds: (() => void)[] = [];
  #nowMs = 0;
  #busyMs = 0;

  now(): number {
    return this.#nowMs;
  }

  /** All time but that of {@link work}. */
  idleMs(): number {
    return this.#nowMs - this.#busyMs;
  }

  /** Lets `ms` milliseconds pass in the midst of a turn, as work does. */
  work(ms: number): void {
    this.#nowMs += ms;
    this.#busyMs += ms;
  }

  after(ms: number, run: () => void): Cancel {
    return this.#add({ dueMs: this.#nowMs + Math.max(ms, 0), everyMs: undefined, run });
  }

  every(ms: number, run: () => void): Cancel {
    const everyMs = Math.max(ms, 1); // as Node's timers do
    return this.#add({ dueMs: this.#nowMs + everyMs, everyMs, run });
  }

  turnEnd(run: () => void): void {
    this.#turnEnds.push(run);
  }

  /** Timers that have neither run nor been cancelled; those of `every` stay until they are cancelled. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Ends one turn: runs what waits for its end, in order. What that puts off waits for the end of the next turn. */
  endTurn(): void {
    const due = this.#turnEnds;
    this.#turnEnds = [];
    for (const run of due) run();
  }

  /**
   * Lets `ms` milliseconds pass, in one go: ends the turn, then runs every timer that becomes due, each in a turn of its own.
   * Promises settle only after it has returned; where timers wait for promises, use {@link advanceAsync}.
   */
  advance(ms = 0): void {
    const untilMs = this.#nowMs + ms;
    this.#endTurns();
    for (let runs = 0; this.#runNext(untilMs, runs); runs++) this.#endTurns();
    this.#nowMs = untilMs;
  }

  /** As {@link advance}, and promises settle before the first timer, between any two, and after the last. */
  async advanceAsync(ms = 0): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.#settle();
    for (let runs = 0; this.#runNext(untilMs, runs); runs++) await this.#settle();
    this.#nowMs = untilMs;
  }

  #add(timer: Timer): Cancel {
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  #runNext(untilMs: number, runs: number): boolean {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    if (next === undefined || next.dueMs > untilMs) return false;
    if (runs >= RUNS_MAX) throw new Error(`${RUNS_MAX} timers ran in one advance: one of them starts itself again and again`);
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    this.#timers.delete(next);
    if (next.everyMs !== undefined) {
      next.dueMs += next.everyMs;
      this.#timers.add(next); // behind those that are due at the same moment already
    }
    next.run();
    return true;
  }

  async #settle(): Promise<void> {
    do {
      this.#endTurns();
      // All promise callbacks of a turn have run before its immediates do.
      await new Promise((resolve) => void setImmediate(resolve));
    } while (this.#turnEnds.length > 0);
  }

  #endTurns(): void {
    for (let turns = 0; this.#turnEnds.length > 0; turns++) {
      if (turns >= RUNS_MAX) throw new Error(`${RUNS_MAX} turns ended in one advance: something puts itself off again and again`);
      this.endTurn();
    }
  }
}
