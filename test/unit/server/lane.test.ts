// Which sockets get the fast lane, which do not, and what large messages do in it.
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { Writable } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Connection, WebSocketMiddleware, type SocketLike, type WebSocketMiddlewareOptions } from "../../../src/index.ts";
import { openLane } from "../../../src/server/lane.ts";

const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

/** The messages that went through the lane: it is the only one that calls `$hear`. */
class Listening extends Connection {
  readonly heard: string[] = [];

  override $hear(bytes: Uint8Array): void {
    this.heard.push(Buffer.from(bytes).toString());
    super.$hear(bytes);
  }
}

interface Served {
  readonly middleware: WebSocketMiddleware;
  readonly client: WebSocket;
  readonly connection: Connection;
  readonly texts: string[];
  readonly binaries: string[];
  /** Resolves when all that the client has sent so far is here. */
  all(): Promise<void>;
}

async function listen(options: WebSocketMiddlewareOptions = {}): Promise<{ middleware: WebSocketMiddleware; port: number }> {
  const http = createServer();
  const middleware = new WebSocketMiddleware(undefined, options);
  middleware.attach(http);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  undo.push(async () => {
    await middleware.close();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  return { middleware, port: (http.address() as AddressInfo).port };
}

async function serve(options: WebSocketMiddlewareOptions = {}): Promise<Served> {
  const { middleware, port } = await listen({
    createConnection: (id, namespace, socket) => new Listening(id, namespace, socket),
    ...options,
  });
  const texts: string[] = [];
  const binaries: string[] = [];
  const arrived = new Promise<Connection>((resolve) => {
    middleware.on("connection", (connection) => {
      connection.on("text", (text) => texts.push(text));
      connection.on("binary", (bytes) => binaries.push(Buffer.from(bytes).toString()));
      resolve(connection);
    });
  });
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  client.on("error", () => {});
  const connection = await arrived;
  if (client.readyState !== WebSocket.OPEN) await once(client, "open");
  const all = async (): Promise<void> => {
    client.ping();
    await once(client, "pong");
  };
  return { middleware, client, connection, texts, binaries, all };
}

const heardBy = ({ connection }: Served): string[] | undefined => (connection instanceof Listening ? connection.heard : undefined);

describe("a middleware", () => {
  it("has whole text messages of its own sockets read by the lane, and the rest by ws, in order", async () => {
    const served = await serve();
    const order: unknown[] = [];
    served.connection.on("message", (data) => order.push(typeof data === "string" ? data : Buffer.from(data).toString()));
    served.client.send("one");
    served.client.send(Buffer.from("two"));
    served.client.send("thr", { fin: false });
    served.client.send("ee", { fin: true });
    served.client.send("");
    served.client.send("vier: grüße");
    await served.all();
    expect(order).toEqual(["one", "two", "three", "", "vier: grüße"]);
    // If this fails, the inside of `ws` has another shape now: see openLane.
    expect(heardBy(served)).toEqual(["one", "", "vier: grüße"]);
  });

  it("leaves a socket that another server has upgraded to ws", async () => {
    const middleware = new WebSocketMiddleware();
    const engine = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    undo.push(async () => {
      await middleware.close();
      await new Promise((resolve) => engine.close(resolve));
    });
    await once(engine, "listening");
    const client = new WebSocket(`ws://127.0.0.1:${(engine.address() as AddressInfo).port}`);
    const [socket] = (await once(engine, "connection")) as [WebSocket & { _receiver: Writable }];
    const connection = middleware.accept(socket);
    const heard = new Promise<string>((resolve) => void connection.on("text", resolve));
    await (client.readyState === WebSocket.OPEN ? undefined : once(client, "open"));
    client.send("hello");
    expect(await heard).toBe("hello");
    expect(Object.hasOwn(socket._receiver, "write")).toBe(false);
  });

  it("leaves a socket to ws if the connection is on something around it", async () => {
    const around = (socket: SocketLike): SocketLike => ({
      get readyState() {
        return socket.readyState;
      },
      bufferedAmount: 0,
      send: (data) => socket.send(data),
      close: (code, reason) => socket.close(code, reason),
      terminate: () => socket.terminate?.(),
      on: (event, listener) =>
        socket.on?.(event, (...facts: unknown[]) =>
          (listener as (...facts: unknown[]) => void)(...(event === "message" ? [`around ${String(facts[0])}`, false] : facts)),
        ),
    });
    const served = await serve({ createConnection: (id, namespace, socket) => new Listening(id, namespace, around(socket)) });
    served.client.send("hello");
    await served.all();
    expect(served.texts).toEqual(["around hello"]);
    expect(heardBy(served)).toEqual([]);
  });

  it("lets whoever listens to the raw socket hear everything from then on", async () => {
    let raw: SocketLike | undefined;
    const served = await serve({
      createConnection: (id, namespace, socket) => {
        raw = socket;
        return new Listening(id, namespace, socket);
      },
    });
    served.client.send("alone");
    await served.all();
    const beside: string[] = [];
    raw?.on?.("message", (data: Buffer) => beside.push(data.toString()));
    served.client.send("together");
    await served.all();
    expect(served.texts).toEqual(["alone", "together"]);
    expect(beside).toEqual(["together"]);
    expect(heardBy(served)).toEqual(["alone"]);
  });

  it("takes messages up to the size limit, however many reads that takes, and refuses one byte more with 1009", async () => {
    const served = await serve();
    const texts = [1, 125, 126, 16_383, 16_384, 40_000, 65_535, 65_536].map((length) => "ü".repeat(length >> 1) + "x".repeat(length & 1));
    for (const text of [...texts, ...texts.toReversed()]) served.client.send(text);
    served.client.send("a".repeat(65_536));
    await served.all();
    expect(served.texts).toEqual([...texts, ...texts.toReversed(), "a".repeat(65_536)]);
    const failed = new Promise<Error>((resolve) => void served.connection.on("error", resolve));
    served.client.send("a".repeat(65_537));
    expect((await once(served.client, "close"))[0]).toBe(1009);
    expect((await failed).message).toBe("Max payload size exceeded");
  });

  it("reads what came with the request for the upgrade first", async () => {
    const { middleware, port } = await listen();
    const texts: string[] = [];
    const two = new Promise<void>((resolve) => {
      middleware.on("connection", (connection) => {
        connection.on("text", (text) => {
          texts.push(text);
          if (texts.length === 2) resolve();
        });
      });
    });
    const socket: Socket = connect(port, "127.0.0.1");
    undo.push(() => new Promise<void>((resolve) => void socket.on("close", () => resolve()).destroy()));
    const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
    socket.write(
      Buffer.concat([
        Buffer.from(
          "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ),
        frame.subarray(0, 7),
      ]),
    );
    await once(socket, "data");
    socket.write(Buffer.concat([frame.subarray(7), frame]));
    await two;
    expect(texts).toEqual(["hi", "hi"]);
  });
});

describe("a socket of another shape", () => {
  const shaped = (change: (receiver: Record<string, unknown>) => void, listeners = 1): WebSocket => {
    const receiver = Object.assign(new Writable(), {
      _state: 0,
      _bufferedBytes: 0,
      _payloadLength: 0,
      _fragmented: 0,
      _errored: false,
      _maxPayload: 100,
      _maxBufferedChunks: 256,
      _allowSynchronousEvents: true,
      _isServer: true,
      _extensions: {},
    });
    change(receiver as unknown as Record<string, unknown>);
    return { _receiver: receiver, listenerCount: () => listeners } as unknown as WebSocket;
  };
  const nobody = { $hear: (): void => {} };

  it("is not read for ever when what hears it throws, though it must not", () => {
    const socket = shaped(() => {});
    const { _receiver: receiver } = socket as unknown as { readonly _receiver: Writable };
    let heard = 0;
    const throwing = {
      $hear: (): void => {
        heard++;
        throw new Error("boom");
      },
    };
    expect(openLane(socket, throwing)).toBe(true);
    const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
    expect(() => receiver.write(Buffer.from(frame))).toThrow("boom");
    expect([receiver.write(Buffer.from(frame)), receiver.write(Buffer.from(frame))]).toEqual([false, false]);
    expect(heard).toBe(1);
  });

  it("is left alone, whatever is different", () => {
    expect(
      openLane(
        shaped(() => {}),
        nobody,
      ),
    ).toBe(true);
    expect(
      openLane(
        shaped(() => {}, 0),
        nobody,
      ),
    ).toBe(false);
    expect(
      openLane(
        shaped(() => {}, 2),
        nobody,
      ),
    ).toBe(false);
    expect(openLane({ listenerCount: () => 1 } as unknown as WebSocket, nobody)).toBe(false);
    const different: Record<string, unknown> = {
      _state: 4,
      _bufferedBytes: 1,
      _payloadLength: 1,
      _fragmented: 1,
      _errored: true,
      _maxPayload: "100",
      _maxBufferedChunks: 1,
      _allowSynchronousEvents: false,
      _isServer: false,
      _extensions: { "permessage-deflate": {} },
      write: () => true,
    };
    for (const [name, value] of Object.entries(different)) {
      const changed = shaped((receiver) => (receiver[name] = value));
      expect(openLane(changed, nobody), `${name} is ${String(value)}`).toBe(false);
      const missing = shaped((receiver) => (receiver[name] = undefined));
      expect(openLane(missing, nobody), `${name} is missing`).toBe(false);
    }
  });
});
