// A channel over a Redis Cluster while slots move, masters die, and nodes change their roles.
import { Redis } from "ioredis";
import { createCluster } from "redis";
import { describe, expect, it } from "vitest";
import { encodeBrokerName } from "../../dist/channel/broker-names.js";
import { SLOTS, slotOf } from "../../dist/redis/slots.js";
import { type Broker, brokers, type RedisCluster, startRedisCluster } from "./brokers/index.ts";
import { command } from "./brokers/redis.ts";
import { later, Member, topic } from "./redis/rig.ts";

const { missing } = await brokers.redis("a channel over a Redis Cluster", { own: true });

const MASTERS = 3;

async function start(options?: { readonly replicas?: 0 | 1 }): Promise<RedisCluster> {
  const cluster = await startRedisCluster({ masters: MASTERS, ...options });
  later(() => cluster.stop());
  return cluster;
}

const slotOfTopic = (one: string): number => slotOf(encodeBrokerName("groupcast", one));
/** The index of the master that serves a topic, as long as no slot has moved. */
const ownerOf = (one: string): number => Math.floor(slotOfTopic(one) / (SLOTS / MASTERS));
/** So many topics of that master. */
const topicsOf = (master: number, count: number): string[] =>
  Array.from({ length: 200 }, (_, index) => topic(`room ${index}`))
    .filter((one) => ownerOf(one) === master)
    .slice(0, count);
const node = (cluster: RedisCluster, index: number): Broker => cluster.nodes[index] as Broker;

/** Publishes until it arrives: a process that has nothing to hear may learn later than others that the cluster has changed. */
async function expectToHear(publisher: Member, hearer: Member, one: string, text: string): Promise<void> {
  await expect
    .poll(
      async () => {
        await publisher.publish(one, text).catch(() => {});
        return hearer.got;
      },
      { timeout: 20_000, interval: 50 },
    )
    .toContain(`${one} ${text}`);
}

describe.skipIf(missing)("a channel over a Redis Cluster", () => {
  it("hears every slot on the master that serves it, and nowhere else", async () => {
    const cluster = await start();
    const [publisher, hearer] = [await Member.join(cluster.url), await Member.join(cluster.url)];
    const topics = Array.from({ length: 3_000 }, (_, index) => topic(`room ${index}`));
    await hearer.subscribe(...topics);
    const heardAt = await Promise.all(cluster.nodes.map(({ url }) => command<string[]>(url, "PUBSUB", "SHARDCHANNELS")));
    for (const [index, names] of heardAt.entries()) {
      const own = topics.filter((one) => ownerOf(one) === index).map((one) => encodeBrokerName("groupcast", one));
      expect([...names].sort()).toEqual(own.sort());
    }
    // A replica that was a master until now would not count those who are at the new one.
    const receipts = await Promise.all(topics.map((one) => publisher.publish(one, "x")));
    expect(receipts.every(({ receivers }) => receivers === undefined)).toBe(true);
    await hearer.when(() => hearer.got.length >= topics.length);
    expect([...hearer.got].sort()).toEqual(topics.map((one) => `${one} x`).sort());
    await publisher.subscribe(...topicsOf(0, 1));
    const connections = await Promise.all(cluster.nodes.map(({ url }) => command<string>(url, "CLIENT", "LIST")));
    // Two for each of the two, and the one that asks.
    for (const list of connections) expect(list.trim().split("\n").length).toBe(5);
  });

  it("may be made of the URLs of several nodes, of which some are down, or of cluster clients of both libraries", async () => {
    const cluster = await start();
    const [first, second, third] = cluster.nodes.map(({ url }) => url) as [string, string, string];
    const nodeRedis = createCluster({ rootNodes: [{ url: first }] });
    await nodeRedis.connect();
    later(() => nodeRedis.destroy());
    const ioredis = new Redis.Cluster([{ host: "127.0.0.1", port: node(cluster, 1).port }]);
    later(() => ioredis.disconnect());
    await ioredis.ping();
    const givens = [`redis://127.0.0.1:1,${second}`, `${third},127.0.0.1:${node(cluster, 0).port}`, nodeRedis, ioredis];
    const members = await Promise.all(givens.map((given) => Member.join(given)));
    for (const one of [0, 1, 2].flatMap((master) => topicsOf(master, 2))) {
      for (const member of members) await member.subscribe(one);
      for (const member of members) await member.publish(one, "x");
      for (const member of members) await member.until(`${one} x`, members.length);
    }
    await Promise.all(members.map(({ adapter }) => adapter.stop()));
    expect(await ioredis.ping()).toBe("PONG");
    expect(await nodeRedis.ping()).toBe("PONG");
  });

  it("says that a cluster client has to be connected, and begins when it is", async () => {
    const cluster = await start();
    const client = createCluster({ rootNodes: [{ url: cluster.url }] });
    const member = new Member(client);
    await member.until("down unavailable");
    expect(member.reasons[0]?.message).toMatch(/connect\(\) it/);
    await client.connect();
    later(() => client.destroy());
    await member.until("up");
  });

  it("tells an outage when a slot moves, and hears it where it is now", async () => {
    const cluster = await start();
    const [publisher, hearer] = [await Member.join(cluster.url), await Member.join(cluster.url)];
    const [moved = "", stays = ""] = topicsOf(0, 2);
    await hearer.subscribe(moved, stays);
    const target = await command<string>(node(cluster, 1).url, "CLUSTER", "MYID");
    for (const index of [1, 0, 2])
      await command(node(cluster, index).url, "CLUSTER", "SETSLOT", String(slotOfTopic(moved)), "NODE", target);
    await hearer.until("up", 2);
    await expectToHear(publisher, hearer, moved, "moved");
    await expectToHear(publisher, hearer, stays, "stayed");
    expect(hearer.links).toEqual(["up", "down unavailable", "up"]);
    expect(await command<string[]>(node(cluster, 1).url, "PUBSUB", "SHARDCHANNELS")).toContain(encodeBrokerName("groupcast", moved));
  });

  it("tells an outage when a master and its replica change places, also to a process that hears nothing there", async () => {
    const cluster = await start({ replicas: 1 });
    const [publisher, hearer] = [await Member.join(cluster.url), await Member.join(cluster.url)];
    const [one = ""] = topicsOf(2, 1);
    await hearer.subscribe(one);
    expect(await command(node(cluster, MASTERS + 2).url, "CLUSTER", "FAILOVER")).toBe("OK");
    await hearer.until("up", 2);
    await publisher.until("up", 2);
    await expectToHear(publisher, hearer, one, "after");
    for (const { links } of [publisher, hearer]) expect(links.slice(0, 3)).toEqual(["up", "down unavailable", "up"]);
  });

  it("is down while a master is dead, and comes back with its replica, also if it was made of the dead one's URL alone", async () => {
    const cluster = await start({ replicas: 1 });
    const [publisher, hearer] = [await Member.join(cluster.url), await Member.join(node(cluster, 1).url)];
    const topics = [0, 1, 2].flatMap((master) => topicsOf(master, 2));
    await hearer.subscribe(...topics);
    await node(cluster, 0).kill();
    await Promise.all([publisher, hearer].map((member) => member.until("down unavailable")));
    await expect(publisher.publish(topics[0] ?? "", "x")).rejects.toMatchObject({ code: "unavailable" });
    await Promise.all([publisher, hearer].map((member) => member.until("up", 2)));
    for (const one of topics) await expectToHear(publisher, hearer, one, "after");
    await node(cluster, 0).restart();
    await expectToHear(publisher, hearer, topics[0] ?? "", "with a new replica");
  });
});
