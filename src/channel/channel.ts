// What a process says to the others and hears from them: gathers messages into one record per topic and turn, waits while the
// link is down, and knows which topics are heard. Must not know groups, or what carries the records.
import { type Clock, systemClock } from "../base/clock.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import { Turn } from "../base/turn.ts";
import { type Message, MessageRecord } from "../wire/record.ts";
import { type Adapter, hasWill, type Receipt } from "./adapter.ts";
import { Outgoing } from "./outgoing.ts";

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

const NOBODY_KNOWS: Receipt = Object.freeze({ receivers: undefined });
const ACCEPTED: Promise<Receipt> = Promise.resolve(NOBODY_KNOWS);

type Ear = { readonly hearers: Set<Hearer>; pending: Promise<void> | undefined };

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
  // Of all that is in `#outgoing`.
  #heldBytes = 0;
  #turn: Turn;
  #watcher: ChannelWatcher | undefined;
  #isUp = false;
  #upAgain: Deferred<void> | undefined;
  /** Those of {@link upWithin}. */
  readonly #waiting = new Set<Deferred<void>>();
  #stopped = false;

  constructor(adapter: Adapter, options: ChannelOptions = {}) {
    this.#adapter = adapter;
    this.#clock = options.clock ?? systemClock;
    this.#turn = new Turn(this.#clock);
  }

  /** True while the link works. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** @internal True once it is stopped, for good. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** @internal Undefined: the link works. Else resolves when it does, and everything is heard again. */
  get up(): Promise<void> | undefined {
    if (this.#isUp) return undefined;
    this.#upAgain ??= deferred();
    return this.#upAgain.promise;
  }

  /**
   * @internal {@link up} for very many: rejects with `unavailable` after `ms`, and leaves nothing behind then. What waits for {@link up} stays
   * in memory until the link works, whether anybody still wants to know or not.
   */
  upWithin(ms: number): Promise<void> | undefined {
    if (this.#isUp) return undefined;
    if (this.#stopped) return quiet(Promise.reject(stopped()));
    const waiting = deferred();
    const cancel = this.#clock.after(ms, () => waiting.reject(new GroupcastError("unavailable")));
    const forget = (): void => {
      cancel();
      this.#waiting.delete(waiting);
    };
    waiting.promise.then(forget, forget);
    this.#waiting.add(waiting);
    return waiting.promise;
  }

  /**
   * @internal Begins to connect. What is published in a turn goes at its end, before what its manager's groups have gathered: what comes
   * back within the turn belongs to it.
   *
   * @throws GroupcastError `bad_option`: it belongs to a manager already.
   */
  start(watcher: ChannelWatcher, turn: Turn = this.#turn): void {
    if (this.#watcher !== undefined) throw new GroupcastError("bad_option", "a channel belongs to one manager; make another one");
    this.#watcher = watcher;
    this.#turn = turn;
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
    if (this.#adapter.immediate) {
      this.flush(topic);
      return this.#adapter.publish(topic, MessageRecord.of([message]));
    }
    const outgoing = this.#open(topic, message.frame.length);
    if (outgoing === undefined) return quiet(Promise.reject(new GroupcastError("unavailable", "too much waits for the channel already")));
    const { accepted, bytes: before } = outgoing;
    outgoing.add(message);
    this.#added(outgoing, outgoing.bytes - before);
    return accepted;
  }

  /**
   * @internal {@link publish} for a text, UTF-8 bytes of `source` from `from` to `to`, without a promise for each. Resolves with all
   * that goes with it; undefined: it was refused.
   */
  publishText(topic: string, source: Uint8Array, from: number, to: number): Promise<Receipt> | undefined {
    if (this.#stopped) return undefined;
    const outgoing = this.#open(topic, to - from);
    if (outgoing === undefined) return undefined;
    const { bytes: before } = outgoing;
    const accepted = this.#adapter.immediate ? ACCEPTED : outgoing.accepted;
    outgoing.addText(source, from, to);
    this.#added(outgoing, outgoing.bytes - before);
    return accepted;
  }

  /** @internal True: what is published is handed over within the turn, and accepted in any case. */
  get isImmediate(): boolean {
    return this.#adapter.immediate;
  }

  /** @internal Has what was published to a topic come back now, if it can come back within the turn. Runs no listener of an application. */
  flush(topic: string): void {
    if (!this.#adapter.immediate) return;
    const outgoing = this.#outgoing.get(topic);
    if (outgoing !== undefined) this.#send(outgoing);
  }

  /** @internal False: {@link flush} would do nothing, whatever the topic. */
  get isGathering(): boolean {
    return this.#outgoing.size > 0;
  }

  /**
   * @internal What others are to hear on a topic if this process is lost without a word, instead of what was given before; undefined: nothing.
   * False: the channel cannot see to that.
   *
   * @throws GroupcastError `too_large`; `bad_option`.
   */
  will(topic: string, message: Message | undefined): boolean {
    if (!hasWill(this.#adapter)) return false;
    this.#adapter.will(topic, message === undefined ? undefined : MessageRecord.of([message]));
    return true;
  }

  /** Leaves for good. What still waits is rejected with `closed`; what is accepted already goes. */
  async stop(): Promise<void> {
    if (this.#isUp && this.#adapter.immediate) this.#sender.flush();
    this.#isUp = false;
    this.#stopped = true;
    this.#upAgain?.reject(stopped());
    for (const { reject } of this.#waiting) reject(stopped());
    for (const outgoing of [...this.#outgoing.values()]) this.#drop(outgoing, stopped());
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
    const hearers = this.#ears.get(topic)?.hearers;
    if (hearers === undefined) return;
    // Mostly one; several may come and go meanwhile.
    for (const hearer of hearers.size > 1 ? [...hearers] : hearers) {
      try {
        hearer(record);
      } catch (thrown) {
        this.#watcher?.failed(asError(thrown));
      }
    }
  }

  /** What gathers for a topic; undefined: too much waits already. */
  #open(topic: string, bytes: number): Outgoing | undefined {
    // What goes at the end of this turn is no queue.
    if (this.#heldBytes + bytes > HELD_BYTES_MAX && this.#waits(topic)) return undefined;
    let outgoing = this.#outgoing.get(topic);
    if (outgoing === undefined) {
      // What has to wait is counted by its messages: no more room than they need.
      outgoing = new Outgoing(topic, this.#waits(topic) ? undefined : this.#turn.buffers);
      this.#outgoing.set(topic, outgoing);
      this.#turn.addFirst(this.#sender);
    }
    return outgoing;
  }

  #added(outgoing: Outgoing, bytes: number): void {
    this.#heldBytes += bytes;
    if (outgoing.isFull) this.#send(outgoing);
  }

  #sendSoon(): void {
    if (this.#outgoing.size > 0) this.#turn.addFirst(this.#sender);
  }

  readonly #sender = {
    flush: (): void => {
      for (const outgoing of [...this.#outgoing.values()]) this.#send(outgoing);
    },
  };

  #send(outgoing: Outgoing): void {
    if (this.#outgoing.get(outgoing.topic) !== outgoing) return; // it has gone meanwhile: an adapter may make an application speak
    if (this.#waits(outgoing.topic)) {
      outgoing.cancel ??= this.#clock.after(DEFAULTS.unavailableAfterMs, () => this.#drop(outgoing, new GroupcastError("unavailable")));
      return;
    }
    this.#forget(outgoing);
    const { topic } = outgoing;
    const [first, ...more] = outgoing.send((record) => {
      const accepted = this.#hand(topic, record);
      // Whoever heard it within this call has taken what it needs, unless somebody is left out.
      return { accepted, isFree: record.isEncoded || (this.#adapter.immediate && record.run !== null) };
    });
    const all = more.length === 0 ? first : Promise.all([first, ...more]).then(([receipt]) => receipt);
    if (all === undefined) return;
    if (!outgoing.isAwaited) void quiet(all);
    else
      all.then(
        (receipt = NOBODY_KNOWS) => outgoing.accept(receipt),
        (error: unknown) => outgoing.refuse(error),
      );
  }

  // Adapters are made by others, and an end of a turn that is broken off by one would be the last one.
  #hand(topic: string, record: MessageRecord): Promise<Receipt> {
    try {
      return this.#adapter.publish(topic, record);
    } catch (thrown) {
      return quiet(Promise.reject(asError(thrown)));
    }
  }

  #waits(topic: string): boolean {
    return !this.#isUp || this.#ears.get(topic)?.pending !== undefined;
  }

  #drop(outgoing: Outgoing, error: GroupcastError): void {
    this.#forget(outgoing);
    outgoing.refuse(error);
  }

  #forget(outgoing: Outgoing): void {
    this.#outgoing.delete(outgoing.topic);
    this.#heldBytes -= outgoing.bytes;
    outgoing.cancel?.();
  }

  #up(): void {
    this.#isUp = true;
    this.#upAgain?.resolve();
    this.#upAgain = undefined;
    for (const { resolve } of this.#waiting) resolve();
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
