// `groupcast start --channel <URL of a broker>`, and programs of a user's with such a channel: several servers are one cluster, and what a
// person at the command line is told if the broker is not there or not as it should be.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { bareInstall } from "./bare-install.ts";
import { type Broker, brokers, startNats, startRedis } from "./brokers/index.ts";
import { Client } from "./client.ts";
import { fixture, MAIN, Program, until } from "./workers-harness.ts";

/** No output of any process may hold it. */
const SECRET = "hunter2";

const redis = await brokers.redis("start over Redis", { own: true });
const nats = await brokers.nats("start over NATS", { own: true });

interface Kind {
  readonly name: string;
  readonly missing: boolean;
  /** With a user whose password is the secret, part of the URL. */
  readonly start: () => Promise<Broker>;
  /** Of a server at this URL, as it may be shown. */
  readonly install: string;
  readonly packages: readonly string[];
}

const KINDS: readonly Kind[] = [
  {
    name: "redis",
    missing: redis.missing,
    start: () => startRedis({ own: true, password: SECRET }),
    install: "npm i redis",
    packages: ["redis", "@redis", "ioredis", "@ioredis"],
  },
  {
    name: "nats",
    missing: nats.missing,
    start: () => startNats({ own: true, users: [{ user: "app", password: SECRET }] }),
    install: "npm i @nats-io/transport-node @nats-io/jetstream",
    packages: ["@nats-io"],
  },
];

const programs: Program[] = [];

afterEach(async () => {
  const ended = programs.splice(0);
  await Promise.all(ended.map((program) => program.end()));
  for (const { stdout, stderr } of ended) expect(stdout + stderr).not.toContain(SECRET);
});

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  const program = new Program(args, env);
  programs.push(program);
  return program;
}

const start = (...args: readonly string[]): Program => run([MAIN, "start", "--port", "0", ...args]);

/** As it may be shown. */
const shown = (url: string): string => url.replace(/\/\/.*@/, "//***@");

async function member(server: Program, group: string): Promise<Client> {
  const client = await Client.open(server.port);
  expect(await client.ask({ cmd: "add_group", group_id: group })).toMatchObject({ ok: true });
  return client;
}

/** Half the time after which the others find out by themselves that a process is dead. */
const COUNTED_WITHIN_MS = 5_000;

async function untilCounted(client: Client, members: number): Promise<void> {
  const since = performance.now();
  await until(`${members} members`, async () => (await client.ask({ cmd: "count_group", group_id: "g" }))["members"] === members);
  expect(performance.now() - since).toBeLessThan(COUNTED_WITHIN_MS);
}

const readiness = async (server: Program): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${server.port}/readyz`);
  return `${answer.status} ${(await answer.text()).trim()}`;
};

describe.each(KINDS)("start over $name", ({ missing, start: startBroker, install, packages }) => {
  describe.skipIf(missing)("that works", () => {
    let broker: Broker;
    beforeAll(async () => void (broker = await startBroker()));
    afterAll(() => broker.stop());

    it("makes one cluster of two servers, and another of those with another prefix; without a hub, and with the broker in the table", async () => {
      const [one, two, other] = await Promise.all([
        start("--workers", "2", "--channel", broker.url).started(),
        start("--workers", "2", "--channel", broker.url).started(),
        start("--workers", "1", "--channel", broker.url, "--prefix", "other").started(),
      ]);
      expect(one.hub).toBeUndefined();
      expect(one.workers).toHaveLength(2);
      const [, listen] = await one.says(/^- +channel +(\S+) +- +\[OK\]$/m);
      expect(listen).toBe(shown(broker.url));
      expect(one.stdout).toMatch(/^\S+ +server +ws:\/\/127\.0\.0\.1:\d+ +2 +\[OK\]$/m);
      expect(await readiness(one)).toBe("200 ok");
      const members = await Promise.all([one, one, two, two].map((server) => member(server, "g")));
      const stranger = await member(other, "g");
      for (const [index, sender] of members.entries())
        sender.send(JSON.stringify({ cmd: "send_to_group", group_id: "g", message: `hi ${index}` }));
      for (const client of members) for (const index of members.keys()) await client.until((message) => message === `hi ${index}`);
      // In one order, whoever sent.
      const orders = members.map(({ got }) => got.filter((message) => String(message).startsWith("hi ")));
      for (const order of orders) expect(order).toEqual(orders[0]);
      await stranger.ask({ cmd: "send_to_group", group_id: "g", message: "alone" });
      await stranger.until((message) => message === "alone");
      expect(stranger.got.filter((message) => String(message).startsWith("hi "))).toEqual([]);
    });

    it("counts the members of a killed worker no more at once: also when it was the only one of its server", async () => {
      const [pair, single] = await Promise.all([
        start("--workers", "2", "--channel", broker.url, "--prefix", "counted").started(),
        start("--workers", "1", "--channel", broker.url, "--prefix", "counted").started(),
      ]);
      // Connections are dealt out to the two in turn.
      const members = await Promise.all([pair, pair, single].map((server) => member(server, "g")));
      const pids = [await pair.workerOf(members[0]!), await pair.workerOf(members[1]!), await single.workerOf(members[2]!)];
      expect(new Set(pids).size).toBe(3);
      await untilCounted(members[1]!, 3);
      process.kill(pids[0]!, "SIGKILL");
      await untilCounted(members[1]!, 2);
      await untilCounted(members[2]!, 2);
      process.kill(pids[2]!, "SIGKILL");
      await until("its successor takes connections", () => Client.open(single.port).catch(() => undefined));
      await untilCounted(members[1]!, 1);
    });

    it("makes one cluster of two programs of Worker.runAll, whose table shows the broker", async () => {
      const env = { CHANNEL: broker.url, PREFIX: "programs" };
      const both = await Promise.all([
        run([fixture("cluster-program.mjs")], { ...env, COUNT: "2" }).started(),
        run([fixture("cluster-program.mjs")], env).started(),
      ]);
      for (const program of both) expect(program.stdout).toContain(` ${shown(broker.url)} `);
      const clients = await Promise.all(both.map((program) => Client.open(program.port)));
      for (const client of clients) await client.until((message) => message === "joined");
      clients[0]!.send("from one to the other");
      for (const client of clients) await client.until((message) => message === "from one to the other");
    });

    it("takes the URL from the variable GROUPCAST_CHANNEL, and the command line before that", async () => {
      const env = { GROUPCAST_CHANNEL: broker.url };
      const given = await run([MAIN, "start", "--port", "0", "--workers", "1"], env).started();
      expect(given.stdout).toContain(` ${shown(broker.url)} `);
      const overruled = await run([MAIN, "start", "--port", "0", "--workers", "1", "--channel", "memory"], env).started();
      expect(overruled.stdout).not.toContain("channel");
    });

    it("ends with 78 and one line when the password is wrong: of the command line, and of Worker.runAll", async () => {
      const url = broker.url.replace(SECRET, `${SECRET}x`);
      for (const program of [
        start("--workers", "2", "--channel", url),
        run([fixture("cluster-program.mjs")], { CHANNEL: url, COUNT: "2" }),
      ]) {
        expect((await program.exit).code).toBe(78);
        const lines = program.stderr.trim().split("\n");
        expect(lines.filter((line) => line.startsWith("groupcast: "))).toEqual([lines.at(-1)]);
        expect(lines.at(-1)).toContain(`the channel ${shown(url)} cannot be used: `);
        expect(program.stdout).toBe("");
      }
    });

    it("ends with 78 and the line to install it with when the client is missing", async () => {
      const bare = bareInstall({ keeps: (name) => !packages.includes(name) });
      try {
        const program = run([bare.main, "start", "--port", "0", "--workers", "1", "--channel", broker.url]);
        expect((await program.exit).code).toBe(78);
        expect(program.stdout).toBe("");
        expect(program.stderr.trim()).toMatch(/^groupcast: [^\n]+$/);
        expect(program.stderr).toContain(install);
      } finally {
        bare.remove();
      }
    });
  });

  describe.skipIf(missing)("that is not there", () => {
    let broker: Broker;
    beforeAll(async () => void (broker = await startBroker()));
    afterAll(() => broker.stop());

    it("starts all the same, says why it is not ready, and is when the broker comes; the same when that goes and comes again", async () => {
      await broker.kill();
      const server = await start("--workers", "1", "--channel", broker.url).started();
      expect(server.stdout).toMatch(/^- +channel +\S+ +- +\[down\]$/m);
      expect(await readiness(server)).toBe("503 channel down");
      expect((await fetch(`http://127.0.0.1:${server.port}/healthz`)).status).toBe(200);
      const warnings = (): string[] =>
        server.stderr.split("\n").filter((line) => line.includes(`the channel ${shown(broker.url)} is down: `));
      expect(warnings()).toHaveLength(1);
      const client = await Client.open(server.port);
      for (let outage = 1; outage <= 2; outage++) {
        await broker.restart();
        await until("it is ready", async () => (await readiness(server)) === "200 ok");
        expect(await client.ask({ cmd: "add_group", group_id: "g" })).toMatchObject({ ok: true });
        await client.ask({ cmd: "send_to_group", group_id: "g", message: `here ${outage}` });
        await client.until((message) => message === `here ${outage}`);
        await broker.kill();
        await until("it is not ready", async () => (await readiness(server)) === "503 channel down");
      }
      await until("it has said so", () => warnings().length === 3);
      expect(client.socket.readyState).toBe(1);
      server.kill("SIGTERM");
      expect(await server.exit).toEqual({ code: 0, signal: null });
    });
  });
});

describe.skipIf(nats.missing)("start over a NATS without JetStream", () => {
  let broker: Broker;
  beforeAll(async () => void (broker = await startNats({ own: true, jetstream: false })));
  afterAll(() => broker.stop());

  it("ends with 78 and one line that names --nats-core", async () => {
    const program = start("--workers", "2", "--channel", broker.url);
    expect((await program.exit).code).toBe(78);
    expect(program.stderr.trim()).toMatch(/^groupcast: [^\n]*JetStream[^\n]*--nats-core[^\n]*$/);
    expect(program.stdout).toBe("");
  });

  it("takes it with --nats-core", async () => {
    const both = await Promise.all([1, 2].map(() => start("--workers", "1", "--channel", broker.url, "--nats-core").started()));
    const clients = await Promise.all(both.map((server) => member(server, "g")));
    await clients[0]!.ask({ cmd: "send_to_group", group_id: "g", message: "hi" });
    for (const client of clients) await client.until((message) => message === "hi");
  });
});
