// One process of broker-costs.mjs: a hub, or one that publishes, or one that hears with so many adapters.
import process from "node:process";
import { ChannelServer, HubAdapter } from "../dist/hub/index.js";
import { NatsAdapter } from "../dist/nats/index.js";
import { RedisAdapter } from "../dist/redis/index.js";
import { encodeTopic, MessageRecord } from "../dist/testing/index.js";
import { encodeFrame } from "../dist/wire/frames.js";

const TOPICS = Array.from({ length: 64 }, (_, number) => encodeTopic({ kind: "group", namespace: "default", name: `room ${number}` }));
const RECORD = MessageRecord.of([{ kind: "string", frame: encodeFrame("x".repeat(200)), except: [] }]);

const ADAPTERS = {
  hub: (port) => new HubAdapter({ port: Number(port) }),
  redis: (url) => new RedisAdapter(url),
  nats: (url) => new NatsAdapter(url),
  "nats-core": (url) => new NatsAdapter(url, { core: true, prefix: "core" }),
};

/** An adapter that is up. */
async function adapterOn(kind, url, receive) {
  const adapter = ADAPTERS[kind](url);
  await new Promise((up) => {
    adapter.start({ up, receive, down: ({ message }) => console.error(message), failed: ({ message }) => console.error(message) });
  });
  return adapter;
}

/** CPU of this process since the last time, µs. */
let last = process.cpuUsage();
function cpuUs() {
  const { user, system } = process.cpuUsage(last);
  last = process.cpuUsage();
  return user + system;
}

async function publish(adapter, { records, turn, window }) {
  let [sent, accepted] = [0, 0];
  let wake = () => {};
  while (accepted < records) {
    for (let at = 0; at < turn && sent < records; at++, sent++) {
      void adapter.publish(TOPICS[sent % TOPICS.length], RECORD).then(() => {
        accepted++;
        wake();
      });
    }
    await new Promise((resolve) => void setImmediate(resolve));
    while (sent - accepted >= window || (sent === records && accepted < records)) await new Promise((resolve) => void (wake = resolve));
  }
}

const [role, kind, url, hearers] = process.argv.slice(2);
process.on("disconnect", () => process.exit());
if (role === "hub") {
  const server = new ChannelServer("127.0.0.1", 0);
  await server.listen();
  process.send(server.address.port);
} else if (role === "publish") {
  const adapter = await adapterOn(kind, url, () => {});
  process.on("message", (asked) => {
    cpuUs();
    void publish(adapter, asked).then(() => process.send({ cpuUs: cpuUs() }));
  });
  process.send("ready");
} else {
  let [received, expected] = [0, Infinity];
  const done = () => {
    received -= expected;
    expected = Infinity;
    process.send({ cpuUs: cpuUs() });
  };
  for (let hearer = 0; hearer < Number(hearers); hearer++) {
    const adapter = await adapterOn(kind, url, () => {
      if (++received === expected) done();
    });
    await Promise.all(TOPICS.map((topic) => adapter.subscribe(topic)));
  }
  process.on("message", ({ expect }) => {
    expected = expect;
    if (received >= expected) done();
  });
  process.send("ready");
}
