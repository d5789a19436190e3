// The application's own events between processes, on a channel of their own. Must not know groups or connections.
import { type Clock, systemClock } from "../base/clock.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { consoleLogger, type Logger } from "../base/logger.ts";
import { type Deferred, deferred, isPromiseLike, quiet } from "../base/promises.ts";
import type { Random } from "../base/random.ts";
import { Channel, type Hearing } from "../channel/channel.ts";
import { encodeTopic } from "../channel/topics.ts";
import { toMessage } from "../groups/message.ts";
import { readPayloads } from "../wire/frames.ts";
import { checkName } from "../wire/names.ts";
import type { Message, MessageRecord } from "../wire/record.ts";
import { HubAdapter } from "./adapter.ts";
import { shown } from "./address.ts";
import { type Target, toTarget } from "./dial.ts";

/**
 * Hears an event: a string, a Uint8Array, or any other value that JSON can say. What type that is, the publisher decides: it is taken
 * as written here, and not checked. May be asynchronous.
 */
export type ChannelListener<Data = unknown> = (data: Data) => unknown;

export interface ChannelClientOptions {
  /** What the server knows, too. Default: the variable `GROUPCAST_CHANNEL_SECRET`, else none. */
  readonly secret?: string | undefined;
  /** Only clients of the same prefix hear each other. Default `groupcast`. */
  readonly prefix?: string | undefined;
  /** Where a lost link and a failing listener are told; default: the console. Any pino logger will do. */
  readonly logger?: Logger | undefined;
  /** For tests: time and chance. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

type Ear = { listeners: readonly ChannelListener[]; readonly hearing: Hearing };

/**
 * A client of a `ChannelServer`, for events of the application's own between its processes.
 *
 * An event goes to every listener in every process that is connected, the publisher's own included; to all of them in one order. One
 * that is published while a process is not connected does not reach it later. A lost link comes back by itself, with everything
 * that is listened to.
 *
 * `connect` makes the process's one client; the static methods are that client's, and work before it is connected, too.
 */
export class ChannelClient {
  static #ofProcess: ChannelClient | undefined;

  /**
   * Connects the process's client, and resolves with it when the link is up; until then it tries, and a warning says why it
   * cannot. Again with the same address, prefix and secret it is the same client; with others a separate one, of which the static
   * methods know nothing.
   *
   * Rejects with `bad_option`; `closed`: it was closed before the link was up.
   *
   * @param host a name, an address, or `unix:/path`; default 127.0.0.1.
   * @param port default 2206.
   */
  static connect(host?: string, port?: number, options: ChannelClientOptions = {}): Promise<ChannelClient> {
    let target: Target;
    try {
      target = toTarget({ host, port, secret: options.secret, prefix: options.prefix });
    } catch (error) {
      return quiet(Promise.reject(asError(error)));
    }
    const own = (ChannelClient.#ofProcess ??= new ChannelClient(options));
    if (own.#target === undefined) own.#connect(target, options);
    if (isSame(own.#target, target)) return own.#up.promise;
    const separate = new ChannelClient(options);
    separate.#connect(target, options);
    return separate.#up.promise;
  }

  /** {@link ChannelClient.prototype.on} of the process's client. Nothing is lost if it connects later. */
  static on<Data = unknown>(event: string, listener: ChannelListener<Data>): () => void {
    return (ChannelClient.#ofProcess ??= new ChannelClient()).on(event, listener);
  }

  /** {@link ChannelClient.prototype.off} of the process's client. */
  static off<Data = unknown>(event: string, listener: ChannelListener<Data>): void {
    ChannelClient.#ofProcess?.off(event, listener);
  }

  /** {@link ChannelClient.prototype.publish} of the process's client. */
  static publish(event: string, data: unknown): Promise<void> {
    return (ChannelClient.#ofProcess ??= new ChannelClient()).publish(event, data);
  }

  /** Closes the process's client, if there is one; `connect` makes a new one then, without listeners. */
  static close(): Promise<void> {
    return ChannelClient.#ofProcess?.close() ?? Promise.resolve();
  }

  readonly #adapter: HubAdapter;
  readonly #channel: Channel;
  readonly #ears = new Map<string, Ear>();
  #logger: Logger = consoleLogger;
  #target: Target | undefined;
  #up: Deferred<ChannelClient> = deferred();
  #wasUp = false;
  #closed: Promise<void> | undefined;

  private constructor({ clock = systemClock, random }: ChannelClientOptions = {}) {
    this.#adapter = new HubAdapter({ clock, random });
    this.#channel = new Channel(this.#adapter, { clock });
  }

  /** True while the link works. */
  get isUp(): boolean {
    return this.#channel.isUp;
  }

  /**
   * Calls `listener` with the data of every `event` from now on, in the order of publishing. An event may have several listeners,
   * which are given the same object. One that throws, or rejects, is logged; the others still run. Returns its undo.
   *
   * @throws GroupcastError `bad_group`: an event is named as a group is; `bad_option`: not a function; `closed`.
   */
  on<Data = unknown>(event: string, listener: ChannelListener<Data>): () => void {
    const topic = topicOf(event);
    if (typeof listener !== "function") throw new GroupcastError("bad_option", `a listener is a function, not ${typeof listener}`);
    if (this.#closed !== undefined) throw closed();
    const ear = this.#ears.get(event);
    if (ear !== undefined) ear.listeners = [...ear.listeners, listener as ChannelListener];
    else this.#ears.set(event, { listeners: [listener as ChannelListener], hearing: this.#hear(event, topic) });
    return () => this.off(event, listener);
  }

  /** Removes one registration of `listener`; does nothing if there is none. */
  off<Data = unknown>(event: string, listener: ChannelListener<Data>): void {
    const ear = this.#ears.get(event);
    const index = ear?.listeners.lastIndexOf(listener as ChannelListener) ?? -1;
    if (ear === undefined || index < 0) return;
    ear.listeners = ear.listeners.toSpliced(index, 1);
    if (ear.listeners.length > 0) return;
    this.#ears.delete(event);
    ear.hearing.stop();
  }

  /**
   * Sends to everybody who listens to `event`, in every process. Resolves when the server has accepted it. While the link is
   * down it waits for up to 5 s. Several calls arrive in the order of the calls.
   *
   * Rejects with `unavailable`: nothing was sent, a retry is safe; `unknown_outcome`: the link was lost before the answer, a retry
   * may send twice; `bad_group`: no name for an event; `bad_option`: what JSON cannot say; `too_large`; `closed`.
   */
  publish(event: string, data: unknown): Promise<void> {
    return quiet(this.#publish(event, data));
  }

  /** Leaves for good. What waits is rejected with `closed`. Resolves when nothing of it is left in this process. */
  close(): Promise<void> {
    this.#closed ??= quiet(this.#close());
    return this.#closed;
  }

  #connect(target: Target, { logger = consoleLogger }: ChannelClientOptions): void {
    this.#target = target;
    this.#logger = logger;
    this.#adapter.aim(target);
    this.#channel.start({
      up: () => {
        this.#wasUp = true;
        this.#up.resolve(this);
      },
      down: (reason) => {
        if (this.#wasUp) this.#up = deferred(); // for a `connect` from now on
        this.#wasUp = false;
        this.#logger.warn({ err: reason }, reason.message);
      },
      failed: (error) => this.#logger.error({ err: error }, `an event from ${shown(target.address)} could not be read: ${error.message}`),
    });
  }

  async #publish(event: string, data: unknown): Promise<void> {
    const topic = topicOf(event);
    const message = encode(data);
    if (this.#closed !== undefined) throw closed();
    await this.#channel.publish(topic, message);
  }

  async #close(): Promise<void> {
    if (ChannelClient.#ofProcess === this) ChannelClient.#ofProcess = undefined;
    this.#up.reject(closed());
    this.#ears.clear();
    await this.#channel.stop();
  }

  #hear(event: string, topic: string): Hearing {
    const hearing = this.#channel.hear(topic, (record) => this.#receive(event, record));
    hearing.ready?.catch((error: unknown) => {
      if (this.#closed === undefined) this.#logger.error({ err: error }, `the event ${JSON.stringify(event)} cannot be listened to`);
    });
    return hearing;
  }

  #receive(event: string, record: MessageRecord): void {
    for (const message of record.messages()) {
      let data: unknown;
      try {
        data = decode(message);
      } catch (thrown) {
        // What another process has sent is not trusted, and costs only itself.
        this.#logger.error({ err: asError(thrown) }, `an event ${JSON.stringify(event)} came that is not JSON`);
        continue;
      }
      for (const listener of this.#ears.get(event)?.listeners ?? []) this.#tell(event, listener, data);
    }
  }

  #tell(event: string, listener: ChannelListener, data: unknown): void {
    const failed = (thrown: unknown): void => {
      const error = asError(thrown);
      this.#logger.error({ err: error }, `a listener of the event ${JSON.stringify(event)} failed: ${error.message}`);
    };
    try {
      const result = listener(data);
      if (isPromiseLike(result)) result.then(undefined, failed);
    } catch (thrown) {
      failed(thrown);
    }
  }
}

function topicOf(event: string): string {
  try {
    return encodeTopic({ kind: "event", event: checkName(event) });
  } catch (cause) {
    throw new GroupcastError("bad_group", "an event's name is 1 to 200 bytes of text without control characters", { cause });
  }
}

function isSame(one: Target | undefined, other: Target): boolean {
  return one !== undefined && shown(one.address) === shown(other.address) && one.prefix === other.prefix && one.secret === other.secret;
}

function encode(data: unknown): Message {
  if (typeof data === "string" || data instanceof Uint8Array) return toMessage(data);
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch (cause) {
    throw new GroupcastError("bad_option", "the data of an event is a string, bytes, or what JSON can say", { cause });
  }
  // JSON has no word for undefined, functions and symbols; stringify says so by returning undefined.
  if (text === undefined) throw new GroupcastError("bad_option", `the data of an event is not ${typeof data}`);
  return toMessage(text, undefined, "json");
}

/** Bytes as a copy of their own: the listener may keep them without keeping all that came with them. */
function decode({ kind, frame }: Message): unknown {
  const [payload = ""] = readPayloads(frame);
  if (typeof payload !== "string") return new Uint8Array(payload);
  return kind === "json" ? (JSON.parse(payload) as unknown) : payload;
}

function closed(): GroupcastError {
  return new GroupcastError("closed", "this ChannelClient is closed");
}
