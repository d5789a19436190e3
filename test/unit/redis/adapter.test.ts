// The adapter of Redis on fake time and against servers that do what real ones seldom do.
import { describe, expect, it } from "vitest";
import { encodeBrokerName } from "../../../src/channel/broker-names.ts";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { RedisAdapter } from "../../../src/redis/adapter.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { encodeFrame, readPayloads } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { FakeClient, FakeRedis } from "./fake-redis.ts";

const topic = (name: string): string => encodeTopic({ kind: "group", namespace: "default", name });
const nameOf = (name: string): string => encodeBrokerName("groupcast", topic(name));
const record = (text: string): MessageRecord => MessageRecord.of([{ kind: "string", frame: encodeFrame(text), except: [] }]);

class Rig {
  readonly clock = new FakeClock();
  readonly told: string[] = [];
  readonly reasons: string[] = [];
  readonly adapter: RedisAdapter;

  constructor(template: FakeClient) {
    const random = { id: () => "", unit: () => 0.5 };
    this.adapter = new RedisAdapter(template, { clock: this.clock, random });
    this.adapter.start({
      receive: (from, { run }) => this.told.push(`${from} ${readPayloads(run ?? new Uint8Array()).join("+")}`),
      failed: (error) => this.told.push(`failed ${error.message}`),
      up: () => this.told.push("up"),
      down: (reason) => {
        this.told.push(`down ${(reason as Error & { code: string }).code}`);
        this.reasons.push(reason.message);
      },
    });
  }

  /** One that is up and hears these. */
  static async up(template: FakeClient, ...names: string[]): Promise<Rig> {
    const rig = new Rig(template);
    for (const name of names) void rig.adapter.subscribe(topic(name));
    await rig.pass();
    expect(rig.told).toEqual(["up"]);
    return rig;
  }

  pass(ms = 0): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  /** Calls it; gives what becomes of it: `waits`, `ok`, or a code. */
  publish(name: string, text = "x"): { state: string; text: string } {
    const outcome = { state: "waits", text: "" };
    this.adapter.publish(topic(name), record(text)).then(
      ({ receivers }) => (outcome.state = `ok ${receivers}`),
      (error: Error & { code: string }) => Object.assign(outcome, { state: error.code, text: error.message }),
    );
    return outcome;
  }
}

describe("an outage", () => {
  it("is told once, and ends with the first attempt that succeeds: after up to 50 ms, doubling up to 1 s", async () => {
    const redis = new FakeRedis();
    redis.refusal = "connect ECONNREFUSED 127.0.0.1:6379";
    const rig = new Rig(redis.template);
    await rig.pass();
    expect(rig.told).toEqual(["down unavailable"]);
    expect(rig.reasons).toEqual(["no connection to a Redis server: connect ECONNREFUSED 127.0.0.1:6379"]);
    for (const wait of [25, 50, 100, 200, 400, 500, 500, 500]) {
      const before = redis.attempts;
      await rig.pass(wait - 1);
      expect(redis.attempts).toBe(before);
      await rig.pass(1);
      expect(redis.attempts).toBe(before + 1);
    }
    redis.refusal = undefined;
    await rig.pass(500);
    expect(rig.told).toEqual(["down unavailable", "up"]);
    redis.cut();
    await rig.pass(24);
    expect(rig.told).toEqual(["down unavailable", "up", "down unavailable"]);
    await rig.pass(1);
    expect(rig.told.at(-1)).toBe("up");
  });

  it("is told again when it turns out that we are not let in; that is tried each second", async () => {
    const redis = new FakeRedis();
    redis.refusal = "connect ECONNREFUSED 127.0.0.1:6379";
    const rig = new Rig(redis.template);
    await rig.pass();
    redis.refusal = "WRONGPASS invalid username-password pair or user is disabled.";
    await rig.pass(25);
    expect(rig.told).toEqual(["down unavailable", "down unauthorized"]);
    const before = redis.attempts;
    await rig.pass(3_000);
    expect(redis.attempts - before).toBe(3);
    expect(rig.told.length).toBe(2);
  });

  it.each([
    [{ version: "6.2.14", mode: "standalone" }, "Redis 7 or Valkey is needed, this is Redis 6.2.14"],
    [{ version: "7.2.0", mode: "sentinel" }, "this is a Redis Sentinel, not the server that it watches"],
  ])("is what a server of the wrong kind makes: %o", async (facts, text) => {
    const redis = new FakeRedis();
    redis.facts = facts;
    const rig = new Rig(redis.template);
    await rig.pass();
    expect(rig.told).toEqual(["down bad_option"]);
    expect(rig.reasons).toEqual([text]);
    expect(redis.clients.size).toBe(0);
  });

  it("is what a replica makes, which would publish to nobody but its own: until it is a master, also if it was one before", async () => {
    const redis = new FakeRedis();
    redis.facts["role"] = "replica";
    const rig = new Rig(redis.template);
    await rig.pass();
    expect(rig.told).toEqual(["down unavailable"]);
    expect(rig.reasons).toEqual(["this Redis is a replica: nobody at its master would hear what is published here"]);
    redis.facts["role"] = "master";
    await rig.pass(1_000);
    expect(rig.told).toEqual(["down unavailable", "up"]);
    redis.facts["role"] = "replica";
    await rig.pass(1_000);
    expect(rig.told).toEqual(["down unavailable", "up", "down unavailable"]);
  });

  it("begins within a second after the server has become a replica, and lasts while it is one", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.facts = { ...redis.facts, role: "replica" };
    await rig.pass(1_000);
    expect(rig.told).toEqual(["up", "down unavailable"]);
    expect(rig.reasons[0]).toMatch(/is a replica/);
    await rig.pass(5_000);
    redis.facts = { ...redis.facts, role: "master" };
    await rig.pass(1_000);
    expect(rig.told).toEqual(["up", "down unavailable", "up"]);
  });

  it("begins at the latest 4 s after the server has fallen silent, on either connection", async () => {
    for (const which of ["publishes", "hears"]) {
      const redis = new FakeRedis();
      const rig = await Rig.up(redis.template, "room");
      const [first, second] = [...redis.clients];
      Object.assign((which === "publishes" ? first : second) as FakeClient, { sendCommand: () => new Promise(() => {}) });
      await rig.pass(3_999);
      expect(rig.told).toEqual(["up"]);
      await rig.pass(1);
      expect(rig.told).toEqual(["up", "down unavailable"]);
      expect(rig.reasons[0]).toMatch(/is lost: nothing was heard from it for 3 s/);
    }
  });

  it("does not begin while pings are refused, or messages come", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template, "room");
    redis.refusals.set("PING", "NOPERM this user has no permissions to run the 'ping' command");
    await rig.pass(20_000);
    redis.refusals.clear();
    const [, hears] = [...redis.clients];
    Object.assign(hears as FakeClient, { sendCommand: () => new Promise(() => {}) });
    for (let second = 0; second < 20; second++) {
      await rig.pass(1_000);
      redis.publish(nameOf("room"), Buffer.from(record("x").bytes));
    }
    expect(rig.told.filter((word) => word.startsWith("down"))).toEqual([]);
  });

  it("does not begin while it answers something, however late it answers a ping", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.held.add("PING");
    for (let second = 0; second < 20; second++) {
      rig.publish("room");
      if (second < 10) void rig.adapter.subscribe(topic(`room ${second}`));
      else rig.adapter.unsubscribe(topic(`room ${second - 10}`));
      await rig.pass(1_000);
    }
    expect(rig.told.filter((word) => word.startsWith("down"))).toEqual([]);
    await rig.pass(4_000);
    expect(rig.told).toContain("down unavailable");
  });

  it("goes on when a server takes connections and answers nothing: that is given up after 3 s", async () => {
    const redis = new FakeRedis();
    redis.isSilent = true;
    const rig = new Rig(redis.template);
    await rig.pass(2_999);
    expect(rig.told).toEqual([]);
    await rig.pass(1);
    expect(rig.told).toEqual(["down unavailable"]);
    expect(rig.reasons[0]).toMatch(/no answer within 3 s/);
    redis.release();
    await rig.pass(25);
    expect(rig.told).toEqual(["down unavailable", "up"]);
  });

  it("is one, too, when connections are lost while topics are asked for again", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template, "room");
    redis.held.add("SSUBSCRIBE");
    redis.cut();
    await rig.pass(25);
    expect(redis.clients.size).toBe(2);
    redis.cut();
    await rig.pass(50);
    expect(rig.told).toEqual(["up", "down unavailable"]);
    redis.release();
    await rig.pass();
    expect(rig.told).toEqual(["up", "down unavailable", "up"]);
  });
});

describe("a topic", () => {
  it("is heard from the confirmation on, and no longer than it is wanted", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.held.add("SSUBSCRIBE");
    let isHeard = false;
    void rig.adapter.subscribe(topic("room"))?.then(() => (isHeard = true));
    await rig.pass();
    expect(isHeard).toBe(false);
    redis.release();
    await rig.pass();
    expect(isHeard).toBe(true);
    redis.publish(nameOf("room"), Buffer.from(record("heard").bytes));
    rig.adapter.unsubscribe(topic("room"));
    redis.publish(nameOf("room"), Buffer.from(record("given up").bytes));
    expect(rig.told).toEqual(["up", `${topic("room")} heard`]);
  });

  it("that was given up on its way is not handed over, nor when it is wanted again before the server knows", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.held.add("SSUBSCRIBE").add("SUNSUBSCRIBE");
    void rig.adapter.subscribe(topic("room"));
    await rig.pass();
    rig.adapter.unsubscribe(topic("room"));
    await rig.pass();
    void rig.adapter.subscribe(topic("room"));
    await rig.pass();
    redis.releaseOne();
    redis.publish(nameOf("room"), Buffer.from(record("too early").bytes));
    await rig.pass();
    redis.release();
    await rig.pass();
    expect(redis.asked.slice(-3)).toEqual([
      `SSUBSCRIBE ${nameOf("room")}`,
      `SUNSUBSCRIBE ${nameOf("room")}`,
      `SSUBSCRIBE ${nameOf("room")}`,
    ]);
    redis.publish(nameOf("room"), Buffer.from(record("heard").bytes));
    expect(rig.told).toEqual(["up", `${topic("room")} heard`]);
  });

  it("that is given up and wanted again in one turn misses nothing, and the server hears nothing of it", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template, "room");
    redis.asked.length = 0;
    rig.adapter.unsubscribe(topic("room"));
    expect(rig.adapter.subscribe(topic("room"))).toBeUndefined();
    redis.publish(nameOf("room"), Buffer.from(record("was on its way").bytes));
    await rig.pass();
    expect(redis.asked).toEqual([]);
    expect(rig.told).toEqual(["up", `${topic("room")} was on its way`]);
    redis.held.add("SSUBSCRIBE");
    void rig.adapter.subscribe(topic("another"));
    await rig.pass();
    rig.adapter.unsubscribe(topic("another"));
    let isHeard = false;
    void rig.adapter.subscribe(topic("another"))?.then(() => (isHeard = true));
    await rig.pass();
    expect([isHeard, ...redis.asked]).toEqual([false, `SSUBSCRIBE ${nameOf("another")}`]);
    redis.release();
    await rig.pass();
    expect(isHeard).toBe(true);
  });

  it("that is wanted again between two answers of the server is subscribed to again: a library may believe that it is", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.held.add("SSUBSCRIBE").add("SUNSUBSCRIBE");
    void rig.adapter.subscribe(topic("room"));
    await rig.pass();
    rig.adapter.unsubscribe(topic("room"));
    await rig.pass();
    redis.releaseOne(); // subscribed to by now, and the end is on its way
    await rig.pass();
    let isHeard = false;
    void rig.adapter.subscribe(topic("room"));
    rig.adapter.unsubscribe(topic("room"));
    void rig.adapter.subscribe(topic("room"))?.then(() => (isHeard = true));
    await rig.pass();
    redis.releaseOne();
    await rig.pass();
    redis.release();
    await rig.pass();
    expect(isHeard).toBe(true);
    redis.publish(nameOf("room"), Buffer.from(record("heard").bytes));
    expect(rig.told).toEqual(["up", `${topic("room")} heard`]);
  });

  it("that cannot be subscribed to is an outage, not a promise that nobody keeps", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.refusals.set("SSUBSCRIBE", "NOPERM no permissions to access one of the channels used as arguments");
    void rig.adapter.subscribe(topic("room"));
    await rig.pass();
    expect(rig.told).toEqual(["up", "down unauthorized"]);
    expect(rig.adapter.subscribe(topic("room"))).toBeInstanceOf(Promise);
  });

  it("has a limit to its length, and there is one to their number", async () => {
    const rig = await Rig.up(new FakeRedis().template);
    await expect(rig.adapter.subscribe("x".repeat(513))).rejects.toMatchObject({ code: "bad_option" });
    await expect(rig.adapter.subscribe("é".repeat(257))).rejects.toMatchObject({ code: "bad_option" });
    await expect(rig.adapter.publish("x".repeat(513), record("x"))).rejects.toMatchObject({ code: "bad_option" });
    for (let count = 0; count < 131_072; count++) void rig.adapter.subscribe(`t${count}`);
    await expect(rig.adapter.subscribe("one more")).rejects.toMatchObject({ code: "limit" });
  });
});

describe("many topics", () => {
  it("are asked for a megabyte of names at a time, and in commands of 1,000 names or 64 KiB", async () => {
    const redis = new FakeRedis();
    const asked = (): number[] => redis.asked.filter((words) => words.startsWith("SSUBSCRIBE")).map((words) => words.split(" ").length - 1);
    redis.held.add("SSUBSCRIBE");
    const rig = new Rig(redis.template);
    const short = Array.from({ length: 2_500 }, (_, index) => topic(`room ${index}`));
    const long = Array.from({ length: 4_000 }, (_, index) => topic(`${index}`.padStart(300, "x")));
    for (const one of [...short, ...long]) void rig.adapter.subscribe(one);
    await rig.pass();
    const first = asked();
    expect(first.slice(0, 2)).toEqual([1_000, 1_000]);
    const nameBytes = nameOf("x".repeat(300)).length;
    const most = Math.floor((64 * 1024) / nameBytes);
    expect(first.slice(3, -1).every((names) => names === most)).toBe(true);
    const bytes = (first.reduce((sum, names) => sum + names) - 2_500) * nameBytes;
    expect(bytes).toBeLessThan(1024 * 1024);
    expect(bytes).toBeGreaterThan(800 * 1024);
    redis.release();
    await rig.pass();
    expect(rig.told).toEqual(["up"]);
    expect(asked().reduce((sum, names) => sum + names)).toBe(6_500);
  });
});

describe("a publish", () => {
  it("is sent behind what was wished for before it, and is accepted when what was given up before it is", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template, "left");
    redis.asked.length = 0;
    redis.held.add("SUNSUBSCRIBE");
    rig.adapter.unsubscribe(topic("left"));
    void rig.adapter.subscribe(topic("joined"));
    const outcome = rig.publish("another");
    expect(redis.asked).toEqual([
      `SUNSUBSCRIBE ${nameOf("left")}`,
      `SSUBSCRIBE ${nameOf("joined")}`,
      expect.stringMatching(/^SPUBLISH groupcast\.g\.default\.another /),
    ]);
    await rig.pass();
    expect(outcome.state).toBe("waits");
    redis.release();
    await rig.pass();
    expect(outcome.state).toBe("ok 0");
    const next = rig.publish("another");
    await rig.pass();
    expect(next.state).toBe("ok 0");
  });

  it("is `unavailable` while the server is away, and of unknown outcome if it was under way", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.held.add("SPUBLISH");
    const underWay = rig.publish("room");
    await rig.pass();
    redis.cut();
    const during = rig.publish("room");
    await rig.pass();
    expect([underWay.state, during.state]).toEqual(["unknown_outcome", "unavailable"]);
    const asked = redis.asked.filter((words) => words.startsWith("SPUBLISH")).length;
    redis.held.clear();
    await rig.pass(1_000);
    expect(rig.told.at(-1)).toBe("up");
    expect(redis.asked.filter((words) => words.startsWith("SPUBLISH")).length).toBe(asked);
  });

  it("that the server refuses was not sent, and costs no outage", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.refusals.set("SPUBLISH", "BUSY Redis is busy running a script.");
    const outcome = rig.publish("room");
    await rig.pass();
    expect(outcome).toEqual({
      state: "unavailable",
      text: "the Redis server has refused it, nothing was sent: BUSY Redis is busy running a script.",
    });
    redis.refusals.clear();
    const next = rig.publish("room");
    await rig.pass();
    expect([next.state, ...rig.told]).toEqual(["ok 0", "up"]);
  });

  it("is refused while more than 8 MiB wait for answers", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.held.add("SPUBLISH");
    const megabyte = "x".repeat(1024 * 1024);
    const outcomes = Array.from({ length: 10 }, () => rig.publish("room", megabyte));
    await rig.pass();
    expect(outcomes.map(({ state }) => state)).toEqual([...Array.from({ length: 8 }, () => "waits"), "unavailable", "unavailable"]);
    expect(outcomes.at(-1)?.text).toMatch(/too much waits/);
    redis.release();
    await rig.pass();
    const next = rig.publish("room", megabyte);
    await rig.pass();
    expect([...outcomes.slice(0, 8), next].map(({ state }) => state)).toEqual(Array.from({ length: 9 }, () => "ok 0"));
  });
});

describe("the end", () => {
  it("rejects what waits with `closed`, and leaves no connection and no timer", async () => {
    const redis = new FakeRedis();
    const rig = await Rig.up(redis.template);
    redis.isSilent = true;
    const publishing = rig.publish("room");
    const subscribing = rig.adapter.subscribe(topic("room"));
    await rig.pass();
    await rig.adapter.stop();
    await expect(subscribing).rejects.toMatchObject({ code: "closed" });
    expect(publishing.state).toBe("closed");
    expect(redis.clients.size).toBe(0);
    expect(rig.clock.timers).toBe(0);
    await expect(rig.adapter.publish(topic("room"), record("x"))).rejects.toMatchObject({ code: "closed" });
    await expect(rig.adapter.subscribe(topic("room"))).rejects.toMatchObject({ code: "closed" });
    expect(rig.told).toEqual(["up"]);
  });

  it("has come when no socket is left, and not before", async () => {
    const redis = new FakeRedis();
    redis.isSilent = true;
    redis.lingers = true;
    const rig = new Rig(redis.template);
    await rig.pass(10);
    let hasStopped = false;
    const stopping = rig.adapter.stop().then(() => (hasStopped = true));
    await rig.pass(10);
    expect(hasStopped).toBe(false);
    redis.bury();
    await stopping;
  });

  it("comes at once while nothing answers, and while nobody is let in", async () => {
    for (const make of [
      (redis: FakeRedis) => void (redis.isSilent = true),
      (redis: FakeRedis) => void (redis.refusal = "ECONNREFUSED"),
      (redis: FakeRedis) => void redis.held.add("HELLO"),
      (redis: FakeRedis) => void redis.held.add("SSUBSCRIBE"),
    ]) {
      const redis = new FakeRedis();
      make(redis);
      const rig = new Rig(redis.template);
      void rig.adapter.subscribe(topic("room"));
      await rig.pass(10);
      await rig.adapter.stop();
      expect(rig.clock.timers).toBe(0);
      expect(redis.clients.size).toBe(0);
      expect(rig.told).not.toContain("up");
    }
  });
});

describe("a cluster", () => {
  const HALF = 8_192;

  function cluster(): { nodes: [FakeRedis, FakeRedis]; template: FakeClient; slots: (middle: number) => unknown } {
    const nodes: [FakeRedis, FakeRedis] = [new FakeRedis(), new FakeRedis()];
    const slots = (middle: number): unknown => [
      [0, middle - 1, ["127.0.0.1", 7000, "id"], ["127.0.0.1", 7002, "a replica"]],
      [middle, 16_383, ["127.0.0.1", 7001, "id"]],
    ];
    for (const node of nodes) Object.assign(node, { facts: { version: "8.0.0", mode: "cluster" }, slots: slots(HALF) });
    const template = new FakeClient(({ port }) => (port === 7001 ? nodes[1] : nodes[0]), { socket: { port: 7000 } });
    return { nodes, template, slots };
  }

  it("has two connections to each master, and each topic on its own", async () => {
    const { nodes, template } = cluster();
    const rig = await Rig.up(template, "a", "b", "c", "d");
    expect(nodes.map(({ clients }) => clients.size)).toEqual([2, 2]);
    const heard = nodes.map(({ clients }) => [...clients].flatMap((client) => [...client.heard.keys()]).sort());
    expect(heard.flat().sort()).toEqual(["a", "b", "c", "d"].map(nameOf).sort());
    expect(heard.every((names) => names.length > 0)).toBe(true);
    for (const name of ["a", "b", "c", "d"]) rig.publish(name);
    await rig.pass();
    expect(rig.told.slice(1).sort()).toEqual(["a", "b", "c", "d"].map((name) => `${topic(name)} x`));
  });

  it("that takes a subscription back is an outage", async () => {
    const { nodes, template } = cluster();
    const rig = await Rig.up(template, "a", "b", "c", "d");
    const hearer = [...nodes[0].clients].find(({ heard }) => heard.size > 0);
    hearer?.move([...hearer.heard.keys()][0] ?? "");
    expect(rig.told).toEqual(["up", "down unavailable"]);
    await rig.pass(25);
    expect(rig.told.at(-1)).toBe("up");
  });

  it("that moves slots without a word is found out within as many seconds as it has masters", async () => {
    const { nodes, template, slots } = cluster();
    const rig = await Rig.up(template, "a");
    await rig.pass(10_000);
    expect(rig.told).toEqual(["up"]);
    // The others' view does not matter: they may have heard of it first, or last.
    nodes[0].slots = slots(HALF);
    nodes[1].slots = slots(HALF - 1);
    await rig.pass(2_000);
    expect(rig.told).toEqual(["up", "down unavailable"]);
    expect(rig.reasons[0]).toMatch(/the slots of the cluster have moved/);
  });

  it("that refuses a publish because the slot is elsewhere has not sent it, and that is an outage", async () => {
    const { nodes, template } = cluster();
    const rig = await Rig.up(template);
    for (const node of nodes) node.refusals.set("SPUBLISH", "MOVED 12 127.0.0.1:7001");
    const outcome = rig.publish("a");
    await rig.pass();
    expect([outcome.state, ...rig.told]).toEqual(["unavailable", "up", "down unavailable"]);
  });

  it.each([
    ["a slot that nobody serves", [[0, 16_382, ["127.0.0.1", 7000, "id"]]], "no node of the cluster serves slot 16383"],
    ["an answer that cannot be read", "?", "the answer to CLUSTER SLOTS cannot be read"],
    ["another that cannot be read", [[0, 16_384, ["127.0.0.1", 7000]]], "the answer to CLUSTER SLOTS cannot be read"],
  ])("is no use with %s", async (_, answer, text) => {
    const { nodes, template } = cluster();
    for (const node of nodes) node.slots = answer;
    const rig = new Rig(template);
    await rig.pass();
    expect(rig.told).toEqual(["down unavailable"]);
    expect(rig.reasons).toEqual([text]);
  });

  it("is looked for at the nodes that it had last, when those that were named are gone", async () => {
    const { nodes, template } = cluster();
    const rig = await Rig.up(template);
    nodes[0].refusal = "connect ECONNREFUSED 127.0.0.1:7000";
    nodes[1].slots = [[0, 16_383, ["127.0.0.1", 7001, "id"]]];
    nodes[0].cut();
    await rig.pass(2_000);
    expect(rig.told).toEqual(["up", "down unavailable", "up"]);
    expect(nodes.map(({ clients }) => clients.size)).toEqual([0, 2]);
  });
});
