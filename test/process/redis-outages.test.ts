// What becomes of a channel over Redis when connections, the server, or a reader of it fail.
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import { processPeer } from "../../dist/testing/index.js";
import { type Broker, brokers, type RedisOptions, startRedis } from "./brokers/index.ts";
import { command } from "./brokers/redis.ts";
import { later, Member, record, topic } from "./redis/rig.ts";

const OWN = { own: true } as const;
const { missing } = await brokers.redis("outages of a channel over Redis", OWN);

const TOPIC = topic("room");

async function server(options: RedisOptions = OWN): Promise<Broker> {
  const redis = await startRedis(options);
  later(() => redis.stop());
  return redis;
}

/** How each call of `publish` ended: `ok`, or its code. */
async function codeOf(publishing: Promise<unknown>): Promise<string> {
  try {
    await publishing;
    return "ok";
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

describe.skipIf(missing)("a channel over Redis", () => {
  it.each([
    ["that it hears on", "pubsub"],
    ["that it publishes on", "normal"],
  ])("tells one outage when the connection %s is cut, and hears again", async (_, type) => {
    const redis = await server();
    const member = await Member.join(redis.url);
    await member.subscribe(TOPIC);
    await command(redis.url, "CLIENT", "KILL", "TYPE", type, "SKIPME", "yes");
    await member.until("up", 2);
    expect(member.links).toEqual(["up", "down unavailable", "up"]);
    await member.publish(TOPIC, "back");
    await member.until(`${TOPIC} back`);
    expect(member.got).toEqual([`${TOPIC} back`]);
  });

  it("answers every publish while the server is killed and started again, and goes on within 2 s", async () => {
    const redis = await server();
    const [publisher, hearer] = [await Member.join(redis.url), await Member.join(redis.url)];
    const topics = Array.from({ length: 200 }, (_, index) => topic(`room ${index}`));
    await hearer.subscribe(...topics);
    const outcomes: Promise<string>[] = [];
    const sent: string[] = [];
    let isOver = false;
    const load = (async () => {
      for (let turn = 0; !isOver; turn++) {
        for (const one of topics) {
          sent.push(`${one} ${turn}`);
          outcomes.push(codeOf(publisher.publish(one, String(turn))));
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await hearer.when(() => hearer.got.length > 2_000);
    await redis.kill();
    await publisher.until("down unavailable");
    await hearer.until("down unavailable");
    await redis.restart();
    const answeringAt = performance.now();
    const heardBefore = hearer.got.length;
    await hearer.when(() => hearer.got.length > heardBefore);
    expect(performance.now() - answeringAt).toBeLessThan(2_000);
    await publisher.until("up", 2);
    await hearer.when(() => hearer.got.length > heardBefore + 2_000);
    isOver = true;
    await load;
    const ended = await Promise.all(outcomes);
    expect(ended.length).toBe(sent.length);
    expect(new Set(ended)).toEqual(new Set(["ok", "unavailable", "unknown_outcome"]));
    // What was refused never comes later; all else in its order, once.
    const heard = hearer.got;
    const refused = new Set(sent.filter((_, index) => ended[index] === "unavailable"));
    expect(heard.filter((word) => refused.has(word))).toEqual([]);
    for (const one of topics.slice(0, 10)) {
      const own = heard.filter((word) => word.startsWith(`${one} `)).map((word) => Number(word.slice(one.length + 1)));
      expect(own).toEqual([...new Set(own)].sort((first, second) => first - second));
    }
    for (const { links } of [publisher, hearer]) expect(links).toEqual(["up", "down unavailable", "up"]);
  });

  it("finds within 5 s that the server stands still, and comes back when it goes on", async () => {
    const redis = await server();
    const member = await Member.join(redis.url);
    await member.subscribe(TOPIC);
    redis.pause();
    const stoodStillAt = performance.now();
    const underWay = codeOf(member.publish(TOPIC, "under way"));
    await member.until("down unavailable");
    expect(performance.now() - stoodStillAt).toBeLessThan(5_000);
    expect(await underWay).toBe("unknown_outcome");
    expect(await codeOf(member.publish(TOPIC, "refused"))).toBe("unavailable");
    redis.resume();
    await member.until("up", 2);
    await member.publish(TOPIC, "back");
    await member.until(`${TOPIC} back`);
    expect(member.got).not.toContain(`${TOPIC} refused`);
    expect(member.links).toEqual(["up", "down unavailable", "up"]);
  });

  it("is down while the server is a replica: others would hear its master", async () => {
    const redis = await server();
    await command(redis.url, "REPLICAOF", "127.0.0.1", "1");
    const member = new Member(redis.url);
    await member.until("down unavailable");
    expect(member.reasons[0]?.message).toMatch(/is a replica/);
    await command(redis.url, "REPLICAOF", "NO", "ONE");
    await member.until("up");
    await command(redis.url, "REPLICAOF", "127.0.0.1", "1");
    await member.until("down unavailable", 2);
  });

  it("refuses what is more than the server takes, instead of keeping it", async () => {
    const redis = await server();
    const member = await Member.join(redis.url);
    redis.pause();
    const large = "x".repeat(900_000);
    const outcomes = Array.from({ length: 12 }, () => codeOf(member.publish(TOPIC, large)));
    redis.resume();
    const ended = await Promise.all(outcomes);
    // 8 MiB and the one that went over it.
    expect(ended).toEqual([...Array.from({ length: 10 }, () => "ok"), "unavailable", "unavailable"]);
    expect(await codeOf(member.publish(TOPIC, "again"))).toBe("ok");
  });

  it("refuses a record over the limit, and is none the worse for it", async () => {
    const redis = await server();
    const member = await Member.join(redis.url);
    const tooLarge = record(...Array.from({ length: 5 }, () => "x".repeat(900_000)));
    await expect(member.adapter.publish(TOPIC, tooLarge)).rejects.toMatchObject({ code: "too_large" });
    expect(await codeOf(member.publish(TOPIC, "small"))).toBe("ok");
  });

  it("tells an outage when the server cuts it off because it reads too slowly", async () => {
    const redis = await server({ config: ["client-output-buffer-limit pubsub 1mb 1mb 1"] });
    const peer = processPeer(new URL("./contract/redis-peer.mjs", import.meta.url), {
      how: "a URL",
      nodes: [{ reached: { host: "127.0.0.1", port: redis.port } }],
      prefix: "groupcast",
    });
    later(() => peer.end());
    const publisher = await Member.join(redis.url);
    await peer.start();
    await peer.subscribe(TOPIC);
    const since = peer.told.length;
    process.kill(peer.pid, "SIGSTOP");
    for (let count = 0; count < 40; count++) await publisher.publish(TOPIC, "x".repeat(500_000));
    process.kill(peer.pid, "SIGCONT");
    await peer.until("to be told of the outage", () => peer.told.slice(since).some(({ told }) => told === "down"));
    await peer.untilTold("up", since);
    const heard = peer.records(TOPIC).length;
    await publisher.publish(TOPIC, "back");
    await peer.until("to hear again", () => peer.records(TOPIC).length > heard);
  });

  it.each([
    ["a URL", (port: number) => `redis://127.0.0.1:${port}`],
    ["an ioredis client", (port: number) => new Redis({ port, lazyConnect: true })],
  ])("leaves nothing behind when it is stopped before anybody has answered it, made of %s", async (_, given) => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    later(() => silent.close());
    const { port } = silent.address() as { port: number };
    const member = new Member(given(port));
    const [socket] = (await once(silent, "connection")) as [Socket];
    socket.on("error", () => {});
    socket.resume();
    const closed = once(socket, "close");
    await member.adapter.stop();
    await closed;
    expect(member.told).toEqual([]);
    await expect(member.publish(TOPIC, "x")).rejects.toMatchObject({ code: "closed" });
  });

  it("says which package is missing, and how to get it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "groupcast-no-package-"));
    later(() => rm(folder, { recursive: true }));
    const filter = (path: string): boolean => !path.endsWith(".map");
    await cp(new URL("../../dist", import.meta.url), join(folder, "dist"), { recursive: true, filter });
    await cp(new URL("../../package.json", import.meta.url), join(folder, "package.json"));
    const { RedisAdapter } = (await import(join(folder, "dist/redis/index.js"))) as typeof import("../../dist/redis/index.js");
    const adapter = new RedisAdapter("redis://127.0.0.1:1");
    const reason = await new Promise<Error>((resolve) => {
      adapter.start({ up: () => {}, receive: () => {}, failed: () => {}, down: resolve });
    });
    await adapter.stop();
    expect(reason).toMatchObject({ code: "bad_option", message: expect.stringContaining("npm i redis") as string });
  });
});
