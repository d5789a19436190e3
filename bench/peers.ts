// The servers that are compared: how each is started, and what it is called. Adding one is a small server in peers/ and a row here.
import type { BrokerName } from "./brokers.ts";

export type PeerName =
  | "groupcast"
  | "groupcast-10ms"
  | "groupcast-workers"
  | "ws"
  | "socket.io"
  | "crossws"
  | "bun"
  | "groupcast-hub-4"
  | "groupcast-redis"
  | "groupcast-nats"
  | "socket.io-redis";

export interface Peer {
  /** What `--peers` calls it. */
  readonly family: string;
  readonly title: string;
  /** In peers/; prints `listening PORT` once it listens. */
  readonly file: string;
  readonly runtime: "node" | "bun";
  readonly protocol: "plain" | "socket.io";
  /** It is several processes: they share all cores, with the load, and the CPU of all counts. */
  readonly hasManyProcesses: boolean;
  readonly env: Readonly<Record<string, string>>;
  /** The package in peers/package.json whose version the report names. */
  readonly package: string | undefined;
  /** It needs this broker; the bench starts one. */
  readonly broker: BrokerName | undefined;
}

const PLAIN = { runtime: "node", protocol: "plain", hasManyProcesses: false, env: {}, package: undefined, broker: undefined } as const;
const OURS = { ...PLAIN, family: "groupcast", file: "groupcast.mjs" } as const;
const CLUSTER = { ...OURS, file: "groupcast-cluster.mjs", hasManyProcesses: true } as const;

export const PEERS: Readonly<Record<PeerName, Peer>> = Object.freeze({
  groupcast: { ...OURS, title: "groupcast" },
  "groupcast-10ms": { ...OURS, title: "groupcast, batchDelayMs 10", env: { BATCH_DELAY_MS: "10" } },
  "groupcast-workers": { ...OURS, title: "groupcast start --workers 2", file: "groupcast-workers.mjs", hasManyProcesses: true },
  "groupcast-hub-4": { ...CLUSTER, title: "groupcast, 4 workers and their hub", env: { NODES: "1", WORKERS: "4", CHANNEL: "hub" } },
  "groupcast-redis": { ...CLUSTER, title: "groupcast over Redis, 2 nodes × 2 workers", env: { CHANNEL: "redis" }, broker: "redis" },
  "groupcast-nats": { ...CLUSTER, title: "groupcast over NATS, 2 nodes × 2 workers", env: { CHANNEL: "nats" }, broker: "nats" },
  "socket.io-redis": {
    ...PLAIN,
    family: "socket.io",
    title: "Socket.IO, Redis adapter, 2 nodes × 2 workers",
    file: "socket-io-cluster.mjs",
    protocol: "socket.io",
    hasManyProcesses: true,
    package: "@socket.io/redis-adapter",
    broker: "redis",
  },
  bun: { ...PLAIN, family: "bun", title: "Bun, native topics", file: "bun.mjs", runtime: "bun", package: "bun" },
  ws: { ...PLAIN, family: "ws", title: "ws, a loop over the group", file: "ws-loop.mjs", package: "ws" },
  "socket.io": {
    ...PLAIN,
    family: "socket.io",
    title: "Socket.IO, rooms",
    file: "socket-io.mjs",
    protocol: "socket.io",
    package: "socket.io",
  },
  crossws: { ...PLAIN, family: "crossws", title: "crossws on Node", file: "crossws.mjs", package: "crossws" },
});

export const FAMILIES: readonly string[] = [...new Set(Object.values(PEERS).map(({ family }) => family))];
