// What waits for one peer that reads more slowly than it is sent to. Made when there is a backlog and dropped when there is none:
// hardly any connection has one. Must not know connections.
import type { Clock } from "../base/clock.ts";
import { DEFAULTS } from "../base/defaults.ts";
import type { Carrier } from "../sockets/socket.ts";

/** Even within one turn no more than this is queued for one peer: a loop that sends until it is told not to must end. */
const QUEUE_BYTES_EVER = 16 * DEFAULTS.queueBytes;

export class Backlog {
  /** True once listeners have heard of it. */
  told = false;
  readonly #carrier: Carrier;
  readonly #clock: Clock;
  // What was written in this turn, and what was written before the last turn and is still there.
  #freshBytes = 0;
  #waitedBytes = 0;
  #measuring = false;

  constructor(carrier: Carrier, clock: Clock) {
    this.#carrier = carrier;
    this.#clock = clock;
  }

  /** True: nothing more may be written. */
  get full(): boolean {
    const { queuedBytes } = this.#carrier;
    return Math.min(this.#waitedBytes, queuedBytes) > DEFAULTS.queueBytes || queuedBytes > QUEUE_BYTES_EVER;
  }

  /** Counts what is being written. What is there at the end of a turn and was not written in it has waited for longer than one when the next write comes. */
  add(bytes: number): void {
    this.#freshBytes += bytes;
    if (this.#measuring) return;
    this.#measuring = true;
    this.#clock.turnEnd(() => {
      this.#measuring = false;
      this.#waitedBytes = this.#carrier.queuedBytes - this.#freshBytes;
      this.#freshBytes = 0;
    });
  }
}
