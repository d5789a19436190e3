// What a channel over Redis asks of a server, who it is there, and what it shows of that.
import * as fc from "fast-check";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../dist/base/clock.js";
import { decodeBrokerName } from "../../dist/channel/broker-names.js";
import type { Clock } from "../../dist/testing/index.js";
import { type Broker, brokers, startRedis } from "./brokers/index.ts";
import { command } from "./brokers/redis.ts";
import { later, Member, topic } from "./redis/rig.ts";

const OWN = { own: true } as const;
const { missing } = await brokers.redis("a channel over Redis", OWN);

/** What groupcast cannot do without; `+cluster|slots` only on a cluster. */
const LEAST = "resetkeys resetchannels &groupcast.* -@all +ssubscribe +sunsubscribe +spublish +cluster|slots";
/** As the runbook has it. Since Redis 7.2 also `+client|setinfo`, with which the libraries say who they are. */
const RECIPE = `${LEAST} +ping +hello`;

let redis: Broker;
beforeAll(async () => {
  if (!missing) redis = await startRedis(OWN);
});
afterAll(() => redis?.stop());

/** What some broker reads something into. */
const SPECIAL = Array.from("*?[]{}.>\\ \r\n\0=:$^-\"'");

const names = (): Promise<string[]> => command<string[]>(redis.url, "PUBSUB", "SHARDCHANNELS");

/** How often the server has been asked for what. */
async function asked(): Promise<ReadonlyMap<string, number>> {
  const lines = String(await command(redis.url, "INFO", "commandstats")).matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
  return new Map([...lines].map(([, name = "", calls]) => [name, Number(calls)]));
}

describe.skipIf(missing)("what is asked of the server", () => {
  it("is told to a process that has a member, and to no other: counted by the server", async () => {
    const [publisher, hearer, bystander] = [await Member.join(redis.url), await Member.join(redis.url), await Member.join(redis.url)];
    const room = topic("interest");
    expect(await publisher.publish(room, "to nobody")).toEqual({ receivers: 0 });
    await hearer.subscribe(room);
    await bystander.subscribe(topic("another"));
    expect(await publisher.publish(room, "to one")).toEqual({ receivers: 1 });
    await bystander.subscribe(room);
    expect(await publisher.publish(room, "to two")).toEqual({ receivers: 2 });
    await hearer.until(`${room} to two`);
    hearer.adapter.unsubscribe(room);
    await hearer.publish(topic("behind it"), "x");
    expect(await publisher.publish(room, "to the other")).toEqual({ receivers: 1 });
    await bystander.until(`${room} to the other`);
    expect(hearer.got).toEqual([`${room} to one`, `${room} to two`]);
    expect(bystander.got).toEqual([`${room} to two`, `${room} to the other`]);
  });

  it("never lets two prefixes hear each other, nor names of one reach into the other", async () => {
    const prefixes = ["a", "a.g", "a.g.default", "a=2e", "A", "á", "*"];
    const members = await Promise.all(prefixes.map((prefix) => Member.join(redis.url, { prefix })));
    const rooms = ["x", "g.default.x", "default.x", "*", "x\ry"].map(topic);
    for (const member of members) await member.subscribe(...rooms);
    expect((await names()).length).toBe(members.length * rooms.length);
    for (const [index, member] of members.entries()) {
      for (const room of rooms) expect(await member.publish(room, `from ${prefixes[index]}`)).toEqual({ receivers: 1 });
    }
    for (const [index, member] of members.entries()) {
      await member.when(() => member.got.length >= rooms.length);
      expect(member.got).toEqual(rooms.map((room) => `${room} from ${prefixes[index]}`));
    }
    await Promise.all(members.map(({ adapter }) => adapter.stop()));
  });

  it("sees nothing of a group's name that means anything to a broker", async () => {
    const member = await Member.join(redis.url, { prefix: "fuzz" });
    const part = fc.string({
      unit: fc.oneof(fc.constantFrom(...SPECIAL), fc.string({ unit: "binary", maxLength: 1 })),
    });
    const wild = fc.array(part, { maxLength: 3 }).map((parts) => parts.join("\0"));
    const topics = [...new Set(fc.sample(wild, 300))].filter((one) => Buffer.byteLength(one) <= 512);
    await member.subscribe(...topics);
    const seen = (await names()).filter((name) => name.startsWith("fuzz."));
    for (const name of seen) expect(name).toMatch(/^fuzz(?:\.[A-Za-z0-9_=-]+)+$/);
    expect(new Set(seen.map((name) => decodeBrokerName("fuzz", name)))).toEqual(new Set(topics));
    expect(seen.length).toBe(topics.length);
    for (const one of topics) expect(await member.publish(one, "x")).toEqual({ receivers: 1 });
    await member.when(() => member.got.length >= topics.length);
    expect(member.got).toEqual(topics.map((one) => `${one} x`));
    await member.adapter.stop();
  });

  it("is asked in few words: 10,000 topics in a dozen commands, and nothing that looks at everything", async () => {
    await command(redis.url, "CONFIG", "RESETSTAT");
    const member = await Member.join(redis.url);
    const topics = Array.from({ length: 10_000 }, (_, index) => topic(`many ${index}`));
    await member.subscribe(...topics);
    for (const one of topics) member.adapter.unsubscribe(one);
    await member.publish(topic("behind it"), "x");
    const calls = await asked();
    expect(calls.get("ssubscribe")).toBeLessThanOrEqual(12);
    expect(calls.get("sunsubscribe")).toBeLessThanOrEqual(12);
    expect(calls.get("spublish")).toBe(1);
    const known = new Set(["hello", "client|setinfo", "ping", "ssubscribe", "sunsubscribe", "spublish", "config|resetstat", "info"]);
    expect([...calls.keys()].filter((name) => !known.has(name))).toEqual([]);
  });

  it("is told by what somebody else has published under our name that it is no record, and goes on", async () => {
    const member = await Member.join(redis.url);
    const room = topic("junk");
    await member.subscribe(room);
    const name = (await names()).find((one) => decodeBrokerName("groupcast", one) === room) ?? "";
    for (const junk of ["", "x", "\u0001".repeat(30)]) await command(redis.url, "SPUBLISH", name, junk);
    await member.publish(room, "a record");
    await member.until(`${room} a record`);
    expect(member.got.length).toBe(4);
    expect(member.got.slice(0, 3).every((word) => word.startsWith("failed a record from another process is broken"))).toBe(true);
    expect(member.links).toEqual(["up"]);
  });
});

describe.skipIf(missing)("the client that a channel is made of", () => {
  it.each([["RESP 2", 2] as const, ["RESP 3", 3] as const])("is neither used nor closed, of node-redis with %s", async (_, RESP) => {
    const client = createClient({ url: redis.url, RESP, socket: { tls: false }, commandOptions: { timeout: 1_000 } });
    await client.connect();
    later(() => client.destroy());
    const member = await Member.join(client);
    await member.subscribe(topic("room"));
    await member.publish(topic("room"), "x");
    await member.until(`${topic("room")} x`);
    await member.adapter.stop();
    expect(client.isReady).toBe(true);
    expect(client.isPubSubActive).toBe(false);
    expect(await client.ping()).toBe("PONG");
  });

  it.each([["RESP 2", 2] as const, ["RESP 3", 3] as const])("is neither used nor closed, of ioredis with %s", async (_, protocol) => {
    const client = new Redis(redis.url, { protocol, keyPrefix: "not:ours:", enableAutoPipelining: true });
    later(() => client.disconnect());
    const member = await Member.join(client);
    await member.subscribe(topic("room"));
    expect(await names()).toContain("groupcast.g.default.room");
    await member.publish(topic("room"), "x");
    await member.until(`${topic("room")} x`);
    await member.adapter.stop();
    expect(await client.ping()).toBe("PONG");
    expect(client.mode).toBe("normal");
  });

  it("may not be the URLs of servers that are in no cluster", async () => {
    const member = new Member(`${redis.url},redis://localhost:${redis.port}`);
    await member.until("down bad_option");
    expect(member.reasons[0]?.message).toMatch(/in no cluster/);
  });

  it("may be anything else only by mistake", () => {
    for (const wrong of [{}, { duplicate: () => {} }, null, 7, "", "http://127.0.0.1", "redis://", "127.0.0.1:6379"]) {
      expect(() => new Member(wrong as string)).toThrow(expect.objectContaining({ code: "bad_option" }));
    }
  });
});

describe.skipIf(missing)("who we are at the server", () => {
  it.each([
    ["the recipe", RECIPE],
    ["the least", LEAST],
  ])("may be a user with no more rights than %s", async (_, rights) => {
    await command(redis.url, "ACL", "SETUSER", "groupcast", "reset", "on", ">secret", ...rights.split(" "));
    await command(redis.url, "ACL", "LOG", "RESET");
    const url = `redis://groupcast:secret@127.0.0.1:${redis.port}`;
    const ioredis = new Redis(url, { lazyConnect: true });
    for (const given of [url, ioredis]) {
      const member = await Member.join(given);
      await member.subscribe(topic("allowed"));
      expect(await member.publish(topic("allowed"), "x")).toEqual({ receivers: 1 });
      await member.until(`${topic("allowed")} x`);
      member.adapter.unsubscribe(topic("allowed"));
      expect(await member.publish(topic("allowed"), "y")).toEqual({ receivers: 0 });
      await member.adapter.stop();
    }
    const log = await command<object[]>(redis.url, "ACL", "LOG");
    expect(log.filter((entry) => !inspectAll(entry).includes("client|setinfo")).map((entry) => inspectAll(entry))).toEqual([]);
    const stranger = new Member(url, { prefix: "other" });
    void stranger.adapter.subscribe(topic("forbidden"))?.catch(() => {});
    await stranger.until("down unauthorized");
    expect(stranger.reasons[0]?.message).toMatch(/NOPERM/);
  });

  it("is told to be `unauthorized`, and tried again each second until it is not", async () => {
    await command(redis.url, "ACL", "SETUSER", "late", "reset", "on", ">right", "&*", "+@all");
    const url = `redis://late:wr0ng-pass%40word@127.0.0.1:${redis.port}`;
    const waits: number[] = [];
    const clock: Clock = {
      ...systemClock,
      after(ms, run) {
        waits.push(ms);
        return systemClock.after(ms, run);
      },
    };
    const member = new Member(url, { clock });
    await member.until("down unauthorized");
    await expect.poll(() => waits.filter((ms) => ms === 1_000).length, { timeout: 20_000 }).toBeGreaterThan(2);
    await command(redis.url, "ACL", "SETUSER", "late", ">wr0ng-pass@word");
    await member.until("up");
    expect(member.links).toEqual(["down unauthorized", "up"]);
  });

  it("is told to be `unauthorized` where a password is needed and none was given, by both libraries", async () => {
    const guarded = await startRedis({ password: "secret" });
    later(() => guarded.stop());
    const members = [new Member(`redis://127.0.0.1:${guarded.port}`), new Member(new Redis({ port: guarded.port, lazyConnect: true }))];
    for (const member of members) await member.until("down unauthorized");
    const welcome = await Member.join(guarded.url);
    expect(welcome.links).toEqual(["up"]);
  });

  it("shows no user and no password, in any error or line", async () => {
    const lines: unknown[] = [];
    for (const level of ["log", "warn", "error", "info", "debug"] as const) {
      const spy = vi.spyOn(console, level).mockImplementation((...words: unknown[]) => void lines.push(...words));
      later(() => spy.mockRestore());
    }
    const [user, password] = ["s3cretuser", "p4ss/w@rd"];
    await command(redis.url, "ACL", "SETUSER", user, "reset", "on", `>${password}`, "&none", "+@all");
    const who = `${user}:${encodeURIComponent(password)}`;
    const members = [
      new Member(`redis://${user}:${encodeURIComponent("other p4ss/w@rd")}@127.0.0.1:${redis.port}`),
      new Member(`redis://${who}@127.0.0.1:1`),
      new Member(`redis://${who}@no-such-host.invalid`),
      new Member(`rediss://${who}@127.0.0.1:${redis.port}`),
      new Member(`redis://${who}@127.0.0.1:${redis.port},redis://127.0.0.1:${redis.port}`),
      new Member(new Redis({ host: "127.0.0.1", port: redis.port, username: user, password: `${password} no`, lazyConnect: true })),
      new Member(createClient({ url: `redis://${user}:${encodeURIComponent(`${password} no`)}@127.0.0.1:${redis.port}` })),
    ];
    await Promise.all(members.map((member) => member.when(() => member.reasons.length > 0)));
    const denied = await Member.join(`redis://${who}@127.0.0.1:${redis.port}`);
    const errors: unknown[] = members.flatMap(({ reasons }) => reasons);
    await denied.publish(topic("denied"), "x").catch((error: unknown) => errors.push(error));
    denied.adapter.subscribe(topic("denied"))?.catch(() => {});
    await denied.until("down unauthorized");
    errors.push(...denied.reasons);
    for (const url of [
      `redis://${who}@`,
      `redis://${who}@host:port`,
      `http://${who}@host`,
      `redis://${who}@host/x`,
      `redis://${who}@host?a=b`,
    ]) {
      try {
        errors.push(new Member(url));
      } catch (error) {
        errors.push(error);
      }
    }
    expect(errors.length).toBe(members.length + 7);
    for (const shown of [...errors, ...lines]) {
      const whole = inspectAll(shown);
      expect(whole).not.toContain(user);
      expect(whole).not.toMatch(/p4ss/);
    }
    expect(errors.some((error) => inspectAll(error).includes("***"))).toBe(true);
    await Promise.all([...members, denied].map(({ adapter }) => adapter.stop()));
  });
});

/** Everything that a logger might print of it. */
function inspectAll(value: unknown, depth = 0): string {
  if (typeof value !== "object" || value === null || depth > 6) return String(value);
  return Reflect.ownKeys(value)
    .map((key) => `${String(key)}=${inspectAll((value as Record<PropertyKey, unknown>)[key], depth + 1)}`)
    .join("; ");
}
