// Every kind of channel with nodes on it, each node a process: what the tests of a cluster are run over.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { NetConnectOpts } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeBrokerName } from "../../../dist/channel/broker-names.js";
import { encodeTopic } from "../../../dist/channel/topics.js";
import { HubAdapter } from "../../../dist/hub/index.js";
import { type Broker, brokers, type NatsServer, startNats, startRedis, startRedisCluster, startValkey } from "../brokers/index.ts";
import { command } from "../brokers/redis.ts";
import { Client } from "../client.ts";
import { record, SECRET } from "../hub/rig.ts";
import { Wire, type WireOptions } from "./wire.ts";

export type Kind = "memory" | "hub" | "Redis" | "Valkey" | "Redis Cluster" | "NATS";

/** How a process is told of its channel: `channel-of.mjs` reads it. */
export interface Given {
  readonly kind: "memory" | "hub" | "redis" | "nats";
  readonly at?: unknown;
}

export class Node {
  readonly child: ChildProcess;
  readonly #exit: Promise<string>;
  #port = 0;
  /** What it has written on its error stream. */
  said = "";

  private constructor(given: Given) {
    this.child = fork(new URL("./node.mjs", import.meta.url), [JSON.stringify(given)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.child.stderr?.on("data", (chunk: Buffer) => (this.said += chunk.toString()));
    this.#exit = once(this.child, "exit").then(([code, signal]: unknown[]) => String(signal ?? code));
  }

  /** Resolves when it takes connections. */
  static async start(given: Given): Promise<Node> {
    const node = new Node(given);
    const ready = await Promise.race([once(node.child, "message"), node.#exit]);
    if (typeof ready === "string") throw new Error(`a node ended with ${ready}:\n${node.said}`);
    node.#port = (ready[0] as { port: number }).port;
    return node;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  open(path?: string): Promise<Client> {
    return Client.open(this.#port, path);
  }

  /** Lets it close. Resolves with its exit code, or with what killed it. Called again it gives the same. */
  end(): Promise<string> {
    if (this.child.connected) this.child.disconnect();
    return this.#exit;
  }
}

/** What the nodes of one test share. */
export interface Bus {
  /** For a process that a test starts for itself. */
  readonly given: Given;
  /** Starts a node, on a link of its own to the broker if options for one are given. On `memory` there is one node: it is everybody's. */
  node(wire?: WireOptions): Promise<Node>;
  /** The link of a node that has one of its own. */
  wireOf(node: Node): Wire;
  /** How many links the broker sends the messages of this group of the namespace `default` to. Not on `memory`. */
  listeners(group: string): Promise<number>;
  /** Undefined: there is no process that could be killed, or it is the hub's. */
  readonly broker: Broker | undefined;
  /** Ends every node, and the broker. Throws if a node did not end as it should. */
  stop(): Promise<void>;
}

export interface BusKind {
  readonly kind: Kind;
  readonly missing: boolean;
  readonly start: () => Promise<Bus>;
}

/** These kinds, for `describe.each`; `tests` is their name in the line that says that a broker is missing. */
export async function buses(tests: string, kinds: readonly Kind[]): Promise<BusKind[]> {
  const all: BusKind[] = [];
  for (const kind of kinds) {
    const { missing } = await gates[kind](`${tests}, ${kind}`);
    all.push({ kind, missing, start: starts[kind] });
  }
  return all;
}

const here = (): Promise<{ missing: boolean }> => Promise.resolve({ missing: false });
const own = { own: true };

const gates: Readonly<Record<Kind, (tests: string) => Promise<{ missing: boolean }>>> = {
  memory: here,
  hub: here,
  Redis: (tests) => brokers.redis(tests, own),
  "Redis Cluster": (tests) => brokers.redis(tests, own),
  Valkey: (tests) => brokers.valkey(tests, own),
  NATS: (tests) => brokers.nats(tests, own),
};

const starts: Readonly<Record<Kind, () => Promise<Bus>>> = {
  memory: startMemory,
  hub: startHub,
  Redis: async () => overRedis(await startRedis(own)),
  Valkey: async () => overRedis(await startValkey(own)),
  NATS: async () => overNats(await startNats(own)),
  async "Redis Cluster"() {
    const cluster = await startRedisCluster();
    const { nodes } = cluster;
    return new NodesBus({
      given: { kind: "redis", at: cluster.url },
      end: () => cluster.stop(),
      listeners: async (group) =>
        (await Promise.all(nodes.map(({ url }) => redisListeners(url, group)))).reduce((sum, count) => sum + count),
    });
  },
};

async function startMemory(): Promise<Bus> {
  const bus = new NodesBus({ given: { kind: "memory" }, end: () => Promise.resolve(), listeners: () => Promise.resolve(0) });
  const node = await bus.node();
  return {
    given: bus.given,
    node: () => Promise.resolve(node),
    wireOf: (one) => bus.wireOf(one),
    listeners: (group) => bus.listeners(group),
    broker: undefined,
    stop: () => bus.stop(),
  };
}

async function startHub(): Promise<Bus> {
  const folder = mkdtempSync(join(tmpdir(), "groupcast-cluster-"));
  const path = join(folder, "hub.sock");
  const hub = fork(new URL("../contract/hub-process.mjs", import.meta.url), [`unix:${path}`, SECRET]);
  await once(hub, "message");
  const asker = new HubAdapter({ path, secret: SECRET });
  const isUp = new Promise<void>((resolve) => asker.start({ receive: () => {}, failed: () => {}, up: resolve, down: () => {} }));
  let wires = 0;
  return new NodesBus({
    given: { kind: "hub", at: { path, secret: SECRET } },
    target: { path },
    async listen(wire) {
      const at = join(folder, `wire-${wires++}.sock`);
      await wire.listen(at);
      return { path: at, secret: SECRET };
    },
    // It has no question for that, but counts whom it gives something to.
    async listeners(group) {
      await isUp;
      return (await asker.publish(topicOf(group), record("anybody there?"))).receivers ?? Number.NaN;
    },
    async end() {
      await asker.stop();
      const exit = once(hub, "exit");
      hub.send("stop");
      await exit;
      rmSync(folder, { recursive: true });
    },
  });
}

function overRedis(broker: Broker): Bus {
  return new NodesBus({
    ...overBroker(broker),
    given: { kind: "redis", at: broker.url },
    listeners: (group) => redisListeners(broker.url, group),
  });
}

async function redisListeners(url: string, group: string): Promise<number> {
  const [, count] = await command<[string, number]>(url, "PUBSUB", "SHARDNUMSUB", encodeBrokerName("groupcast", topicOf(group)));
  return count;
}

function overNats(broker: NatsServer): Bus {
  return new NodesBus({
    ...overBroker(broker),
    given: { kind: "nats", at: broker.url },
    async listeners(group) {
      const { connections } = (await (await fetch(`${broker.monitorUrl}/connz?subs=1`)).json()) as {
        connections: { subscriptions_list?: string[] }[];
      };
      const name = `gcl.${encodeBrokerName("groupcast", topicOf(group))}`;
      return connections.filter(({ subscriptions_list = [] }) => subscriptions_list.includes(name)).length;
    },
  });
}

function overBroker(broker: Broker): Pick<BusParts, "broker" | "target" | "listen" | "end"> {
  return {
    broker,
    target: { host: broker.host, port: broker.port },
    listen: async (wire) => broker.url.replace(`:${broker.port}`, `:${await wire.listen()}`),
    end: () => broker.stop(),
  };
}

function topicOf(group: string): string {
  return encodeTopic({ kind: "group", namespace: "default", name: group });
}

interface BusParts {
  readonly given: Given;
  readonly broker?: Broker;
  /** What a wire leads to; undefined: none can be put between. */
  readonly target?: NetConnectOpts;
  /** Lets a wire listen. Resolves with how a node is told of it. */
  readonly listen?: (wire: Wire) => Promise<unknown>;
  readonly listeners: (group: string) => Promise<number>;
  readonly end: () => Promise<void>;
}

class NodesBus implements Bus {
  readonly #parts: BusParts;
  readonly #nodes: Node[] = [];
  readonly #wires = new Map<Node, Wire>();

  constructor(parts: BusParts) {
    this.#parts = parts;
  }

  get given(): Given {
    return this.#parts.given;
  }

  get broker(): Broker | undefined {
    return this.#parts.broker;
  }

  async node(options?: WireOptions): Promise<Node> {
    const { given, target, listen } = this.#parts;
    let wire: Wire | undefined;
    let { at } = given;
    if (options !== undefined && target !== undefined && listen !== undefined) {
      wire = new Wire(target, options);
      at = await listen(wire);
    }
    const node = await Node.start({ ...given, at });
    this.#nodes.push(node);
    if (wire !== undefined) this.#wires.set(node, wire);
    return node;
  }

  wireOf(node: Node): Wire {
    const wire = this.#wires.get(node);
    if (wire === undefined) throw new Error("that node has no wire of its own");
    return wire;
  }

  listeners(group: string): Promise<number> {
    return this.#parts.listeners(group);
  }

  async stop(): Promise<void> {
    const ends = await Promise.all(this.#nodes.map((node) => node.end()));
    await Promise.all([...this.#wires.values()].map((wire) => wire.close()));
    await this.#parts.end();
    const odd = this.#nodes.filter((_, index) => ends[index] !== "0");
    if (odd.length > 0) throw new Error(`nodes ended with ${ends.join(", ")}:\n${odd.map(({ said }) => said).join("\n")}`);
  }
}
