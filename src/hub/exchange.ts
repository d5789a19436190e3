// Who hears which topic, and how many members everybody has: the hub's heart, one for each prefix. Must not know sockets or frames.
import { GroupcastError } from "../base/errors.ts";

/**
 * Topics of one link, heard and counted each: a process with a hundred thousand connections may have each in a group of its own.
 * The hub needs about 300 bytes for one.
 */
export const TOPICS_MAX = 131_072;

/** Somebody who has a seat: a link. */
export interface Party {
  /** Gives it a message that another, or it itself, has published. Must not throw. */
  hand(message: Buffer, from: Party): void;
  /** Takes nothing more from it until the function that is returned is called. */
  hold(): () => void;
}

type Topic = { readonly hearers: Set<Seat>; readonly reports: Map<Seat, number>; members: number };

/** All links of one prefix. */
export class Exchange {
  /** @internal */
  readonly topics = new Map<string, Topic>();
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

/** What one link hears and has reported. Nobody else changes that. */
export class Seat {
  readonly #exchange: Exchange;
  readonly #topics: Map<string, Topic>;
  readonly #party: Party;
  readonly #heard = new Set<string>();
  readonly #reported = new Set<string>();

  /** @internal Made by {@link Exchange.seat}. */
  constructor(exchange: Exchange, party: Party) {
    this.#exchange = exchange;
    this.#topics = exchange.topics;
    this.#party = party;
  }

  /** @throws GroupcastError `limit` */
  subscribe(name: string): void {
    if (this.#heard.has(name)) return;
    this.#checkRoom(this.#heard);
    this.#heard.add(name);
    this.#topic(name).hearers.add(this);
  }

  unsubscribe(name: string): void {
    if (!this.#heard.delete(name)) return;
    const topic = this.#topic(name);
    topic.hearers.delete(this);
    this.#tidy(name, topic);
  }

  /** Hands a message to everybody who hears the topic, in one order for all; returns to how many. */
  publish(name: string, message: Buffer): number {
    const topic = this.#topics.get(name);
    if (topic === undefined) return 0;
    const receivers = topic.hearers.size;
    // Somebody may be cut for its backlog here and so leave the set; that is all that can change it.
    for (const hearer of topic.hearers) hearer.#party.hand(message, this.#party);
    return receivers;
  }

  /** This link has so many members of a topic now. @throws GroupcastError `limit` */
  report(name: string, members: number): void {
    const isNew = !this.#reported.has(name);
    if (isNew && members === 0) return;
    if (isNew) this.#checkRoom(this.#reported);
    const topic = this.#topic(name);
    topic.members += members - (topic.reports.get(this) ?? 0);
    if (members > 0) {
      this.#reported.add(name);
      topic.reports.set(this, members);
    } else {
      this.#reported.delete(name);
      topic.reports.delete(this);
      this.#tidy(name, topic);
    }
  }

  /** Members of a topic over all links. */
  count(name: string): number {
    return this.#topics.get(name)?.members ?? 0;
  }

  /** The link is gone: it hears nothing, and its members count no more. */
  leave(): void {
    for (const name of [...this.#heard]) this.unsubscribe(name);
    for (const name of [...this.#reported]) this.report(name, 0);
    this.#exchange.left(this);
  }

  #topic(name: string): Topic {
    let topic = this.#topics.get(name);
    if (topic === undefined) this.#topics.set(name, (topic = { hearers: new Set(), reports: new Map(), members: 0 }));
    return topic;
  }

  #tidy(name: string, topic: Topic): void {
    if (topic.hearers.size === 0 && topic.reports.size === 0) this.#topics.delete(name);
  }

  #checkRoom(topics: ReadonlySet<string>): void {
    if (topics.size >= TOPICS_MAX) throw new GroupcastError("limit", `a link has at most ${TOPICS_MAX} topics`);
  }
}
