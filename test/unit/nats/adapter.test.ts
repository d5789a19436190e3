import { beforeEach, describe, expect, it } from "vitest";
import type { Receipt } from "../../../src/channel/adapter.ts";
import { quiet } from "../../../src/base/promises.ts";
import { NatsAdapter, type NatsOptions } from "../../../src/nats/adapter.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { encodeFrame, readPayloads } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { FakeConnection, FakeServer, placed } from "./fake-nats.ts";

type Coded = Error & { readonly code: string };

let clock: FakeClock;
let server: FakeServer;
let connection: FakeConnection;
let told: string[];

beforeEach(() => {
  clock = new FakeClock();
  server = new FakeServer();
  connection = server.connect();
  told = [];
});

function start(options: NatsOptions = {}): NatsAdapter {
  const random = { id: () => "0123456789abcdef0123456789abcdef", unit: () => 0.5 };
  const adapter = new NatsAdapter(connection, { prefix: "p", clock, random, ...options });
  adapter.start({
    receive: (topic, record) => told.push(...[...record.messages()].map(({ frame }) => `${topic}: ${readPayloads(frame).join()}`)),
    failed: (error) => told.push(`failed ${error.message}`),
    up: () => told.push("up"),
    down: (reason) => told.push(`down ${(reason as Coded).code}: ${reason.message}`),
  });
  return adapter;
}

async function up(options: NatsOptions = {}): Promise<NatsAdapter> {
  const adapter = start(options);
  await turns();
  expect(told).toEqual(["up"]);
  told.length = 0;
  return adapter;
}

/** Whatever can happen without time passing happens. */
async function turns(): Promise<void> {
  // The first import of the real package takes as long as it takes.
  for (let turn = 0; turn < 5; turn++) await clock.advanceAsync();
  await new Promise((resolve) => setTimeout(resolve, 1));
  for (let turn = 0; turn < 5; turn++) await clock.advanceAsync();
}

function record(...texts: readonly string[]): MessageRecord {
  return MessageRecord.of(texts.map((text) => ({ kind: "string", frame: encodeFrame(text), except: [] })));
}

function outcome(promise: Promise<Receipt>): Promise<string> {
  return promise.then(
    () => "ok",
    ({ code }: Coded) => code,
  );
}

/** How it went, when whatever can happen without time passing has happened. */
async function settled(promise: Promise<Receipt>): Promise<string> {
  const ended = outcome(promise);
  await turns();
  return ended;
}

describe.each([{ core: false }, { core: true }])("the adapter, core: $core", ({ core }) => {
  it("is up when it hears what was asked for before, and publishes to the subject of the topic", async () => {
    const adapter = start({ core });
    const heard = adapter.subscribe("g\0n\0*");
    expect(told).toEqual([]);
    expect(await settled(adapter.publish("t", record("too early")))).toBe("unavailable");
    await heard;
    await turns();
    expect(told).toEqual(["up"]);
    expect(adapter.subscribe("g\0n\0*")).toBeUndefined();
    expect(await settled(adapter.publish("g\0n\0*", record("a", "b")))).toBe("ok");
    await turns();
    expect(told).toEqual(["up", "g\0n\0*: a", "g\0n\0*: b"]);
    expect(connection.sent.at(-1)).toBe(core ? "gcl.p.g.n.=2a" : "gcp.p.g.n.=2a");
  });

  it("asks once for all topics of a turn, and for those of the next when that is answered", async () => {
    const adapter = await up({ core });
    connection.hold();
    if (core) connection.heldFlushes = [];
    const questions = (): number =>
      core ? (connection.heldFlushes?.length ?? 0) : connection.sent.filter((one) => one.endsWith("$marker")).length - 1;
    const first = Array.from({ length: 1_000 }, async (_, index) => adapter.subscribe(`a${index}`));
    await turns();
    const second = Array.from({ length: 1_000 }, async (_, index) => adapter.subscribe(`b${index}`));
    await turns();
    expect(questions()).toBe(1);
    connection.release();
    connection.heldFlushes?.[0]?.resolve();
    await Promise.all(first);
    await turns();
    expect(questions()).toBe(2);
    connection.heldFlushes?.[1]?.resolve();
    await Promise.all(second);
  });

  it("what was on its way when the link went down is of unknown outcome, what comes then is refused; it is up again by itself", async () => {
    const adapter = await up({ core });
    await adapter.subscribe("t");
    connection.hold();
    connection.heldFlushes = [];
    const owed = [outcome(adapter.publish("t", record("1"))), outcome(adapter.publish("t", record("2")))];
    const asked = adapter.subscribe("u");
    await turns();
    connection.say({ type: "disconnect" });
    await turns();
    expect(await Promise.all(owed)).toEqual(["unknown_outcome", "unknown_outcome"]);
    expect(await settled(adapter.publish("t", record("3")))).toBe("unavailable");
    let isHeard = false;
    void adapter.subscribe("t")?.then(() => (isHeard = true));
    await turns();
    expect(isHeard).toBe(false);
    expect(told.map((one) => one.split(":")[0])).toEqual(["down unavailable"]);
    expect(connection.subscriptions.size).toBe(0);
    connection.release(() => []);
    connection.heldFlushes = undefined;
    told.length = 0;
    await clock.advanceAsync(1_000);
    expect(told).toEqual([]);
    connection.say({ type: "reconnect" });
    await turns();
    expect(told).toEqual(["up"]);
    await asked;
    expect([isHeard, adapter.subscribe("t")]).toEqual([true, undefined]);
    await settled(adapter.publish("t", record("4")));
    await turns();
    expect(told).toEqual(["up", "t: 4"]);
  });

  it("a publish that is not answered for 5 s is of unknown outcome, and the link is given up", async () => {
    const adapter = await up({ core });
    server.answer = () => undefined;
    connection.heldFlushes = [];
    const owed = outcome(adapter.publish("t", record("1")));
    await turns();
    await clock.advanceAsync(4_999);
    expect(told).toEqual([]);
    await clock.advanceAsync(1);
    expect(await owed).toBe("unknown_outcome");
    expect(told).toEqual(["down unavailable: NATS has not answered for 5 s"]);
    server.answer = undefined;
    connection.heldFlushes = undefined;
    await clock.advanceAsync(100);
    await turns();
    expect(told.at(-1)).toBe("up");
    expect(await settled(adapter.publish("t", record("2")))).toBe("ok");
  });

  it("8 MiB wait for NATS at most, besides what is published in one turn", async () => {
    const adapter = await up({ core });
    connection.hold();
    connection.heldFlushes = [];
    const large = record("x".repeat(1_000_000));
    const turn = Array.from({ length: 20 }, () => outcome(adapter.publish("t", large)));
    await turns();
    expect(await settled(adapter.publish("t", record("1")))).toBe("unavailable");
    connection.release();
    for (const flushed of connection.heldFlushes ?? []) flushed.resolve();
    connection.heldFlushes = undefined;
    await turns();
    expect(await Promise.all(turn)).toEqual(turn.map(() => "ok"));
    await turns();
    expect(await settled(adapter.publish("t", record("2")))).toBe("ok");
    expect(told).toEqual([]);
  });

  it("a record over max_payload goes in pieces; if one message of it is too long, nothing goes", async () => {
    const adapter = await up({ core });
    await adapter.subscribe("t");
    connection.info = { version: "2.10.27", max_payload: 1_000 };
    const texts = Array.from({ length: 9 }, (_, index) => `${index}`.repeat(300));
    expect(await settled(adapter.publish("t", record(...texts)))).toBe("ok");
    await turns();
    expect(told).toEqual(texts.map((text) => `t: ${text}`));
    const sent = connection.sent.length;
    expect(await settled(adapter.publish("t", record("short", "x".repeat(1_000))))).toBe("too_large");
    await expect(adapter.publish("t", record("x".repeat(1_000)))).rejects.toThrow(/1000 bytes.*max_payload.*nothing was sent/);
    expect(connection.sent.length).toBe(sent);
  });

  it("hears no more of a topic that was given up, also if it was asked for in the same turn", async () => {
    const adapter = await up({ core });
    const given = adapter.subscribe("t");
    adapter.unsubscribe("t");
    await given;
    await settled(adapter.publish("t", record("1")));
    await adapter.subscribe("u");
    adapter.unsubscribe("u");
    await settled(adapter.publish("u", record("2")));
    void adapter.subscribe("u");
    adapter.unsubscribe("u");
    await adapter.subscribe("u");
    await settled(adapter.publish("u", record("3")));
    await turns();
    expect(told).toEqual(["u: 3"]);
  });

  it("a topic that NATS does not let it hear is refused with `forbidden`, and the others are heard", async () => {
    const adapter = await up({ core });
    const [allowed, denied] = [adapter.subscribe("a"), adapter.subscribe("b")];
    const error = Object.assign(new Error("Permissions Violation for Subscription to gcl.p.b"), {
      name: "PermissionViolationError",
      operation: "subscription",
      subject: "gcl.p.b",
    });
    connection.say({ type: "error", error });
    await expect(denied).rejects.toMatchObject({ code: "forbidden" });
    await allowed;
    expect(told).toEqual([expect.stringMatching(/^failed .*gcl\.p\.b/)]);
  });

  it("a publish that NATS does not allow is refused with `forbidden`, and nothing else is", async () => {
    const adapter = await up({ core });
    server.answer = (subject) => (subject.endsWith(".no") ? undefined : {});
    connection.heldFlushes = core ? [] : undefined;
    const denied = outcome(adapter.publish("no", record("1")));
    await turns();
    const other = outcome(adapter.publish("yes", record("2")));
    await turns();
    const subject = core ? "gcl.p.no" : "gcp.p.no";
    const error = Object.assign(new Error(`Permissions Violation for Publish to ${subject}`), {
      ...{ name: "PermissionViolationError", operation: "publish", subject },
    });
    connection.say({ type: "error", error }); // on the wire right in front of the answer
    for (const flushed of connection.heldFlushes ?? []) flushed.resolve();
    await turns();
    expect(await Promise.all([denied, other])).toEqual(["forbidden", "ok"]);
    expect(told).toEqual([]);
  });

  it("leaves no timer, no subscription and no listener of its promises behind when it is stopped; what waits is `closed`", async () => {
    const adapter = await up({ core });
    await adapter.subscribe("t");
    connection.hold();
    connection.heldFlushes = [];
    const waiting = [
      outcome(adapter.publish("t", record("1"))),
      quiet(Promise.resolve(adapter.subscribe("u"))).catch(({ code }: Coded) => code),
    ];
    await turns();
    await adapter.stop();
    expect(await Promise.all(waiting)).toEqual(["closed", "closed"]);
    expect(await settled(adapter.publish("t", record("2")))).toBe("closed");
    await expect(adapter.subscribe("v")).rejects.toMatchObject({ code: "closed" });
    connection.release();
    await turns();
    expect([connection.subscriptions.size, clock.timers, connection.isClosed(), told]).toEqual([0, 0, false, []]);
    await adapter.stop();
  });

  it("is not up on a connection that has gone while it was asked whether it works", async () => {
    connection.heldFlushes = [];
    const adapter = start({ core });
    await turns();
    connection.say({ type: "disconnect" });
    await turns();
    connection.heldFlushes[0]?.resolve();
    connection.heldFlushes = undefined;
    await turns();
    expect(told.filter((one) => one === "up")).toEqual([]);
    connection.say({ type: "reconnect" });
    await clock.advanceAsync(100);
    await turns();
    expect(told.at(-1)).toBe("up");
    await adapter.stop();
  });

  it("is stopped at once while it waits for the link", async () => {
    const adapter = await up({ core });
    connection.say({ type: "disconnect" });
    await turns();
    await adapter.stop();
    expect(clock.timers).toBe(0);
    const other = start({ core });
    await other.stop();
    expect(clock.timers).toBe(0);
  });
});

describe("over a stream", () => {
  it("messages that overtook each other on the way come in their order", async () => {
    const adapter = await up();
    await adapter.subscribe("t");
    connection.hold();
    const accepted = ["1", "2", "3", "4"].map((text) => outcome(adapter.publish("t", record(text))));
    connection.release((held) => held.toReversed());
    expect(await Promise.all(accepted)).toEqual(["ok", "ok", "ok", "ok"]);
    expect(told).toEqual(["t: 1", "t: 2", "t: 3", "t: 4"]);
  });

  it("a topic on which too much comes before it begins begins further on, and what comes from then on is heard", async () => {
    const adapter = await up();
    connection.hold();
    let isHeard = false;
    void adapter.subscribe("t")?.then(() => (isHeard = true));
    await turns();
    const large = record("x".repeat(1_000_000));
    for (let index = 0; index < 12; index++) server.connect().publish("gcp.p.t", large.bytes);
    // The answer to the marker comes last.
    connection.release((held) => [...held.slice(1), ...held.slice(0, 1)]);
    connection.hold();
    await turns();
    expect(isHeard).toBe(false);
    connection.release();
    await turns();
    expect([isHeard, told]).toEqual([true, []]);
    await settled(adapter.publish("t", record("heard")));
    expect(told).toEqual(["t: heard"]);
  });

  it("what an old link learns late does no harm to the one after it", async () => {
    connection.heldRequests = [];
    const adapter = start();
    await turns();
    const old = connection.heldRequests;
    expect(old.length).toBe(1);
    connection.say({ type: "disconnect" });
    await turns();
    connection.heldRequests = undefined;
    connection.say({ type: "reconnect" });
    await clock.advanceAsync(100);
    await turns();
    expect(told.map((one) => one.split(":")[0])).toEqual(["down unavailable", "up"]);
    old[0]?.reject(new Error("too late"));
    await turns();
    expect(await settled(adapter.publish("t", record("1")))).toBe("ok");
    expect(told.length).toBe(2);
  });

  it("a message that does not come is fetched from the stream", async () => {
    const adapter = await up();
    await adapter.subscribe("t");
    connection.hold();
    for (const text of ["1", "2", "3"]) void adapter.publish("t", record(text));
    connection.release((held) => held.slice(4));
    expect(told).toEqual([]);
    await clock.advanceAsync(30);
    await turns();
    expect(told).toEqual(["t: 1", "t: 2", "t: 3"]);
    expect(server.asked.filter((one) => one.startsWith("DIRECT")).length).toBe(2);
  });

  it("a marker's answer that newer messages have overtaken is no sign of a new stream", async () => {
    const adapter = await up();
    await adapter.subscribe("t");
    connection.hold();
    const heard = adapter.subscribe("u");
    await turns();
    const other = server.connect();
    for (let index = 0; index < 5; index++) other.publish("gcp.p.t", record("newer").bytes);
    connection.release((held) => [...held.slice(1), ...held.slice(0, 1)]);
    await heard;
    await turns();
    expect(told).toEqual(Array.from({ length: 5 }, () => "t: newer"));
  });

  it("a stream that begins anew is noticed by the first message that comes, and heard from there on", async () => {
    const adapter = await up();
    await adapter.subscribe("t");
    for (let index = 0; index < 10; index++) await settled(adapter.publish("t", record(String(index))));
    await turns();
    server.messages = [];
    told.length = 0;
    server.connect().publish("gcp.p.t", record("lost").bytes);
    await turns();
    await clock.advanceAsync(100);
    await turns();
    expect(told).toEqual(["down unavailable: the JetStream stream gc-p has begun anew", "up"]);
    await settled(adapter.publish("t", record("heard")));
    await turns();
    expect(told.slice(2)).toEqual(["t: heard"]);
  });

  it("who only publishes notices it by the next answer", async () => {
    const adapter = await up();
    for (let index = 0; index < 10; index++) await settled(adapter.publish("t", record(String(index))));
    server.messages = [];
    expect(await settled(adapter.publish("t", record("x")))).toBe("ok");
    await clock.advanceAsync(100);
    await turns();
    expect(told).toEqual(["down unavailable: the JetStream stream gc-p has begun anew", "up"]);
  });

  it("late messages make it look whether the stream is the same, once a second, and nothing more comes of it", async () => {
    const adapter = await up();
    await adapter.subscribe("t");
    for (let index = 0; index < 3; index++) await settled(adapter.publish("t", record(String(index))));
    await turns();
    const markers = (): number => connection.sent.filter((one) => one.endsWith("$marker")).length;
    const before = markers();
    for (let index = 0; index < 50; index++) connection.deliver("gcl.p.t", record("again").bytes, placed(2, 0));
    await turns();
    expect(markers() - before).toBe(1);
    await clock.advanceAsync(1_000);
    connection.deliver("gcl.p.t", record("again").bytes, placed(2, 0));
    await turns();
    expect(markers() - before).toBe(2);
    expect(told).toEqual(["t: 0", "t: 1", "t: 2"]);
  });

  it("a stream that is gone refuses what is published, and is made again", async () => {
    const adapter = await up();
    await adapter.subscribe("t");
    server.hasStream = false;
    expect(await settled(adapter.publish("t", record("1")))).toBe("unavailable");
    expect(told).toEqual(["down unavailable: no JetStream stream takes what is published; nothing was sent"]);
    await clock.advanceAsync(100);
    await turns();
    expect(server.asked.slice(-2)).toEqual(["STREAM.INFO", "STREAM.CREATE"]);
    await settled(adapter.publish("t", record("2")));
    await turns();
    expect(told.slice(1)).toEqual(["up", "t: 2"]);
  });

  it.each([
    ['{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"},"stream":"gc-p","seq":0}', "too_large"],
    ['{"error":{"code":503,"err_code":10023,"description":"insufficient resources"},"stream":"gc-p","seq":0}', "unavailable"],
    ['{"type":"io.nats.jetstream.api.v1.pub_ack_response"}', "unavailable"],
    ["[]", "unavailable"],
    ["no json", "unavailable"],
  ])("the answer %s refuses one publish, with %s, and the link stays", async (text, code) => {
    const adapter = await up();
    server.answer = () => ({ text });
    expect(await settled(adapter.publish("t", record("1")))).toBe(code);
    server.answer = undefined;
    expect(await settled(adapter.publish("t", record("2")))).toBe("ok");
    expect(told).toEqual([]);
  });

  it("answers to nobody's question are ignored", async () => {
    const adapter = await up();
    for (const number of ["", "0", "999", "x", "1e3", "__proto__"])
      connection.deliver(`gca.p.0123456789abcdef.${number}`, new Uint8Array(0));
    await turns();
    expect(await settled(adapter.publish("t", record("1")))).toBe("ok");
    expect(told).toEqual([]);
  });

  it("what comes without a place, or is no record, is left out and told", async () => {
    const adapter = await up();
    await adapter.subscribe("t");
    connection.deliver("gcl.p.t", record("x").bytes);
    connection.deliver("gcl.p.t", record("x").bytes, { code: 0, get: () => "12x" });
    connection.deliver("gcl.p.t", new Uint8Array(3), placed(100, 0));
    await turns();
    expect(told).toEqual([
      expect.stringMatching(/^failed a message on gcl\.p\.t is not from the stream/),
      expect.stringMatching(/^failed a message on gcl\.p\.t is not from the stream/),
      expect.stringMatching(/^failed a record from another process is broken/),
    ]);
  });

  it("JetStream that does not answer is asked again; one that says no is told, and asked each second", async () => {
    server.hasStream = true;
    server.config = { subjects: ["gcp.p.>"], retention: "interest" };
    const adapter = start();
    await turns();
    expect(told).toEqual([expect.stringMatching(/^down bad_option: .*stream gc-p is there already, but its republish\.src/)]);
    const { length } = server.asked;
    await clock.advanceAsync(10_000);
    await turns();
    expect(server.asked.length - length).toBeGreaterThanOrEqual(9);
    expect(server.asked.length - length).toBeLessThanOrEqual(11);
    expect(told.length).toBe(1);
    await adapter.stop();
  });
});

describe("what it is given", () => {
  it.each<[NatsOptions, RegExp]>([
    [{ prefix: "" }, /prefix/],
    [{ prefix: "*".repeat(67) }, /prefix/],
    [{ streamBytes: 1_000 }, /streamBytes is a whole number from 8388608/],
    [{ streamAgeMs: 0 }, /streamAgeMs/],
    [{ streamAgeMs: Number.NaN }, /streamAgeMs/],
    [{ streamReplicas: 6 }, /streamReplicas/],
  ])("%j is refused", (options, text) => {
    expect(() => new NatsAdapter("nats://127.0.0.1", options)).toThrow(text);
  });

  it("a topic that is longer than a line of the protocol may be is refused, and nothing is sent", async () => {
    const adapter = await up({ core: true });
    const topic = "*".repeat(1_000);
    await expect(adapter.subscribe(topic)).rejects.toMatchObject({ code: "bad_option" });
    expect(await settled(adapter.publish(topic, record("x")))).toBe("bad_option");
    expect([connection.subscriptions.size, connection.sent.length]).toEqual([0, 0]);
  });

  it("a connection that is closed for good stays down", async () => {
    const adapter = await up({ core: true });
    await connection.close();
    await turns();
    await clock.advanceAsync(5_000);
    expect(told).toEqual([expect.stringMatching(/^down unavailable: the NATS connection that was given/)]);
    expect(await settled(adapter.publish("t", record("x")))).toBe("unavailable");
    await adapter.stop();
    expect(clock.timers).toBe(0);
  });
});
