// `groupcast start`: several worker processes behind one port, and what a person at the command line sees.
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Client } from "./client.ts";
import { isAlive, MAIN, Program, until } from "./workers-harness.ts";

const programs: Program[] = [];

afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.end()));
});

function run(...args: readonly string[]): Program {
  const program = new Program([MAIN, ...args]);
  programs.push(program);
  return program;
}

/** A server on a free port, up. */
function start(...args: readonly string[]): Promise<Program> {
  return run("start", "--port", "0", ...args).started();
}

/** Two members of `group` in two different workers. */
async function membersInTwoWorkers(server: Program, group: string): Promise<{ a: Client; b: Client; pids: [number, number] }> {
  const [a] = await server.clients(1);
  const pidOfA = await server.workerOf(a!);
  for (let turn = 0; turn < 50; turn++) {
    const [b] = await server.clients(1);
    const pidOfB = await server.workerOf(b!);
    if (pidOfB === pidOfA) continue;
    for (const member of [a!, b!]) expect(await member.ask({ cmd: "add_group", group_id: group })).toMatchObject({ ok: true });
    return { a: a!, b: b!, pids: [pidOfA, pidOfB] };
  }
  throw new Error("all clients are in one worker");
}

const count = async (client: Client, group: string): Promise<unknown> =>
  (await client.ask({ cmd: "count_group", group_id: group }))["members"];

describe("several workers on one port", () => {
  it("bring 200 messages of one sender to members in two processes, complete, in order, byte for byte, the sender included", async () => {
    const server = await start("--workers", "2", "--message-bytes", "256KiB");
    const { a, b, pids } = await membersInTwoWorkers(server, "123");
    expect(pids[0]).not.toBe(pids[1]);
    const kinds = ["👩‍👩‍👧‍👦 grüße 你好", "a\u0000b\u0001\u001f\u007f", "x".repeat(60_000), "\uFEFF\u2028\u2029\\\"'"];
    const sent = Array.from({ length: 200 }, (_, index) => `${index} ${kinds[index % kinds.length]}`);
    const before = { a: a.got.length, b: b.got.length };
    for (const message of sent) a.send(JSON.stringify({ cmd: "send_to_group", group_id: "123", message }));
    await Promise.all([a.untilCount(before.a + 200), b.untilCount(before.b + 200)]);
    expect(a.got.slice(before.a)).toEqual(sent);
    expect(b.got.slice(before.b)).toEqual(sent);
    expect(await count(b, "123")).toBe(2);
  });

  it("replaces a worker that was killed; the others keep their connections and get what is sent, and the dead are in no count", async () => {
    const server = await start("--workers", "2");
    const { a, b, pids } = await membersInTwoWorkers(server, "g");
    expect(await count(b, "g")).toBe(2);
    process.kill(pids[0], "SIGKILL");
    expect((await a.closed).code).toBe(1006);
    await until("the dead are counted no more", async () => (await count(b, "g")) === 1);
    await b.ask({ cmd: "send_to_group", group_id: "g", message: "still here" });
    await b.until((message) => message === "still here");
    await until("another worker", () => server.workers.length === 2 && !server.workers.includes(pids[0]));
    // The new one takes connections and belongs to the same groups.
    const fresh = await until("a client in the new worker", async () => {
      const client = await Client.open(server.port);
      return (await server.workerOf(client)) === pids[1] ? undefined : client;
    });
    expect(await fresh.ask({ cmd: "add_group", group_id: "g" })).toMatchObject({ ok: true });
    await b.ask({ cmd: "send_to_group", group_id: "g", message: "to all" });
    await fresh.until((message) => message === "to all");
    expect(await count(fresh, "g")).toBe(2);
  });

  it("lets no client hang that comes while a worker dies: it gets in, or an error at once", async () => {
    const server = await start("--workers", "2");
    const arrive = (): Promise<unknown> =>
      Client.open(server.port).then(
        (client) => client.close(),
        () => "refused",
      );
    for (let round = 0; round < 5; round++) {
      const [dead] = server.workers;
      const arrivals = Array.from({ length: 20 }, arrive);
      process.kill(dead!, "SIGKILL");
      arrivals.push(...Array.from({ length: 20 }, arrive));
      await Promise.all(arrivals);
      await until("another worker", () => server.workers.length === 2 && !server.workers.includes(dead!));
    }
    const client = await until("a connection", () => Client.open(server.port).catch(() => undefined));
    expect(await client.ask({ cmd: "add_group", group_id: "g" })).toMatchObject({ ok: true });
  });

  it("restarts a hub that was killed; workers hear each other again, and no client is lost", async () => {
    const server = await start("--workers", "2");
    const { a, b } = await membersInTwoWorkers(server, "g");
    const dead = server.hub!;
    const killedAt = performance.now();
    process.kill(dead, "SIGKILL");
    await until("another hub", () => server.hub !== undefined && server.hub !== dead);
    // Both subscribe again by themselves; whoever is first is not heard by the other yet, so one message is not enough.
    await until("both hear what one sends", async () => {
      const answer = await a.ask({ cmd: "send_to_group", group_id: "g", message: "again" });
      // The worker may not have seen yet that its link is dead: what went into it has an unknown outcome, and says so.
      expect(answer).toMatchObject(answer["ok"] === true ? { ok: true } : { error: "unknown_outcome", retry: true });
      return [a, b].every(({ got }) => got.includes("again"));
    });
    expect(performance.now() - killedAt).toBeLessThan(5_000);
    expect(await count(a, "g")).toBe(2);
    for (const member of [a, b]) expect(member.socket.readyState).toBe(1);
    expect(isAlive(dead)).toBe(false);
  });

  it("acknowledges no publish, after a hub was killed, that a member who stayed connected misses", async () => {
    const server = await start("--workers", "3");
    const members = await server.clients(9);
    const publishers = await server.clients(3);
    expect(new Set(await Promise.all(members.map((member) => server.workerOf(member)))).size).toBe(3);
    for (const member of members) await member.ask({ cmd: "add_group", group_id: "g" });
    const acknowledged: string[] = [];
    for (let kill = 1; kill <= 3; kill++) {
      const dead = server.hub!;
      process.kill(dead, "SIGKILL");
      let isOver = false;
      const publishing = publishers.map(async (publisher, index) => {
        for (let number = 1; !isOver; number++) {
          const message = `${kill} ${index} ${number}`;
          if ((await publisher.ask({ cmd: "send_to_group", group_id: "g", message }))["ok"] === true) acknowledged.push(message);
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
      await until("another hub", () => server.hub !== undefined && server.hub !== dead);
      const enough = acknowledged.length + 500;
      await until("many publishes through it", () => acknowledged.length >= enough);
      isOver = true;
      await Promise.all(publishing);
      // Through the same hub: what it has acknowledged comes before this.
      for (const [index, publisher] of publishers.entries()) {
        await publisher.ask({ cmd: "send_to_group", group_id: "g", message: `end ${kill} ${index}` });
        await Promise.all(members.map((member) => member.until((message) => message === `end ${kill} ${index}`)));
      }
    }
    expect(acknowledged.length).toBeGreaterThan(1_000);
    for (const { got } of members) {
      const heard = new Set(got);
      expect(acknowledged.filter((message) => !heard.has(message))).toEqual([]);
    }
  });

  it("lets two servers live on one machine", async () => {
    const [one, two] = await Promise.all([start("--workers", "2"), start("--workers", "2")]);
    const first = await membersInTwoWorkers(one, "g");
    const second = await membersInTwoWorkers(two, "g");
    await first.a.ask({ cmd: "send_to_group", group_id: "g", message: "one" });
    await second.a.ask({ cmd: "send_to_group", group_id: "g", message: "two" });
    await Promise.all([first.b.until((message) => message === "one"), second.b.until((message) => message === "two")]);
    expect(await count(first.a, "g")).toBe(2);
    expect([first.a, first.b].flatMap(({ got }) => got)).not.toContain("two");
    one.kill("SIGTERM");
    expect(await one.exit).toEqual({ code: 0, signal: null });
    await second.a.ask({ cmd: "send_to_group", group_id: "g", message: "alone" });
    await second.b.until((message) => message === "alone");
  });

  it.each([1, 2])("keeps its port when all workers are replaced, also a port that it chose itself (%i)", async (size) => {
    const server = await start("--workers", String(size), "--channel", "hub");
    const { workers, port } = server;
    for (const pid of workers) process.kill(pid, "SIGKILL");
    await until("other workers", () => server.workers.filter((pid) => !workers.includes(pid)).length === size);
    const client = await until("a connection", () => Client.open(port).catch(() => undefined));
    expect(await client.ask({ cmd: "add_group", group_id: "g" })).toMatchObject({ ok: true });
  });

  it("needs no hub with one worker", async () => {
    const server = await start("--workers", "1");
    expect(server.hub).toBeUndefined();
    expect(server.stdout).not.toContain("hub");
    const [a, b] = await server.clients(2);
    for (const member of [a!, b!]) await member.ask({ cmd: "add_group", group_id: "g" });
    await a!.ask({ cmd: "send_to_group", group_id: "g", message: "hi" });
    await b!.until((message) => message === "hi");
  });
});

describe("newcomers", () => {
  it("that come one by one are dealt out to several workers in turn: each gets as many", async () => {
    const server = await start("--workers", "3");
    const tally = new Map<number, number>();
    for (let turn = 0; turn < 30; turn++) {
      const pid = await server.workerOf(await Client.open(server.port));
      tally.set(pid, (tally.get(pid) ?? 0) + 1);
    }
    // A worker that is busy for a moment is passed over, so one or two may go elsewhere.
    expect(tally.size).toBe(3);
    for (const count of tally.values()) expect(Math.abs(count - 10)).toBeLessThanOrEqual(3);
  });

  it("are held up by a worker that hangs, but one of them: the next ones go to the others", async () => {
    const server = await start("--workers", "2");
    const [stuck] = server.workers;
    process.kill(stuck!, "SIGSTOP");
    let open = 0;
    const arrivals = Array.from({ length: 20 }, () => Client.open(server.port).then(() => open++));
    await until("all but one are in", () => open >= 19);
    process.kill(stuck!, "SIGCONT");
    await Promise.all(arrivals);
  });

  it("are taken by a lone worker itself: nothing passes through the first process, so it may stand still", async () => {
    const server = await start("--workers", "1");
    server.kill("SIGSTOP");
    const clients = await server.clients(20);
    for (const client of clients) expect(await client.ask({ cmd: "add_group", group_id: "g" })).toMatchObject({ ok: true });
    server.kill("SIGCONT");
  });
});

describe("the hub's socket", () => {
  it("lies in a folder of its own that only its owner may enter, and that is gone afterwards", async () => {
    const server = await start("--workers", "2");
    const [, path] = await server.says(/unix:(\S+)/);
    expect(statSync(dirname(path!)).mode & 0o777).toBe(0o700);
    server.kill("SIGTERM");
    expect((await server.exit).code).toBe(0);
    expect(existsSync(dirname(path!))).toBe(false);
  });

  it("is gone, with its folder, after the primary was killed", async () => {
    const server = await start("--workers", "2");
    const [, path] = await server.says(/unix:(\S+)/);
    void server.children;
    server.kill("SIGKILL");
    await until("its children end", () => server.left.length === 0);
    expect(existsSync(dirname(path!))).toBe(false);
  });
});

describe("the table", () => {
  it("names versions, user, hub, workers, processes and the page, without colours when it is no terminal", async () => {
    const server = await start("--workers", "3");
    const version = (JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version;
    expect(server.stdout).toContain(`groupcast version: ${version}`);
    expect(server.stdout).toContain(`Node version: ${process.version.slice(1)}`);
    expect(server.stdout).toMatch(/^user +worker +listen +processes +status$/m);
    expect(server.stdout).toMatch(/^\S+ +hub +unix:\S+ +1 +\[OK\]$/m);
    expect(server.stdout).toMatch(/^\S+ +server +ws:\/\/127\.0\.0\.1:\d+ +3 +\[OK\]$/m);
    expect(server.stdout).toContain("Press Ctrl-C to quit. Start success.\n");
    const [, url] = await server.says(/^Open (http:\S+)$/m);
    expect(new URL(url!).port).toBe(String(server.port));
    expect(server.stdout).not.toContain("\u001B");
    const page = await fetch(url!);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain("<!doctype html>");
    expect(server.workers).toHaveLength(3);
  });
});

describe("options", () => {
  it("reach the workers: namespaces, origins, hosts, message length", async () => {
    const server = await start(
      "--workers",
      "1",
      "--namespaces",
      "default,tenant",
      "--origin",
      "https://a.example",
      "--message-bytes",
      "1KiB",
    );
    const opens = (path: string, origin?: string): Promise<boolean> =>
      Client.open(server.port, path, origin === undefined ? {} : { origin }).then(
        () => true,
        () => false,
      );
    expect(await opens("/ws/tenant")).toBe(true);
    expect(await opens("/ws/other")).toBe(false);
    expect(await opens("/", "https://a.example")).toBe(true);
    expect(await opens("/", "https://b.example")).toBe(false);
    await server.says(/refused a WebSocket from origin .*--origin https:\/\/b\.example/);
    const client = await Client.open(server.port);
    client.send("x".repeat(2_000));
    expect((await client.closed).code).toBe(1009);
  });
});

describe("exit codes", () => {
  const table: readonly (readonly [code: number, what: string, args: readonly string[], stdout: RegExp, stderr: RegExp])[] = [
    [0, "asked for help", ["--help"], /start \[options\]/, /^$/],
    [0, "asked for the help of a command", ["start", "--help"], /--drain-rate <number> .*\n? *\(default: 500\)/, /^$/],
    [0, "asked for its version", ["--version"], /^\d+\.\d+\.\d+\n$/, /^$/],
    [2, "given no command", [], /^$/, /Usage: groupcast/],
    [2, "given an unknown command", ["strat"], /^$/, /^groupcast: unknown command 'strat' \(Did you mean start\?\)\n$/],
    [2, "given an unknown option", ["start", "--prot", "1"], /^$/, /^groupcast: unknown option '--prot' \(Did you mean --port\?\)\n$/],
    [
      2,
      "given an option that is like none",
      ["start", "--xyzzy"],
      /^$/,
      /^groupcast: unknown option '--xyzzy' \(see groupcast start --help\)\n$/,
    ],
    [2, "given an option that does not exist yet", ["start", "--history", "5"], /^$/, /^groupcast: unknown option '--history'.*\n$/],
    [
      2,
      "given an unknown option with a URL, whose password it does not repeat",
      ["start", "--chanel=redis://u:secret@h"],
      /^$/,
      /^groupcast: unknown option '--chanel=redis:\/\/\*\*\*@h' .*\n$/,
    ],
    [2, "given a URL for a command", ["redis://u:secret@h"], /^$/, /^groupcast: unknown command 'redis:\/\/\*\*\*@h' .*\n$/],
    [2, "given an option without its value", ["start", "--port"], /^$/, /^groupcast: .*--port.*\n$/],
    [2, "given a word too many", ["start", "now"], /^$/, /^groupcast: too many arguments.*\n$/],
    [78, "given a port that is none", ["start", "--port", "70000"], /^$/, /^groupcast: --port: given "70000", allowed: .* 0 to 65535\n$/],
    [78, "given a rate of 0", ["start", "--drain-rate", "0"], /^$/, /^groupcast: --drain-rate: given "0", allowed: .*\n$/],
    [78, "given a negative duration", ["start", "--drain-delay", "-1"], /^$/, /^groupcast: --drain-delay: given "-1", allowed: .*\n$/],
    [78, "told to be public", ["start", "--host", "0.0.0.0"], /^$/, /^groupcast: --host: given "0.0.0.0", .*--open.*\n$/],
    [
      78,
      "told to use memory with two workers",
      ["start", "--channel", "memory", "--workers", "2"],
      /^$/,
      /^groupcast: --channel: .*--workers.*\n$/,
    ],
    [
      78,
      "given a channel that it does not know",
      ["start", "--channel", "amqp://u:secret@h"],
      /^$/,
      /^groupcast: --channel: given "amqp:\/\/\*\*\*@h", allowed: hub, memory, redis:.*nats:.*\n$/,
    ],
    [
      78,
      "given an address of elsewhere",
      ["start", "--host", "192.0.2.1", "--open", "--port", "0"],
      /^$/,
      /^groupcast: host: given "192.0.2.1", .*\n$/,
    ],
  ];
  it.each(table)("%i when it is %s", async (code, _what, args, stdout, stderr) => {
    const program = run(...args);
    expect(await program.exit).toEqual({ code, signal: null });
    expect(program.stdout).toMatch(stdout);
    expect(program.stderr).toMatch(stderr);
  });

  it("78, with one line, when there is no folder for temporary files", async () => {
    const program = new Program([MAIN, "start", "--port", "0", "--workers", "2"], { TMPDIR: "/nonexistent" });
    programs.push(program);
    expect((await program.exit).code).toBe(78);
    expect(program.stderr).toMatch(/^groupcast: TMPDIR: given "[^"]+", allowed: .*\n$/);
  });

  it("78, with one line, when the folder for temporary files has too long a path for a socket", async () => {
    const folder = join(mkdtempSync(join(tmpdir(), "groupcast-test-")), "x".repeat(90));
    mkdirSync(folder);
    const program = new Program([MAIN, "start", "--port", "0", "--workers", "2"], { TMPDIR: folder });
    programs.push(program);
    expect((await program.exit).code).toBe(78);
    expect(program.stderr).toMatch(/^groupcast: TMPDIR: given "[^"]+", allowed: .*\n$/);
    expect(readdirSync(folder)).toEqual([]);
    rmSync(dirname(folder), { recursive: true });
  });

  it("78, with one line, as a worker of somebody else's cluster", async () => {
    const program = new Program([MAIN, "start", "--port", "0", "--workers", "2"], { NODE_UNIQUE_ID: "3" });
    programs.push(program);
    expect((await program.exit).code).toBe(78);
    expect(program.stderr).toMatch(/^groupcast: .*cluster.*\n$/);
  });

  it.each([1, 4])("69, with one line and no second try, when the port is taken (%i)", async (workers) => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const program = run("start", "--port", String(port), "--workers", String(workers));
    expect(await program.exit).toEqual({ code: 69, signal: null });
    expect(program.stdout).toBe("");
    expect(program.stderr).toMatch(new RegExp(`^groupcast: port: 127\\.0\\.0\\.1:${port} is taken;.*\\n$`));
    taken.close();
  });

  it.each([1, 2])("69 for one of two that start at the same moment on the same port (%i)", async (workers) => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    taken.close();
    await once(taken, "close");
    const both = Array.from({ length: 2 }, () => run("start", "--port", String(port), "--workers", String(workers)));
    const loser = await Promise.race(both.map((program) => program.exit.then((exit) => ({ program, exit }))));
    expect(loser.exit).toEqual({ code: 69, signal: null });
    const winner = await both.find((program) => program !== loser.program)!.started();
    const [client] = await winner.clients(1);
    expect(await client!.ask({ cmd: "add_group", group_id: "g" })).toMatchObject({ ok: true });
  });
});

it("goes on when nobody reads what it prints any more", async () => {
  const server = await start("--workers", "2");
  server.child.stdout?.destroy();
  server.child.stderr?.destroy();
  const [pid] = server.workers;
  process.kill(pid!, "SIGKILL"); // it has something to say about that
  await until("another worker", () => server.workers.length === 2 && !server.workers.includes(pid!));
  const [client] = await server.clients(1);
  expect(await client!.ask({ cmd: "add_group", group_id: "g" })).toMatchObject({ ok: true });
});
