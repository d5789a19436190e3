// What the hub shall know of this process, its topics and its will, and which of that it has not been told on this link.
// Must not know links: it makes frames, and is told what became of them.
import { GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import { TOPICS_MAX } from "./exchange.ts";
import { encodeSubscribe, encodeUnsubscribe, encodeWill, listedBytes, NO_WILL, TOPIC_BYTES_MAX, WILL_BYTES_MAX } from "./frames.ts";

/** A list of topics ends here; the next begins another frame, so that no frame holds back the records behind it for long. */
const LIST_BYTES_MAX = 64 * 1024;

type Subscription = { readonly topic: string; heard: boolean; ready: Deferred<void> | undefined };

/**
 * Only what is different counts: a topic that is subscribed to and given up again within a turn is never mentioned, and of several
 * wills the last is told.
 */
export class Wishes {
  readonly #subscriptions = new Map<string, Subscription>();
  #linked = false;
  readonly #toSubscribe = new Set<Subscription>();
  readonly #toUnsubscribe = new Set<string>();
  #will: Buffer = NO_WILL;
  #toldWill: Buffer = NO_WILL;
  // What was told, and the hub has not confirmed.
  readonly #told = new Map<number, readonly Subscription[]>();

  /** True when the hub has been told everything; what it has not confirmed yet included. */
  get isTold(): boolean {
    return this.#toSubscribe.size === 0 && this.#toUnsubscribe.size === 0 && this.#will === this.#toldWill;
  }

  /** True if the hub has something to say when it loses this process. */
  get isWillTold(): boolean {
    return this.#toldWill !== NO_WILL;
  }

  /** True if records of the topic are for this process: those that the hub has sent after it had confirmed the subscription. */
  hears(topic: string): boolean {
    return this.#subscriptions.get(topic)?.heard === true;
  }

  /** Undefined: it is heard. Resolves when it is heard, or given up. Rejects with `limit`, `bad_option`, or `closed`. */
  subscribe(topic: string): Promise<void> | undefined {
    const present = this.#subscriptions.get(topic);
    if (present !== undefined) return present.heard ? undefined : waitFor(present);
    const refusal = this.#check(topic);
    if (refusal !== undefined) return quiet(Promise.reject(refusal));
    const subscription: Subscription = { topic, heard: false, ready: undefined };
    this.#subscriptions.set(topic, subscription);
    this.#toSubscribe.add(subscription);
    return waitFor(subscription);
  }

  unsubscribe(topic: string): void {
    const subscription = this.#subscriptions.get(topic);
    if (subscription === undefined) return;
    this.#subscriptions.delete(topic);
    const wasTold = !this.#toSubscribe.delete(subscription);
    if (this.#linked && wasTold) this.#toUnsubscribe.add(topic);
    subscription.ready?.resolve(); // nobody is to wait for what nobody wants
  }

  /** @throws GroupcastError `too_large`, `bad_option` */
  will(topic: string, record: Uint8Array | undefined): void {
    if (record === undefined) {
      this.#will = NO_WILL;
      return;
    }
    const wrong = checkTopic(topic);
    if (wrong !== undefined) throw wrong;
    if (record.length > WILL_BYTES_MAX) {
      throw new GroupcastError("too_large", `a will has at most ${WILL_BYTES_MAX} bytes, not ${record.length}`);
    }
    this.#will = encodeWill(topic, record);
  }

  /** A link is there that knows nothing yet: everything is to be told. */
  linked(): void {
    this.#linked = true;
  }

  /** The link is gone. */
  unlinked(): void {
    this.#linked = false;
    this.#toldWill = NO_WILL;
    this.#told.clear();
    this.#toUnsubscribe.clear();
    for (const subscription of this.#subscriptions.values()) {
      subscription.heard = false;
      this.#toSubscribe.add(subscription);
    }
  }

  /**
   * The next frames: a list of each kind at the most. Topics that are given up come first, since one may be wanted again by now;
   * `subscribe` comes last, so that its confirmation speaks for all. With `confirm` it is there even if no topic is left to name.
   */
  next(ref: number, confirm: boolean): Buffer[] {
    const frames: Buffer[] = [];
    if (this.#will !== this.#toldWill) frames.push(this.#will);
    this.#toldWill = this.#will;
    const ended = take(this.#toUnsubscribe, (topic) => topic);
    if (ended.length > 0) frames.push(encodeUnsubscribe(ended));
    // While ends are still to be told, nothing begins: it could be the same topic.
    const begun = this.#toUnsubscribe.size > 0 ? [] : take(this.#toSubscribe, ({ topic }) => topic);
    if (begun.length > 0 || confirm) {
      this.#told.set(ref, begun);
      const topics = begun.map(({ topic }) => topic);
      frames.push(encodeSubscribe(ref, topics));
    }
    return frames;
  }

  /** The hub has confirmed the `subscribe` with this ref. */
  confirmed(ref: number): void {
    for (const subscription of this.#told.get(ref) ?? []) {
      subscription.heard = true;
      subscription.ready?.resolve();
      subscription.ready = undefined;
    }
    this.#told.delete(ref);
  }

  /** Nothing is wished for any more; what waits is rejected. */
  close(error: GroupcastError): void {
    this.unlinked();
    for (const { ready } of this.#subscriptions.values()) ready?.reject(error);
    this.#subscriptions.clear();
    this.#toSubscribe.clear();
    this.#will = NO_WILL;
  }

  #check(topic: string): GroupcastError | undefined {
    if (this.#subscriptions.size >= TOPICS_MAX) return new GroupcastError("limit", `one process hears at most ${TOPICS_MAX} topics`);
    return checkTopic(topic);
  }
}

/** What is wrong with a topic, if anything. */
export function checkTopic(topic: string): GroupcastError | undefined {
  if (listedBytes(topic) - 2 <= TOPIC_BYTES_MAX) return undefined;
  return new GroupcastError("bad_option", `a topic has at most ${TOPIC_BYTES_MAX} bytes`);
}

function waitFor(subscription: Subscription): Promise<void> {
  subscription.ready ??= deferred();
  return subscription.ready.promise;
}

/** Removes from the front as many as one frame may hold. */
function take<T>(from: Set<T>, topicOf: (item: T) => string): T[] {
  const taken: T[] = [];
  let bytes = 0;
  for (const item of from) {
    bytes += listedBytes(topicOf(item));
    if (bytes > LIST_BYTES_MAX) break;
    taken.push(item);
    from.delete(item);
  }
  return taken;
}
