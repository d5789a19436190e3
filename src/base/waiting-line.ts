// Calls that wait for something and then go in the order in which they came. Must not know what they wait for.
import type { Cancel, Clock } from "./clock.ts";
import { asError, GroupcastError } from "./errors.ts";

/** Bytes that may wait in one line: as much as a channel holds. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024;
/** Calls that may wait in one line. */
const WAITING_MAX = 10_000;

/** A call that may have to wait. Exactly one of `go` and `refuse` is called, once, and neither may throw. */
export interface Waiter {
  /** What it holds in memory while it waits. */
  readonly bytes: number;
  /** It waits so long at the most. */
  readonly withinMs: number;
  go(): void;
  /** `unavailable`: it was late, or too many wait; else the error of what was waited for. */
  refuse(error: Error): void;
}

/** Lets calls through one by one, unless something is in the way. */
export class WaitingLine {
  readonly #clock: Clock;
  readonly #obstacle: () => Promise<unknown> | undefined;
  readonly #waiting = new Map<Waiter, Cancel>();
  #bytes = 0;
  #isWatching = false;
  #closed: Error | undefined;

  /** `obstacle`: undefined, the way is free; else it may be once that is settled. */
  constructor(clock: Clock, obstacle: () => Promise<unknown> | undefined) {
    this.#clock = clock;
    this.#obstacle = obstacle;
  }

  /** Has `waiter` go: now, if nothing is in the way and nobody waits before it. */
  enter(waiter: Waiter): void {
    if (this.#closed !== undefined) return waiter.refuse(this.#closed);
    const obstacle = this.#obstacle();
    if (obstacle === undefined && this.#waiting.size === 0) return waiter.go();
    if (this.#waiting.size >= WAITING_MAX || this.#bytes + waiter.bytes > WAITING_BYTES_MAX) {
      return waiter.refuse(new GroupcastError("unavailable", "too much waits already"));
    }
    const late = (): void => {
      this.#leave(waiter);
      waiter.refuse(new GroupcastError("unavailable"));
    };
    this.#waiting.set(waiter, this.#clock.after(waiter.withinMs, late));
    this.#bytes += waiter.bytes;
    if (obstacle !== undefined) this.#watch(obstacle);
  }

  /** Refuses everybody, from now on. */
  close(error: Error): void {
    this.#closed = error;
    this.#refuseAll(error);
  }

  #refuseAll(error: Error): void {
    for (const waiter of [...this.#waiting.keys()]) if (this.#leave(waiter)) waiter.refuse(error);
  }

  #watch(obstacle: Promise<unknown>): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    obstacle.then(
      () => this.#move(),
      (thrown: unknown) => {
        this.#isWatching = false;
        this.#refuseAll(asError(thrown));
      },
    );
  }

  #move(): void {
    this.#isWatching = false;
    // Whoever comes meanwhile is behind those who are here.
    for (const waiter of this.#waiting.keys()) {
      const obstacle = this.#obstacle();
      if (obstacle !== undefined) return this.#watch(obstacle);
      this.#leave(waiter);
      waiter.go();
    }
  }

  #leave(waiter: Waiter): boolean {
    const cancel = this.#waiting.get(waiter);
    if (cancel === undefined) return false;
    cancel();
    this.#waiting.delete(waiter);
    this.#bytes -= waiter.bytes;
    return true;
  }
}
