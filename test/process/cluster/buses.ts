// Every kind of channel with nodes on it, each node a process: what the tests of a cluster are run over.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { NetConnectOpts } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Broker, brokers, startNats, startRedis, startRedisCluster, startValkey } from "../brokers/index.ts";
import { Client } from "../client.ts";
import { Wire, type WireOptions } from "./wire.ts";

export type Kind = "memory" | "hub" | "Redis" | "Valkey" | "Redis Cluster" | "NATS";

/** How a node is told of its channel. */
interface Given {
  readonly kind: "memory" | "hub" | "redis" | "nats";
  readonly at?: unknown;
  readonly prefix?: string;
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
  /** Starts a node, on a link of its own to the broker if options for one are given. On `memory` there is one node: it is everybody's. */
  node(wire?: WireOptions): Promise<Node>;
  /** The link of a node that has one of its own. */
  wireOf(node: Node): Wire;
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
  Redis: async () => overBroker("redis", await startRedis(own)),
  Valkey: async () => overBroker("redis", await startValkey(own)),
  NATS: async () => overBroker("nats", await startNats(own)),
  async "Redis Cluster"() {
    const cluster = await startRedisCluster();
    return new NodesBus({ kind: "redis", at: cluster.url }, undefined, () => cluster.stop());
  },
};

async function startMemory(): Promise<Bus> {
  const bus = new NodesBus({ kind: "memory" }, undefined, () => Promise.resolve());
  const node = await bus.node();
  return { node: () => Promise.resolve(node), wireOf: (one) => bus.wireOf(one), broker: undefined, stop: () => bus.stop() };
}

async function startHub(): Promise<Bus> {
  const folder = mkdtempSync(join(tmpdir(), "groupcast-cluster-"));
  const path = join(folder, "hub.sock");
  const hub = fork(new URL("../contract/hub-process.mjs", import.meta.url), [`unix:${path}`]);
  await once(hub, "message");
  let wires = 0;
  return new NodesBus(
    { kind: "hub", at: { path } },
    {
      target: { path },
      listen: async (wire) => {
        const at = join(folder, `wire-${wires++}.sock`);
        await wire.listen(at);
        return { path: at };
      },
    },
    async () => {
      const exit = once(hub, "exit");
      hub.send("stop");
      await exit;
      rmSync(folder, { recursive: true });
    },
  );
}

function overBroker(kind: "redis" | "nats", broker: Broker): Bus {
  return new NodesBus(
    { kind, at: broker.url },
    {
      target: { host: broker.host, port: broker.port },
      listen: async (wire) => broker.url.replace(`:${broker.port}`, `:${await wire.listen()}`),
    },
    () => broker.stop(),
    broker,
  );
}

/** How a wire gets between a node and what is there, and how a node is told of it. */
interface Wiring {
  readonly target: NetConnectOpts;
  readonly listen: (wire: Wire) => Promise<unknown>;
}

class NodesBus implements Bus {
  readonly broker: Broker | undefined;
  readonly #given: Given;
  readonly #wiring: Wiring | undefined;
  readonly #end: () => Promise<void>;
  readonly #nodes: Node[] = [];
  readonly #wires = new Map<Node, Wire>();

  constructor(given: Given, wiring: Wiring | undefined, end: () => Promise<void>, broker?: Broker) {
    this.#given = given;
    this.#wiring = wiring;
    this.#end = end;
    this.broker = broker;
  }

  async node(options?: WireOptions): Promise<Node> {
    const wiring = options === undefined ? undefined : this.#wiring;
    const wire = wiring === undefined ? undefined : new Wire(wiring.target, options);
    const at = wiring === undefined || wire === undefined ? this.#given.at : await wiring.listen(wire);
    const node = await Node.start({ ...this.#given, at });
    this.#nodes.push(node);
    if (wire !== undefined) this.#wires.set(node, wire);
    return node;
  }

  wireOf(node: Node): Wire {
    const wire = this.#wires.get(node);
    if (wire === undefined) throw new Error("that node has no wire of its own");
    return wire;
  }

  async stop(): Promise<void> {
    const ends = await Promise.all(this.#nodes.map((node) => node.end()));
    await Promise.all([...this.#wires.values()].map((wire) => wire.close()));
    await this.#end();
    const odd = this.#nodes.filter((_, index) => ends[index] !== "0");
    if (odd.length > 0) throw new Error(`nodes ended with ${ends.join(", ")}:\n${odd.map(({ said }) => said).join("\n")}`);
  }
}
