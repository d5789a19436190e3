// What a NATS server allows, and how it is set: limits, permissions, prefixes, JetStream and its stream; and connections of a program's own.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { encodeBrokerName } from "../../dist/channel/broker-names.js";
import { brokers, type NatsOptions as ServerOptions, type NatsServer, startNats } from "./brokers/index.ts";
import { ask, type Coded, connectTo, later, Member, topicOf } from "./nats/rig.ts";
import { until } from "./workers-harness.ts";

const nats = await brokers.nats("settings of the channel over NATS", { own: true });

async function serve(options: ServerOptions = {}): Promise<NatsServer> {
  const server = await startNats({ own: true, ...options });
  later(() => server.stop());
  return server;
}

const WAYS = [
  { way: "JetStream", core: false },
  { way: "core NATS", core: true },
];
const topic = topicOf("settings");

interface StreamInfo {
  readonly config: Readonly<Record<string, unknown>>;
  readonly state: { readonly messages: number; readonly bytes: number; readonly last_seq: number };
}

describe.skipIf(nats.missing).each(WAYS)("over $way", ({ core }) => {
  it("a record over max_payload goes as several, in order; a message over it is refused, with the number, and nothing of its record is sent", async () => {
    const max_payload = 65_536;
    const server = await serve({ config: { max_payload } });
    const member = await Member.up(server.url, { core });
    await member.adapter.subscribe(topic);
    const large = Array.from({ length: 40 }, (_, index) => `${index}`.padEnd(10_000));
    const refused = await member.publish(topic, "before", "x".repeat(max_payload)).catch((error: Coded) => error);
    expect(refused).toMatchObject({ code: "too_large", message: expect.stringContaining(String(max_payload)) as string });
    await Promise.all([member.publish(topic, ...large), member.publish(topic, "behind")]);
    // To the byte: 64 are the record's, 4 the frame's.
    const longest = "y".repeat(max_payload - 24 - 40 - 4);
    await member.publish(topic, longest);
    expect(await member.outcome(topic, `${longest}y`)).toBe("too_large");
    await until("it has come", () => member.heard(topic).at(-1) === longest);
    expect(member.heard(topic)).toEqual([...large, "behind", longest]);
    expect(member.told).toEqual(["up"]);
  });

  it("two prefixes on one server never hear each other, whatever they are called, and share nothing", async () => {
    const server = await serve();
    const prefixes = ["groupcast", "a", "a.b", "a.*", "*", ">", "groupcast.>", "b c", "é", "=2a"];
    const members = await Promise.all(prefixes.map((prefix) => Member.up(server.url, { core, prefix })));
    for (const { adapter } of members) await adapter.subscribe(topic);
    await Promise.all(members.map((member, index) => member.publish(topic, `for ${prefixes[index]}`)));
    await Promise.all(members.map((member) => member.publish(topic, "last")));
    for (const [index, member] of members.entries()) {
      await until("it comes", () => member.heard(topic).includes("last"));
      expect(member.heard(topic)).toEqual([`for ${prefixes[index]}`, "last"]);
      expect(member.told).toEqual(["up"]);
    }
  });

  it("10,000 topics are subscribed to in one go, with one question", async () => {
    const server = await serve();
    const [member, publisher] = [await Member.up(server.url, { core }), await Member.up(server.url, { core })];
    const topics = Array.from({ length: 10_000 }, (_, index) => topicOf(`room ${index}`));
    const client = await connectTo(server.url);
    const lastSequence = async (): Promise<number> =>
      ((await ask(client, "STREAM.INFO.gc-groupcast")) as unknown as StreamInfo).state.last_seq;
    const before = core ? 0 : await lastSequence();
    await member.subscribe(...topics);
    if (!core) expect((await lastSequence()) - before).toBe(1);
    await Promise.all(topics.map((one) => publisher.publish(one, "hello")));
    await until("all have heard", () => topics.every((one) => member.heard(one).length === 1));
  });

  it("uses a connection of the program's own, follows its outages, and leaves nothing on it", async () => {
    const server = await serve();
    const connection = await connectTo(server.url, { maxReconnectAttempts: -1, reconnectTimeWait: 50, pingInterval: 200, maxPingOut: 2 });
    const other = await Member.up(server.url, { core });
    await other.adapter.subscribe(topic);
    const own: string[] = [];
    connection.subscribe("the.program's.own", { callback: (_error, { data }) => own.push(new TextDecoder().decode(data)) });
    const member = await Member.up(connection, { core });
    await member.adapter.subscribe(topic);
    await other.publish(topic, "one");
    await until("it comes", () => member.heard(topic).length > 0);

    await server.kill();
    await until("it is down", () => !member.isUp && !other.isUp);
    expect(await member.outcome(topic, "refused")).toBe("unavailable");
    void member.adapter.subscribe(topicOf("asked for while it was down"));
    await server.restart();
    await until("it is up", () => member.isUp && other.isUp);
    expect(await member.outcome(topicOf("asked for while it was down"), "two")).toBe("ok");
    await other.publish(topic, "three");
    await until(
      "they come",
      () => member.heard(topic).includes("three") && member.heard(topicOf("asked for while it was down")).length > 0,
    );
    expect(member.heard(topic)).toEqual(["one", "three"]);

    server.pause();
    await until("it is down", () => !member.isUp);
    server.resume();
    await until("it is up", () => member.isUp);
    await other.publish(topic, "four").catch(() => other.publish(topic, "four"));

    expect(await subscriptions(server)).toBe(core ? 1 + 3 : 1 + 1 + 3 + 3);
    await member.adapter.stop();
    expect(connection.isClosed()).toBe(false);
    await until("nothing of it is left", async () => (await subscriptions(server)) === (core ? 1 + 1 : 1 + 1 + 1 + 2));
    connection.publish("the.program's.own", new TextEncoder().encode("still mine"));
    await until("it comes", () => own.includes("still mine"));

    const late = new Member(connection, { core });
    await until("it is up", () => late.isUp);
    await connection.close();
    await until("it is down", () => late.told.includes("down unavailable"));
    expect(late.errors.at(-1)?.message).toMatch(/given/);
    await late.adapter.stop();
  });

  it("with the least permissions it works; without one of them it says which", async () => {
    const least = permissionsFor("tenant-a", core);
    const server = await serve({
      users: [
        { user: "a", password: "secret-a", permissions: least },
        { user: "admin", password: "secret-b" },
      ],
    });
    const [member, second] = [
      await Member.up(server.url, { core, prefix: "tenant-a" }),
      await Member.up(server.url, { core, prefix: "tenant-a" }),
    ];
    for (const { adapter } of [member, second]) await adapter.subscribe(topic);
    await member.publish(topic, "hello");
    await until("it comes", () => second.heard(topic).length > 0 && member.heard(topic).length > 0);
    expect([...member.told, ...second.told]).toEqual(["up", "up"]);

    const stranger = new Member(server.url, { core, prefix: "tenant-b" });
    if (core) {
      await until("it is up", () => stranger.isUp);
      await expect(stranger.adapter.subscribe(topic)).rejects.toMatchObject({
        code: "forbidden",
        message: expect.stringContaining("gcl.tenant-b.") as string,
      });
      expect(await stranger.outcome(topic, "x")).toBe("forbidden");
    } else {
      await until("it is told", () => stranger.told.includes("down unauthorized"));
      expect(stranger.errors[0]?.message).toMatch(/tenant-b/);
      expect(stranger.told).toEqual(["down unauthorized"]);
    }
  });
});

/** What a user of one prefix needs, and no more; in the runbook it stands as it stands here. */
function permissionsFor(prefix: string, core: boolean): object {
  if (core) return { publish: [`gcl.${prefix}.>`], subscribe: [`gcl.${prefix}.>`] };
  const stream = `gc-${prefix}`;
  return {
    publish: [`gcp.${prefix}.>`, `$JS.API.STREAM.INFO.${stream}`, `$JS.API.STREAM.CREATE.${stream}`, `$JS.API.DIRECT.GET.${stream}`],
    subscribe: [`gcl.${prefix}.>`, `gca.${prefix}.>`, "_INBOX.>"],
  };
}

/** Subscriptions of clients, as the server counts them. */
async function subscriptions(server: NatsServer): Promise<number> {
  const { connections } = (await (await fetch(`${server.monitorUrl}/connz?subs=1`)).json()) as { connections: { subscriptions: number }[] };
  return connections.reduce((sum, one) => sum + one.subscriptions, 0);
}

describe.skipIf(nats.missing)("JetStream", () => {
  it("that a server has not is told with what to do, and core NATS works there", async () => {
    const server = await serve({ jetstream: false });
    const member = new Member(server.url);
    await until("it is told", () => member.told.length > 0);
    expect(member.told).toEqual(["down bad_option"]);
    expect(member.errors[0]?.message).toMatch(/no JetStream.*-js.*--nats-core.*core: true/);
    expect(await member.outcome(topic, "x")).toBe("unavailable");
    const core = await Member.up(server.url, { core: true });
    await core.adapter.subscribe(topic);
    await core.publish(topic, "works");
    await until("it comes", () => core.heard(topic).length > 0);
    expect(member.told).toEqual(["down bad_option"]);
  });

  it("that an account has not, in which others have it, is told as well", async () => {
    const server = await serve({
      config: {
        accounts: {
          WITH: { jetstream: "enabled", users: [{ user: "with", password: "w" }] },
          WITHOUT: { users: [{ user: "without", password: "w" }] },
        },
      },
    });
    const [with_, without] = ["with", "without"].map((user) => new Member(server.url.replace("nats://", `nats://${user}:w@`)));
    await until("it is up", () => with_?.isUp);
    await until("it is told", () => (without?.told.length ?? 0) > 0);
    expect(without?.told).toEqual(["down bad_option"]);
    expect(without?.errors[0]?.message).toMatch(/no JetStream/);
  });

  it("has no room for the stream: that is told with its reason", async () => {
    const server = await serve({
      config: { jetstream: { max_memory_store: 32 * 2 ** 20, max_file_store: 0, store_dir: "jetstream" } },
    });
    const member = new Member(server.url);
    await until("it is told", () => member.told.length > 0);
    expect(member.told).toEqual(["down bad_option"]);
    expect(member.errors[0]?.message).toMatch(/stream gc-groupcast cannot be made: .*memory/);
    const small = await Member.up(server.url, { streamBytes: 16 * 2 ** 20 });
    expect(small.isUp).toBe(true);
    await until("the other takes what is there", () => member.isUp);
  });

  it("keeps what is published within the limits, in memory", async () => {
    const server = await serve();
    const member = await Member.up(server.url, { streamBytes: 8 * 2 ** 20, streamAgeMs: 1_000 });
    const client = await connectTo(server.url);
    const info = async (): Promise<StreamInfo> => (await ask(client, "STREAM.INFO.gc-groupcast")) as unknown as StreamInfo;
    expect((await info()).config).toMatchObject({
      ...{ storage: "memory", retention: "limits", discard: "old", max_bytes: 8 * 2 ** 20, max_age: 1_000_000_000, num_replicas: 1 },
      ...{ subjects: ["gcp.groupcast.>"], republish: { src: "gcp.groupcast.>", dest: "gcl.groupcast.>" }, allow_direct: true },
    });
    for (let index = 0; index < 30; index++) await member.publish(topicOf(`room ${index}`), "x".repeat(500_000));
    const { state } = await info();
    expect(state.bytes).toBeLessThanOrEqual(8 * 2 ** 20);
    expect(state.bytes).toBeGreaterThan(7 * 2 ** 20);
    await until("it is gone", async () => (await info()).state.messages === 0);
  });

  it("has the stream already, with limits of its operator's: it is used as it is; as another kind of stream it is refused, with what is wrong", async () => {
    const server = await serve();
    const client = await connectTo(server.url);
    const name = "gc-groupcast";
    const right = {
      ...{ name, subjects: ["gcp.groupcast.>"], republish: { src: "gcp.groupcast.>", dest: "gcl.groupcast.>" }, allow_direct: true },
      ...{ storage: "file", retention: "limits", discard: "old", max_msgs: 500, max_bytes: -1, max_age: 0, num_replicas: 1 },
    };
    const wrong: readonly (readonly [change: object, text: RegExp])[] = [
      [{ subjects: ["gcp.groupcast.g.>"] }, /subjects is gcp\.groupcast\.g\.>, not gcp\.groupcast\.>/],
      [{ republish: { src: "gcp.groupcast.>", dest: "elsewhere.>" } }, /republish\.dest is elsewhere\.>/],
      [{ republish: { src: "gcp.groupcast.>", dest: "gcl.groupcast.>", headers_only: true } }, /republish\.headers_only is true/],
      [{ retention: "interest" }, /retention is interest/],
      [{ discard: "new" }, /discard is new/],
      [{ allow_direct: false }, /allow_direct is false/],
      [{ no_ack: true }, /no_ack is true/],
    ];
    for (const [change, text] of wrong) {
      expect(await ask(client, `STREAM.CREATE.${name}`, { ...right, ...change })).not.toHaveProperty("error");
      const member = new Member(server.url);
      await until("it is told", () => member.told.length > 0);
      expect(member.told).toEqual(["down bad_option"]);
      expect(member.errors[0]?.message).toMatch(text);
      await member.adapter.stop();
      await ask(client, `STREAM.DELETE.${name}`);
    }
    await ask(client, `STREAM.CREATE.${name}`, right);
    const member = await Member.up(server.url);
    await member.adapter.subscribe(topic);
    await member.publish(topic, "hello");
    await until("it comes", () => member.heard(topic).length > 0);
  });

  it("has another stream on these subjects: that is told", async () => {
    const server = await serve();
    const client = await connectTo(server.url);
    await ask(client, "STREAM.CREATE.theirs", {
      name: "theirs",
      subjects: ["gcp.>"],
      storage: "memory",
      retention: "limits",
      max_consumers: -1,
      max_msgs: -1,
      max_bytes: -1,
      max_age: 0,
      num_replicas: 1,
      discard: "old",
    });
    const member = new Member(server.url);
    await until("it is told", () => member.told.length > 0);
    expect(member.told).toEqual(["down bad_option"]);
    expect(member.errors[0]?.message).toMatch(/another stream takes its subjects/);
  });

  it("and processes with and without it under one prefix notice each other", async () => {
    const server = await serve();
    const [one, other] = [await Member.up(server.url), await Member.up(server.url, { core: true })];
    await Promise.all([one, other].map((member) => member.subscribe(topic)));
    await one.publish(topic, "from a stream");
    await other.publish(topic, "straight");
    const client = await connectTo(server.url);
    client.publish(`gcl.${encodeBrokerName("groupcast", topic)}`, new TextEncoder().encode("no record"));
    await until("both are told", () => [one, other].every(({ told }) => told.length > 1));
    await until("it comes", () => other.told.length > 2);
    expect(one.told[1]).toMatch(/failed .*not from the stream.*core: true/);
    expect(other.told[1]).toMatch(/failed .*comes from a stream.*core: true/);
    expect(other.told[2]).toMatch(/failed a record from another process is broken/);
    expect(one.heard(topic)).toEqual(["from a stream"]);
    expect(other.heard(topic)).toEqual(["straight"]);
  });
});

describe("the types", () => {
  it("take a connection of the client as it is", { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(fileURLToPath(new URL("./", import.meta.url)), "types-"));
    try {
      const program = `import { connect } from "@nats-io/transport-node";
        import { natsChannel } from "../../../dist/nats/index.js";
        export const channel = natsChannel(await connect());`;
      writeFileSync(join(folder, "program.mts"), program);
      const options = [
        "--ignoreConfig",
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--module",
        "nodenext",
        "--target",
        "es2023",
        "--types",
        "node",
      ];
      const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
      const { status, stdout } = spawnSync(process.execPath, [tsc, ...options, join(folder, "program.mts")], { encoding: "utf8" });
      expect([status, stdout]).toEqual([0, ""]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
