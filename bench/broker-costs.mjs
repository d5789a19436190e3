// What a record costs the hub, Redis and NATS, and the processes at both ends: CPU µs for one message of 200 bytes, with 0 to 16 adapters that
// hear it; busy: many are under way, alone: one at a time. All share this machine. npm run build && node bench/broker-costs.mjs [records]
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { brokers, startNats, startRedis } from "../build/test/process/brokers/index.js";

const RECORDS = Number(process.argv[2] ?? 40_000);
const HEARERS = [0, 1, 4, 16];
const ROUNDS = 3;
/**
 * `turn`: published in one turn, each to another topic; `window`: not yet accepted, at most. Between two batches all that was published is
 * heard: nobody falls so far behind that he is cut.
 */
const MODES = {
  busy: { turn: 16, window: 512, batch: 5_000, records: RECORDS },
  alone: { turn: 1, window: 1, batch: 2_500, records: RECORDS / 8 },
};

const part = new URL("./broker-costs-part.mjs", import.meta.url);

/** User and system time of another process, µs; the kernel counts hundredths of a second. */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function start(...words) {
  const child = fork(part, words.map(String));
  const [said] = await once(child, "message");
  return {
    pid: child.pid,
    said,
    async ask(question) {
      child.send(question);
      const [answer] = await once(child, "message");
      return answer;
    },
    async end() {
      child.disconnect();
      await once(child, "exit");
    },
  };
}

async function measure(kind, url, pid, hearers, { turn, window, batch, records }) {
  const hearing = await start("hear", kind, url, hearers);
  const publishing = await start("publish", kind, url, hearers);
  try {
    await publishing.ask({ records: batch, turn, window });
    await hearing.ask({ expect: batch * hearers });
    const before = cpuOf(pid);
    let [sent, publishUs, receiveUs] = [0, 0, 0];
    for (; sent < records; sent += batch) {
      publishUs += (await publishing.ask({ records: batch, turn, window })).cpuUs;
      receiveUs += (await hearing.ask({ expect: batch * hearers })).cpuUs;
    }
    return { broker: (cpuOf(pid) - before) / sent, publish: publishUs / sent, receive: receiveUs / sent / hearers };
  } finally {
    await Promise.all([hearing.end(), publishing.end()]);
  }
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** The line through the points that is nearest to them. */
function line(points) {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([x]) => x), mean(([, y]) => y)];
  const slope = mean((point) => (point[0] - x) * (point[1] - y)) / mean((point) => (point[0] - x) ** 2);
  return [y - slope * x, slope];
}

async function costsOf(kind, url, pid) {
  for (const mode of Object.keys(MODES)) await costsIn(mode, kind, url, pid);
}

async function costsIn(mode, kind, url, pid) {
  const all = [];
  for (const hearers of HEARERS) {
    const rounds = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push(await measure(kind, url, pid, hearers, MODES[mode]));
    all.push({ hearers, broker: median(rounds.map(({ broker }) => broker)), rounds });
  }
  const [brokerIn, brokerOut] = line(all.map(({ hearers, broker }) => [hearers, broker]));
  const publish = median(all.flatMap(({ rounds }) => rounds.map(({ publish }) => publish)));
  const receive = median(all.flatMap(({ hearers, rounds }) => (hearers === 0 ? [] : rounds.map(({ receive }) => receive))));
  const shown = [brokerIn, brokerOut, publish, receive].map((us) => us.toFixed(2));
  console.log(`${kind}, ${mode}: broker in ${shown[0]}, broker out ${shown[1]}, publish ${shown[2]}, receive ${shown[3]} µs`);
}

const hub = await start("hub");
await costsOf("hub", hub.said, hub.pid);
await hub.end();
if (!(await brokers.redis("what a record costs Redis")).missing) {
  const redis = await startRedis();
  await costsOf("redis", redis.url, redis.pid);
  await redis.stop();
}
if (!(await brokers.nats("what a record costs NATS")).missing) {
  const nats = await startNats();
  for (const kind of ["nats", "nats-core"]) await costsOf(kind, nats.url, nats.pid);
  await nats.stop();
}
