// Worker.runAll(): a user's program, run again for each of its parts.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Client } from "./client.ts";
import { fixture, isAlive, Program, until } from "./workers-harness.ts";

const programs: Program[] = [];

afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.end()));
});

function run(env: NodeJS.ProcessEnv = {}, ...words: readonly string[]): Program {
  const program = new Program([fixture("workers-program.mjs"), ...words], env);
  programs.push(program);
  return program;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** An address that only this machine can reach, and that is not known to be so. */
const LOOKS_PUBLIC = "::ffff:127.0.0.1";

async function withHub(env: NodeJS.ProcessEnv = {}): Promise<Program> {
  return run({ HUB_HOST: LOOKS_PUBLIC, HUB_PORT: String(await freePort()), ...env }).started();
}

/** A client, and the id that the server knows it by. */
async function open(program: Program): Promise<{ client: Client; id: string }> {
  const client = await Client.open(program.port);
  const hello = String(await client.until(() => true));
  return { client, id: hello.split(" ")[2]! };
}

const closesOf = (program: Program, id: string): number => program.stdout.split(`onClose ${id}\n`).length - 1;

describe("Worker.runAll", () => {
  it("runs the ChannelServer and each worker in processes of their own, with rows of their own in the table", async () => {
    const program = await withHub({ SECOND: "yes" });
    expect(program.stdout).toMatch(/^\S+ +ChannelServer +tcp:\/\/\[::ffff:127\.0\.0\.1\]:\d+ +1 +\[OK\]$/m);
    expect(program.stdout).toMatch(/^\S+ +echo +websocket:\/\/127\.0\.0\.1:\d+ +2 +\[OK\]$/m);
    expect(program.stdout).toMatch(/^\S+ +second +websocket:\/\/127\.0\.0\.1:\d+ +1 +\[OK\]$/m);
    expect(program.stdout).not.toContain("Open http");
    expect(program.workers).toHaveLength(3);
    expect(program.hub).toBeDefined();
    // In every process, the promise of runAll resolves when that process is up.
    await until("all say that they are up", () => program.stdout.match(/ up$/gm)?.length === 5);
    expect(program.stdout).toContain(`${program.pid} up`);
  });

  it("gives two workers on port 0 two ports", async () => {
    const program = await run({ SECOND: "yes" }).started();
    const [, port] = await program.says(/second +websocket:\/\/127\.0\.0\.1:(\d+)/);
    expect(Number(port)).not.toBe(program.port);
    const second = await Client.open(Number(port));
    expect(await second.until(() => true)).toBe("second");
    const { client } = await open(program);
    client.send("hi");
    await client.until((message) => message === "echo hi");
  });

  it("calls onWorkerStart, and awaits it, before the first connection", async () => {
    const program = run({ LISTEN: `websocket://127.0.0.1:${await freePort()}` });
    await program.started();
    expect(program.stdout.match(/onWorkerStart true 0/g)).toHaveLength(2);
    const [pid] = program.workers;
    process.kill(pid!, "SIGKILL");
    // Also in a process that takes over while clients are waiting.
    for (let turn = 0; turn < 8; turn++) {
      const { client } = await until("a connection", () => open(program).catch(() => undefined));
      expect(client.got[0]).toMatch(/^ready true /);
    }
    await until("its successor", () => program.stdout.match(/onWorkerStart true 0/g)?.length === 3);
  });

  it("carries events between processes through the ChannelServer, in order, byte for byte, the sender included", async () => {
    const program = await withHub();
    const all: Client[] = [];
    const pids = new Set<number>();
    while (pids.size < 2 && all.length < 50) {
      const { client } = await open(program);
      all.push(client);
      pids.add(await program.workerOf(client));
    }
    expect(pids.size).toBe(2);
    const sent = Array.from({ length: 50 }, (_, index) => `${index} 👩‍👩‍👧 \u0000 ${"x".repeat(index * 100)}`);
    for (const text of sent) all[0]!.send(`tell ${text}`);
    for (const client of all) {
      await client.untilCount(51);
      expect(client.got.slice(1)).toEqual(sent);
    }
  });

  it("gives the handlers strings and bytes, and groups inside the process", async () => {
    const program = await run({ COUNT: "1" }).started();
    const [a, b] = await Promise.all([open(program), open(program)]);
    a.client.send(Buffer.from([1, 2, 255]));
    expect(await a.client.until((message) => typeof message !== "string")).toEqual(Buffer.from([255, 2, 1]));
    for (const { client } of [a, b]) {
      client.send("join room");
      await client.until((message) => message === "joined room");
    }
    a.client.send("write room hello");
    for (const { client } of [a, b]) await client.until((message) => message === "hello");
    expect(a.id).not.toBe(b.id);
  });
});

it("answers what is no WebSocket with 426", async () => {
  const program = await run({ COUNT: "1" }).started();
  expect((await fetch(`http://127.0.0.1:${program.port}/`)).status).toBe(426);
});

describe("trouble in the user's code", () => {
  it.each([
    ["an exception in onMessage", ["throw"], "trouble in onMessage"],
    ["a rejection in onMessage", ["reject"], "trouble later"],
    ["an exception in a listener", ["listener", "go"], "trouble in a listener"],
  ])("%s closes that connection with 1011 and is logged; the others stay", async (_, words, logged) => {
    const program = await run({ COUNT: "1" }).started();
    const [bad, good] = await Promise.all([open(program), open(program)]);
    for (const word of words) bad.client.send(word);
    expect((await bad.client.closed).code).toBe(1011);
    await program.says(new RegExp(`worker echo, .*${logged}`));
    good.client.send("hi");
    await good.client.until((message) => message === "echo hi");
    await until("onClose", () => closesOf(program, bad.id) === 1);
    expect(program.stdout.match(/onWorkerStart/g)).toHaveLength(1);
  });

  it("an exception in onConnect closes that connection with 1011, and onClose is called", async () => {
    const program = await run({ COUNT: "1", TROUBLE: "connect" }).started();
    const { client, id } = await open(program);
    expect((await client.closed).code).toBe(1011);
    await until("onClose", () => closesOf(program, id) === 1);
  });

  it("an exception in onClose is logged and harms nobody", async () => {
    const program = await run({ COUNT: "1", TROUBLE: "close" }).started();
    const [one, other] = await Promise.all([open(program), open(program)]);
    await one.client.close();
    await program.says(/onClose, connection \w+: trouble in onClose/);
    other.client.send("hi");
    await other.client.until((message) => message === "echo hi");
  });

  it("an exception of no connection ends the process, and another takes its place", async () => {
    const program = await run({ COUNT: "1" }).started();
    const { client } = await open(program);
    client.send("late");
    expect((await client.closed).code).toBe(1006);
    await program.says(/echo ended \(exit code 1\)/);
    const again = await until("a connection", () => open(program).catch(() => undefined));
    again.client.send("hi");
    await again.client.until((message) => message === "echo hi");
  });

  it("a process that exits by itself is replaced, too", async () => {
    const program = await run({ COUNT: "1" }).started();
    const { client } = await open(program);
    client.send("exit");
    expect((await client.closed).code).toBe(1006);
    await program.says(/echo ended \(exit code 3\)/);
    await until("another process", () => program.stdout.match(/onWorkerStart/g)?.length === 2);
  });

  it("in onWorkerStart ends the program with 1 after a few tries", async () => {
    const program = run({ TROUBLE: "start" });
    expect(await program.exit).toEqual({ code: 1, signal: null });
    expect(program.stderr).toMatch(/groupcast: echo \d ended 5 times without coming up \(exit code 1\)\n$/);
    const tries = program.stderr.match(/cannot start: trouble at the start/g)?.length ?? 0;
    expect(tries).toBeGreaterThanOrEqual(5);
    expect(tries).toBeLessThanOrEqual(10);
    expect(program.stdout).toBe("");
  });
});

describe("onClose", () => {
  it.each<[string, (client: Client) => unknown]>([
    ["the client closes", (client) => client.socket.close(1000)],
    ["the client is cut", (client) => client.socket.terminate()],
    ["the server closes", (client) => client.send("close")],
    ["a handler throws", (client) => client.send("throw")],
    ["a message is too long", (client) => client.send("x".repeat(100_000))],
  ])("is called exactly once when %s", async (_, end) => {
    const program = await run({ COUNT: "1" }).started();
    const { client, id } = await open(program);
    end(client);
    await client.closed;
    await until("onClose", () => closesOf(program, id) > 0);
    program.kill("SIGTERM");
    expect((await program.exit).code).toBe(0);
    expect(closesOf(program, id)).toBe(1);
  });
});

describe("stopping", () => {
  it("calls onWorkerStop while connections are open, closes them with 1012, lets handlers finish, and ends with 0", async () => {
    const program = await withHub();
    const all = await Promise.all(Array.from({ length: 4 }, () => open(program)));
    void program.children;
    program.kill("SIGTERM");
    const codes = await Promise.all(all.map(({ client }) => client.closed.then(({ code }) => code)));
    expect(new Set(codes)).toEqual(new Set([1012]));
    expect(await program.exit).toEqual({ code: 0, signal: null });
    expect(program.left).toEqual([]);
    const open_ = [...program.stdout.matchAll(/onWorkerStop ends (\d)/g)].map(([, size]) => Number(size));
    expect(open_).toHaveLength(2);
    expect(open_[0]! + open_[1]!).toBe(4);
    for (const { id } of all) {
      expect(closesOf(program, id)).toBe(1);
      expect(program.stdout).toContain(`said bye ${id}`);
    }
    expect(program.stdout.lastIndexOf("onWorkerStop begins")).toBeLessThan(program.stdout.lastIndexOf("onClose"));
  });

  it("ends within 2 s of a second signal, also a worker that is stuck in the user's code", async () => {
    const program = await run({ COUNT: "2" }).started();
    const { client } = await open(program);
    const pid = await program.workerOf(client);
    client.send("spin");
    program.kill("SIGTERM");
    await until("the other worker ends", () => program.workers.length === 1);
    const began = performance.now();
    program.kill("SIGINT");
    expect((await program.exit).code).toBe(0);
    expect(performance.now() - began).toBeLessThan(3_500);
    expect(isAlive(pid)).toBe(false);
    expect(program.left).toEqual([]);
  });

  it("leaves nothing behind when the primary is killed", async () => {
    const program = await withHub();
    const { client } = await open(program);
    expect(program.children).toHaveLength(3);
    program.kill("SIGKILL");
    expect((await client.closed).code).toBe(1012);
    await until("its children end", () => program.left.length === 0);
  });

  it("restarts a ChannelServer that was killed, and events flow again", async () => {
    const program = await withHub();
    const all = await Promise.all([open(program), open(program)]);
    const dead = program.hub!;
    process.kill(dead, "SIGKILL");
    await until("both hear what one tells", async () => {
      all[0].client.send("tell again");
      await new Promise((resolve) => setTimeout(resolve, 50));
      return all.every(({ client }) => client.got.includes("again"));
    });
    expect(program.hub).not.toBe(dead);
    for (const { client } of all) expect(client.socket.readyState).toBe(1);
  });
});

describe("the command line of a program", () => {
  it("has the word start", async () => {
    const program = await run({ COUNT: "1" }, "start").started();
    const { client } = await open(program);
    client.send("hi");
    await client.until((message) => message === "echo hi");
  });

  it.each([
    ["stop", 2],
    ["restart", 2],
    ["--help", 0],
  ])("answers %s with its usage and the code %i", async (word, code) => {
    const program = run({}, word);
    expect((await program.exit).code).toBe(code);
    expect(program.stdout + program.stderr).toMatch(/^Usage: node workers-program\.mjs \[start\]\n/);
  });

  it("ends with 69 and one line when the port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const program = run({ LISTEN: `websocket://127.0.0.1:${port}` });
    expect((await program.exit).code).toBe(69);
    expect(program.stderr).toMatch(new RegExp(`^groupcast: port: 127\\.0\\.0\\.1:${port} is taken;.*\\n$`));
    taken.close();
  });

  it("ends with 69 and one line when the ChannelServer's port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const program = run({ HUB_HOST: "127.0.0.1", HUB_PORT: String(port) });
    expect((await program.exit).code).toBe(69);
    expect(program.stderr).toMatch(new RegExp(`^groupcast: port: 127\\.0\\.0\\.1:${port} is taken;.*\\n$`));
    taken.close();
  });

  it("warns, in one line, of a worker that others can reach", async () => {
    const program = await run({ LISTEN: `websocket://[${LOOKS_PUBLIC}]:0`, COUNT: "1" }).started();
    expect(program.stderr.match(/worker echo can be reached by others/g)).toHaveLength(1);
  });
});

it("loads neither commander nor pino nor the table with the library", async () => {
  const program = new Program([fixture("workers-loaded.mjs")]);
  programs.push(program);
  expect(await program.exit).toEqual({ code: 0, signal: null });
  const packages = JSON.parse(program.stdout) as string[];
  expect(packages).toEqual(["ws"]);
});
