// The recipes of docs/channels.md do what they say: a user who may do nothing else is enough for a cluster.
import { readFileSync } from "node:fs";
import { connect } from "@nats-io/transport-node";
import { createClient } from "redis";
import { afterEach, describe, expect, it } from "vitest";
import { brokers, type NatsUser, startNats, startRedis, startValkey } from "./brokers/index.ts";
import { Client } from "./client.ts";
import { MAIN, Program } from "./workers-harness.ts";

const page = readFileSync("docs/channels.md", "utf8");
const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

const redis = await brokers.redis("the recipes for Redis", { own: true });
const nats = await brokers.nats("the recipes for NATS", { own: true });
const valkey = await brokers.valkey("the recipes for Valkey", { own: true });

/** The block of the page that begins with these words. */
function recipe(words: string): string {
  const [, text] = new RegExp(`\`\`\`\\w*\\n(${words}[^\`]*)\\n\`\`\``).exec(page) ?? [];
  if (text === undefined) throw new Error(`docs/channels.md has no recipe that begins with ${words}`);
  return text;
}

/** Members of a group in two servers of one cluster, who have heard each other. */
async function cluster(...args: readonly string[]): Promise<void> {
  const servers = [1, 2].map(() => new Program([MAIN, "start", "--port", "0", "--workers", "1", ...args]));
  undo.push(...servers.map((server) => () => server.end()));
  const members = await Promise.all(servers.map(async (server) => Client.open((await server.started()).port)));
  for (const member of members) expect(await member.ask({ cmd: "add_group", group_id: "g" })).toMatchObject({ ok: true });
  for (const [index, member] of members.entries()) {
    expect(await member.ask({ cmd: "send_to_group", group_id: "g", message: `hi ${index}` })).toMatchObject({ ok: true });
    for (const other of members) await other.until((message) => message === `hi ${index}`);
  }
}

describe.each([
  { name: "Redis", missing: redis.missing, start: startRedis },
  { name: "Valkey", missing: valkey.missing, start: startValkey },
])("the user for $name", ({ missing, start }) => {
  it.skipIf(missing)("is enough for a cluster, and may do nothing else", async () => {
    const broker = await start({
      own: true,
      password: "of the administrator",
      config: [recipe("user groupcast").replace("change-me", "secret"), recipe("client-output-buffer-limit")],
    });
    undo.push(() => broker.stop());
    const url = `redis://groupcast:secret@${broker.host}:${broker.port}`;
    await cluster("--channel", url);
    const client = createClient({ url, socket: { reconnectStrategy: false } });
    client.on("error", () => {});
    await client.connect();
    undo.push(() => client.destroy());
    for (const words of [
      ["SET", "key", "value"],
      ["SPUBLISH", "another.topic", "text"],
      ["PSUBSCRIBE", "*"],
      ["CONFIG", "GET", "*"],
    ]) {
      await expect(client.sendCommand(words)).rejects.toThrow(/^NOPERM/);
    }
  });
});

describe.skipIf(nats.missing)("the user for NATS", () => {
  it("is enough for a cluster, and may do nothing else", async () => {
    const broker = await startNats({ own: true, users: [JSON.parse(recipe("{")) as NatsUser] });
    undo.push(() => broker.stop());
    expect(broker.url).toContain("//groupcast:change-me@");
    await cluster("--channel", broker.url);
    const connection = await connect({ servers: `${broker.host}:${broker.port}`, user: "groupcast", pass: "change-me" });
    undo.push(() => connection.close());
    const denied = new Promise((resolve) => {
      void (async () => {
        for await (const status of connection.status()) if (status.type === "error") resolve(status.error.message);
      })();
    });
    connection.publish("another.topic", "text");
    expect(await denied).toMatch(/permissions violation/i);
  });

  it("needs even less without JetStream", async () => {
    const [, subject = ""] = /`--nats-core`\) needs no more than `([^`]+)`, for both/.exec(page) ?? [];
    expect(subject).not.toBe("");
    const permissions = { publish: [subject], subscribe: [subject] };
    const broker = await startNats({ own: true, jetstream: false, users: [{ user: "groupcast", password: "change-me", permissions }] });
    undo.push(() => broker.stop());
    await cluster("--channel", broker.url, "--nats-core");
  });
});
