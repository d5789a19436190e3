// Who hears which topic: the hub's heart, one for each prefix. Must not know sockets or frames.
import { GroupcastError } from "../base/errors.ts";

/**
 * Topics that one link hears: a process with a hundred thousand connections may have each in a group of its own.
 * The hub needs about 250 bytes for one.
 */
export const TOPICS_MAX = 131_072;

/** Somebody who has a seat: a link. */
export interface Party {
  /** Gives it a message that another, or it itself, has published. Must not throw. */
  hand(message: Buffer, from: Party): void;
  /** Takes nothing more from it until the function that is returned is called. */
  hold(): () => void;
}

/** All links of one prefix. */
export class Exchange {
  /** @internal */
  readonly topics = new Map<string, Set<Seat>>();
  readonly #seats = new Set<Seat>();
  readonly #emptied: () => void;

  /** @param emptied is told each time that the last link has left. */
  constructor(emptied: () => void) {
    this.#emptied = emptied;
  }

  /** A place for one link. */
  seat(party: Party): Seat {
    const seat = new Seat(this, party);
    this.#seats.add(seat);
    return seat;
  }

  /** @internal */
  left(seat: Seat): void {
    if (this.#seats.delete(seat) && this.#seats.size === 0) this.#emptied();
  }
}

/** What one link hears. Nobody else changes that. */
export class Seat {
  readonly #exchange: Exchange;
  readonly #topics: Map<string, Set<Seat>>;
  readonly #party: Party;
  readonly #heard = new Set<string>();

  /** @internal Made by {@link Exchange.seat}. */
  constructor(exchange: Exchange, party: Party) {
    this.#exchange = exchange;
    this.#topics = exchange.topics;
    this.#party = party;
  }

  /** @throws GroupcastError `limit` */
  subscribe(name: string): void {
    if (this.#heard.has(name)) return;
    if (this.#heard.size >= TOPICS_MAX) throw new GroupcastError("limit", `a link has at most ${TOPICS_MAX} topics`);
    this.#heard.add(name);
    const hearers = this.#topics.get(name);
    if (hearers === undefined) this.#topics.set(name, new Set([this]));
    else hearers.add(this);
  }

  unsubscribe(name: string): void {
    if (!this.#heard.delete(name)) return;
    const hearers = this.#topics.get(name);
    hearers?.delete(this);
    if (hearers?.size === 0) this.#topics.delete(name);
  }

  /** Hands a message to everybody who hears the topic, in one order for all; returns to how many. */
  publish(name: string, message: Buffer): number {
    const hearers = this.#topics.get(name);
    if (hearers === undefined) return 0;
    const receivers = hearers.size;
    // Somebody may be cut for its backlog here and so leave the set; that is all that can change it.
    for (const hearer of hearers) hearer.#party.hand(message, this.#party);
    return receivers;
  }

  /** The link is gone: it hears nothing any more. */
  leave(): void {
    for (const name of [...this.#heard]) this.unsubscribe(name);
    this.#exchange.left(this);
  }
}
