// Stand-ins for what surrounds the core: sockets of every shape, a channel whose every step is the test's, and listeners that write down.
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Adapter, type AdapterEvents, type Receipt } from "../../src/channel/adapter.ts";
import { Channel } from "../../src/channel/channel.ts";
import {
  Connection,
  type ConnectionGroup,
  ConnectionsPool,
  type ConnectionsPoolOptions,
  GroupManager,
  type GroupManagerOptions,
  GroupcastError,
  type Logger,
  type SocketLike,
} from "../../src/index.ts";
import { type Deferred, deferred } from "../../src/base/promises.ts";
import { FakeClock, FakeSocket } from "../../src/testing/index.ts";
import type { Payload } from "../../src/wire/frames.ts";
import { MessageRecord } from "../../src/wire/record.ts";

/** Lets everything that is due now happen: promise callbacks, and the end of the turn of the machine's clock. */
export async function settle(): Promise<void> {
  await nextTurn();
  await nextTurn();
}

/** A `ws` server socket: takes finished frames, and keeps every run that was written. */
export class StreamSocket extends FakeSocket {
  readonly runs: Uint8Array[] = [];

  constructor() {
    super({ stream: true });
  }

  override sendFrames(frames: Uint8Array): void {
    super.sendFrames(frames);
    this.runs.push(frames);
  }
}

/** A socket whose end is told in the same call, as a broken engine or a browser without a network may do. */
export class AbruptSocket extends FakeSocket {
  override close(code = 1005, reason = ""): void {
    super.close(code, reason);
    this.finishClose();
  }

  override terminate(): void {
    this.hangUp(1006);
  }
}

/** A WHATWG WebSocket: listeners get event objects, and there is neither ping nor terminate. */
export class WebFake implements SocketLike {
  readyState = 1;
  bufferedAmount = 0;
  binaryType = "blob";
  readonly sent: Payload[] = [];
  readonly closes: [code: number | undefined, reason: string | undefined][] = [];
  answersClose = true;
  sendError: Error | undefined;
  readonly #listeners = new Map<string, ((event: unknown) => void)[]>();

  addEventListener(event: string, listener: object): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener as (event: unknown) => void]);
  }

  send(data: Payload): void {
    if (this.sendError !== undefined) throw this.sendError;
    this.sent.push(data);
  }

  close(code?: number, reason?: string): void {
    // What the standard says: https://websockets.spec.whatwg.org/#dom-websocket-close
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) throw new DOMException("InvalidAccessError");
    if (new TextEncoder().encode(reason ?? "").length > 123) throw new DOMException("SyntaxError");
    this.closes.push([code, reason]);
    if (this.readyState >= 2) return;
    this.readyState = 2;
    if (this.answersClose) queueMicrotask(() => this.end(code ?? 1005, reason ?? ""));
  }

  tell(event: string, facts: object = {}): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(facts);
  }

  open(): void {
    this.readyState = 1;
    this.tell("open");
  }

  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.tell("close", { code, reason });
  }
}

/** What passes between the processes of {@link StepAdapter}s, one step at a time. */
export class StepBus {
  readonly adapters = new Set<StepAdapter>();
  /** Records that were accepted and have not been handed out. */
  readonly travelling: { topic: string; bytes: Uint8Array }[] = [];
  /** All records that were ever accepted. */
  readonly accepted: { topic: string; record: MessageRecord }[] = [];
  /** False: records travel until {@link deliver}. */
  delivers = true;

  accept(topic: string, record: MessageRecord): number {
    this.accepted.push({ topic, record });
    this.travelling.push({ topic, bytes: record.bytes });
    if (this.delivers) queueMicrotask(() => this.deliver());
    return [...this.adapters].filter((adapter) => adapter.hears(topic)).length;
  }

  /** Hands out all that travels, as bytes, to whoever has subscribed by now. */
  deliver(): void {
    for (let next = this.travelling.shift(); next !== undefined; next = this.travelling.shift()) {
      for (const adapter of this.adapters)
        if (adapter.hears(next.topic)) adapter.events.receive(next.topic, MessageRecord.read(next.bytes));
    }
  }
}

/** An adapter between processes whose link and subscriptions are the test's to work. */
export class StepAdapter implements Adapter {
  readonly immediate = false;
  readonly bus: StepBus;
  /** False: `subscribe` waits for {@link confirm}. */
  confirms = true;
  /** Everything that was asked of it, in order. */
  readonly calls: string[] = [];
  isUp = false;
  events!: AdapterEvents;
  readonly #subscribed = new Map<string, Deferred<void>>();
  readonly #inForce = new Set<string>();

  constructor(bus: StepBus = new StepBus()) {
    this.bus = bus;
  }

  start(events: AdapterEvents): void {
    this.events = events;
    this.bus.adapters.add(this);
  }

  hears(topic: string): boolean {
    return this.#inForce.has(topic);
  }

  up(): this {
    this.isUp = true;
    if (this.confirms) this.confirm();
    this.events.up();
    return this;
  }

  down(): void {
    this.isUp = false;
    this.events.down(new Error("the link is cut"));
  }

  subscribe(topic: string): Promise<void> {
    this.calls.push(`subscribe ${topic}`);
    const subscribed = deferred();
    this.#subscribed.set(topic, subscribed);
    if (this.confirms && this.isUp) queueMicrotask(() => this.confirm(topic));
    return subscribed.promise;
  }

  /** The bus has taken the subscription; default: all of them. */
  confirm(topic?: string): void {
    for (const [name, subscribed] of this.#subscribed) {
      if (topic !== undefined && topic !== name) continue;
      this.#inForce.add(name);
      subscribed.resolve();
    }
  }

  unsubscribe(topic: string): void {
    this.calls.push(`unsubscribe ${topic}`);
    this.#subscribed.delete(topic);
    this.#inForce.delete(topic);
  }

  publish(topic: string, record: MessageRecord): Promise<Receipt> {
    this.calls.push(`publish ${topic}`);
    const answer = deferred<Receipt>();
    if (this.isUp) answer.resolve({ receivers: this.bus.accept(topic, record) });
    else answer.reject(new GroupcastError("unavailable"));
    return answer.promise;
  }

  stop(): Promise<void> {
    this.calls.push("stop");
    this.bus.adapters.delete(this);
    for (const subscribed of this.#subscribed.values()) subscribed.reject(new GroupcastError("closed"));
    return Promise.resolve();
  }
}

/** A logger that only remembers. */
export class NoteLogger implements Logger {
  readonly lines: { readonly level: string; readonly facts: object; readonly text: string }[] = [];
  readonly debug = this.#at("debug");
  readonly info = this.#at("info");
  readonly warn = this.#at("warn");
  readonly error = this.#at("error");

  #at(level: string): (facts: object, text: string) => void {
    return (facts, text) => void this.lines.push({ level, facts, text });
  }
}

/** One process: a manager and its pool on a fake clock, and what they told. */
export class Process {
  readonly clock: FakeClock;
  readonly groups: GroupManager;
  readonly pool: ConnectionsPool;
  readonly logger = new NoteLogger();
  /** `created x`, `join a x`, `leave a x`, `destroyed x`, `refused a x: reason`, in order. */
  readonly told: string[] = [];
  /** Every `error` of the manager. */
  readonly errors: Error[] = [];

  constructor(options: GroupManagerOptions & Pick<ConnectionsPoolOptions, "duplicates"> & { readonly clock?: FakeClock } = {}) {
    const { clock = new FakeClock(), duplicates, ...rest } = options;
    this.clock = clock;
    this.groups = new GroupManager({ logger: this.logger, ...rest, clock });
    this.pool = new ConnectionsPool({ groups: this.groups, duplicates });
    this.groups.on("error", (error) => void this.errors.push(error));
    this.groups.on("refused", ({ connection, name, reason }) => void this.told.push(`refused ${connection.id} ${name}: ${reason}`));
    this.groups.on("destroyed", (group) => void this.told.push(`destroyed ${group.name}`));
    this.groups.on("created", (group: ConnectionGroup) => {
      this.told.push(`created ${group.name}`);
      group.on("join", (connection) => void this.told.push(`join ${connection.id} ${group.name}`));
      group.on("leave", (connection) => void this.told.push(`leave ${connection.id} ${group.name}`));
    });
  }

  /** A connection in the pool, and its socket. */
  connect(id: string, socket?: undefined, namespace?: string): { connection: Connection; socket: StreamSocket };
  connect<S extends SocketLike>(id: string, socket: S, namespace?: string): { connection: Connection; socket: S };
  connect(id: string, socket: SocketLike = new StreamSocket(), namespace = "default"): { connection: Connection; socket: SocketLike } {
    const connection = new Connection(id, namespace, socket);
    this.pool.newConnection(connection);
    return { connection, socket };
  }
}

/** A process on a channel whose link the test works; it is not up yet. */
export function stepProcess(bus?: StepBus, options: GroupManagerOptions = {}): Process & { readonly adapter: StepAdapter } {
  const clock = new FakeClock();
  const adapter = new StepAdapter(bus);
  return Object.assign(new Process({ ...options, clock, channel: new Channel(adapter, { clock }) }), { adapter });
}

/** What `promise` has come to by now: "pending", "done", or the code that it was rejected with. */
export async function stateOf(promise: Promise<unknown>): Promise<string> {
  const pending = Symbol("pending");
  try {
    return (await Promise.race([promise, settle().then(() => pending)])) === pending ? "pending" : "done";
  } catch (error) {
    return error instanceof GroupcastError ? error.code : String(error);
  }
}

/** The code of the GroupcastError that `run` throws; anything else comes through. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof GroupcastError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

/** The payloads as readable text. */
export function texts(sent: readonly Payload[]): string[] {
  return sent.map((payload) => (typeof payload === "string" ? payload : `bytes ${Buffer.from(payload).toString("hex")}`));
}
