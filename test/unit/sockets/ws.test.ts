// The carriers over real `ws` sockets and a real loopback connection.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ClientOptions, WebSocket, WebSocketServer } from "ws";
import { Connection } from "../../../src/index.ts";
import { encodeFrame, type Payload, readPayloads } from "../../../src/wire/frames.ts";
import { texts } from "../fakes.ts";

let http: Server;
let engine: WebSocketServer;
let url: string;
const open: WebSocket[] = [];
beforeEach(async () => {
  http = createServer();
  engine = new WebSocketServer({ server: http });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.terminate();
  for (const socket of engine.clients) socket.terminate();
  engine.close();
  http.close();
  await once(http, "close");
});

async function pair(options: ClientOptions = {}): Promise<{ server: WebSocket; client: WebSocket }> {
  const client = new WebSocket(url, options);
  open.push(client);
  const [[server]] = (await Promise.all([once(engine, "connection"), once(client, "open")])) as [[WebSocket], unknown];
  return { server, client };
}

/** The next `count` messages of a connection or a `ws` socket. */
function messages(from: Connection | WebSocket, count: number): Promise<Payload[]> {
  const received: Payload[] = [];
  return new Promise((resolve) => {
    const take = (payload: Payload): void => {
      received.push(payload);
      if (received.length === count) resolve(received);
    };
    if (from instanceof Connection) from.on("message", take);
    else from.on("message", (data: Buffer, isBinary: boolean) => take(isBinary ? data : data.toString("utf8")));
  });
}

const samples: Payload[] = ["", "a", "\ufeff€😀\0", "x".repeat(125), "y".repeat(126), "z".repeat(65_535), "ü".repeat(65_536)];
for (const size of [0, 1, 125, 126, 65_535, 65_536, 300_000]) samples.push(new Uint8Array(size).fill(size % 251));

describe("a connection over a ws server socket", () => {
  it("sends every size of text and bytes, and the peer gets them in order, byte for byte", async () => {
    const { server, client } = await pair();
    const connection = new Connection("1", "default", server);
    const received = messages(client, samples.length);
    for (const sample of samples) expect(connection.send(sample)).toBe(true);
    expect(texts(await received)).toEqual(texts(samples));
  });

  it("writes exactly the frames of RFC 6455 to the wire", async () => {
    const { port } = http.address() as AddressInfo;
    const raw = connect(port, "127.0.0.1");
    raw.write(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    const [server] = (await once(engine, "connection")) as [WebSocket];
    const connection = new Connection("1", "default", server);
    const expected = Buffer.concat(samples.map(encodeFrame));
    let bytes = Buffer.alloc(0);
    const complete = new Promise<void>((resolve) => {
      raw.on("data", (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]);
        if (bytes.length - (bytes.indexOf("\r\n\r\n") + 4) >= expected.length) resolve();
      });
    });
    for (const sample of samples) connection.send(sample);
    await complete;
    const frames = bytes.subarray(bytes.indexOf("\r\n\r\n") + 4);
    expect(Buffer.compare(frames, expected)).toBe(0);
    expect(texts(readPayloads(frames))).toEqual(texts(samples));
    raw.destroy();
  });

  it("keeps the order of its own frames and those that ws writes itself: ping, pong, close", async () => {
    const { server, client } = await pair();
    const connection = new Connection("1", "default", server);
    const log: string[] = [];
    client.on("message", (data: Buffer) => void log.push(data.toString()));
    client.on("ping", () => void log.push("ping"));
    connection.send("one");
    connection.$ping();
    connection.send("two");
    const closed = once(client, "close");
    void connection.close(4000, "bye");
    const [code, reason] = (await closed) as [number, Buffer];
    expect([...log, `${code} ${reason.toString()}`]).toEqual(["one", "ping", "two", "4000 bye"]);
  });

  it("works where compression was negotiated: its frames are uncompressed, which is allowed", async () => {
    engine.options.perMessageDeflate = true;
    const { server, client } = await pair({ perMessageDeflate: true });
    expect(client.extensions).toContain("permessage-deflate");
    const connection = new Connection("1", "default", server);
    const received = messages(client, 2);
    connection.send("x".repeat(5_000));
    connection.send("y");
    expect(await received).toEqual(["x".repeat(5_000), "y"]);
  });

  it("receives text and bytes of every size", async () => {
    const { server, client } = await pair();
    const received = messages(new Connection("1", "default", server), samples.length);
    for (const sample of samples) client.send(sample);
    expect(texts(await received)).toEqual(texts(samples));
  });

  it("tells the peer's code and reason, 1005 for none, and 1006 for a peer that went without a word", async () => {
    for (const [leave, told] of [
      [(client: WebSocket) => client.close(4321, "bye"), [4321, "bye"]],
      [(client: WebSocket) => client.close(), [1005, ""]],
      [(client: WebSocket) => client.terminate(), [1006, ""]],
    ] as const) {
      const { server, client } = await pair();
      const connection = new Connection("1", "default", server);
      const closed = new Promise((resolve) => connection.on("close", (code, reason) => resolve([code, reason])));
      leave(client);
      expect(await closed).toEqual(told);
      expect(connection.closed).toBe(true);
    }
  });

  it("returns false from send as soon as the socket is closing, and throws nothing", async () => {
    const { server, client } = await pair();
    const connection = new Connection("1", "default", server);
    const ended = once(client, "close");
    server.close(1000); // behind the connection's back
    expect(connection.send("late")).toBe(false);
    await Promise.all([ended, connection.close()]);
    expect(connection.send("later")).toBe(false);
    expect(connection.write("later")).toBe(false);
  });

  it("is slow while the peer does not read, and drains when it reads again", async () => {
    const { server, client } = await pair();
    const connection = new Connection("1", "default", server);
    const events: string[] = [];
    connection.on("slow", () => void events.push("slow"));
    const drained = new Promise<void>((resolve) => connection.on("drain", () => resolve(void events.push("drain"))));
    client.pause();
    const megabyte = new Uint8Array(1024 * 1024);
    let sent = 0;
    while (!events.includes("slow") && sent < 64) {
      connection.send(megabyte);
      sent++;
    }
    expect(events).toEqual(["slow"]);
    expect(connection.bufferedAmount).toBeGreaterThan(0);
    const received = messages(client, sent);
    client.resume();
    expect(await received).toHaveLength(sent);
    await drained;
    expect(events).toEqual(["slow", "drain"]);
    expect(connection.bufferedAmount).toBe(0);
  });
});

describe("a connection over a ws client socket", () => {
  it("masks what it sends, so that the server takes it", async () => {
    const { server, client } = await pair();
    const connection = new Connection("1", "default", client);
    const received = messages(server, samples.length);
    for (const sample of samples) expect(connection.send(sample)).toBe(true);
    expect(texts(await received)).toEqual(texts(samples));
  });

  it("begins to send when it is open, and refuses before", async () => {
    const client = new WebSocket(url);
    open.push(client);
    const connection = new Connection("1", "default", client);
    expect(connection.send("early")).toBe(false);
    const [[server]] = (await Promise.all([once(engine, "connection"), once(client, "open")])) as [[WebSocket], unknown];
    const received = messages(server, 1);
    expect(connection.send("now")).toBe(true);
    expect(await received).toEqual(["now"]);
  });

  it("closes with a code of its own", async () => {
    const { server, client } = await pair();
    const closed = once(server, "close");
    await new Connection("1", "default", client).close(4001, "moving");
    const [code, reason] = (await closed) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([4001, "moving"]);
  });
});
