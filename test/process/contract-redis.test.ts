// The contract suite over Redis, Valkey and Redis Cluster, with both client libraries.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adapterPromises, promisesFor } from "../../dist/testing/index.js";
import { type Broker, brokers, startRedis, startRedisCluster, startValkey } from "./brokers/index.ts";
import { type How, redisBus } from "./contract/redis-bus.ts";

type Place = { readonly servers: readonly Broker[]; stop(): Promise<void> };

const redis = await brokers.redis("the contract suite over Redis");
const valkey = await brokers.valkey("the contract suite over Valkey");

const one = async (start: () => Promise<Broker>): Promise<Place> => {
  const server = await start();
  return { servers: [server], stop: () => server.stop() };
};
const cluster = async (): Promise<Place> => {
  const nodes = await startRedisCluster({ masters: 3 });
  return { servers: nodes.nodes, stop: () => nodes.stop() };
};

/** What Redis has no means for, by words of the titles. */
const EXCUSED = Object.fromEntries(
  adapterPromises
    .filter(({ title }) => /\bwills?\b/.test(title))
    .map(({ title }) => [title, "Redis publishes nothing for a client that it has lost: presence finds out"]),
);

const places: readonly [name: string, missing: boolean, start: () => Promise<Place>, hows: readonly How[]][] = [
  ["Redis", redis.missing, () => one(startRedis), ["a URL", "an ioredis client"]],
  ["Valkey", valkey.missing, () => one(startValkey), ["a URL"]],
  ["a Redis Cluster", redis.missing, cluster, ["a node-redis cluster client", "an ioredis cluster client"]],
];

describe.each(places)("%s", (_, missing, start, hows) => {
  describe.skipIf(missing)("as it is", () => {
    let place: Place;
    beforeAll(async () => {
      place = await start();
    });
    afterAll(() => place?.stop());

    describe.each(hows)("through %s", (how) => {
      for (const { title, run, excuse } of promisesFor(EXCUSED)) {
        it.skipIf(excuse !== undefined)(title, async () => {
          const bus = redisBus(place.servers, how, `contract ${how}`);
          try {
            await run(bus);
          } finally {
            await bus.stop();
          }
        });
      }
    });
  });
});

it("is checked with more than one library", () => {
  expect(new Set(places.flatMap(([, , , hows]) => hows)).size).toBe(4);
});
