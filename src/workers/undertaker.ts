// Who of the workers died lately: tells each of the ends of the others, also who comes up afterwards, so that nobody has to find out by
// waiting for a sign of life. Must not know processes.
import type { Clock } from "../base/clock.ts";
import type { Order } from "./messages.ts";

/** A worker that is up. */
export interface Mourner {
  tell(order: Order): void;
}

/** Without a word of ours, the dead are missed after this, ms; whoever comes up later finds them missed already. */
const MISSED_AFTER_MS = 10_000;
/** As many as one server has workers. */
const DEAD_MAX = 1_024;

export class Undertaker {
  readonly #clock: Clock;
  readonly #living = new Map<Mourner, string>();
  // Oldest first.
  readonly #dead = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `worker` is up, and is called `node` by the others. */
  came(worker: Mourner, node: string): void {
    this.#living.set(worker, node);
    this.#forget();
    for (const dead of this.#dead.keys()) worker.tell({ do: "bury", node: dead });
  }

  /** The process of `worker` has ended, however it did. */
  ended(worker: Mourner): void {
    const node = this.#living.get(worker);
    if (node === undefined) return; // nobody has seen it
    this.#living.delete(worker);
    this.#dead.set(node, this.#clock.now());
    this.#forget();
    for (const other of this.#living.keys()) other.tell({ do: "bury", node });
  }

  #forget(): void {
    const now = this.#clock.now();
    for (const [node, at] of this.#dead) {
      if (this.#dead.size <= DEAD_MAX && now - at < MISSED_AFTER_MS) return;
      this.#dead.delete(node);
    }
  }
}
