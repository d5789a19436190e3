// What a cluster takes of its broker and of its processes: memory per connection and per group there, traffic per join, life and beat, heap
// per connection and membership here. In bytes and messages, counted on the links to the broker, so the machine does not matter.
//
//   npm run bench:footprint [-- --brokers redis,valkey,nats] [-- --write]
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine } from "../build/bench/machine.js";
import { table } from "../build/bench/table.js";
import { brokers, startNats, startRedis, startValkey } from "../build/test/process/brokers/index.js";
import { command } from "../build/test/process/brokers/redis.js";
import { Connection, ConnectionsPool, GroupManager } from "../dist/index.js";
import { natsChannel } from "../dist/nats/index.js";
import { redisChannel } from "../dist/redis/index.js";

const OUT = fileURLToPath(new URL("CLUSTER-FOOTPRINT.md", import.meta.url));

/** Processes for the memory of one, groups for that of one. */
const NODES = 50;
const GROUPS = 20_000;
/** Events whose traffic is counted, one after the other: so far apart, ms, that no two share a record; and many at once. */
const EVENTS = 40;
const APART_MS = 120;
const BURST = 1_000;
/** Short, so that a life is soon over. */
const VACATED_AFTER_MS = 50;
/** For beats and for what links say when nothing happens. */
const QUIET_MS = 12_000;
/** Connections of another process, and what each is a member of. */
const REMOTE = 20_000;
const MEMBERSHIPS = 10;
const MEMBERS = 20;

const KINDS = {
  redis: { name: "Redis", start: startRedis, gate: brokers.redis, make: redisChannel },
  valkey: { name: "Valkey", start: startValkey, gate: brokers.valkey, make: redisChannel },
  nats: { name: "NATS", start: startNats, gate: brokers.nats, make: natsChannel },
};

async function main({ brokers: wanted, write }) {
  const columns = [];
  for (const key of wanted.split(",")) {
    const kind = KINDS[key];
    if ((await kind.gate(`the footprint on ${kind.name}`, { own: true })).missing) continue;
    const broker = await kind.start({ own: true });
    try {
      columns.push(await measure(kind, broker));
    } finally {
      await broker.stop();
    }
  }
  const text = report(columns);
  process.stdout.write(`${text}\n`);
  if (write) writeFileSync(OUT, text);
  process.exit();
}

async function measure(kind, broker) {
  const figures = { name: `${kind.name} ${await versionOf(broker)}` };
  await measureMemory(kind, broker, figures);
  await measureTraffic(kind, broker, figures);
  if (kind === KINDS.redis) await measureHeap(kind, broker, figures);
  return figures;
}

// The broker's memory.

async function measureMemory(kind, broker, figures) {
  const { make } = kind;
  // The first one makes what all share.
  const nodes = [manager(make(broker.url))];
  await up(nodes[0]);
  const before = await stateOf(broker);
  for (let count = 0; count < NODES; count++) nodes.push(manager(make(broker.url)));
  await Promise.all(nodes.map(up));
  const linked = await stateOf(broker);
  figures.connections = (linked.connections - before.connections) / NODES;
  figures.nodeBytes = (linked.bytes - before.bytes) / NODES;
  let last = linked;
  for (const [index, figure] of ["firstGroupBytes", "nextGroupBytes"].entries()) {
    const member = connection(nodes[index], `member ${index}`);
    for (let group = 0; group < GROUPS; group += BURST) {
      await Promise.all(Array.from({ length: BURST }, (_, one) => member.join(`group ${group + one}`)));
    }
    const now = await stateOf(broker);
    figures[figure] = (now.bytes - last.bytes) / GROUPS;
    last = now;
  }
  await Promise.all(nodes.map((node) => node.stop()));
}

async function stateOf(broker) {
  await sleep(1_000); // what it does later, it has done
  if (broker.monitorUrl !== undefined) {
    const { connections } = await varz(broker);
    return { connections, bytes: 1_024 * Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${broker.pid}/status`, "utf8"))?.[1]) };
  }
  const info = await infoOf(broker);
  return { connections: Number(info.get("connected_clients")), bytes: Number(info.get("used_memory")) };
}

async function versionOf(broker) {
  if (broker.monitorUrl !== undefined) return (await varz(broker)).version;
  const info = await infoOf(broker);
  return info.get("valkey_version") ?? info.get("redis_version");
}

async function varz(broker) {
  return (await fetch(`${broker.monitorUrl}/varz`)).json();
}

async function infoOf(broker) {
  /** @type {string} */
  const text = await command(broker.url, "INFO", "everything");
  return new Map(text.split("\r\n").map((line) => line.split(":", 2)));
}

// Traffic.

/** Links to the broker, on which bytes and published messages are counted. */
class Counter {
  counts = { bytesToBroker: 0, bytesFromBroker: 0, toBroker: 0, fromBroker: 0 };
  #server;

  async listen(broker) {
    const isNats = broker.monitorUrl !== undefined;
    const published = isNats ? /\r\nH?PUB /g : /\r\nSPUBLISH\r\n/gi;
    const pushed = isNats ? /\r\nH?MSG /g : /\r\nsmessage\r\n/g;
    this.#server = createServer({ noDelay: true }, (node) => {
      const upstream = connect({ host: broker.host, port: broker.port, noDelay: true });
      this.#count(node, upstream, "bytesToBroker", "toBroker", published);
      this.#count(upstream, node, "bytesFromBroker", "fromBroker", pushed);
    });
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return broker.url.replace(`:${broker.port}`, `:${this.#server.address().port}`);
  }

  close() {
    this.#server.close();
  }

  #count(from, to, bytes, messages, pattern) {
    let tail = "";
    from.on("data", (chunk) => {
      this.counts[bytes] += chunk.length;
      const text = tail + chunk.toString("latin1");
      // What ends in the tail was counted with the chunk before.
      for (const { index, 0: word } of text.matchAll(pattern)) if (index + word.length > tail.length) this.counts[messages]++;
      tail = text.slice(-16);
      to.write(chunk);
    });
    from.on("close", () => to.destroy());
    from.on("error", () => {});
  }
}

async function measureTraffic(kind, broker, figures) {
  const counter = new Counter();
  const url = await counter.listen(broker);
  const [one, two] = [manager(kind.make(url)), manager(kind.make(url))];
  await Promise.all([up(one), up(two)]);
  const member = connection(one, "member");
  const others = Array.from({ length: BURST }, (_, index) => connection(one, `other ${index}`));
  await Promise.all([member.join("heard"), connection(two, "there").join("heard")]);
  await sleep(1_000);

  const quiet = () => traffic(counter, () => sleep(QUIET_MS));
  let idle = await quiet();
  /** What these events bring, per event, above what there is anyway. */
  const per = async (events, run) => {
    const since = performance.now();
    const counted = await traffic(counter, run);
    const ms = performance.now() - since;
    return each(counted, (count, key) => Math.max(0, count - (idle[key] * ms) / QUIET_MS) / events);
  };
  figures.idle = each(idle, (count) => count / 2 / (QUIET_MS / 1_000));
  const comeAndGo = (name) => oneByOne(async (index) => (index % 2 === 0 ? member.join(name) : member.leave(name)));
  const burst = async () => {
    await Promise.all(others.map((other) => other.join("heard")));
    await sleep(1_000);
  };
  const leaveAll = async () => {
    for (const other of others) other.leave("heard");
    await sleep(1_000);
  };
  const stay = connection(one, "stays");
  await stay.join("heard");

  figures.heardAlone = await per(EVENTS, () => comeAndGo("heard"));
  figures.firstAlone = await per(EVENTS / 2, () => comeAndGo("own"));

  // From here on `one` tells `two`, and gives signs of life.
  await two.count("heard");
  await sleep(1_000);
  const held = await quiet();
  const beats = held.toBroker - idle.toBroker;
  figures.beats = each(held, (count, key) => Math.max(0, count - idle[key]) / beats);
  figures.beatsPerSecond = beats / (QUIET_MS / 1_000);
  idle = held;
  figures.heardHeld = await per(EVENTS, () => comeAndGo("heard"));
  figures.burstHeld = await per(BURST, burst);
  figures.burstLeaveHeld = await per(BURST, leaveAll);

  let ended = 0;
  for (const node of [one, two]) node.on("vacated", () => ended++);
  await sleep(3_000);
  idle = await quiet();
  const lives = async (count) => {
    ended = 0;
    const names = Array.from({ length: count }, (_, index) => `life ${index}`);
    await Promise.all(names.map((name, index) => others[index].join(name)));
    await sleep(500);
    for (const [index, name] of names.entries()) others[index].leave(name);
    while (ended < 2 * count) await sleep(20);
  };
  figures.life = await per(EVENTS / 4, async () => {
    for (let index = 0; index < EVENTS / 4; index++) await lives(1);
  });
  figures.lifeBurst = await per(BURST, () => lives(BURST));
  await Promise.all([one.stop(), two.stop()]);
  counter.close();
}

async function oneByOne(event) {
  for (let index = 0; index < EVENTS; index++) {
    await event(index);
    await sleep(APART_MS);
  }
}

async function traffic(counter, run) {
  const before = { ...counter.counts };
  await run();
  return each(counter.counts, (count, key) => count - before[key]);
}

function each(counts, change) {
  return Object.fromEntries(Object.entries(counts).map(([key, count]) => [key, change(count, key)]));
}

// The heap of a process that keeps an index.

async function measureHeap(kind, broker, figures) {
  const node = manager(kind.make(broker.url));
  await up(node);
  await node.count("nobody");
  const pool = new ConnectionsPool({ groups: node });
  const before = await heapBytes();
  const child = fork(fileURLToPath(import.meta.url), ["--remote", broker.url], { execArgv: [] });
  const steps = [];
  for (const memberships of [0, 1, MEMBERSHIPS]) {
    child.send(memberships);
    await once(child, "message");
    const [last] = groupsOf(REMOTE - 1, memberships).slice(-1);
    if (last === undefined) while (!(await pool.isOnline("default", `connection ${REMOTE - 1}`))) await sleep(50);
    else while ((await node.count(last)) < MEMBERS) await sleep(50);
    await sleep(1_000);
    steps.push(await heapBytes());
  }
  const [none, first, all] = steps;
  figures.heapConnection = (none - before) / REMOTE;
  figures.heapFirst = (first - none) / REMOTE;
  figures.heapNext = (all - first) / REMOTE / (MEMBERSHIPS - 1);
  child.disconnect();
  await once(child, "exit");
  await node.stop();
}

async function beRemote(url) {
  const node = manager(redisChannel(url));
  await up(node);
  const all = [];
  process.on("disconnect", () => process.exit());
  const become = async (memberships) => {
    if (memberships === 0) for (let index = 0; index < REMOTE; index++) all.push(connection(node, `connection ${index}`));
    for (const [index, one] of all.entries()) await Promise.all(groupsOf(index, memberships).map((name) => one.join(name)));
    process.send("there");
  };
  process.on("message", (memberships) => void become(memberships));
}

/** So many of the groups of a connection; 20 connections share each. */
function groupsOf(index, count) {
  return Array.from({ length: count }, (_, round) => `group ${round}.${Math.floor(index / MEMBERS)}`);
}

async function heapBytes() {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => void setImmediate(resolve));
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}

// Processes, as a broker sees them, and their members.

function manager(channel) {
  return new GroupManager({ channel, groupsPerConnection: 2 * GROUPS, vacatedAfterMs: VACATED_AFTER_MS });
}

async function up(node) {
  while (!node.isUp) await sleep(10);
}

function connection(node, id) {
  const one = new Connection(id, "default", { readyState: 1, bufferedAmount: 0, send() {}, close() {}, on() {} });
  node.adopt(one);
  return one;
}

// The report.

const ROWS = [
  ["**Memory of the broker**, bytes"],
  ["a process: its links", ({ nodeBytes }) => whole(nodeBytes)],
  ["connections of a process", ({ connections }) => whole(connections)],
  ["a group, for the first process that hears it", ({ firstGroupBytes }) => whole(firstGroupBytes)],
  ["a group, for each further process", ({ nextGroupBytes }) => whole(nextGroupBytes)],
  ["**Traffic of the broker**: bytes in + out (messages in + out)"],
  ["a process without news, per second", ({ idle }) => shown(idle)],
  ["join or leave, another member here, no index anywhere", ({ heardAlone }) => shown(heardAlone)],
  ["first member here joins and leaves, no index anywhere", ({ firstAlone }) => shown(firstAlone)],
  ["join or leave, one index, one at a time", ({ heardHeld }) => shown(heardHeld)],
  [`join, one index, ${BURST.toLocaleString("en")} at once`, ({ burstHeld }) => shown(burstHeld)],
  [`leave, one index, ${BURST.toLocaleString("en")} at once`, ({ burstLeaveHeld }) => shown(burstLeaveHeld)],
  ["a sign of life, one index", ({ beats }) => shown(beats)],
  ["these per second, of the index and one more process", ({ beatsPerSecond }) => beatsPerSecond.toFixed(2)],
  ["life of a group, two listening processes, one at a time", ({ life }) => shown(life)],
  [`life of a group, two listening processes, ${BURST.toLocaleString("en")} at once`, ({ lifeBurst }) => shown(lifeBurst)],
  ["**Heap of a process that keeps an index**, bytes"],
  ["a connection elsewhere", ({ heapConnection }) => whole(heapConnection)],
  ["its first membership", ({ heapFirst }) => whole(heapFirst)],
  ["each further one", ({ heapNext }) => whole(heapNext)],
];

function report(columns) {
  const rows = ROWS.map(([title, show]) => [title, ...columns.map((figures) => (show === undefined ? "" : show(figures)))]);
  return `# What a cluster takes

Made by \`npm run bench:footprint -- --write\`. Bytes and messages are counted on the links between processes and broker, so they hold on any machine.

- machine: ${describeMachine()}
- brokers: ${columns.map(({ name }) => name).join(", ")}
- date: ${new Date().toISOString().slice(0, 10)}

${table(["", ...columns.map(({ name }) => name)], rows)}

How to read it:

- **Memory** of Redis and Valkey is \`used_memory\`; of NATS it is \`RssAnon\`, garbage included, so it is coarser. Names are like \`group 12345\`: a longer name takes its
  length more, on Redis and Valkey once for the server and once for each process. ${GROUPS.toLocaleString("en")} groups, ${NODES} processes.
- **Traffic** is that of two processes, above what their links say when nothing happens (the row "without news": pings). "One at a time" is at least ${APART_MS} ms apart, so that nothing
  shares a record; "at once" is the other end: what comes together in 50 ms is told together. The index is in the other process than the members who come and go; each further index takes what goes
  out once more.
- **A life** is all that a group brings from its first member to its end: the subscription, the member's coming and going for the index, \`occupied\` and \`vacated\`.
- **Heap**: ${REMOTE.toLocaleString("en")} connections of another process, ${MEMBERSHIPS} groups each, ${MEMBERS} members in a group. It does not depend on the broker.
`;
}

function shown(counts) {
  const { bytesToBroker, bytesFromBroker, toBroker, fromBroker } = counts;
  return `${whole(bytesToBroker)} + ${whole(bytesFromBroker)} (${part(toBroker)} + ${part(fromBroker)})`;
}

function whole(bytes) {
  return bytes === undefined ? "" : Math.round(bytes).toLocaleString("en");
}

function part(count) {
  return count === 0 ? "0" : count < 0.005 ? "< 0.01" : Number(count.toPrecision(2)).toString();
}

const { values } = parseArgs({
  options: {
    brokers: { type: "string", default: "redis,valkey,nats" },
    write: { type: "boolean", default: false },
    remote: { type: "string" },
  },
});
if (values.remote === undefined) await main(values);
else await beRemote(values.remote);
