// What the broker shall hear for this process, and which of that it has not been told on its present connections. Must not know
// connections: it makes lists of names, and is told what became of them.
import { GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import { encodeBrokerName } from "../channel/broker-names.ts";

/** Topics that one process may hear: a process with a hundred thousand connections may have each in a group of its own. */
const TOPICS_MAX = 131_072;
/** Bytes of a topic. A group's is two names of up to 200 bytes, a letter and two separators. */
const TOPIC_BYTES_MAX = 512;
/**
 * Bytes of the names that are told at a time; a server that is told all again says each name back, and one that has more than 32 MiB to
 * say to a subscriber cuts it off.
 */
const LIST_BYTES_MAX = 1024 * 1024;

/** A topic that is wished for. */
export interface Subscription {
  readonly topic: string;
  readonly name: string;
  heard: boolean;
  ready: Deferred<void> | undefined;
}

/** What is to be told next. */
export interface Wish {
  readonly ended: readonly string[];
  readonly begun: readonly Subscription[];
}

/** Only what is different counts: a topic that is subscribed to and given up again within a turn is never mentioned, nor the other way round. */
export class Wishes {
  readonly #prefix: string;
  readonly #byTopic = new Map<string, Subscription>();
  readonly #byName = new Map<string, Subscription>();
  readonly #toSubscribe = new Set<Subscription>();
  readonly #toUnsubscribe = new Map<string, Subscription>();
  /**
   * What the broker has been told to end and has not confirmed, and what is wished for again meanwhile: that waits. A library that has had no
   * answer to the end yet may take the topic for one that it is subscribed to, and say so without asking.
   */
  readonly #ending = new Map<string, Subscription | undefined>();
  #linked = false;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** True when the broker has been told everything that it can be told by now; what it has not confirmed yet included. */
  get isTold(): boolean {
    return this.#toSubscribe.size === 0 && this.#toUnsubscribe.size === 0;
  }

  /** How a topic is called there. */
  nameOf(topic: string): string {
    return this.#byTopic.get(topic)?.name ?? encodeBrokerName(this.#prefix, topic);
  }

  /** The topic of this name, if its records are for this process: those that came after the broker had confirmed the subscription. */
  heard(name: string): string | undefined {
    const subscription = this.#byName.get(name);
    return subscription?.heard === true ? subscription.topic : undefined;
  }

  /** Undefined: it is heard. Resolves when it is heard, or given up. Rejects with `limit`, `bad_option`, or `closed`. */
  subscribe(topic: string): Promise<void> | undefined {
    const present = this.#byTopic.get(topic);
    if (present !== undefined) return present.heard ? undefined : waitFor(present);
    const refusal = this.#check(topic);
    if (refusal !== undefined) return quiet(Promise.reject(refusal));
    const name = this.nameOf(topic);
    // The broker has not been told that it was given up: it never was, and what is on its way is for us.
    const kept = this.#toUnsubscribe.get(name);
    const subscription = kept ?? { topic, name, heard: false, ready: undefined };
    this.#byTopic.set(topic, subscription);
    this.#byName.set(name, subscription);
    if (kept !== undefined) this.#toUnsubscribe.delete(name);
    else if (this.#ending.has(name)) this.#ending.set(name, subscription);
    else this.#toSubscribe.add(subscription);
    return subscription.heard ? undefined : waitFor(subscription);
  }

  unsubscribe(topic: string): void {
    const subscription = this.#byTopic.get(topic);
    if (subscription === undefined) return;
    this.#byTopic.delete(topic);
    this.#byName.delete(subscription.name);
    if (this.#ending.has(subscription.name)) this.#ending.set(subscription.name, undefined);
    else if (!this.#toSubscribe.delete(subscription) && this.#linked) this.#toUnsubscribe.set(subscription.name, subscription);
    subscription.ready?.resolve(); // nobody is to wait for what nobody wants
    subscription.ready = undefined;
  }

  /** Connections are there on which nothing has been told yet. */
  linked(): void {
    this.#linked = true;
  }

  /** They are gone: everything is to be told again. */
  unlinked(): void {
    this.#linked = false;
    this.#toUnsubscribe.clear();
    this.#ending.clear();
    for (const subscription of this.#byTopic.values()) {
      subscription.heard = false;
      this.#toSubscribe.add(subscription);
    }
  }

  /** The next that is to be told: a list of each kind at the most. No topic is in both. */
  next(): Wish {
    const ended = take(this.#toUnsubscribe.keys(), (name) => name);
    for (const name of ended) {
      this.#toUnsubscribe.delete(name);
      this.#ending.set(name, undefined);
    }
    const begun = take(this.#toSubscribe, ({ name }) => name);
    for (const subscription of begun) this.#toSubscribe.delete(subscription);
    return { ended, begun };
  }

  /** The broker has confirmed that these have ended. */
  ended(names: readonly string[]): void {
    for (const name of names) {
      const again = this.#ending.get(name);
      this.#ending.delete(name);
      if (again !== undefined) this.#toSubscribe.add(again);
    }
  }

  /** The broker has confirmed these. */
  confirmed(begun: readonly Subscription[]): void {
    for (const subscription of begun) {
      subscription.heard = true;
      subscription.ready?.resolve();
      subscription.ready = undefined;
    }
  }

  /** Nothing is wished for any more; what waits is rejected. */
  close(error: GroupcastError): void {
    this.unlinked();
    for (const { ready } of this.#byTopic.values()) ready?.reject(error);
    this.#byTopic.clear();
    this.#byName.clear();
    this.#toSubscribe.clear();
  }

  #check(topic: string): GroupcastError | undefined {
    if (this.#byTopic.size >= TOPICS_MAX) return new GroupcastError("limit", `one process hears at most ${TOPICS_MAX} topics`);
    return checkTopic(topic);
  }
}

/** What is wrong with a topic, if anything. */
export function checkTopic(topic: string): GroupcastError | undefined {
  if (topic.length <= TOPIC_BYTES_MAX && Buffer.byteLength(topic) <= TOPIC_BYTES_MAX) return undefined;
  return new GroupcastError("bad_option", `a topic has at most ${TOPIC_BYTES_MAX} bytes`);
}

function waitFor(subscription: Subscription): Promise<void> {
  subscription.ready ??= deferred();
  return subscription.ready.promise;
}

/** From the front as many as one list may hold. */
function take<T>(from: Iterable<T>, nameOf: (item: T) => string): T[] {
  const taken: T[] = [];
  let bytes = 0;
  for (const item of from) {
    bytes += nameOf(item).length;
    if (bytes > LIST_BYTES_MAX) break;
    taken.push(item);
  }
  return taken;
}
