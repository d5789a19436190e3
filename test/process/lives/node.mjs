// A GroupManager that listens to the lives of groups, in a process of its own: `node.mjs <which channel>`. Takes `{ ask, do, … }` and
// answers `{ ask, answer }`.
import process from "node:process";
import { Connection, GroupManager } from "../../../dist/index.js";
import { FakeSocket } from "../../../dist/testing/index.js";
import { channelOf } from "../cluster/channel-of.mjs";

const groups = new GroupManager({ channel: await channelOf(JSON.parse(process.argv[2])) });
const now = () => performance.timeOrigin + performance.now();
const told = [];
const errors = [];
for (const event of ["occupied", "vacated"]) groups.on(event, ({ name, life }) => void told.push({ event, name, life, atMs: now() }));
groups.on("error", (error) => void errors.push(String(error)));

/** Members by group. */
const members = new Map();
let made = 0;
let load;

async function join(name, count) {
  const connections = Array.from(
    { length: count },
    () => new Connection(`${process.pid} ${made++}`, "default", new FakeSocket({ stream: true })),
  );
  for (const connection of connections) groups.adopt(connection);
  members.set(name, [...(members.get(name) ?? []), ...connections]);
  await Promise.all(connections.map((connection) => connection.join(name)));
}

function leave(name) {
  for (const connection of members.get(name) ?? []) connection.leave(name);
  members.delete(name);
}

/** What became of a call, how long it took, and whether the channel was up when it began. */
async function outcome(call) {
  const [begunMs, wasUp] = [now(), groups.isUp];
  const [value, code] = await call().then(
    (answer) => [answer, "ok"],
    (error) => [undefined, error.code ?? String(error)],
  );
  return { value, code, wasUp, tookMs: now() - begunMs };
}

const deeds = {
  isUp: () => groups.isUp,
  publish: ({ name, text }) => outcome(() => groups.publish(name, text)),
  count: ({ name }) => outcome(() => groups.count(name)),
  page: ({ name }) => outcome(() => groups.members(name, { limit: 1_000 })),
  join: async ({ name, count }) => {
    await join(name, count);
    return now();
  },
  leave: ({ name }) => {
    leave(name);
    return now();
  },
  told: () => told,
  errors: () => errors,
  open: () => [...members.keys()],
  /** Its few members move from group to group without a pause. */
  load: ({ names }) => {
    let turn = 0;
    load = setInterval(() => {
      const name = names[turn % names.length];
      if (members.has(name)) leave(name);
      else join(name, 2).catch(() => {});
      turn++;
    }, 10);
    return true;
  },
  stopLoad: () => {
    clearInterval(load);
    return true;
  },
  stop: async () => {
    await groups.stop();
    return true;
  },
};

process.on("message", (message) => {
  void Promise.resolve(deeds[message.do](message)).then((answer) => process.send({ ask: message.ask, answer }));
});
process.on("disconnect", () => process.exit());
process.send("ready");
