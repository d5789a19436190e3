// How a server stops: who is told when, how fast, and that nothing of it is left.
import { afterEach, describe, expect, it } from "vitest";
import type { Client } from "./client.ts";
import { MAIN, Program, until } from "./workers-harness.ts";

const programs: Program[] = [];

afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.end()));
});

async function start(...args: readonly string[]): Promise<Program> {
  const program = new Program([MAIN, "start", "--port", "0", ...args]);
  programs.push(program);
  await program.started();
  void program.children; // remembers them, to see that they are gone
  return program;
}

/** When each client saw its close frame, and which code. */
function watchCloses(clients: readonly Client[]): Promise<readonly { at: number; code: number }[]> {
  return Promise.all(clients.map(async ({ closed }) => closed.then(({ code }) => ({ at: performance.now(), code }))));
}

/** The most of these moments in any window of this length. */
function mostWithin(ms: number, moments: readonly number[]): number {
  const sorted = [...moments].sort((a, b) => a - b);
  return Math.max(...sorted.map((from, index) => sorted.filter((at, other) => other >= index && at - from < ms).length));
}

/** Clients that will never answer a close frame: their sockets are not read. */
function stopReading(clients: readonly Client[]): void {
  for (const { socket } of clients) socket.pause();
}

describe("SIGTERM", () => {
  it("closes 60 clients of 4 workers with 1012, never more than 20 in any second over all workers, and ends with 0", async () => {
    const server = await start("--workers", "4", "--drain-rate", "20");
    const clients = await server.clients(60);
    const workers = new Set(await Promise.all(clients.map((client) => server.workerOf(client))));
    expect(workers.size).toBe(4);
    const closes = watchCloses(clients);
    server.kill("SIGTERM");
    const seen = await closes;
    expect(new Set(seen.map(({ code }) => code))).toEqual(new Set([1012]));
    expect(
      mostWithin(
        1_000,
        seen.map(({ at }) => at),
      ),
    ).toBeLessThanOrEqual(20);
    expect(await server.exit).toEqual({ code: 0, signal: null });
    expect(server.left).toEqual([]);
  });

  it("lets a message reach those whose turn has not come, in every worker", async () => {
    const server = await start("--workers", "2", "--drain-rate", "2");
    const clients = await server.clients(8);
    for (const client of clients) await client.ask({ cmd: "add_group", group_id: "g" });
    const pids = new Map(await Promise.all(clients.map(async (client) => [client, await server.workerOf(client)] as const)));
    expect(new Set(pids.values()).size).toBe(2);
    server.kill("SIGTERM");
    await Promise.race(clients.map(({ closed }) => closed));
    const sender = clients.find(({ socket }) => socket.readyState === 1);
    sender?.send(JSON.stringify({ cmd: "send_to_group", group_id: "g", message: "while it drains" }));
    expect((await server.exit).code).toBe(0);
    const heard = clients.filter(({ got }) => got.includes("while it drains"));
    expect(new Set(heard.map((client) => pids.get(client))).size).toBe(2);
  });

  it("cuts who is left at the deadline, and ends with 0", async () => {
    const server = await start("--workers", "2", "--drain-rate", "0.1", "--drain-deadline", "1");
    const clients = await server.clients(6);
    const closes = watchCloses(clients);
    const began = performance.now();
    server.kill("SIGTERM");
    expect((await closes).every(({ code }) => code === 1012)).toBe(true);
    expect(await server.exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it("says not ready, and takes newcomers, during the delay", async () => {
    const server = await start("--workers", "2", "--drain-delay", "2");
    const ready = (): Promise<number> =>
      fetch(`http://127.0.0.1:${server.port}/readyz`, { headers: { Connection: "close" } }).then(({ status }) => status);
    expect(await ready()).toBe(200);
    server.kill("SIGTERM");
    await until("not ready", async () => (await ready()) === 503);
    const [newcomer] = await server.clients(1);
    expect((await newcomer!.closed).code).toBe(1012);
    expect((await server.exit).code).toBe(0);
  });

  it("ends a server that nobody is connected to at once", async () => {
    const server = await start("--workers", "2");
    const began = performance.now();
    server.kill("SIGTERM");
    expect(await server.exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it.each([1, 2, 3])("ends a server that is still starting, with %i of its 3 children", async (count) => {
    const program = new Program([MAIN, "start", "--port", "0", "--workers", "2"]);
    programs.push(program);
    await until("its children", () => program.children.length >= count);
    const began = performance.now();
    program.kill("SIGTERM");
    expect((await program.exit).code).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
    await until("its children end", () => program.left.length === 0);
  });

  it("to a worker or the hub does nothing: they obey the primary", async () => {
    const server = await start("--workers", "2");
    const [client] = await server.clients(1);
    const before = server.children;
    for (const pid of before) for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"] as const) process.kill(pid, signal);
    expect(await client!.ask({ cmd: "add_group", group_id: "g" })).toMatchObject({ ok: true });
    server.kill("SIGHUP");
    await server.says(/SIGHUP is ignored/);
    expect(server.children).toEqual(before);
  });

  it("does not wait for a worker that died in the middle of the drain", async () => {
    const server = await start("--workers", "3", "--drain-rate", "5");
    const clients = await server.clients(15);
    const pids = new Map(await Promise.all(clients.map(async (client) => [client, await server.workerOf(client)] as const)));
    server.kill("SIGTERM");
    await Promise.race(clients.map(({ closed }) => closed));
    const left = clients.find(({ socket }) => socket.readyState === 1);
    process.kill(pids.get(left!)!, "SIGKILL");
    const codes = await Promise.all(clients.map(({ closed }) => closed.then(({ code }) => code)));
    expect(new Set(codes)).toEqual(new Set([1006, 1012]));
    expect(await server.exit).toEqual({ code: 0, signal: null });
    expect(server.left).toEqual([]);
  });
});

it("SIGTERM ends a worker that has just taken the place of another", async () => {
  const server = await start("--workers", "2");
  const before = server.workers;
  process.kill(before[0]!, "SIGKILL");
  await until("its successor", () => server.workers.some((pid) => !before.includes(pid)));
  const began = performance.now();
  server.kill("SIGTERM");
  expect(await server.exit).toEqual({ code: 0, signal: null });
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(server.left).toEqual([]);
});

describe("a second signal", () => {
  it.each([
    ["of the other kind at once", "SIGINT", 0],
    ["of the same kind, later", "SIGTERM", 700],
  ] as const)("%s ends all within 2 s, clients with 1012", async (_, second, afterMs) => {
    const server = await start("--workers", "2", "--drain-rate", "1");
    const clients = await server.clients(8);
    const closes = watchCloses(clients);
    server.kill("SIGTERM");
    await server.says(/SIGTERM: draining/);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    const began = performance.now();
    server.kill(second);
    expect(await server.exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(3_000);
    expect((await closes).every(({ code }) => code === 1012)).toBe(true);
    expect(server.left).toEqual([]);
  });

  it("ends all within 2 s also when clients answer nothing", async () => {
    const server = await start("--workers", "2", "--drain-rate", "1");
    const clients = await server.clients(4);
    stopReading(clients);
    server.kill("SIGINT");
    await server.says(/SIGINT: draining/);
    const began = performance.now();
    server.kill("SIGTERM");
    expect((await server.exit).code).toBe(0);
    expect(performance.now() - began).toBeLessThan(3_500);
    expect(server.left).toEqual([]);
    for (const { socket } of clients) socket.terminate();
  });

  it("within 500 ms of the first, and the same, is the same signal", async () => {
    const server = await start("--workers", "2", "--drain-rate", "4");
    const clients = await server.clients(8);
    const closes = watchCloses(clients);
    server.kill("SIGINT");
    await server.says(/SIGINT: draining/);
    server.kill("SIGINT");
    const moments = (await closes).map(({ at }) => at);
    // It keeps its pace: 8 at 4 a second.
    expect(mostWithin(1_000, moments)).toBeLessThanOrEqual(4);
    expect(await server.exit).toEqual({ code: 0, signal: null });
  });
});

describe("when the primary is killed", () => {
  it("hub and workers close everybody with 1012 and end within 2 s", async () => {
    const server = await start("--workers", "3");
    const clients = await server.clients(12);
    const closes = watchCloses(clients);
    expect(server.children).toHaveLength(4);
    server.kill("SIGKILL");
    const began = performance.now();
    expect((await closes).every(({ code }) => code === 1012)).toBe(true);
    await until("its children end", () => server.left.length === 0);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it("nothing is left of a server whose clients answer nothing", async () => {
    const server = await start("--workers", "2");
    const clients = await server.clients(4);
    stopReading(clients);
    void server.children;
    server.kill("SIGKILL");
    const began = performance.now();
    await until("its children end", () => server.left.length === 0);
    expect(performance.now() - began).toBeLessThan(5_000);
    for (const { socket } of clients) socket.terminate();
  });

  it("nothing is left of a server that is still starting", async () => {
    const program = new Program([MAIN, "start", "--port", "0", "--workers", "2"]);
    programs.push(program);
    await until("its first child", () => program.children.length > 0);
    program.kill("SIGKILL");
    await until("its children end", () => program.left.length === 0);
  });
});

it("Ctrl-C in a terminal, which signals every process of the program, drains as to the primary alone", async () => {
  const server = await start("--workers", "2", "--drain-rate", "4");
  const clients = await server.clients(8);
  const closes = watchCloses(clients);
  for (const pid of [...server.children, server.pid]) process.kill(pid, "SIGINT");
  const seen = await closes;
  expect(seen.every(({ code }) => code === 1012)).toBe(true);
  expect(
    mostWithin(
      1_000,
      seen.map(({ at }) => at),
    ),
  ).toBeLessThanOrEqual(4);
  expect(await server.exit).toEqual({ code: 0, signal: null });
});
