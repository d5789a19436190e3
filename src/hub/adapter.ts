// A process's side of the hub: keeps one link, makes another when it is lost, and matches answers to questions. What the hub shall
// know of this process is in wishes.ts.
import { type Cancel, type Clock, systemClock } from "../base/clock.ts";
import { asError, type ErrorCode, GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import { type Random, systemRandom } from "../base/random.ts";
import type { AdapterEvents, Receipt, WillAdapter } from "../channel/adapter.ts";
import { Turn } from "../base/turn.ts";
import { MessageRecord } from "../wire/record.ts";
import { Dial, type Target, type TargetOptions, toTarget } from "./dial.ts";
import {
  encodeSubscribe,
  encodeTopicHead,
  FRAME,
  FRAME_BYTES_MAX,
  NO_WILL,
  readReceivers,
  refOf,
  RESTORED,
  topicEnd,
  topicOf,
  typeOf,
} from "./frames.ts";
import type { Link } from "./link.ts";
import { checkTopic, Wishes } from "./wishes.ts";

/** The first wait before another attempt is at most this long, ms; each further one twice as long as the one before it ... */
const RETRY_FIRST_MS = 50;
/** ... and none longer than this, ms: after a restart of the hub everybody is back within about that. */
const RETRY_MAX_MS = 1_000;
/** Bytes of a record: the rest of a frame is its head and the topic. */
const RECORD_BYTES_MAX = FRAME_BYTES_MAX - 1024;
/** The hub has this long to say that it has forgotten the will of a process that stops, ms: far more than a busy one takes. */
const WITHDRAWN_WITHIN_MS = 1_000;

/** Options of {@link HubAdapter} and `hubChannel`. */
export interface HubOptions extends TargetOptions {
  /** For tests: time and chance. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/**
 * Carries records through a `ChannelServer`. Comes back by itself when the link is lost, for as long as it is not stopped: after a
 * random wait of up to 50 ms at first, then up to twice as long each time, up to 1 s. It tells `up` once every topic is subscribed to
 * and its will in force again.
 *
 * `down` is told once for an outage, also if there was no link before; and once more with `unauthorized` if it turns out that the
 * secrets differ: that is tried again each second.
 */
export class HubAdapter implements WillAdapter {
  readonly immediate = false;
  #target: Target;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #turn: Turn;
  readonly #wishes = new Wishes();
  readonly #publishes = new Map<number, Deferred<Receipt>>();
  #events: AdapterEvents | undefined;
  #dial: Dial | undefined;
  /** The link, once both sides have proved themselves. */
  #link: Link | undefined;
  #isUp = false;
  #isStopped = false;
  #stopping: Promise<void> | undefined;
  /** What `down` was told since the last `up`: an outage is one, however many attempts fail in it. */
  #told: ErrorCode | undefined;
  #attempts = 0;
  #cancelRetry: Cancel | undefined;
  #lastRef = 0;
  /** The `subscribe` whose confirmation ends the restoring of a new link. */
  #restoredWith: number | undefined;
  #withdrawn: { readonly ref: number; readonly done: Deferred<void> } | undefined;

  /** @throws GroupcastError `bad_option` */
  constructor(options: HubOptions = {}) {
    this.#target = toTarget(options);
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#turn = new Turn(this.#clock);
  }

  /** @internal Another hub than the constructor was told of. Before `start`. */
  aim(target: Target): void {
    this.#target = target;
  }

  // What each call promises stands at the port: channel/adapter.ts.

  start(events: AdapterEvents): void {
    if (this.#isStopped) return;
    this.#events = events;
    this.#connect();
  }

  subscribe(topic: string): Promise<void> | undefined {
    if (this.#isStopped) return quiet(Promise.reject(stopped()));
    const ready = this.#wishes.subscribe(topic);
    this.#tellSoon();
    return ready;
  }

  unsubscribe(topic: string): void {
    this.#wishes.unsubscribe(topic);
    this.#tellSoon();
  }

  publish(topic: string, record: MessageRecord): Promise<Receipt> {
    const link = this.#ask(topic);
    if (link instanceof GroupcastError) return quiet(Promise.reject(link));
    const { bytes } = record;
    if (bytes.length > RECORD_BYTES_MAX) {
      const text = `what is published at once has at most ${RECORD_BYTES_MAX} bytes, not ${bytes.length}`;
      return quiet(Promise.reject(new GroupcastError("too_large", text)));
    }
    const ref = this.#nextRef();
    const accepted = deferred<Receipt>();
    this.#publishes.set(ref, accepted);
    link.push(encodeTopicHead(FRAME.publish, ref, topic, bytes.length));
    link.push(bytes);
    link.flushSoon();
    return accepted.promise;
  }

  will(topic: string, record: MessageRecord | undefined): void {
    if (this.#isStopped) return;
    this.#wishes.will(topic, record?.bytes);
    this.#tellSoon();
  }

  /** Takes up to a second longer if there is a will to withdraw and the hub is slow to answer. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** The end of a turn: what was wished for in it is told at once. */
  flush(): void {
    if (this.#isUp) this.#tell();
  }

  async #stop(): Promise<void> {
    this.#isStopped = true;
    this.#events = undefined;
    this.#cancelRetry?.();
    const hadWill = this.#wishes.isWillTold;
    this.#wishes.close(stopped());
    this.#failAnswers(stopped());
    const link = this.#dial?.link;
    if (link !== undefined && hadWill) await this.#withdraw(link);
    link?.cut(stopped());
    await link?.gone;
  }

  // Cut at once, a link may fail at the hub before everything that was said on it has been read.
  async #withdraw(link: Link): Promise<void> {
    const [ref, done] = [this.#nextRef(), deferred()];
    this.#withdrawn = { ref, done };
    link.push(NO_WILL);
    link.push(encodeSubscribe(ref, [])); // for its confirmation
    link.flushSoon();
    const cancel = this.#clock.after(WITHDRAWN_WITHIN_MS, done.resolve);
    await done.promise;
    cancel();
  }

  #connect(): void {
    this.#cancelRetry = undefined;
    const dial = new Dial(this.#target, this.#clock, this.#turn, {
      ready: () => this.#restore(dial.link),
      frame: (frame) => this.#take(frame),
      ended: (reason) => this.#ended(reason),
    });
    this.#dial = dial;
  }

  /** Tells a new link everything, a list at a time: the next when the last is confirmed, so that little waits for the hub. */
  #restore(link: Link): void {
    this.#link = link;
    this.#wishes.linked();
    this.#restoreNext(link);
  }

  #restoreNext(link: Link): void {
    const ref = this.#nextRef();
    for (const frame of this.#wishes.next(ref, true)) link.push(frame);
    // What is wished for from now on is not "again": it has a confirmation of its own.
    if (this.#wishes.isTold) this.#restoredWith = ref;
    link.flushSoon();
  }

  #confirmed(ref: number): void {
    this.#wishes.confirmed(ref);
    if (ref === this.#withdrawn?.ref) this.#withdrawn.done.resolve();
    const link = this.#link;
    if (this.#isUp || this.#isStopped || link === undefined) return;
    if (ref !== this.#restoredWith) return this.#restoreNext(link);
    link.push(RESTORED);
    this.#isUp = true;
    this.#attempts = 0;
    this.#told = undefined;
    this.#events?.up();
    this.#tell();
  }

  #ended(reason: GroupcastError): void {
    this.#dial = undefined;
    this.#link = undefined;
    this.#restoredWith = undefined;
    this.#isUp = false;
    this.#withdrawn?.done.resolve();
    if (this.#isStopped) return;
    this.#wishes.unlinked();
    const delay = reason.code === "unauthorized" ? RETRY_MAX_MS : this.#nextDelay();
    this.#cancelRetry = this.#clock.after(delay, () => this.#connect());
    this.#failAnswers(new GroupcastError("unknown_outcome", undefined, { cause: reason }));
    if (this.#told === reason.code) return;
    this.#told = reason.code;
    this.#events?.down(reason);
  }

  /** Full jitter: everybody has lost the hub at the same moment, and must not come back at the same moment. */
  #nextDelay(): number {
    const most = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#attempts++, 10));
    return this.#random.unit() * most;
  }

  #take(frame: Buffer): void {
    switch (typeOf(frame)) {
      case FRAME.message:
        return this.#receive(frame);
      case FRAME.accepted: {
        const ref = refOf(frame);
        this.#publishes.get(ref)?.resolve({ receivers: readReceivers(frame) });
        this.#publishes.delete(ref);
        return;
      }
      case FRAME.subscribed:
        return this.#confirmed(refOf(frame));
      default:
        return; // a ping; and what a newer hub may say to those who understand it
    }
  }

  #receive(frame: Buffer): void {
    const end = topicEnd(frame);
    const topic = topicOf(frame, end, "utf8");
    if (!this.#wishes.hears(topic)) return; // it was given up while this was on its way
    let record: MessageRecord;
    try {
      record = MessageRecord.read(frame.subarray(end));
    } catch (thrown) {
      // Another process has sent what is no record; that must not cost us the link.
      this.#events?.failed(asError(thrown));
      return;
    }
    this.#events?.receive(topic, record);
  }

  /** The link to ask something on, once it knows everything that was wished before; or why it cannot be asked. */
  #ask(topic: string): Link | GroupcastError {
    if (this.#isStopped) return stopped();
    const link = this.#link;
    if (!this.#isUp || link === undefined) return new GroupcastError("unavailable");
    if (link.isFull) return new GroupcastError("unavailable", "too much waits for the channel server already; nothing was sent");
    const wrong = checkTopic(topic);
    if (wrong !== undefined) return wrong;
    this.#tell();
    return this.#link === link ? link : new GroupcastError("unavailable"); // what was told may have been too much for it
  }

  #tellSoon(): void {
    if (this.#isUp) this.#turn.add(this);
  }

  #tell(): void {
    const link = this.#link;
    if (link === undefined || this.#wishes.isTold) return;
    while (this.#link === link && !this.#wishes.isTold) {
      for (const frame of this.#wishes.next(this.#nextRef(), false)) link.push(frame);
    }
    link.flushSoon();
  }

  #nextRef(): number {
    this.#lastRef = (this.#lastRef + 1) >>> 0;
    return this.#lastRef;
  }

  #failAnswers(error: GroupcastError): void {
    for (const { reject } of this.#publishes.values()) reject(error);
    this.#publishes.clear();
  }
}

function stopped(): GroupcastError {
  return new GroupcastError("closed", "the channel is stopped");
}
