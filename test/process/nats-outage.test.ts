// A NATS that is killed, hangs, or loses its stream: what was published is told as it went, and soon messages flow again, in order.
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { brokers, type NatsOptions as ServerOptions, type NatsServer, startNats } from "./brokers/index.ts";
import { ask, connectTo, later, Member, topicOf } from "./nats/rig.ts";
import { until } from "./workers-harness.ts";

const nats = await brokers.nats("outages of the channel over NATS", { own: true });

async function serve(options: ServerOptions = {}): Promise<NatsServer> {
  const server = await startNats({ own: true, ...options });
  later(() => server.stop());
  return server;
}

const WAYS = [
  { way: "JetStream", core: false },
  { way: "core NATS", core: true },
];
/** Goals; nothing else is measured. */
const REFUSED_WITHIN_MS = 5_000;
const FLOWS_WITHIN_MS = 2_000;
const topic = topicOf("outage");

/** Publishes numbers, several in a turn, until it is stopped, and keeps how each went. */
class Load {
  readonly outcomes: Promise<string>[] = [];
  readonly #member: Member;
  readonly #padding: string;
  #isOn = true;
  readonly #ended: Promise<void>;

  constructor(member: Member, bytes = 0) {
    this.#member = member;
    this.#padding = " ".repeat(bytes);
    this.#ended = this.#run();
  }

  /** Resolves with how everything went, when everything was answered. */
  async end(): Promise<string[]> {
    this.#isOn = false;
    await this.#ended;
    return Promise.all(this.outcomes);
  }

  /** Resolves when something that was published from now on was accepted. */
  async flows(): Promise<void> {
    const from = this.outcomes.length;
    let accepted = false;
    let watched = from;
    await until("something is accepted", () => {
      for (; watched < this.outcomes.length; watched++) void this.outcomes[watched]?.then((outcome) => (accepted ||= outcome === "ok"));
      return accepted;
    });
  }

  async #run(): Promise<void> {
    while (this.#isOn) {
      for (let index = 0; index < 10; index++) {
        this.outcomes.push(this.#member.outcome(topic, `${this.outcomes.length}${this.#padding}`));
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

/** In order, nothing twice, and only what was not refused as unsent. */
function expectHonest(heard: readonly string[], outcomes: readonly string[]): void {
  const numbers = heard.map(Number);
  expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other));
  expect(numbers.filter((number) => outcomes[number] === "unavailable")).toEqual([]);
  expect(new Set(outcomes)).toEqual(new Set(["ok", "unavailable", "unknown_outcome"].filter((code) => outcomes.includes(code))));
}

describe.skipIf(nats.missing).each(WAYS)("over $way", ({ core }) => {
  it("a server that is killed and comes back under load: every publish is answered as it went, and messages flow again", async () => {
    const server = await serve();
    const [publisher, listener] = [await Member.up(server.url, { core }), await Member.up(server.url, { core })];
    await Promise.all([listener, publisher].map((member) => member.subscribe(topic)));
    const load = new Load(publisher);
    const flowed: number[] = [];
    for (let round = 0; round < 5; round++) {
      await load.flows();
      await server.kill();
      await until("the link is down", () => !publisher.isUp && !listener.isUp);
      await server.restart();
      const since = performance.now();
      await load.flows();
      await until("both are up", () => publisher.isUp && listener.isUp);
      flowed.push(performance.now() - since);
    }
    const outcomes = await load.end();
    await publisher.publish(topic, "1000000");
    for (const { heard } of [publisher, listener].map((member) => ({ heard: member.heard(topic) }))) {
      await until("the last one has come", () => heard.includes("1000000"));
      expectHonest(heard, outcomes);
    }
    expect(outcomes).toContain("unavailable");
    expect(flowed.sort((one, other) => one - other)[2]).toBeLessThan(FLOWS_WITHIN_MS);
    for (const { told } of [publisher, listener]) {
      expect(told.filter((word) => word === "up").length).toBe(6);
      expect(told.filter((word) => word.startsWith("down")).length).toBe(5);
      expect(told.every((word, index) => word === (index % 2 === 0 ? "up" : "down unavailable"))).toBe(true);
    }
  });

  it("while the server is away a publish is refused at once, and nothing of it is sent later", async () => {
    const server = await serve();
    const member = await Member.up(server.url, { core });
    await member.adapter.subscribe(topic);
    await server.kill();
    await until("it is down", () => !member.isUp);
    const outcomes = await Promise.all(Array.from({ length: 200 }, (_, index) => member.outcome(topic, `lost ${index}`)));
    expect(new Set(outcomes)).toEqual(new Set(["unavailable"]));
    await server.restart();
    await until("it is up", () => member.isUp);
    expect(await member.outcome(topic, "first")).toBe("ok");
    await until("it comes", () => member.heard(topic).length > 0);
    expect(member.heard(topic)).toEqual(["first"]);
  });

  it.each([
    ["at rest", 0],
    ["under load that fills every buffer", 30_000],
  ])("a server that hangs, %s, is noticed within 5 s, what it owes is answered, and it may come back", async (_, bytes) => {
    const server = await serve();
    const [member, late] = [await Member.up(server.url, { core }), await Member.up(server.url, { core })];
    await member.adapter.subscribe(topic);
    const load = bytes > 0 ? new Load(member, bytes) : undefined;
    await load?.flows();
    server.pause();
    await until("it hangs", () => /^State:\s+T/m.test(readFileSync(`/proc/${server.pid}/status`, "utf8")));
    const since = performance.now();
    const owed = bytes > 0 ? undefined : member.outcome(topic, "0");
    await until("it is down", () => !member.isUp);
    expect(performance.now() - since).toBeLessThan(REFUSED_WITHIN_MS);
    expect(await member.outcome(topic, "refused")).toBe("unavailable");
    if (owed !== undefined) expect(await owed).toBe("unknown_outcome");
    const outcomes = await load?.end();
    if (outcomes !== undefined) {
      expect(outcomes).toContain("unknown_outcome");
      expect(outcomes).toContain("unavailable");
    }
    // One that is stopped meanwhile leaves nothing behind.
    await late.adapter.stop();
    server.resume();
    await until("it is up", () => member.isUp);
    expect(await member.outcome(topic, "1000000")).toBe("ok");
    await until("it comes", () => member.heard(topic).at(-1) === "1000000");
    const heard = member.heard(topic).map(Number);
    expect(heard).toEqual([...new Set(heard)].sort((one, other) => one - other));
  });

  it("a wrong password is told with its code, tried again each second, and in no text", async () => {
    const password = "correct-horse-battery";
    const server = await serve({ users: [{ user: "me", password }] });
    const [url, wrong] = [new URL(server.url), new URL(server.url)];
    wrong.password = "wrong-password";
    const member = new Member(wrong.href, { core });
    await until("it is told", () => member.told.includes("down unauthorized"));
    expect(member.told).toEqual(["down unauthorized"]);
    expect(await member.outcome(topic, "x")).toBe("unavailable");
    const attempts = async (): Promise<number> => {
      const varz = (await (await fetch(`${server.monitorUrl}/varz`)).json()) as { total_connections: number };
      return varz.total_connections;
    };
    const before = await attempts();
    await until("it is tried again", async () => (await attempts()) > before + 2);
    const right = await Member.up(url.href, { core });
    await server.kill();
    await until("it is down", () => !right.isUp);
    const texts = inspect([member.errors, right.errors, member.adapter, right.adapter], { depth: 20, showHidden: true });
    expect(texts).toContain(String(server.port));
    expect(texts).not.toContain(password);
    expect(texts).not.toContain("wrong-password");
    expect([member, right].flatMap(({ told }) => told)).toEqual(["down unauthorized", "up", "down unavailable"]);
  });
});

describe.skipIf(nats.missing)("a stream that is deleted under way", () => {
  it("is made again: who publishes is told, and everybody hears on, in order, although it counts from 1 again", async () => {
    const server = await serve();
    const [publisher, listener] = [await Member.up(server.url), await Member.up(server.url)];
    await Promise.all([publisher, listener].map((member) => member.subscribe(topic)));
    const client = await connectTo(server.url);
    const load = new Load(publisher);
    for (let round = 0; round < 3; round++) {
      await load.flows();
      expect(await ask(client, "STREAM.DELETE.gc-groupcast")).toMatchObject({ success: true });
      const told = publisher.told.length;
      await until("it is down and up again", () => publisher.told.slice(told).includes("up"));
      await load.flows();
      await until("so is who only listens", () => listener.told.filter((word) => word === "up").length === round + 2);
    }
    const outcomes = await load.end();
    expect(outcomes).toContain("unavailable");
    await publisher.publish(topic, "1000000");
    for (const member of [publisher, listener]) {
      await until("the last one has come", () => member.heard(topic).includes("1000000"));
      expectHonest(member.heard(topic), outcomes);
      expect(member.told.filter((word) => word.startsWith("failed"))).toEqual([]);
    }
  });

  it("and made by somebody else, as another kind of stream, is told with what is wrong", async () => {
    const server = await serve();
    const member = await Member.up(server.url);
    for (let index = 0; index < 50; index++) await member.publish(topic, String(index));
    const client = await connectTo(server.url);
    await ask(client, "STREAM.DELETE.gc-groupcast");
    await ask(client, "STREAM.CREATE.gc-groupcast", {
      ...{ name: "gc-groupcast", subjects: ["gcp.groupcast.>"], storage: "memory", retention: "limits", discard: "old" },
      ...{ max_msgs: -1, max_bytes: -1, max_age: 0, num_replicas: 1 },
    });
    void member.adapter.subscribe(topic);
    await until("it is told", () => member.told.includes("down bad_option"));
    expect(member.told).toEqual(["up", "down unavailable", "down bad_option"]);
    expect(member.errors.at(-1)?.message).toMatch(/stream gc-groupcast .* republish\.src is undefined, not gcp\.groupcast\.>/);
    // Somebody mends it.
    await ask(client, "STREAM.DELETE.gc-groupcast");
    await until("it is up", () => member.isUp);
    expect(await member.outcome(topic, "heard")).toBe("ok");
    await until("it comes", () => member.heard(topic).length > 0);
  });
});
