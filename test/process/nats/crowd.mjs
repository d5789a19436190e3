// One of several publishers and listeners on NATS, in a process of its own: `node crowd.mjs <url> <options as JSON> <topic as JSON>`.
// Told { publish: count, of: name } it publishes so many numbered messages, and told "report" it says what it has heard.
import { createHash } from "node:crypto";
import process from "node:process";
import { NatsAdapter } from "../../../dist/nats/index.js";
import { MessageRecord } from "../../../dist/testing/index.js";
import { encodeFrame, readPayloads } from "../../../dist/wire/frames.js";

/** Records under way at a time, so many in a turn. */
const AHEAD = 200;
const BURST = 20;

const [url, options, topic] = process.argv.slice(2).map((word, index) => (index === 0 ? word : JSON.parse(word)));
const adapter = new NatsAdapter(url, options);
const sequence = createHash("sha256");
const last = new Map();
let heard = 0;
let changes = 0;
let publisher;
let disorder = 0;
const failed = [];

adapter.start({
  receive(_topic, record) {
    for (const { frame } of record.messages()) {
      const text = readPayloads(frame).join();
      const [name, number] = text.split(" ");
      sequence.update(`${text}\n`);
      heard++;
      if (name !== publisher) changes++;
      publisher = name;
      if (Number(number) !== (last.get(name) ?? -1) + 1) disorder++;
      last.set(name, Number(number));
    }
  },
  failed: (error) => failed.push(error.message),
  up: () => void adapter.subscribe(topic)?.then(() => process.send("ready")),
  down: (error) => failed.push(error.message),
});

async function publish(count, name) {
  const accepted = [];
  for (let number = 0; number < count; number++) {
    accepted.push(adapter.publish(topic, MessageRecord.of([{ kind: "string", frame: encodeFrame(`${name} ${number}`), except: [] }])));
    if (accepted.length >= AHEAD) await accepted.shift();
    if (number % BURST === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(accepted);
}

process.on("message", (message) => {
  if (message === "report") process.send({ heard, disorder, changes, failed, digest: sequence.copy().digest("hex") });
  else if (message === "stop") void adapter.stop().then(() => process.disconnect());
  else void publish(message.publish, message.of).then(() => process.send("published"));
});
