// Connections made by ioredis. Knows that library by its shape, so that it need not be installed for those who use the other.
import { deferred } from "../base/promises.ts";
import { GroupcastError } from "../base/errors.ts";
import { nameOf } from "./slots.ts";
import { type Address, CONNECT_WITHIN_MS, type Dialler, type Wire, type WireEvents } from "./wire.ts";

/** What we use of `new Redis()`. */
export interface IoredisClient {
  readonly isCluster: false;
  readonly options: { readonly host?: string; readonly port?: number; readonly username?: unknown; readonly password?: unknown };
  /** Undefined before the first attempt. */
  readonly stream: { cork(): void; uncork(): void; destroy(): void } | undefined;
  duplicate(overrides: object): IoredisClient;
  connect(): Promise<unknown>;
  disconnect(): void;
  on(event: "smessageBuffer", listener: (name: Buffer, bytes: Buffer) => void): unknown;
  on(event: "error" | "end" | "moved", listener: (error?: Error) => void): unknown;
  call(...words: readonly string[]): Promise<unknown>;
  spublish(name: string, bytes: Buffer): Promise<unknown>;
  ssubscribe(...names: readonly string[]): Promise<unknown>;
  sunsubscribe(...names: readonly string[]): Promise<unknown>;
}

/** What we use of `new Redis.Cluster()`. */
export interface IoredisCluster {
  readonly isCluster: true;
  readonly options: { readonly natMap?: Readonly<Record<string, Address>> | ((name: string) => Address | null) | null };
  nodes(role: "master"): readonly IoredisClient[];
}

/** Whatever the user's client does, ours end when their connection does, wait for nothing, and repeat nothing. */
const ONE_SHOT = Object.freeze({
  lazyConnect: true,
  retryStrategy: null,
  reconnectOnError: null,
  enableOfflineQueue: false,
  enableReadyCheck: false, // it would need the right to use INFO
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: null,
  enableAutoPipelining: false,
  connectTimeout: CONNECT_WITHIN_MS,
  commandTimeout: undefined,
  socketTimeout: undefined,
  keyPrefix: "", // it would be put before our names, too
  readOnly: false,
  monitor: false,
  stringNumbers: false,
  replyMapping: "legacy",
});

export function isIoredisClient(given: object): given is IoredisClient {
  return isIoredis(given, false) && has(given, "duplicate", "disconnect", "call", "spublish", "ssubscribe", "sunsubscribe");
}

export function isIoredisCluster(given: object): given is IoredisCluster {
  return isIoredis(given, true) && has(given, "nodes");
}

export function ioredisDialler(template: IoredisClient): Dialler {
  return {
    seeds: [undefined],
    secrets: secretsOf(template),
    dial: (address, events) => new IoredisWire(template, address, events),
  };
}

/** @throws GroupcastError `unavailable`: it was never connected. */
export function ioredisClusterDialler(cluster: IoredisCluster): Dialler {
  const { natMap } = cluster.options;
  const masters = cluster.nodes("master");
  const [template] = masters;
  if (template === undefined) throw new GroupcastError("unavailable", "the cluster client that was given knows no node: connect() it");
  return {
    seeds: masters.map(({ options: { host = "127.0.0.1", port = 6379 } }) => ({ host, port })),
    secrets: secretsOf(template),
    dial(address, events) {
      const mapped = address !== undefined && (typeof natMap === "function" ? natMap(nameOf(address)) : natMap?.[nameOf(address)]);
      return new IoredisWire(template, mapped || address, events);
    },
  };
}

class IoredisWire implements Wire {
  readonly #client: IoredisClient;
  readonly #gone = deferred();
  #isCorked = false;

  constructor(template: IoredisClient, address: Address | undefined, events: WireEvents) {
    const place = address === undefined ? {} : { host: address.host, port: address.port, path: null, sentinels: null };
    this.#client = template.duplicate({ ...ONE_SHOT, ...place });
    this.#client.on("error", (error = new Error("an error without a word")) => events.ended(error));
    this.#client.on("moved", () => events.ended(new Error("a slot has moved to another node")));
    this.#client.on("smessageBuffer", (name, bytes) => events.message(name, bytes));
    this.#client.on("end", () => {
      events.ended(new Error("the server closed it"));
      this.#gone.resolve();
    });
    this.#client.connect().then(
      () => events.ready(),
      () => {}, // `error` has said why, and `end` follows
    );
  }

  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  publish(name: string, bytes: Buffer): Promise<unknown> {
    this.#cork();
    return this.#client.spublish(name, bytes);
  }

  subscribe(names: readonly string[]): Promise<unknown> {
    this.#cork();
    return this.#client.ssubscribe(...names);
  }

  unsubscribe(names: readonly string[]): Promise<unknown> {
    this.#cork();
    return this.#client.sunsubscribe(...names);
  }

  ask(...words: readonly string[]): Promise<unknown> {
    return this.#client.call(...words);
  }

  destroy(): void {
    this.#client.disconnect(); // waits for the other side ...
    this.#client.stream?.destroy(); // ... and this does not
  }

  /** The library writes each command by itself. What is called in one go goes in one write. */
  #cork(): void {
    const { stream } = this.#client;
    if (this.#isCorked || stream === undefined) return;
    this.#isCorked = true;
    stream.cork();
    queueMicrotask(() => {
      this.#isCorked = false;
      stream.uncork();
    });
  }
}

function isIoredis(given: object, isCluster: boolean): boolean {
  return "isCluster" in given && given.isCluster === isCluster && "options" in given;
}

function secretsOf({ options: { username, password } }: IoredisClient): string[] {
  return [username, password].filter((secret) => typeof secret === "string" && secret !== "") as string[];
}

function has(given: object, ...methods: readonly string[]): boolean {
  return methods.every((method) => typeof (given as Readonly<Record<string, unknown>>)[method] === "function");
}
