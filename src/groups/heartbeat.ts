// Finds half-open peers: pings each connection now and then, and gives up one that does not answer. One timer for all.
import { type Cancel, type Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import { CLOSE } from "../wire/close-codes.ts";
import type { Connection, Owner } from "./connection.ts";

export interface HeartbeatOptions {
  /** How often each connection is pinged. */
  readonly pingEveryMs: number;
  /** How long a peer has for its answer; less than `pingEveryMs`. Any message counts as one. */
  readonly pongWithinMs: number;
}

const TICK_MS_MAX = 1_000;

/**
 * Each connection sits in one slot of a wheel, so that pings are spread over the whole period. Time is counted in ticks of the
 * wheel, not read from a clock: a process that hung counts one tick, and reads the answers that came meanwhile before the next.
 */
export class Heartbeat implements Owner {
  readonly #clock: Clock;
  readonly #slots: Set<Connection>[];
  readonly #tickMs: number;
  readonly #pongTicks: number;
  #cancel: Cancel | undefined;
  #now = 0;
  #count = 0;

  /** @throws GroupcastError `bad_option`: `pongWithinMs` is not below `pingEveryMs`, or one is not a number above 0. */
  constructor(clock: Clock, { pingEveryMs, pongWithinMs }: HeartbeatOptions) {
    if (!(pongWithinMs > 0 && pongWithinMs < pingEveryMs && pingEveryMs < Infinity)) {
      throw new GroupcastError("bad_option", `0 < pongWithinMs < pingEveryMs is needed, not ${pongWithinMs} and ${pingEveryMs}`);
    }
    this.#clock = clock;
    this.#tickMs = Math.min(TICK_MS_MAX, pongWithinMs / 2, (pingEveryMs - pongWithinMs) / 2);
    const slots = Math.round(pingEveryMs / this.#tickMs);
    this.#pongTicks = Math.min(Math.ceil(pongWithinMs / this.#tickMs), slots - 1);
    this.#slots = Array.from({ length: slots }, () => new Set());
  }

  /** Watches `connection` from now on, as long as it lives; its first ping comes after one period at the latest. */
  add(connection: Connection): void {
    if (connection.$heartbeatSlot >= 0) return;
    connection.$heartbeatSlot = this.#emptiest();
    this.#slots[connection.$heartbeatSlot]?.add(connection);
    connection.$ownedBy(this);
    if (this.#count++ === 0) this.#cancel = this.#clock.every(this.#tickMs, () => this.#tick());
  }

  /** Stops watching it. */
  remove(connection: Connection): void {
    if (this.#slots[connection.$heartbeatSlot]?.delete(connection) !== true) return;
    connection.$heartbeatSlot = -1;
    connection.$disownedBy(this);
    if (--this.#count > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** @internal */
  closed(connection: Connection): void {
    this.remove(connection);
  }

  // Those who come together, after a restart say, are not pinged together. Of equal slots the one that comes last, so that a
  // connection alone is first pinged after a whole period.
  #emptiest(): number {
    const { length } = this.#slots;
    let best = this.#now;
    for (let back = 1; back < length; back++) {
      const slot = (this.#now - back + length) % length;
      if ((this.#slots[slot]?.size ?? 0) < (this.#slots[best]?.size ?? 0)) best = slot;
    }
    return best;
  }

  #tick(): void {
    const { length } = this.#slots;
    this.#now = (this.#now + 1) % length;
    // Whoever was pinged `pongTicks` ago must have answered by now.
    for (const connection of [...(this.#slots[(this.#now - this.#pongTicks + length) % length] ?? [])]) {
      if (!connection.$answered) connection.$giveUp({ code: CLOSE.noPong, reason: "no pong" });
    }
    for (const connection of [...(this.#slots[this.#now] ?? [])]) connection.$ping();
  }
}
