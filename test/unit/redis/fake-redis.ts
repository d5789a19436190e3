// A Redis in memory, and clients of it in the shape of node-redis: for what real servers cannot be made to do.
import type { NodeRedisClient } from "../../../src/redis/node-redis.ts";

type Words = readonly (string | Buffer)[];
type Asked = { readonly words: readonly string[]; readonly answer: () => void };

export class FakeRedis {
  /** What HELLO says. */
  facts: Record<string, unknown> = { server: "redis", version: "7.0.15", mode: "standalone", role: "master" };
  /** Commands that are refused, by name. */
  readonly refusals = new Map<string, string>();
  /** Commands that are not answered before `release`. */
  readonly held = new Set<string>();
  /** What CLUSTER SLOTS says. */
  slots: unknown = [];
  /** True: nothing is answered, connections and their first command included. */
  isSilent = false;
  /** Why nobody is let in; undefined: everybody is. */
  refusal: string | undefined;
  /** True: attempts to connect that were broken off come to their end only with `bury`. */
  lingers = false;
  /** Everything that was asked. */
  readonly asked: string[] = [];
  readonly clients = new Set<FakeClient>();
  readonly lingering: (() => void)[] = [];
  readonly #waiting: Asked[] = [];
  readonly template = new FakeClient(() => this, {});

  /** How often somebody has connected, or tried to. */
  attempts = 0;

  ask(client: FakeClient, words: readonly string[], answer: () => void): void {
    this.asked.push(words.map((word) => (word.length > 100 ? "…" : word)).join(" "));
    if (this.isSilent || this.held.has(words[0] ?? "")) this.#waiting.push({ words, answer });
    else queueMicrotask(() => client.isOpen && answer());
  }

  /** Answers the first of what is held. */
  releaseOne(): void {
    this.#waiting.shift()?.answer();
  }

  /** Answers what was held. */
  release(): void {
    this.held.clear();
    this.isSilent = false;
    for (const { answer } of this.#waiting.splice(0)) answer();
  }

  bury(): void {
    for (const end of this.lingering.splice(0)) end();
  }

  publish(name: string, bytes: Buffer): number {
    const hearers = [...this.clients].filter((client) => client.heard.has(name));
    for (const client of hearers) client.heard.get(name)?.(bytes, Buffer.from(name));
    return hearers.length;
  }

  /** Ends every connection. */
  cut(): void {
    for (const client of [...this.clients]) client.fail(new Error("Socket closed unexpectedly"));
  }
}

type Listener = (message: Buffer, name: Buffer) => void;

export class FakeClient implements NodeRedisClient {
  readonly options: NonNullable<NodeRedisClient["options"]>;
  /** What the server has for it. */
  readonly heard = new Map<string, Listener>();
  isOpen = false;
  // What the library believes to be subscribed to: what is in here and not ending is not asked for again.
  readonly #believed = new Map<string, { isEnding: boolean }>();
  readonly #redis: (address: { host?: string; port?: number }) => FakeRedis;
  readonly #listeners = new Map<string, (error: Error) => void>();
  readonly #pending = new Set<(error: Error) => void>();
  #failConnect: ((error: Error) => void) | undefined;

  constructor(redis: (address: { host?: string; port?: number }) => FakeRedis, options: NonNullable<NodeRedisClient["options"]>) {
    this.#redis = redis;
    this.options = options;
  }

  get redis(): FakeRedis {
    return this.#redis(this.options.socket ?? {});
  }

  duplicate(overrides: object): FakeClient {
    return new FakeClient(this.#redis, { ...this.options, ...overrides });
  }

  connect(): Promise<unknown> {
    const { redis } = this;
    redis.attempts++;
    return new Promise((resolve, reject) => {
      this.#failConnect = reject;
      const begin = (): void => {
        this.isOpen = true;
        redis.clients.add(this);
        resolve(undefined);
      };
      if (redis.refusal !== undefined) queueMicrotask(() => this.fail(new Error(redis.refusal)));
      else if (!redis.isSilent) queueMicrotask(begin);
    });
  }

  destroy(): void {
    this.isOpen = false;
    this.redis.clients.delete(this);
    const error = new Error("Disconnects client");
    const end = (): void => this.#failConnect?.(error);
    if (this.redis.lingers) this.redis.lingering.push(end);
    else end();
    for (const reject of [...this.#pending]) reject(error);
    this.#pending.clear();
  }

  /** The connection is lost. */
  fail(error: Error): void {
    this.#listeners.get("error")?.(error);
    this.destroy();
  }

  /** The server has taken a subscription back. */
  move(name: string): void {
    this.heard.delete(name);
    this.#listeners.get("sharded-channel-moved")?.(new Error(name));
  }

  on(event: string, listener: (error: Error) => void): this {
    this.#listeners.set(event, listener);
    return this;
  }

  sendCommand([name = "", ...args]: Words): Promise<unknown> {
    return this.#ask([String(name), ...args.map((arg) => arg.toString("latin1" as never))], () => {
      switch (name) {
        case "HELLO":
          return this.redis.facts;
        case "CLUSTER":
          return this.redis.slots;
        case "SPUBLISH":
          return this.redis.publish(String(args[0]), args[1] as Buffer);
        default:
          return "PONG";
      }
    });
  }

  sSubscribe(names: readonly string[], listener: Listener): Promise<unknown> {
    const unknown = names.filter((name) => this.#believed.get(name)?.isEnding !== false);
    if (unknown.length === 0) return Promise.resolve();
    return this.#ask(["SSUBSCRIBE", ...unknown], () => {
      for (const name of unknown) {
        this.heard.set(name, listener);
        if (!this.#believed.has(name)) this.#believed.set(name, { isEnding: false });
      }
    });
  }

  sUnsubscribe(names: readonly string[]): Promise<unknown> {
    for (const name of names) Object.assign(this.#believed.get(name) ?? {}, { isEnding: true });
    return this.#ask(["SUNSUBSCRIBE", ...names], () => {
      for (const name of names) {
        this.heard.delete(name);
        this.#believed.delete(name);
      }
    });
  }

  #ask(words: readonly string[], act: () => unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) return reject(new Error("The client is closed"));
      this.#pending.add(reject);
      this.redis.ask(this, words, () => {
        this.#pending.delete(reject);
        const refusal = this.redis.refusals.get(words[0] ?? "");
        if (refusal === undefined) resolve(act());
        else reject(new Error(refusal));
      });
    });
  }
}
