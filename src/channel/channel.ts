// What a process says to the others and hears from them: gathers messages into one record per topic and turn, waits while the
// link is down, and knows which topics are heard. Must not know groups, or what carries the records.
import { type Cancel, type Clock, systemClock } from "../base/clock.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import { type Message, MessageRecord, RECORD_BYTES_EARLY, RECORD_MESSAGES_MAX, recordBytesOf } from "../wire/record.ts";
import { type Adapter, canCount, type Receipt } from "./adapter.ts";

/** Bytes that may wait for a link that is down, or for a subscription; more are refused at once. */
export const HELD_BYTES_MAX = 8 * 1024 * 1024;

/** What hears a topic. Must not throw. */
export type Hearer = (record: MessageRecord) => void;

/** A topic that is heard, until `stop`. */
export interface Hearing {
  /** Undefined: heard already; else resolves when nothing that is published from then on is missed. */
  readonly ready: Promise<void> | undefined;
  stop(): void;
}

export interface ChannelOptions {
  readonly clock?: Clock | undefined;
}

/** Whom a channel tells about its link, and about records that it could not use. */
export interface ChannelWatcher {
  up(): void;
  down(reason: Error): void;
  failed(error: Error): void;
}

type Ear = { readonly hearers: Set<Hearer>; pending: Promise<void> | undefined };
type Outgoing = { messages: Message[]; bytes: number; accepted: Deferred<Receipt>; cancel: Cancel | undefined };

/**
 * One channel of one manager. Made by `memoryChannel()`, `hubChannel()` and their like; given to a `GroupManager`, which starts it.
 *
 * Messages of one topic go in the order of `publish`, and all that were published in one turn of the event loop go as one record.
 */
export class Channel {
  readonly #adapter: Adapter;
  readonly #clock: Clock;
  readonly #ears = new Map<string, Ear>();
  readonly #outgoing = new Map<string, Outgoing>();
  #heldBytes = 0;
  #sendingSoon = false;
  #watcher: ChannelWatcher | undefined;
  #isUp = false;
  #upAgain: Deferred<void> | undefined;
  #stopped = false;

  constructor(adapter: Adapter, options: ChannelOptions = {}) {
    this.#adapter = adapter;
    this.#clock = options.clock ?? systemClock;
  }

  /** True while the link works. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** @internal Undefined: the link works. Else resolves when it does, and everything is heard again. */
  get up(): Promise<void> | undefined {
    if (this.#isUp) return undefined;
    this.#upAgain ??= deferred();
    return this.#upAgain.promise;
  }

  /**
   * @internal Begins to connect.
   *
   * @throws GroupcastError `bad_option`: it belongs to a manager already.
   */
  start(watcher: ChannelWatcher): void {
    if (this.#watcher !== undefined) throw new GroupcastError("bad_option", "a channel belongs to one manager; make another one");
    this.#watcher = watcher;
    this.#adapter.start({
      receive: (topic, record) => this.#receive(topic, record),
      failed: (error) => this.#watcher?.failed(error),
      up: () => this.#up(),
      down: (reason) => this.#down(reason),
    });
  }

  /** @internal Hears a topic from now on. Several may hear the same. */
  hear(topic: string, hearer: Hearer): Hearing {
    let ear = this.#ears.get(topic);
    if (ear === undefined) this.#ears.set(topic, (ear = this.#listen(topic)));
    ear.hearers.add(hearer);
    return { ready: ear.pending, stop: () => this.#unhear(topic, hearer) };
  }

  /**
   * @internal Sends a message to everybody who hears the topic, this process included. Resolves when the channel has accepted it.
   * While this process' own hearing of the topic is pending, it waits for that.
   *
   * Rejects with `unavailable`: nothing was sent, because the link has been down for 5 s or too much waits for it already;
   * `unknown_outcome`; `closed`.
   */
  publish(topic: string, message: Message): Promise<Receipt> {
    if (this.#stopped) return quiet(Promise.reject(stopped()));
    if (this.#adapter.immediate) return this.#adapter.publish(topic, MessageRecord.of([message]));
    const outgoing = this.#gather(topic, message);
    if (outgoing === undefined) return quiet(Promise.reject(new GroupcastError("unavailable", "too much waits for the channel already")));
    const full = outgoing.messages.length >= RECORD_MESSAGES_MAX || outgoing.bytes >= RECORD_BYTES_EARLY;
    if (full) this.#send(topic, outgoing);
    else this.#sendSoon();
    return outgoing.accepted.promise;
  }

  /** @internal Says how many members of a topic this process has. */
  report(topic: string, members: number): void {
    if (canCount(this.#adapter)) this.#adapter.report(topic, members);
  }

  /** @internal Members of a topic in all processes. Rejects with `unavailable` or `unknown_outcome`. */
  count(topic: string): Promise<number> {
    if (canCount(this.#adapter)) return quiet(this.#adapter.count(topic));
    return quiet(Promise.reject(new GroupcastError("bad_option", "this channel cannot count")));
  }

  /** Leaves for good. What still waits is rejected with `closed`. */
  async stop(): Promise<void> {
    this.#isUp = false;
    this.#stopped = true;
    this.#upAgain?.reject(stopped());
    for (const [topic, outgoing] of [...this.#outgoing]) this.#drop(topic, outgoing, stopped());
    this.#ears.clear();
    await this.#adapter.stop();
  }

  #listen(topic: string): Ear {
    const ear: Ear = { hearers: new Set(), pending: undefined };
    const subscribed = this.#adapter.subscribe(topic);
    if (subscribed !== undefined) {
      ear.pending = quiet(subscribed);
      subscribed.then(
        () => this.#settled(topic, ear),
        () => this.#settled(topic, ear), // whoever hears is told; what is published need not wait for it
      );
    }
    return ear;
  }

  #settled(topic: string, ear: Ear): void {
    ear.pending = undefined;
    if (this.#ears.get(topic) === ear) this.#sendSoon();
  }

  #unhear(topic: string, hearer: Hearer): void {
    const ear = this.#ears.get(topic);
    if (ear?.hearers.delete(hearer) !== true || ear.hearers.size > 0) return;
    this.#ears.delete(topic);
    this.#adapter.unsubscribe(topic);
    if (this.#outgoing.has(topic)) this.#sendSoon(); // it waits for this process' own hearing no longer
  }

  #receive(topic: string, record: MessageRecord): void {
    for (const hearer of [...(this.#ears.get(topic)?.hearers ?? [])]) {
      try {
        hearer(record);
      } catch (thrown) {
        this.#watcher?.failed(asError(thrown));
      }
    }
  }

  #gather(topic: string, message: Message): Outgoing | undefined {
    const bytes = recordBytesOf(message);
    // What goes at the end of this turn is no queue.
    if (this.#heldBytes + bytes > HELD_BYTES_MAX && this.#waits(topic)) return undefined;
    let outgoing = this.#outgoing.get(topic);
    if (outgoing === undefined) {
      outgoing = { messages: [], bytes: 0, accepted: deferred<Receipt>(), cancel: undefined };
      this.#outgoing.set(topic, outgoing);
    }
    outgoing.messages.push(message);
    outgoing.bytes += bytes;
    this.#heldBytes += bytes;
    return outgoing;
  }

  #sendSoon(): void {
    if (this.#sendingSoon || this.#outgoing.size === 0) return;
    this.#sendingSoon = true;
    this.#clock.turnEnd(() => {
      this.#sendingSoon = false;
      for (const [topic, outgoing] of [...this.#outgoing]) this.#send(topic, outgoing);
    });
  }

  #send(topic: string, outgoing: Outgoing): void {
    if (this.#waits(topic)) {
      outgoing.cancel ??= this.#clock.after(DEFAULTS.unavailableAfterMs, () =>
        this.#drop(topic, outgoing, new GroupcastError("unavailable")),
      );
      return;
    }
    this.#forget(topic, outgoing);
    const records = split(outgoing.messages).map((messages) => this.#adapter.publish(topic, MessageRecord.of(messages)));
    Promise.all(records).then(
      ([first = { receivers: undefined }]) => outgoing.accepted.resolve(first),
      (error: unknown) => outgoing.accepted.reject(error),
    );
  }

  #waits(topic: string): boolean {
    return !this.#isUp || this.#ears.get(topic)?.pending !== undefined;
  }

  #drop(topic: string, outgoing: Outgoing, error: GroupcastError): void {
    this.#forget(topic, outgoing);
    outgoing.accepted.reject(error);
  }

  #forget(topic: string, outgoing: Outgoing): void {
    if (this.#outgoing.get(topic) !== outgoing) return;
    this.#outgoing.delete(topic);
    this.#heldBytes -= outgoing.bytes;
    outgoing.cancel?.();
  }

  #up(): void {
    this.#isUp = true;
    this.#upAgain?.resolve();
    this.#upAgain = undefined;
    this.#watcher?.up();
    this.#sendSoon();
  }

  #down(reason: Error): void {
    this.#isUp = false;
    this.#watcher?.down(reason);
  }
}

function stopped(): GroupcastError {
  return new GroupcastError("closed", "the channel is stopped");
}

/** What was held may be longer than one record may be. */
function split(messages: readonly Message[]): Message[][] {
  const records: Message[][] = [];
  let bytes = Infinity;
  for (const message of messages) {
    if (bytes >= RECORD_BYTES_EARLY || (records.at(-1)?.length ?? 0) >= RECORD_MESSAGES_MAX) {
      records.push([]);
      bytes = 0;
    }
    records.at(-1)?.push(message);
    bytes += recordBytesOf(message);
  }
  return records;
}
