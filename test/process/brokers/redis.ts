// Redis and Valkey for tests: one server, or a cluster.
import { createClient } from "redis";
import { findServer } from "./find.ts";
import { type Broker, givenServer, type Launch, PrivateServer } from "./private-server.ts";

export interface RedisOptions {
  /** True: a server of this test's own, also where one was given by its URL. So is every server with one of the options below. */
  readonly own?: boolean;
  /** Of the user `default`; part of the URL. */
  readonly password?: string;
  /** What is published is not stored; what is set is, and is there after a restart. Default: nothing is. */
  readonly appendonly?: boolean;
  /** Further lines of redis.conf, like `user alice on >secret ~* &* +@all`. */
  readonly config?: readonly string[];
}

export interface RedisCluster {
  /** The masters, then the replicas. */
  readonly nodes: readonly Broker[];
  /** Of the first node; each knows the others. */
  readonly url: string;
  /** Ends every node. */
  readonly stop: () => Promise<void>;
}

// A node that is gone is missed after 1 s, and those that are left serve their slots without it. A replica gets its first copy at once.
const CLUSTER = ["cluster-enabled yes", "cluster-node-timeout 1000", "cluster-require-full-coverage no", "repl-diskless-sync-delay 0"];

const SLOTS = 16_384;

/** Only a failure waits for it. */
const PATIENCE_MS = 20_000;

/** A private Redis, or the one at GROUPCAST_TEST_REDIS_URL if nothing special is asked for. Resolves when it answers. */
export function startRedis(options: RedisOptions = {}): Promise<Broker> {
  return start("redis-server", process.env["GROUPCAST_TEST_REDIS_URL"], options);
}

/** A private Valkey, or the one at GROUPCAST_TEST_VALKEY_URL if nothing special is asked for. Resolves when it answers. */
export function startValkey(options: RedisOptions = {}): Promise<Broker> {
  return start("valkey-server", process.env["GROUPCAST_TEST_VALKEY_URL"], options);
}

/** A private Redis Cluster. Resolves when every node says that all slots are served, and every replica that it follows its master. */
export async function startRedisCluster({ masters = 3, replicas = 0 }: { masters?: number; replicas?: 0 | 1 } = {}): Promise<RedisCluster> {
  const launch = await launchOf("redis-server", { config: CLUSTER });
  const nodes = await Promise.all(Array.from({ length: masters * (1 + replicas) }, () => PrivateServer.start(launch)));
  const stop = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node.stop())));
  try {
    await introduce(nodes, masters);
    return { nodes, url: nodes[0]?.url ?? "", stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(name: "redis-server" | "valkey-server", given: string | undefined, options: RedisOptions): Promise<Broker> {
  const asksForNothing = Object.values(options).every((option) => option === undefined || option === false);
  if (given !== undefined && given !== "" && asksForNothing) return givenServer(given);
  return PrivateServer.start(await launchOf(name, options));
}

async function launchOf(name: "redis-server" | "valkey-server", options: RedisOptions): Promise<Launch> {
  const { password, appendonly = false, config = [] } = options;
  const lines = ["bind 127.0.0.1", "daemonize no", `appendonly ${appendonly ? "yes" : "no"}`, ...config];
  const isNode = config.includes("cluster-enabled yes");
  return {
    ...(await findServer(name)),
    words: (port, folder) => [
      ...["--port", String(port), "--dir", folder, "--save", ""],
      ...(password === undefined ? [] : ["--requirepass", password]),
      // Its own choice, 10,000 higher, would be among the ports that clients get.
      ...(isNode ? ["--cluster-port", String(port + 1)] : []),
      ...lines.flatMap((line) => `--${line}`.split(" ")),
    ],
    listens: /Ready to accept connections/,
    url: (port) => `redis://${password === undefined ? "" : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    speak: async (url) => {
      const answer = await command(url, "PING");
      if (answer !== "PONG") throw new Error(`it answered ${String(answer)}`);
    },
  };
}

/** Makes one cluster of nodes that know nothing of each other. */
async function introduce(nodes: readonly Broker[], masters: number): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    // Each its own, so that they need not be found by election.
    await command(node.url, "CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
    if (index < masters) {
      const from = Math.ceil((index * SLOTS) / masters);
      const to = Math.ceil(((index + 1) * SLOTS) / masters) - 1;
      await command(node.url, "CLUSTER", "ADDSLOTSRANGE", String(from), String(to));
    }
    // Everybody everybody: hearsay would take seconds.
    for (const { host, port } of nodes.slice(0, index)) await command(node.url, "CLUSTER", "MEET", host, String(port), String(port + 1));
  }
  await Promise.all(nodes.map(({ url }) => until(async () => (await info(url)).get("cluster_known_nodes") === String(nodes.length))));
  for (const [index, { url }] of nodes.slice(masters).entries()) {
    const master = nodes[index % masters] as Broker;
    await command(url, "CLUSTER", "REPLICATE", String(await command(master.url, "CLUSTER", "MYID")));
  }
  for (const [index, { url }] of nodes.entries()) {
    await until(async () => (await info(url)).get("cluster_state") === "ok");
    if (index >= masters) await until(async () => String(await command(url, "INFO", "replication")).includes("master_link_status:up"));
    // What clients ask for: it comes by gossip, and may lag behind the state.
    await until(async () => (await command<unknown[]>(url, "CLUSTER", "SHARDS")).length === masters);
  }
}

async function info(url: string): Promise<Map<string, string>> {
  const lines = String(await command(url, "CLUSTER", "INFO")).split("\r\n");
  return new Map(lines.map((line) => line.split(":", 2) as [string, string]));
}

/** Says one command to the server at this URL, on a connection of its own. */
export async function command<T = unknown>(url: string, ...words: readonly string[]): Promise<T> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on("error", () => {}); // what fails, rejects too
  await client.connect();
  try {
    return await client.sendCommand<T>(words);
  } finally {
    client.destroy();
  }
}

async function until(look: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  while (!(await look())) {
    if (performance.now() > giveUpAt) throw new Error("the nodes did not become a cluster");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
