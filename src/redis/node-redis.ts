// Connections made by node-redis. Knows that library by its shape, so that it need not be installed for those who use the other.
import { GroupcastError } from "../base/errors.ts";
import { nameOf } from "./slots.ts";
import type { Servers } from "./url.ts";
import { type Address, CONNECT_WITHIN_MS, type Dialler, type Wire, type WireEvents } from "./wire.ts";

type Listener = (message: Buffer, name: Buffer) => void;

/** What we use of `createClient()`. */
export interface NodeRedisClient {
  readonly options: { readonly socket?: object; readonly username?: unknown; readonly password?: unknown } | undefined;
  duplicate(overrides: object): NodeRedisClient;
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: (error: Error) => void): unknown;
  sendCommand(words: readonly (string | Buffer)[]): Promise<unknown>;
  sSubscribe(names: readonly string[], listener: Listener, asBuffers: true): Promise<unknown>;
  sUnsubscribe(names: readonly string[], listener: Listener, asBuffers: true): Promise<unknown>;
}

/** What we use of `createCluster()`. */
export interface NodeRedisCluster {
  readonly masters: readonly ClusterNode[];
  readonly nodeByAddress: ReadonlyMap<string, { readonly client?: NodeRedisClient | undefined }>;
}

type ClusterNode = Address & { readonly client?: NodeRedisClient | undefined };

/** Whatever the user's client does, ours end when their connection does, wait for nothing, and cost as little as they can. */
const ONE_SHOT = Object.freeze({
  url: undefined, // its host would be stronger than ours
  disableOfflineQueue: true,
  // Else each command gets a timer of its own, which is most of what it costs.
  commandOptions: { timeout: undefined },
  commandsQueueMaxLength: undefined,
  keyPrefix: undefined,
  pingInterval: undefined,
  readonly: false,
  clientSideCache: undefined,
  emitInvalidate: false,
  maintNotifications: "disabled",
});

export function isNodeRedisClient(given: object): given is NodeRedisClient {
  return has(given, "duplicate", "connect", "destroy", "sendCommand", "sSubscribe", "sUnsubscribe") && "options" in given;
}

export function isNodeRedisCluster(given: object): given is NodeRedisCluster {
  return has(given, "duplicate", "nodeClient") && "masters" in given && "nodeByAddress" in given;
}

/** For URLs; the only place that loads the library. Rejects with `bad_option` if it is not there. */
export async function urlDialler({ addresses, tls, username, password }: Servers): Promise<Dialler> {
  let createClient: (options: object) => unknown;
  try {
    ({ createClient } = (await import("redis")) as unknown as { createClient: typeof createClient });
  } catch (error) {
    const text = 'a channel over redis:// needs the package "redis": npm i redis';
    throw new GroupcastError("bad_option", text, { cause: error });
  }
  const template = createClient({ socket: { tls }, username, password }) as NodeRedisClient;
  return { ...clientDialler(template), seeds: addresses };
}

export function clientDialler(template: NodeRedisClient): Dialler {
  return {
    seeds: [undefined],
    secrets: secretsOf(template.options),
    dial: (address, events) => new NodeRedisWire(template, address, events),
  };
}

/** @throws GroupcastError `unavailable`: it was never connected. */
export function clusterDialler(cluster: NodeRedisCluster): Dialler {
  const { masters } = cluster;
  const template = masters.find(({ client }) => client !== undefined)?.client;
  if (template === undefined) throw new GroupcastError("unavailable", "the cluster client that was given knows no node: connect() it");
  return {
    seeds: masters.map(({ host, port }) => ({ host, port })),
    secrets: secretsOf(template.options),
    dial(address, events) {
      // Its own client for a node knows where the node is by the user's `nodeAddressMap`.
      const own = address === undefined ? undefined : cluster.nodeByAddress.get(nameOf(address))?.client;
      return own === undefined ? new NodeRedisWire(template, address, events) : new NodeRedisWire(own, undefined, events);
    },
  };
}

class NodeRedisWire implements Wire {
  readonly #client: NodeRedisClient;
  readonly #connected: Promise<void>;
  // Without it, a socket that does not connect would stay until its time-out.
  readonly #abort = new AbortController();
  readonly #listener: Listener;

  constructor(template: NodeRedisClient, address: Address | undefined, events: WireEvents) {
    this.#listener = (message, name) => events.message(name, message);
    const socket = {
      ...socketOf(template, address),
      ...{ reconnectStrategy: false, connectTimeout: CONNECT_WITHIN_MS, socketTimeout: undefined, signal: this.#abort.signal },
    };
    this.#client = template.duplicate({ ...ONE_SHOT, socket });
    this.#client.on("error", (error) => events.ended(error));
    this.#client.on("sharded-channel-moved", () => events.ended(new Error("a slot has moved to another node")));
    this.#connected = this.#client.connect().then(
      () => events.ready(),
      (error: Error) => events.ended(error),
    );
  }

  get gone(): Promise<void> {
    return this.#connected.then(socketsClosed);
  }

  publish(name: string, bytes: Buffer): Promise<unknown> {
    return this.#client.sendCommand(["SPUBLISH", name, bytes]);
  }

  subscribe(names: readonly string[]): Promise<unknown> {
    return this.#client.sSubscribe(names, this.#listener, true);
  }

  unsubscribe(names: readonly string[]): Promise<unknown> {
    // With the listener: else the library takes a subscription that follows at once for one that it has already.
    return this.#client.sUnsubscribe(names, this.#listener, true);
  }

  ask(...words: readonly string[]): Promise<unknown> {
    return this.#client.sendCommand(words);
  }

  destroy(): void {
    this.#abort.abort();
    try {
      this.#client.destroy();
    } catch {
      // It had ended by itself: older versions say so.
    }
  }
}

function socketOf(template: NodeRedisClient, address: Address | undefined): object {
  const given = template.options?.socket ?? {};
  if (address === undefined) return given;
  const { path: _, ...rest } = given as { readonly path?: unknown };
  return { ...rest, ...address };
}

/** The library shows no socket. One that was destroyed is closed at the end of the turn, behind what waits for that end. */
async function socketsClosed(): Promise<void> {
  for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => void setImmediate(resolve));
}

function secretsOf(options: NodeRedisClient["options"]): string[] {
  return [options?.username, options?.password].filter((secret) => typeof secret === "string" && secret !== "") as string[];
}

function has(given: object, ...methods: readonly string[]): boolean {
  return methods.every((method) => typeof (given as Readonly<Record<string, unknown>>)[method] === "function");
}
