// A process's side of a channel over NATS: which topics are wanted, one link after the other, and what is told of it. Must not know how
// records travel: that is a road's.
import { type Clock, systemClock } from "../base/clock.ts";
import { asError, type ErrorCode, GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import { type Random, systemRandom } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import type { Adapter, AdapterEvents, Receipt } from "../channel/adapter.ts";
import { MessageRecord } from "../wire/record.ts";
import type { NatsConnectionLike } from "./client.ts";
import { CoreRoad } from "./core-road.ts";
import { DialSource } from "./dial.ts";
import { JetStreamRoad } from "./jetstream-road.ts";
import { GivenSource, type Link, type Source } from "./link.ts";
import { ACCEPTED, type Road, type RoadHost } from "./road.ts";
import { readServers } from "./servers.ts";
import { Session } from "./session.ts";
import type { StreamSettings } from "./stream.ts";
import { Subjects } from "./subjects.ts";
import { toTrouble } from "./trouble.ts";

/** The first wait before another attempt is at most this long, ms; each further one twice as long as the one before it ... */
const RETRY_FIRST_MS = 50;
/** ... and none longer than this, ms: after a restart of NATS everybody is back within about that. What somebody has to change is tried each time after it. */
const RETRY_MAX_MS = 1_000;
/** Topics of one process, as on a hub; NATS needs about 800 bytes for one, this process 1.8 KB. */
const TOPICS_MAX = 131_072;
/** What the stream may hold: a second at 64 MiB/s, for holes that close within a tenth of it. */
const STREAM_BYTES = 64 * 1024 * 1024;
/** A stream that held less than a few records would lose them before they are sent on. */
const STREAM_BYTES_LEAST = 8 * 1024 * 1024;
/** What is older helps nobody, ms. */
const STREAM_AGE_MS = 60_000;

/** Options of {@link NatsAdapter} and `natsChannel`. */
export interface NatsOptions {
  /** Only processes of the same prefix hear each other. Default `groupcast`. */
  readonly prefix?: string | undefined;
  /**
   * True: without JetStream. Then what one process publishes to a group arrives in its order, but members may see what several publish in
   * different orders. All processes of a prefix need the same. Default false.
   */
  readonly core?: boolean | undefined;
  /** The stream's limit in bytes; default 64 MiB, in the memory of NATS. It counts when the stream is made; so do the next two. */
  readonly streamBytes?: number | undefined;
  /** How long the stream keeps a message, ms; default 60,000, at least 1,000. */
  readonly streamAgeMs?: number | undefined;
  /** On how many servers of a NATS cluster the stream is; default 1. With 3, one of them may fail. */
  readonly streamReplicas?: number | undefined;
  /** For tests: time and chance. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

type Wish = { heard: boolean; ready: Deferred<void> | undefined };

/**
 * Carries records through NATS. Comes back by itself when the link is lost, for as long as it is not stopped: after a random wait of up to
 * 50 ms at first, then up to twice as long each time, up to 1 s. It tells `up` once every topic is heard again. What was published
 * meanwhile is not heard.
 *
 * `down` is told once for an outage, and once more if it turns out to have another reason: `unauthorized`, or `bad_option` if the client
 * is not installed, the account has no JetStream, or its stream is not as it should be. Those are tried again each second.
 *
 * Of a connection that it is given it changes nothing, and closes nothing: that connection's options decide when it reconnects (let it be
 * for ever, `maxReconnectAttempts: -1`) and when it notices that the other side is gone (`pingInterval: 1500, maxPingOut: 2`, say).
 */
export class NatsAdapter implements Adapter {
  readonly immediate = false;
  readonly #source: Source;
  readonly #subjects: Subjects;
  readonly #isCore: boolean;
  readonly #settings: StreamSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #turn: Turn;
  readonly #wishes = new Map<string, Wish>();
  #events: AdapterEvents | undefined;
  /** What is done on the link that is there, up or not yet. */
  #session: Session | undefined;
  /** Ends that link. */
  #broken: ((reason: GroupcastError) => void) | undefined;
  #isUp = false;
  #isStopped = false;
  #running: Promise<void> | undefined;
  /** What `down` was told since the last `up`: an outage is one, however many attempts fail in it. */
  readonly #told = new Set<ErrorCode>();
  #attempts = 0;
  #endWait: (() => void) | undefined;

  /** @throws GroupcastError `bad_option` */
  constructor(urlOrConnection: string | NatsConnectionLike, options: NatsOptions = {}) {
    const { prefix = "groupcast", core = false, clock = systemClock, random = systemRandom } = options;
    this.#clock = clock;
    this.#random = random;
    this.#turn = new Turn(clock);
    this.#subjects = new Subjects(prefix);
    this.#isCore = core;
    this.#settings = toSettings(options);
    this.#source =
      typeof urlOrConnection === "string" ? new DialSource(readServers(urlOrConnection), random) : new GivenSource(urlOrConnection, clock);
  }

  // What each call promises stands at the port: channel/adapter.ts.

  start(events: AdapterEvents): void {
    if (this.#isStopped) return;
    this.#events = events;
    this.#running = this.#run();
  }

  subscribe(topic: string): Promise<void> | undefined {
    if (this.#isStopped) return quiet(Promise.reject(stopped()));
    let wish = this.#wishes.get(topic);
    if (wish?.heard === true) return undefined;
    if (wish === undefined) {
      const refusal = this.#check(topic);
      if (refusal !== undefined) return quiet(Promise.reject(refusal));
      wish = { heard: false, ready: undefined };
      this.#wishes.set(topic, wish);
      this.#session?.hear(topic);
    }
    wish.ready ??= deferred();
    return wish.ready.promise;
  }

  unsubscribe(topic: string): void {
    const wish = this.#wishes.get(topic);
    if (wish === undefined) return;
    this.#wishes.delete(topic);
    this.#session?.unhear(topic);
    wish.ready?.resolve(); // nobody is to wait for what nobody wants
  }

  publish(topic: string, record: MessageRecord): Promise<Receipt> {
    try {
      return this.#publish(topic, record);
    } catch (thrown) {
      // The client's: a connection may be closed before it says so.
      return quiet(Promise.reject(toTrouble(thrown, "nothing was sent")));
    }
  }

  stop(): Promise<void> {
    if (!this.#isStopped) {
      this.#isStopped = true;
      this.#events = undefined;
      this.#source.stop();
      this.#broken?.(stopped());
      this.#endWait?.();
      for (const { ready } of this.#wishes.values()) ready?.reject(stopped());
      this.#wishes.clear();
    }
    return this.#running ?? Promise.resolve();
  }

  #publish(topic: string, record: MessageRecord): Promise<Receipt> {
    const session = this.#session;
    if (this.#isStopped) throw stopped();
    const recordBytesMax = session?.recordBytesMax;
    if (!this.#isUp || session === undefined || recordBytesMax === undefined) throw new GroupcastError("unavailable");
    if (session.isFull) throw new GroupcastError("unavailable", "too much waits for NATS already; nothing was sent");
    const wrong = this.#subjects.check(topic);
    if (wrong !== undefined) throw wrong;
    const { bytes } = record;
    if (bytes.length <= recordBytesMax) return session.publish(topic, bytes);
    const pieces = split(record, recordBytesMax);
    return quiet(Promise.all(pieces.map((piece) => session.publish(topic, piece))).then(() => ACCEPTED));
  }

  /** One link after the other, until it is stopped. */
  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const { code } = await this.#live();
      if (!this.#isStopped) await this.#wait(code === "unavailable" ? this.#nextDelay() : RETRY_MAX_MS);
    }
  }

  /** One link, from the attempt to its end. Resolves with why it ended, when nothing of it is left. */
  async #live(): Promise<GroupcastError> {
    const over = deferred<GroupcastError>();
    const broken = (reason: GroupcastError): void => {
      if (this.#broken !== broken) return; // it is over already
      this.#broken = undefined;
      this.#end(reason);
      over.resolve(reason);
    };
    this.#broken = broken;
    let link: Link | undefined;
    try {
      link = await this.#source.open({ gone: broken, denied: (denial) => this.#session?.denied(denial) });
      if (this.#broken === broken) this.#use(link, broken);
    } catch (thrown) {
      broken(toTrouble(thrown, "NATS"));
    }
    const reason = await over.promise;
    await link?.end();
    return reason;
  }

  #use(link: Link, broken: (reason: GroupcastError) => void): void {
    const session = new Session(link, this.#roadOn(link, broken), this.#subjects, {
      heard: (topic) => this.#heard(topic),
      refused: (topic, error) => this.#refused(topic, error),
    });
    this.#session = session;
    session.open(this.#wishes.keys()).then(
      () => this.#opened(session),
      (thrown: unknown) => broken(toTrouble(thrown, `NATS at ${link.place}`)),
    );
  }

  #roadOn(link: Link, broken: (reason: GroupcastError) => void): Road {
    const host: RoadHost = {
      deliver: (topic, data) => this.#deliver(topic, data),
      failed: (error) => this.#events?.failed(error),
      broken,
    };
    const common = { link, subjects: this.#subjects, clock: this.#clock, turn: this.#turn };
    if (this.#isCore) return new CoreRoad(common, host);
    return new JetStreamRoad({ ...common, settings: this.#settings, random: this.#random }, host);
  }

  #opened(session: Session): void {
    if (this.#session !== session) return; // it was over meanwhile
    this.#isUp = true;
    this.#attempts = 0;
    this.#told.clear();
    this.#events?.up();
  }

  #end(reason: GroupcastError): void {
    const session = this.#session;
    this.#session = undefined;
    this.#isUp = false;
    for (const wish of this.#wishes.values()) wish.heard = false;
    session?.end(reason);
    if (this.#told.has(reason.code)) return;
    this.#told.add(reason.code);
    this.#events?.down(reason);
  }

  #heard(topic: string): void {
    const wish = this.#wishes.get(topic);
    if (wish === undefined) return;
    wish.heard = true;
    wish.ready?.resolve();
    wish.ready = undefined;
  }

  #refused(topic: string, error: GroupcastError): void {
    const wish = this.#wishes.get(topic);
    this.#wishes.delete(topic);
    wish?.ready?.reject(error);
    this.#events?.failed(error);
  }

  #deliver(topic: string, data: Uint8Array): void {
    let record: MessageRecord;
    try {
      record = MessageRecord.read(data);
    } catch (thrown) {
      // Another process has sent what is no record.
      this.#events?.failed(asError(thrown));
      return;
    }
    this.#events?.receive(topic, record);
  }

  /** Full jitter: everybody has lost NATS at the same moment, and must not come back at the same moment. */
  #nextDelay(): number {
    const most = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#attempts++, 10));
    return this.#random.unit() * most;
  }

  #wait(ms: number): Promise<void> {
    const over = deferred();
    const cancel = this.#clock.after(ms, over.resolve);
    this.#endWait = () => {
      cancel();
      over.resolve();
    };
    return over.promise;
  }

  #check(topic: string): GroupcastError | undefined {
    if (this.#wishes.size >= TOPICS_MAX) return new GroupcastError("limit", `one process hears at most ${TOPICS_MAX} topics`);
    return this.#subjects.check(topic);
  }
}

/** The messages of a record that is too long for NATS, as several records, in order. */
function split(record: MessageRecord, bytesMax: number): Uint8Array[] {
  const messages = [...record.messages()];
  const whole = MessageRecord.of(messages).bytes;
  if (whole.length <= bytesMax) return [whole];
  if (messages.length < 2) {
    throw new GroupcastError(
      "too_large",
      `NATS takes ${bytesMax} bytes at once (max_payload), this message needs ${whole.length}; nothing was sent`,
    );
  }
  const half = Math.ceil(messages.length / 2);
  return [messages.slice(0, half), messages.slice(half)].flatMap((part) => split(MessageRecord.of(part), bytesMax));
}

/** @throws GroupcastError `bad_option` */
function toSettings({ streamBytes = STREAM_BYTES, streamAgeMs = STREAM_AGE_MS, streamReplicas = 1 }: NatsOptions): StreamSettings {
  const check = (name: string, value: number, least: number, most: number): number => {
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw new GroupcastError("bad_option", `${name} is a whole number from ${least} to ${most}, not ${value}`);
  };
  return {
    bytes: check("streamBytes", streamBytes, STREAM_BYTES_LEAST, 2 ** 40),
    ageMs: check("streamAgeMs", streamAgeMs, 1_000, 24 * 60 * 60 * 1_000),
    replicas: check("streamReplicas", streamReplicas, 1, 5),
  };
}

function stopped(): GroupcastError {
  return new GroupcastError("closed", "the channel is stopped");
}
