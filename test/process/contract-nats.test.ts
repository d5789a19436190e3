// The contract suite over NATS, with JetStream and without: adapters in separate processes, the links through relays that can be cut.
import { afterAll, beforeAll, describe, it } from "vitest";
import { adapterPromises, promisesFor } from "../../dist/testing/index.js";
import { brokers, type NatsServer, startNats } from "./brokers/index.ts";
import { natsBus, type Way } from "./contract/nats-bus.ts";

const nats = await brokers.nats("the contract of the channel over NATS");

/** What NATS has no means for, by words of the titles. */
const UNABLE: readonly (readonly [about: RegExp, reason: string])[] = [
  [/\bsums?\b|\bcounts?\b|\breported\b/, "NATS adds up nothing"],
  [/\bwills?\b/, "NATS publishes nothing for a client that it has lost"],
];
const unable = UNABLE.flatMap(([about, reason]) =>
  adapterPromises.filter(({ title }) => about.test(title)).map(({ title }) => [title, reason] as const),
);
const EXCUSED: Readonly<Record<Way, Readonly<Record<string, string>>>> = {
  JetStream: {},
  "core NATS": {
    "shows every adapter one order of a topic that several publish to at once": "NATS keeps order per publisher only",
    "keeps one order when an adapter publishes while it is handed a record": "NATS keeps order per publisher only",
  },
};

describe.skipIf(nats.missing).each<Way>(["JetStream", "core NATS"])("NATS, %s", (way) => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.stop());

  for (const { title, run, excuse } of promisesFor({ ...Object.fromEntries(unable), ...EXCUSED[way] })) {
    it.skipIf(excuse !== undefined)(title, async () => {
      const bus = natsBus(server, way);
      try {
        await run(bus);
      } finally {
        await bus.stop();
      }
    });
  }
});
