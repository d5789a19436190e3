// Messages that are written below the stream of a socket: every byte in its place, whatever the peer and the stream do meanwhile.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { afterEach, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { Connection as Published } from "../../dist/index.js";
import type { Connection } from "../../src/index.ts";

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const HANDSHAKE =
  "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

let servers: Server[] = [];
let ends: Socket[] = [];
afterEach(async () => {
  for (const end of ends) end.destroy();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  }
  servers = [];
  ends = [];
});

interface Pair {
  readonly connection: Connection;
  readonly socket: WebSocket;
  readonly stream: Socket;
  readonly peer: Socket;
  /** What was written by the stream, and not below it. */
  readonly byStream: unknown[];
  /** `slow`, `drain`, `close …` and the stream's `error …`, in order. */
  readonly told: string[];
}

/** A server and a peer that speaks bytes; `connection` has sent its first message, from which requests are learned. */
async function pair(server = createServer(), to?: (server: Server) => Socket, path?: string): Promise<Pair> {
  servers.push(server);
  const engine = new WebSocketServer({ server });
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  const peer = to?.(server) ?? (path === undefined ? connect((server.address() as AddressInfo).port, "127.0.0.1") : connect(path));
  ends.push(peer);
  peer.on("error", () => {});
  peer.write(HANDSHAKE);
  const [socket] = (await once(engine, "connection")) as [WebSocket];
  engine.close();
  const { _socket: stream } = socket as unknown as { _socket: Socket };
  const byStream: unknown[] = [];
  const write = stream.write.bind(stream);
  stream.write = (...args: [Uint8Array]) => (byStream.push(args[0]), write(...args));
  const connection = new Published("1", "default", socket) as unknown as Connection; // with what is not in the published types
  const told: string[] = [];
  connection.on("slow", () => void told.push("slow"));
  connection.on("drain", () => void told.push("drain"));
  connection.on("error", ({ message }) => void told.push(`connection's error ${message}`));
  stream.on("error", ({ message }) => void told.push(`error ${message}`)); // `ws` keeps it for itself
  connection.on("close", (code) => void told.push(`close ${code}`));
  connection.send("first");
  return { connection, socket, stream, peer, byStream, told };
}

/** The frames after the answer to the handshake, until `last` is true of one. */
async function frames(peer: Socket, last: (opcode: number, text: string) => boolean): Promise<{ all: [number, string][]; bytes: number }> {
  const all: [number, string][] = [];
  let rest = Buffer.alloc(0);
  let bytes = 0;
  let answered = false;
  for (;;) {
    const chunk = peer.read() as Buffer | null;
    if (chunk === null) {
      if (peer.destroyed || peer.readableEnded) throw new Error("the socket ended");
      await new Promise<void>((resolve) => {
        const go = (): void => {
          peer.off("readable", go).off("close", go);
          resolve();
        };
        peer.on("readable", go).on("close", go);
      });
      continue;
    }
    bytes += chunk.length;
    rest = Buffer.concat([rest, chunk]);
    if (!answered) {
      const end = rest.indexOf("\r\n\r\n");
      if (end < 0) continue;
      rest = rest.subarray(end + 4);
      answered = true;
    }
    for (;;) {
      if (rest.length < 2) break;
      const short = (rest[1] ?? 0) & 127;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (rest.length < head) break;
      const length = short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short;
      if (rest.length < head + length) break;
      const frame: [number, string] = [(rest[0] ?? 0) & 15, rest.toString("latin1", head, head + length)];
      rest = rest.subarray(head + length);
      all.push(frame);
      if (last(...frame)) return { all, bytes };
    }
  }
}

const pad = "x".repeat(20_000);
/** Sends numbered messages until the kernel takes no more; and some more, by the stream; a ping in their midst. */
function stall({ connection, told, byStream }: Pair, from: number): { next: number; sent: string[] } {
  const sent: string[] = [];
  const before = byStream.length;
  const slowBefore = told.filter((event) => event === "slow").length;
  let next = from;
  const send = (text: string): void => {
    expect(connection.send(text)).toBe(true);
    sent.push(text);
  };
  while (told.filter((event) => event === "slow").length === slowBefore && next < from + 2_000) send(`${next++} ${pad}`);
  expect(byStream).toHaveLength(before); // all of them went below the stream, also the one that the kernel did not take
  expect(connection.bufferedAmount).toBeGreaterThan(20_000);
  send(`${next++} behind`);
  connection.$ping();
  sent.push("ping");
  send(`${next++} behind`);
  expect(byStream.length).toBeGreaterThan(before);
  return { next, sent };
}

const shown = ([opcode, text]: [number, string]): string => (opcode === PING ? "ping" : opcode === CLOSE ? "close" : text);

it("keeps every byte in its place across backlogs, pings and the close, and every count right", async () => {
  const ends = await pair();
  const { connection, peer, byStream, told, stream } = ends;
  const expected = ["first"];
  let next = 0;
  for (let round = 0; round < 3; round++) {
    const before = byStream.length;
    for (let small = 0; small < 10; small++) {
      connection.send(`${next} small`);
      expected.push(`${next++} small`);
    }
    expect(byStream).toHaveLength(before);
    const stalled = stall(ends, next);
    next = stalled.next;
    expected.push(...stalled.sent);
    const drained = new Promise<void>((resolve) => connection.once("drain", () => resolve()));
    const last = stalled.sent.at(-1);
    const { all } = await frames(peer, (_, text) => text === last).then(async (got) => (await drained, got));
    // The answer to the handshake is only there once: a later round begins with a frame.
    expect(all.map(shown)).toEqual(expected);
    expected.length = 0;
    expect(connection.bufferedAmount).toBe(0);
    peer.unshift(Buffer.from("\r\n\r\n")); // what `frames` looks for
  }
  expect(told).toEqual(["slow", "drain", "slow", "drain", "slow", "drain"]);
  const stalled = stall(ends, next);
  void connection.close(4000, "bye");
  const { all } = await frames(peer, (opcode) => opcode === CLOSE);
  expect(all.map(shown)).toEqual([...stalled.sent, "close"]);
  expect(stream.bytesWritten).toBe(peer.bytesRead);
  peer.end();
  await connection.close();
  expect(told.at(-1)).toBe("close 4000");
});

it.each([
  ["reads", false],
  ["is not read", true],
])("ends with the error when the peer that %s resets the connection during a backlog", async (_, paused) => {
  const ends = await pair();
  const { connection, peer, told } = ends;
  stall(ends, 0);
  if (paused) connection.$pauseReading();
  const closed = new Promise<void>((resolve) => connection.once("close", () => resolve()));
  peer.resetAndDestroy();
  await closed;
  expect(told).toEqual(["slow", expect.stringMatching(/^error /), "close 1006"]);
  expect(connection.send("late")).toBe(false);
});

it("writes to a peer that is gone as the stream does: the error comes once, and the end", async () => {
  const { connection, peer, told } = await pair();
  const closed = new Promise<void>((resolve) => connection.once("close", () => resolve()));
  peer.resetAndDestroy();
  await once(peer, "close");
  while (!connection.closed && connection.send("into the void")) await new Promise((resolve) => setImmediate(resolve));
  await closed;
  expect(told.filter((event) => event.startsWith("close"))).toEqual(["close 1006"]);
  expect(told.filter((event) => event.startsWith("error")).length).toBeLessThanOrEqual(1);
});

it("may be cut during a backlog: nothing is told after its close", async () => {
  const ends = await pair();
  stall(ends, 0);
  const closed = new Promise<void>((resolve) => ends.connection.once("close", () => resolve()));
  ends.connection.terminate();
  await closed;
  await new Promise((resolve) => setImmediate(resolve));
  expect(ends.told).toEqual(["slow", "close 1006"]);
});

it("sends what is on its way when the socket is ended meanwhile", async () => {
  const ends = await pair();
  const { sent } = stall(ends, 0);
  ends.stream.end();
  const { all } = await frames(ends.peer, (_, text) => text === sent.at(-1));
  expect(all.map(shown)).toEqual(["first", ...sent]);
});

it("goes below the stream of a Unix socket, too", async () => {
  const folder = await mkdtemp(join(tmpdir(), "groupcast-test-"));
  try {
    const { connection, peer, byStream } = await pair(createServer(), undefined, join(folder, "socket"));
    connection.send("direct");
    expect(byStream).toHaveLength(1);
    expect((await frames(peer, (_, text) => text === "direct")).all).toEqual([
      [TEXT, "first"],
      [TEXT, "direct"],
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("leaves TLS to the stream, which encrypts", async () => {
  // A shared key needs no certificate.
  const psk = Buffer.alloc(16, 7);
  const options = { ciphers: "PSK", maxVersion: "TLSv1.2" } as const;
  const client: ConnectionOptions = { ...options, pskCallback: () => ({ psk, identity: "peer" }), checkServerIdentity: () => undefined };
  const { connection, peer, byStream } = await pair(createTlsServer({ ...options, pskCallback: () => psk }), (server) =>
    connectTls({ ...client, host: "127.0.0.1", port: (server.address() as AddressInfo).port }),
  );
  for (let number = 0; number < 5; number++) connection.send(String(number));
  const { all } = await frames(peer, (_, text) => text === "4");
  expect(all.map(shown)).toEqual(["first", "0", "1", "2", "3", "4"]);
  expect(byStream).toHaveLength(6);
});
