// The tables of docs/scaling.md: what the model says of one machine, ten and a hundred, and how far it is from what the simulation counts.
// npm run build && node build/bench/scaling.js
import { pathToFileURL } from "node:url";
import { argv, stdout } from "node:process";
import { type Churn, type Cluster, COSTS, COSTS_ALONE, loadOf, MEMORY, presenceOf, QUIET, trafficOf } from "./scaling-model.ts";
import { countMessages, countPresence } from "./scaling-simulation.ts";
import { brief } from "./statistics.ts";
import { table } from "./table.ts";

/** Groups of ten, two for each connection; a message a second in each. */
const ROOMS = {
  groupsPerConnection: 2,
  membersPerGroup: 10,
  messagesPerSecond: 1,
  messageBytes: 200,
  publishers: "members",
  turnMs: 1,
} as const;
/** Groups of ten thousand; ten messages a second in each, from whichever process. */
const CROWDS = {
  ...ROOMS,
  groupsPerConnection: 1,
  membersPerGroup: 10_000,
  messagesPerSecond: 10,
  publishers: "processes",
} as const;
/** Groups of two, which come and go. */
const PAIRS = { ...ROOMS, membersPerGroup: 2 } as const;

const WORKERS = 8;
const SIZES = [
  { name: "1 machine", processes: WORKERS, connections: 10_000 },
  { name: "10 machines", processes: 10 * WORKERS, connections: 100_000 },
  { name: "10 machines, 1 M", processes: 10 * WORKERS, connections: 1_000_000 },
  { name: "100 machines, 1 M", processes: 100 * WORKERS, connections: 1_000_000 },
] as const;
const [ONE, TEN, TEN_LARGE, HUNDRED] = SIZES;

const STAYS_SECONDS = 600;

/** What messages cost, one column for each size. */
function messages(shape: typeof ROOMS | typeof CROWDS): string {
  const columns = SIZES.map(({ processes, connections }) => {
    const cluster: Cluster = { ...shape, processes, connections };
    const traffic = trafficOf(cluster);
    const load = (costs: keyof typeof COSTS): string[] => {
      const { broker, cores } = loadOf(traffic, QUIET, shape.membersPerGroup, 1, COSTS[costs]);
      return [inCores(broker), inCores(cores)];
    };
    const [[hub = ""], [redis = "", ofRedis = ""], [nats = "", ofNats = ""]] = [load("hub"), load("redis"), load("nats")];
    return {
      processes: shown(processes),
      "connections in each": shown(connections / processes),
      groups: shown(traffic.groups),
      "processes with a member of a group": shown(traffic.spread),
      "records in, per second": shown(traffic.recordsIn),
      "copies out, per second": shown(traffic.recordsOut),
      "MB out, per second": brief(traffic.bytesOut / 1e6),
      subscriptions: shown(traffic.subscriptions),
      "MB for them in Redis": processes > WORKERS ? brief(MEMORY.subscribedOnRedis(traffic) / 1e6) : "–",
      "MB for them in NATS": processes > WORKERS ? brief(MEMORY.subscribedOnNats(traffic) / 1e6) : "–",
      "cores of the hub": processes > WORKERS ? "–" : hub,
      "cores of Redis": redis,
      "cores of NATS": nats,
      "deliveries per second": shown(traffic.deliveries),
      "MB in each process": brief(MEMORY.held(cluster) / 1e6),
      "cores of all processes, over Redis": ofRedis,
      "cores of all processes, over NATS": ofNats,
    };
  });
  const rows = Object.keys(columns[0] ?? {}) as (keyof (typeof columns)[number])[];
  return table(
    ["", ...SIZES.map(({ name }) => name)],
    rows.map((row) => [row, ...columns.map((column) => column[row])]),
  );
}

/** What it costs to know who is where, by how many processes want to. */
function presence(): string {
  const rows = [TEN, TEN_LARGE, HUNDRED].flatMap(({ name, processes, connections }) => {
    const cluster: Cluster = { ...ROOMS, processes, connections };
    return [2, processes / WORKERS, processes].map((holders) => {
      const churn: Churn = { staysSeconds: STAYS_SECONDS, holders, listeners: 0 };
      const told = presenceOf(cluster, churn);
      const { broker } = loadOf(NOTHING, told, 1, 1, COSTS.redis);
      return [
        `${name}: ${holders === processes ? "all" : holders}`,
        brief(told.changesIn),
        brief(told.changesOut + told.wantsOut),
        brief(told.changeBytesOut / 1e6),
        inCores(broker),
        brief(told.indexBytes / 1e6),
        brief((connections * MEMORY.indexed(cluster)) / 1e6),
      ];
    });
  });
  return table(
    [
      "who keeps an index",
      "records in, per second",
      "copies out, per second",
      "MB out, per second",
      "cores of Redis",
      "MB to begin",
      "MB in each",
    ],
    rows,
  );
}

/** 8, not 8.00. */
function shown(value: number): string {
  const whole = Math.round(value);
  return whole < 1_000 && Math.abs(value / whole - 1) < 0.001 ? String(whole) : brief(value);
}

function inCores(cores: number): string {
  return cores > 0 && cores < 0.005 ? "< 0.01" : cores.toFixed(2);
}

const NOTHING = trafficOf({ ...ROOMS, processes: 1, connections: 0 });

interface Check {
  readonly what: string;
  readonly calculated: number;
  readonly counted: number;
  /** How often it came: by chance it is off by the square root of that, and now and then by three times as much. */
  readonly times: number;
}

/** The model beside the simulation. */
export function checks(): Check[] {
  const all: Check[] = [];
  const check = (what: string, calculated: number, counted: number, seconds: number, times = counted * seconds): void => {
    all.push({ what, calculated, counted, times });
  };
  for (const [name, shape, { name: size, processes, connections }, seconds] of [
    ["rooms", ROOMS, ONE, 20],
    ["rooms", ROOMS, TEN, 2],
    ["rooms", ROOMS, HUNDRED, 0.25],
    ["crowds", CROWDS, TEN, 60],
    ["a crowd of 5,000 messages/s in turns of 5 ms", { ...CROWDS, messagesPerSecond: 5_000, turnMs: 5 }, ONE, 10],
  ] as const) {
    const cluster: Cluster = { ...shape, processes, connections };
    const [traffic, counted] = [trafficOf(cluster), countMessages(cluster, seconds)];
    const of = `${name}, ${size}: `;
    check(`${of}records in`, traffic.recordsIn, counted.recordsIn, seconds);
    check(`${of}copies out`, traffic.recordsOut, counted.recordsOut, seconds, counted.recordsIn * seconds);
    check(`${of}bytes out`, traffic.bytesOut, counted.bytesOut, seconds, counted.recordsIn * seconds);
    check(`${of}deliveries`, traffic.deliveries, counted.deliveries, seconds, counted.published * seconds);
    check(`${of}subscriptions`, traffic.subscriptions, counted.subscriptions, 1);
  }
  for (const [name, shape, { name: size, processes, connections }, seconds] of [
    ["rooms", ROOMS, ONE, 300],
    ["rooms", ROOMS, TEN, 60],
    ["pairs", PAIRS, TEN, 120],
  ] as const) {
    const cluster: Cluster = { ...shape, processes, connections };
    const churn: Churn = { staysSeconds: STAYS_SECONDS, holders: 4, listeners: 2 };
    const [told, counted] = [presenceOf(cluster, churn), countPresence(cluster, churn, seconds)];
    const of = `${name}, ${size}: `;
    check(`${of}changes out`, told.changesOut, counted.changesOut, seconds, counted.changesIn * seconds);
    check(`${of}bytes of changes out`, told.changeBytesOut, counted.changeBytesOut, seconds, counted.changesIn * seconds);
    check(`${of}wants out`, told.wantsOut, counted.wantsOut, seconds, Infinity);
    if (name === "pairs") check(`${of}lives that begin and end`, told.statementsIn, counted.statementsIn, seconds);
  }
  return all;
}

/** One row of each is enough for a page; the test looks at all. */
const SHOWN = /copies out|: changes out|lives/;

function checked(): string {
  return table(
    ["", "calculated", "counted", "counted ÷ calculated"],
    checks()
      .filter(({ what }) => SHOWN.test(what))
      .map(({ what, calculated, counted }) => [what, shown(calculated), shown(counted), (counted / calculated).toFixed(3)]),
  );
}

/** What a record costs. */
function costs(): string {
  const names = Object.keys(COSTS) as (keyof typeof COSTS)[];
  const rows = [
    ["the broker takes one in", "brokerInUs"],
    ["the broker hands out a copy", "brokerOutUs"],
    ["a process publishes one", "publishUs"],
    ["a process receives a copy", "receiveUs"],
  ] as const;
  return table(
    ["CPU µs, busy (alone)", ...names],
    rows.map(([what, cost]) => [what, ...names.map((name) => `${COSTS[name][cost]} (${COSTS_ALONE[name][cost]})`)]),
  );
}

/** Each table of docs/scaling.md, by what it is about. */
export function tables(): Readonly<Record<string, string>> {
  return { costs: costs(), rooms: messages(ROOMS), crowds: messages(CROWDS), presence: presence(), checks: checked() };
}

if (import.meta.url === pathToFileURL(argv[1] ?? "").href) {
  for (const [about, text] of Object.entries(tables())) stdout.write(`## ${about}\n\n${text}\n\n`);
}
