// A process's side of a Redis: keeps one session with it, makes another when it is lost, and asks it for what is wished for. How servers
// are reached is in session.ts, and what they shall know of this process in wishes.ts.
import { type Cancel, type Clock, systemClock } from "../base/clock.ts";
import { asError, type ErrorCode, GroupcastError } from "../base/errors.ts";
import { quiet } from "../base/promises.ts";
import { type Random, systemRandom } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import type { Adapter, AdapterEvents, Receipt } from "../channel/adapter.ts";
import { MessageRecord } from "../wire/record.ts";
import { type RedisClientLike, toDiallers } from "./dialler.ts";
import { Session } from "./session.ts";
import type { Address, Dialler } from "./wire.ts";
import { checkTopic, Wishes } from "./wishes.ts";

/** The first wait before another attempt is at most this long, ms; each further one twice as long as the one before it ... */
const RETRY_FIRST_MS = 50;
/** ... and none longer than this, ms: after a restart of the server everybody is back within about that. */
const RETRY_MAX_MS = 1_000;
/** Bytes of a record: as on the hub. It ends at 256 KiB, so with its last message of up to 960 KiB it has never more than 3.7 MiB. */
const RECORD_BYTES_MAX = 4 * 1024 * 1024 - 1024;
const PREFIX_BYTES_MAX = 200;

/** Options of {@link RedisAdapter} and `redisChannel`. */
export interface RedisOptions {
  /** Only processes with the same prefix hear each other: the first part of every name on the server. Default `groupcast`. */
  readonly prefix?: string | undefined;
  /** For tests: time and chance. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/**
 * Carries records through Redis 7 or later, Valkey, or a Redis Cluster, which the server says itself to be: by sharded publishing in any
 * case. Two connections, one that subscribes and one that publishes, to the server or to each master.
 *
 * Comes back by itself when one of them is lost, or the slots of the cluster move, for as long as it is not stopped: after a random wait of
 * up to 50 ms at first, then up to twice as long each time, up to 1 s. It tells `up` once every topic is subscribed to again.
 *
 * `down` is told once for an outage, also if there was no connection before; and once more if it turns out that the server does not let
 * us in (`unauthorized`) or that nothing will come of it (`bad_option`: a package is missing, a server is too old): that is tried again
 * each second.
 */
export class RedisAdapter implements Adapter {
  readonly immediate = false;
  readonly #load: () => Promise<Dialler>;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #turn: Turn;
  readonly #wishes: Wishes;
  readonly #leaving = new Set<Session>();
  #events: AdapterEvents | undefined;
  #session: Session | undefined;
  #known: readonly Address[] = [];
  #isUp = false;
  #isStopped = false;
  #stopping: Promise<void> | undefined;
  /** What `down` was told since the last `up`: an outage is one, however many attempts fail in it. */
  #told: ErrorCode | undefined;
  #attempts = 0;
  #cancelRetry: Cancel | undefined;

  /**
   * @param urlOrClient `redis://` or `rediss://`, several nodes of a cluster with commas between; or a client, which stays the user's.
   * @throws GroupcastError `bad_option`
   */
  constructor(urlOrClient: string | RedisClientLike, options: RedisOptions = {}) {
    const { prefix = "groupcast", clock = systemClock, random = systemRandom } = options;
    const bytes = Buffer.byteLength(prefix);
    if (bytes === 0 || bytes > PREFIX_BYTES_MAX)
      throw new GroupcastError("bad_option", `a prefix has 1 to ${PREFIX_BYTES_MAX} bytes, not ${bytes}`);
    this.#load = toDiallers(urlOrClient);
    this.#clock = clock;
    this.#random = random;
    this.#turn = new Turn(clock);
    this.#wishes = new Wishes(prefix);
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
    const refusal = this.#refusal(topic);
    if (refusal !== undefined) return quiet(Promise.reject(refusal));
    const { bytes } = record;
    if (bytes.length > RECORD_BYTES_MAX) {
      const text = `what is published at once has at most ${RECORD_BYTES_MAX} bytes, not ${bytes.length}`;
      return quiet(Promise.reject(new GroupcastError("too_large", text)));
    }
    this.#tell();
    // What was told may have been too much for the session.
    return this.#session?.publish(this.#wishes.nameOf(topic), bytes) ?? quiet(Promise.reject(new GroupcastError("unavailable")));
  }

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
    this.#wishes.close(stopped());
    this.#session?.cut(stopped());
    await Promise.all([...this.#leaving].map(({ gone }) => gone));
  }

  #connect(): void {
    this.#cancelRetry = undefined;
    const session = new Session(this.#load, this.#known, this.#attempts, this.#clock, {
      ready: () => void this.#restore(session),
      message: (name, bytes) => this.#receive(name, bytes),
      ended: (reason) => this.#ended(session, reason),
    });
    this.#session = session;
  }

  /** Asks a new session for everything, a list at a time: the next when the last is confirmed, so that little waits for the server. */
  async #restore(session: Session): Promise<void> {
    if (session.nodes.length > 0) this.#known = session.nodes;
    this.#wishes.linked();
    while (!this.#wishes.isTold) {
      const { ended, begun } = this.#wishes.next();
      try {
        await session.unsubscribe(ended);
        await session.subscribe(begun.map(({ name }) => name));
      } catch {
        return; // it has ended, and said why
      }
      if (this.#session !== session) return;
      this.#wishes.ended(ended);
      this.#wishes.confirmed(begun);
    }
    this.#isUp = true;
    this.#attempts = 0;
    this.#told = undefined;
    this.#events?.up();
    this.#tell();
  }

  #ended(session: Session, reason: GroupcastError): void {
    this.#leaving.add(session);
    void session.gone.finally(() => this.#leaving.delete(session));
    this.#session = undefined;
    this.#isUp = false;
    if (this.#isStopped) return;
    this.#wishes.unlinked();
    const delay = reason.retry ? this.#nextDelay() : RETRY_MAX_MS;
    this.#cancelRetry = this.#clock.after(delay, () => this.#connect());
    if (this.#told === reason.code) return;
    this.#told = reason.code;
    this.#events?.down(reason);
  }

  /** Full jitter: everybody has lost the server at the same moment, and must not come back at the same moment. */
  #nextDelay(): number {
    const most = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#attempts++, 10));
    return this.#random.unit() * most;
  }

  #receive(name: string, bytes: Buffer): void {
    const topic = this.#wishes.heard(name);
    if (topic === undefined) return; // it was given up while this was on its way
    let record: MessageRecord;
    try {
      record = MessageRecord.read(bytes);
    } catch (thrown) {
      // Somebody has published what is no record; that must not cost us the connection.
      this.#events?.failed(asError(thrown));
      return;
    }
    this.#events?.receive(topic, record);
  }

  #refusal(topic: string): GroupcastError | undefined {
    if (this.#isStopped) return stopped();
    if (!this.#isUp || this.#session === undefined) return new GroupcastError("unavailable");
    if (this.#session.isFull) return new GroupcastError("unavailable", "too much waits for the Redis server already; nothing was sent");
    return checkTopic(topic);
  }

  #tellSoon(): void {
    if (this.#isUp) this.#turn.add(this);
  }

  #tell(): void {
    const session = this.#session;
    while (session !== undefined && this.#session === session && !this.#wishes.isTold) {
      const { ended, begun } = this.#wishes.next();
      // If the session ends before, all is asked for again in the next.
      if (ended.length > 0) {
        session.unsubscribe(ended).then(() => {
          if (this.#session !== session) return;
          this.#wishes.ended(ended);
          this.#tell();
        }, ignore);
      }
      if (begun.length === 0) continue;
      session.subscribe(begun.map(({ name }) => name)).then(() => {
        if (this.#session === session) this.#wishes.confirmed(begun);
      }, ignore);
    }
  }
}

const ignore = (): void => {};

function stopped(): GroupcastError {
  return new GroupcastError("closed", "the channel is stopped");
}
