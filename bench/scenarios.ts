// The one table of what is measured: shapes of load, who takes part, and the goal of each. The report and bench:quick both come from it.
import type { Goal, Place, Quoted } from "./goals.ts";
import type { Shape } from "./load.ts";
import type { PeerName } from "./peers.ts";
import type { Metric } from "./runs.ts";

export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** What its tables show: deliveries, the highest rate held, memory and handshakes, or memory of memberships. */
  readonly kind: "deliveries" | "rising" | "idle" | "memberships";
  readonly shapes: readonly Shape[];
  /** In the order in which they take turns; the first is the one that the others are compared with. */
  readonly peers: readonly PeerName[];
  /** For peers that need other rates than the shape's: as fine, where theirs ends. */
  readonly rates?: Readonly<Partial<Record<PeerName, readonly number[]>>>;
  readonly goals: readonly Goal[];
  /** Rounds, unless the command line asks for more. */
  readonly rounds: number;
  /** Its chart: of which metric, and whether long bars are good. */
  readonly chart?: { readonly metric: Metric; readonly title: string };
  /** The shape that bench:quick runs in place of these. */
  readonly quick?: Shape;
}

const ROUNDS = 3;

const crowd = (name: string, shape: Partial<Shape> = {}): Shape => ({
  name,
  clients: 1_000,
  publishers: 8,
  window: 8,
  size: 128,
  ...shape,
});
/** 1,000 groups of 10 members, and a publisher in each. */
const rooms = (name: string, shape: Partial<Shape> = {}): Shape => ({
  name,
  clients: 10_000,
  groups: 1_000,
  publishers: 1_000,
  window: 16,
  size: 128,
  seconds: 4,
  warmSeconds: 1.5,
  ...shape,
});

// How the same comparison is written for each metric: of A to B.
const ratio =
  (metric: Metric, text: string) =>
  (of: Place | Quoted, by: Place | Quoted, bound: Pick<Goal, "atLeast" | "atMost">, detail = ""): Goal => ({
    text: `${text}, ${nameOf(of)} ÷ ${nameOf(by)}${detail}`,
    metric,
    of,
    by,
    ...bound,
  });
const rate = ratio("deliveriesPerSecond", "deliveries/s");
const cpu = ratio("cpuPerMillion", "CPU per delivery");
const p50 = ratio("p50Ms", "p50");
const p99 = ratio("p99Ms", "p99");
const held = ratio("heldRate", "highest rate held");
const memory = ratio("bytesPerConnection", "memory per connection");
const handshake = ratio("cpuUsPerHandshake", "CPU per handshake");
const peak = ratio("peakMb", "peak memory");

function nameOf(place: Place | Quoted): string {
  if ("value" in place) return place.source;
  return place.shape === undefined ? place.peer : `${place.peer} (${place.shape})`;
}

const US: Place = { peer: "groupcast" };
const BUN: Place = { peer: "bun" };
const WS: Place = { peer: "ws" };
const at = ({ peer }: Place, shape: string): Place => ({ peer, shape });

// Workerman 5.2.2 + Channel on PHP 8.2 (ext-event, opcache), two workers, measured in the same shapes on 2 cores (AMD EPYC, Linux 6.18),
// CPU s per million deliveries. It is no npm package, so its figures are quoted.
const WORKERMAN_S1B: Quoted = { value: 4.434, source: "Workerman + Channel (quoted: 4.434)" };
const WORKERMAN_S3: Quoted = { value: 7.798, source: "Workerman + Channel (quoted: 7.798, and it lost messages)" };

const DELAYED: Place = { peer: "groupcast-10ms" };
const delayedGoals = (shape: string): readonly Goal[] => [
  cpu(at(DELAYED, shape), at(BUN, shape), { atMost: 0.6 }),
  { text: `p99 in ms, groupcast-10ms (${shape})`, metric: "p99Ms", of: at(DELAYED, shape), atMost: 30 },
];
const fixedRate = (messagesPerSecond: number): Shape =>
  crowd(`${messagesPerSecond.toLocaleString("en-US")} messages/s`, { rates: [messagesPerSecond], size: 200 });

const QUIET = "nobody slow";
const SLOW = "one slow member";
const slowShape = (name: string, slow: number): Shape => crowd(name, { rates: [2_000], size: 200, slow, seconds: 5 });

/** `npm run bench`. */
export const SCENARIOS: readonly Scenario[] = [
  {
    id: "S1a",
    title: "1 group × 1,000 members, one message at a time",
    kind: "deliveries",
    shapes: [crowd("1 under way", { publishers: 1, window: 1, seconds: 2.5, warmSeconds: 0.5 })],
    peers: ["groupcast", "bun", "ws", "socket.io", "crossws"],
    goals: [cpu(US, BUN, { atMost: 1.15 }), cpu(WS, US, { atLeast: 1.35 })],
    rounds: ROUNDS,
    quick: crowd("quick", { publishers: 1, window: 1, seconds: 1.5, warmSeconds: 0.3, settleMs: 200 }),
  },
  {
    id: "S1b",
    title: "1 group × 1,000 members, 64 messages under way",
    kind: "deliveries",
    shapes: [crowd("64 under way")],
    peers: ["groupcast", "bun", "ws", "socket.io", "crossws"],
    goals: [
      rate(US, BUN, { atLeast: 0.95 }),
      rate(US, WS, { atLeast: 25 }),
      rate(US, { peer: "socket.io" }, { atLeast: 30 }),
      cpu(US, BUN, { atMost: 1.05 }),
    ],
    rounds: ROUNDS,
    chart: { metric: "deliveriesPerSecond", title: "Deliveries per second, 1 group × 1,000 members, 64 messages under way" },
    quick: crowd("quick", { seconds: 1.5, warmSeconds: 0.5, settleMs: 200 }),
  },
  {
    id: "S1c",
    title: "1 group × 1,000 members, 512 messages under way",
    kind: "deliveries",
    shapes: [crowd("512 under way", { window: 64 })],
    peers: ["groupcast", "bun", "ws"],
    goals: [rate(US, BUN, { atLeast: 5 }), rate(US, WS, { atLeast: 150 }), p50(BUN, US, { atLeast: 5 })],
    rounds: ROUNDS,
    chart: { metric: "deliveriesPerSecond", title: "Deliveries per second, 1 group × 1,000 members, 512 messages under way" },
  },
  {
    id: "S2",
    title: "1 group × 10,000 members, 64 messages under way",
    kind: "deliveries",
    shapes: [crowd("10,000 members", { clients: 10_000, seconds: 5, warmSeconds: 3, drainSeconds: 60 })], // 640,000 deliveries, at 10 µs or more for ws
    peers: ["groupcast", "bun", "ws"],
    goals: [rate(US, BUN, { atLeast: 0.9 })],
    rounds: ROUNDS,
  },
  {
    id: "S3",
    title: "1,000 groups × 10 members, a publisher in each, window 16",
    kind: "deliveries",
    shapes: [rooms("1,000 groups")],
    peers: ["groupcast", "bun", "ws"],
    goals: [cpu(US, BUN, { atMost: 1.2 }), cpu(WS, US, { atLeast: 10 })],
    rounds: ROUNDS,
    chart: { metric: "cpuPerMillion", title: "CPU seconds per million deliveries, 1,000 groups × 10 members (shorter is better)" },
    quick: rooms("quick", { clients: 2_000, groups: 200, publishers: 200, seconds: 1.5, warmSeconds: 0.5, settleMs: 300 }),
  },
  {
    id: "S4",
    title: "the highest rate held: 1 group × 1,000 members, 200 bytes, p99 ≤ 50 ms, ≥ 99 % delivered",
    kind: "rising",
    shapes: [crowd("rising rates", { size: 200, rates: [2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 16_000, 20_000, 24_000, 28_000] })],
    peers: ["groupcast", "bun", "ws"],
    rates: {
      bun: [2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 10_000, 12_000, 16_000],
      ws: [40, 60, 80, 100, 120, 140, 160, 200, 250, 300, 400],
    },
    goals: [held(US, WS, { atLeast: 100 }), held(US, BUN, { atLeast: 4 })],
    rounds: ROUNDS,
    chart: { metric: "heldRate", title: "Highest message rate held for 1,000 members with p99 ≤ 50 ms" },
  },
  {
    id: "S4d",
    title: "CPU at fixed rates with batchDelayMs 10: 1 group × 1,000 members, 200 bytes",
    kind: "deliveries",
    shapes: [fixedRate(300), fixedRate(1_000), fixedRate(3_000)],
    peers: ["groupcast-10ms", "bun", "groupcast"],
    goals: ["300 messages/s", "1,000 messages/s", "3,000 messages/s"].flatMap(delayedGoals),
    rounds: ROUNDS,
  },
  {
    id: "large",
    title: "large messages: 1 group × 1,000 members, 4 publishers, window 1",
    kind: "deliveries",
    shapes: [crowd("4 KB", { publishers: 4, window: 1, size: 4_000 }), crowd("64 KB", { publishers: 4, window: 1, size: 65_000 })],
    peers: ["groupcast", "bun", "ws"],
    goals: ["4 KB", "64 KB"].map((shape) => rate(at(US, shape), at(BUN, shape), { atLeast: 0.85 })),
    rounds: ROUNDS,
  },
  {
    id: "S5",
    title: "memory of idle connections (RssAnon, after a collection of garbage)",
    kind: "idle",
    shapes: [
      { name: "10,000 idle", mode: "idle", clients: 10_000 },
      { name: "19,500 idle", mode: "idle", clients: 19_500 },
    ],
    peers: ["groupcast", "ws", "bun", "socket.io", "crossws"],
    goals: ["10,000 idle", "19,500 idle"].map((shape) => memory(at(US, shape), at(WS, shape), { atMost: 1.2 })),
    rounds: ROUNDS,
  },
  {
    id: "S6",
    title: "handshakes, 200 at a time",
    kind: "idle",
    shapes: [{ name: "10,000 handshakes", mode: "idle", clients: 10_000, settleMs: 100 }],
    peers: ["groupcast", "ws", "bun", "socket.io", "crossws"],
    goals: [handshake(US, WS, { atMost: 1.25 })],
    rounds: ROUNDS,
  },
  {
    id: "S7",
    title: "two workers and the hub",
    kind: "deliveries",
    shapes: [crowd("as S1b", { settleMs: 1_000 }), rooms("as S3", { settleMs: 3_000 })],
    peers: ["groupcast-workers"],
    goals: [
      cpu(WORKERMAN_S1B, { peer: "groupcast-workers", shape: "as S1b" }, { atLeast: 15 }),
      cpu(WORKERMAN_S3, { peer: "groupcast-workers", shape: "as S3" }, { atLeast: 8 }),
    ],
    rounds: ROUNDS,
  },
  {
    id: "growth",
    title: "what a delivery costs as a group grows: 64 messages under way",
    kind: "deliveries",
    shapes: [crowd("1,000 members"), crowd("10,000 members", { clients: 10_000, seconds: 5, warmSeconds: 3 })],
    peers: ["groupcast", "bun"],
    goals: [cpu(at(US, "10,000 members"), at(US, "1,000 members"), { atMost: 1.15 })],
    rounds: ROUNDS,
  },
  {
    id: "memberships",
    title: "memory of memberships (RssAnon, after a collection of garbage)",
    kind: "memberships",
    shapes: [
      { name: "64 groups each", mode: "idle", clients: 2_000, groups: 64, groupsPerClient: 64, settleMs: 2_000 },
      { name: "the first group", mode: "idle", clients: 10_000, groups: 10, groupsPerClient: 1, settleMs: 1_000 },
    ],
    peers: ["groupcast", "ws", "bun"],
    goals: [
      { text: "bytes per membership, 64 groups each", metric: "bytesPerMembership", of: at(US, "64 groups each"), atMost: 200 },
      { text: "bytes for the first membership", metric: "bytesPerMembership", of: at(US, "the first group"), atMost: 600 },
    ],
    rounds: ROUNDS,
  },
  {
    id: "slow",
    title: "one member in 1,000 that does not read: 2,000 messages/s of 200 bytes",
    kind: "deliveries",
    shapes: [slowShape(QUIET, 0), slowShape(SLOW, 1)],
    peers: ["groupcast"],
    goals: [
      p99(at(US, SLOW), at(US, QUIET), { atMost: 1.5 }),
      cpu(at(US, SLOW), at(US, QUIET), { atMost: 1.05 }),
      // Bounded: the queue of a connection is at most 1 MiB, and then it is cut off; the rest is what a heap of 40 MiB does by itself.
      peak(at(US, SLOW), at(US, QUIET), { atMost: 1.5 }),
    ],
    rounds: 5,
  },
];

const overBroker = (peer: PeerName): readonly Goal[] => [
  rate({ peer }, { peer: "socket.io-redis" }, { atLeast: 10 }),
  cpu({ peer }, { peer: "groupcast-hub-4" }, { atMost: 1.3 }),
];

/** `npm run bench:cluster`: two nodes with two workers each, over a broker. The CPU of the broker is nobody's. */
export const CLUSTER_SCENARIOS: readonly Scenario[] = [
  {
    id: "C1b",
    title: "1 group × 1,000 members on 2 nodes × 2 workers, 64 messages under way",
    kind: "deliveries",
    shapes: [crowd("64 under way", { settleMs: 1_500 })],
    peers: ["groupcast-redis", "groupcast-nats", "groupcast-hub-4", "socket.io-redis"],
    goals: [...overBroker("groupcast-redis"), ...overBroker("groupcast-nats")],
    rounds: ROUNDS,
  },
  {
    id: "C3",
    title: "1,000 groups × 10 members on 2 nodes × 2 workers, a publisher in each, window 16",
    kind: "deliveries",
    shapes: [rooms("1,000 groups", { settleMs: 4_000 })],
    peers: ["groupcast-redis", "groupcast-nats", "groupcast-hub-4", "socket.io-redis"],
    goals: [...overBroker("groupcast-redis"), ...overBroker("groupcast-nats")],
    rounds: ROUNDS,
  },
];

/** The shape with the rates of that peer. */
export function shapeFor({ rates }: Scenario, shape: Shape, peer: PeerName): Shape {
  const own = rates?.[peer];
  return own === undefined ? shape : { ...shape, rates: own };
}
