// Every example runs, as a reader would run it: its built file in a process of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { Connection, ConnectionsPool } from "../../dist/index.js";
import { Client } from "./client.ts";

const built = (path: string): string => fileURLToPath(new URL(`../../build/examples/${path}`, import.meta.url));
const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

class Program {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly #waits = new Set<() => void>();

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
    if (this.child.stdout !== null) {
      createInterface(this.child.stdout).on("line", (line) => {
        this.lines.push(line);
        for (const wait of this.#waits) wait();
      });
    }
    undo.push(() => this.stop());
  }

  /** The first line that fits, of those printed and those to come. */
  line(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.lines.map((line) => pattern.exec(line)).find((match) => match !== null);
        if (found === undefined) return;
        this.#waits.delete(look);
        resolve(found);
      };
      this.#waits.add(look);
      this.child.once("exit", () => reject(new Error(`ended before it printed ${pattern}:\n${this.lines.join("\n")}`)));
      look();
    });
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const exit = once(this.child, "exit") as Promise<[number | null]>;
    this.child.kill(signal);
    return (await exit)[0];
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

/** A copy of a built example that uses other ports: the documents' own may be taken. */
function onPorts(path: string, ports: Readonly<Record<string, string | number>>): string {
  const copy = built(path).replace(/\.js$/, `.${process.pid}.js`);
  const text = Object.entries(ports).reduce(
    (program, [from, to]) => program.replaceAll(from, String(to)),
    readFileSync(built(path), "utf8"),
  );
  writeFileSync(copy, text);
  undo.push(() => rmSync(copy));
  return copy;
}

describe("examples/connection-groups", () => {
  it("greets the others, tells who joined, and closes everybody on shutdown", async () => {
    const program = new Program([built("connection-groups/server.js")], { PORT: "0" });
    const port = Number((await program.line(/port: (\d+)/))[1]);
    const first = await Client.open(port);
    await first.untilCount(2);
    expect(first.got).toEqual(["Someone joined!", "Hello"]); // a direct send comes after what the group was sent before
    first.got.length = 0;
    const second = await Client.open(port);
    await first.untilCount(2);
    expect(new Set(first.got)).toEqual(new Set(["Hello", "Someone joined!"]));

    second.send("to all members");
    await Promise.all([first, second].map((client) => client.until((text) => text === "to all members")));
    second.send("leave");
    first.send("to who is left");
    await first.until((text) => text === "to who is left");

    const exit = program.stop();
    expect(await first.closed).toEqual({ code: 1001, reason: "shutting down" });
    expect(second.got).not.toContain("to who is left");
    await second.close(); // it was in no group any more, and so nobody closed it
    expect(await exit).toBe(0);
  });
});

describe("examples/group-push", () => {
  it("pushes to a group over eight processes, and shows its table", async () => {
    const [port, hub] = [await freePort(), await freePort()];
    const program = new Program([onPorts("group-push/server.js", { 1234: port, 2206: hub }), "start"]);
    await program.line(/Press Ctrl-C to quit/);
    expect(program.lines.find((line) => line.includes("ChannelServer"))).toMatch(new RegExp(`2206|${hub}.*1.*\\[OK\\]`));
    expect(program.lines.find((line) => line.includes(`websocket://0.0.0.0:${port}`))).toMatch(/8\s+\[OK\]/);

    const clients = await Promise.all(Array.from({ length: 16 }, () => Client.open(port)));
    const lines = [
      '{"cmd":"add_group", "group_id":"123"}',
      '{"cmd":"send_to_group", "group_id":"123", "message":"Dies ist eine Nachricht"}',
    ];
    for (const client of clients) {
      client.send(lines[0] ?? "");
      client.send(lines[1] ?? "");
      await client.until((text) => text === "Dies ist eine Nachricht");
    }
    // Everybody is a member by now, so what the last one sent reached all.
    const last = clients.at(-1);
    last?.send('{"cmd":"send_to_group", "group_id":"123", "message":"Esta é a mensagem"}');
    await Promise.all(clients.map((client) => client.until((text) => text === "Esta é a mensagem")));

    const ends = clients.map((client) => client.closed);
    expect(await program.stop()).toBe(0);
    expect(new Set((await Promise.all(ends)).map(({ code }) => code))).toEqual(new Set([1012]));
  });
});

describe("examples/connections-pool", () => {
  async function serve(): Promise<{ port: number; server: WebSocketServer; socket: Promise<WebSocket> }> {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    undo.push(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    const socket = once(server, "connection").then(([connected]) => connected as WebSocket);
    return { port: (server.address() as AddressInfo).port, server, socket };
  }
  const preload = ["--import", fileURLToPath(new URL("fixtures/global-websocket.mjs", import.meta.url))];

  it("sends and prints messages through a connection", async () => {
    const { port, socket } = await serve();
    const program = new Program([...preload, onPorts("connections-pool/connection.js", { "localhost:8080": `127.0.0.1:${port}` })]);
    const peer = await socket;
    const [hello] = (await once(peer, "message")) as [Buffer];
    expect(hello.toString()).toBe("Hello world!");
    peer.send("hello yourself");
    await program.line(/^hello yourself$/);
  });

  it("broadcasts to a namespace and sends to one connection", async () => {
    const { port, socket } = await serve();
    void new Program([...preload, onPorts("connections-pool/pool.js", { "localhost:8080": `127.0.0.1:${port}` })]);
    const peer = await socket;
    const got: string[] = [];
    await new Promise<void>((resolve) => {
      peer.on("message", (data: Buffer) => {
        if (got.push(data.toString()) === 2) resolve();
      });
    });
    expect(got).toEqual(["Hello world!", "Hello world!"]);
  });

  it("removes, closes and drains as the document says", async () => {
    const { remove, removeLast, closeAll, drain } = (await import(
      built("connections-pool/removing.js")
    )) as typeof import("../../examples/connections-pool/removing.ts");
    const { port, server } = await serve();
    const pool = new ConnectionsPool();
    server.on("connection", (socket: WebSocket) => pool.newConnection(new Connection(String(pool.size), "default", socket)));
    const clients: Client[] = [];
    for (let count = 1; count <= 3; count++) clients.push(await Client.open(port));
    await expect.poll(() => pool.size).toBe(3);

    const [first, second] = pool.connections("default");
    if (first === undefined || second === undefined) throw new Error("three are there");
    remove(pool, first);
    removeLast(pool, second);
    expect(pool.connections("default").map(({ id }) => id)).toEqual(["2"]);
    closeAll(pool);
    expect(await clients[2]?.closed).toEqual({ code: 1000, reason: "Closing the connection." });
    await expect.poll(() => pool.hasNamespace("default")).toBe(false);

    for (let count = 1; count <= 12; count++) clients.push(await Client.open(port));
    await expect.poll(() => pool.size).toBe(12);
    drain(pool);
    const ends = await Promise.all(clients.slice(3).map((client) => client.closed));
    expect(ends.every(({ code, reason }) => code === 1000 && reason === "Closed by the server.")).toBe(true);
  });
});

describe("examples/chat", () => {
  it("talks by room and name, refuses what is no room, and drains on shutdown", async () => {
    const program = new Program([built("chat/server.js")], { PORT: "0" });
    const port = Number((await program.line(/port: (\d+)/))[1]);
    const refused = await Client.open(port, "/Not%20a%20room");
    expect(await refused.closed).toEqual({ code: 4403, reason: "a room is a word of lower-case letters" });

    const ada = await Client.open(port, "/lobby");
    await ada.until((text) => text === "somebody came: 1 here");
    const bob = await Client.open(port, "/lobby");
    const carl = await Client.open(port, "/kitchen");
    await ada.until((text) => text === "somebody came: 2 here");
    ada.send("/name ada");
    ada.send("hello <b>everybody</b>");
    await Promise.all([ada, bob].map((client) => client.until((text) => text === "ada: hello <b>everybody</b>")));
    await ada.close();
    await bob.until((text) => text === "ada left: 1 here");
    expect(carl.got).toEqual(["somebody came: 1 here"]);

    const exit = program.stop();
    expect(await bob.closed).toEqual({ code: 1012, reason: "chat restarts" });
    expect(await exit).toBe(0);
  });
});

describe("the README", () => {
  it("has a ten-line example that runs as it stands", async () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const [, snippet = ""] = /```ts\n(import[\s\S]*?)```/.exec(readme) ?? [];
    expect(snippet).toContain("server.listen(8080);");
    const port = await freePort();
    const path = built(`readme.${process.pid}.mjs`);
    writeFileSync(path, snippet.replace("8080", `${port}, () => console.log("listening")`));
    undo.push(() => rmSync(path));
    const program = new Program([path]);
    await program.line(/listening/);
    const [ada, bob, carl] = await Promise.all([Client.open(port, "/1"), Client.open(port, "/1"), Client.open(port, "/2")]);
    ada.send("hello");
    await bob.until((text) => text === "hello");
    bob.send("hello yourself");
    await ada.until((text) => text === "hello yourself");
    expect([ada.got, bob.got, carl.got]).toEqual([["hello yourself"], ["hello"], []]);
  });
});
