// From an upgrade to a connection, in a server of the user's own.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Connection, GroupManager, WebSocketMiddleware, type WebSocketMiddlewareOptions } from "../../../src/index.ts";

const undo: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

async function serve(): Promise<{ http: Server; port: number }> {
  const http = createServer((_request, response) => response.end("mine"));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  undo.push(async () => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  return { http, port: (http.address() as AddressInfo).port };
}

function make(groups?: GroupManager, options?: WebSocketMiddlewareOptions): WebSocketMiddleware {
  const middleware = new WebSocketMiddleware(groups, options);
  undo.push(() => middleware.close());
  return middleware;
}

async function dial(port: number, path = "/"): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  socket.on("error", () => {});
  await once(socket, "open");
  return socket;
}

/** The status that an upgrade is refused with. */
async function refusal(port: number, path = "/"): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  socket.on("error", () => {});
  const [, response] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
  socket.terminate();
  return response.statusCode ?? 0;
}

it("tells of a connection with its request, before any of its messages", async () => {
  const { http, port } = await serve();
  const middleware = make();
  middleware.attach(http);
  const told = new Promise<[Connection, IncomingMessage | undefined]>((resolve) => {
    middleware.on("connection", (connection, request) => {
      connection.on("text", (text) => connection.write(`echo ${text}`));
      resolve([connection, request]);
    });
  });
  const socket = new WebSocket(`ws://127.0.0.1:${port}/some/path?x=1`);
  socket.on("open", () => socket.send("at once"));
  expect(String(((await once(socket, "message")) as [Buffer])[0])).toBe("echo at once");
  const [connection, request] = await told;
  expect(request?.url).toBe("/some/path?x=1");
  expect(connection.id).toMatch(/^[0-9a-f]{32}$/);
  expect(connection.namespace).toBe("default");
  expect(middleware.pool.getConnection("default", connection.id)).toBe(connection);
  expect(connection.setGroup("g")).toBe(true);
  expect(middleware.groups.get("g")?.has(connection)).toBe(true);
  socket.close();
  await new Promise<void>((resolve) => void connection.on("close", () => resolve()));
  expect(middleware.pool.size).toBe(0);
});

it("takes only its own path, and answers others with 404 unless somebody else is there", async () => {
  const { http, port } = await serve();
  const middleware = make();
  const detach = middleware.attach(http, { path: "/ws" });
  (await dial(port, "/ws?token=x")).close();
  expect(await refusal(port, "/ws/")).toBe(404);
  expect(await refusal(port, "/")).toBe(404);
  const others: string[] = [];
  http.on("upgrade", (request, socket) => {
    if (request.url === "/ws") return;
    others.push(request.url ?? "");
    socket.end("HTTP/1.1 418 I'm a teapot\r\nConnection: close\r\n\r\n");
  });
  expect(await refusal(port, "/other")).toBe(418);
  expect(others).toEqual(["/other"]);
  detach();
  expect(http.listenerCount("upgrade")).toBe(1);
});

it("takes namespace, id and class from its options, and closes a second connection with the same id", async () => {
  class Player extends Connection {
    readonly score = 0;
  }
  const { http, port } = await serve();
  const middleware = make(new GroupManager(), {
    namespace: (request) => request.url?.split("/")[1] ?? "none",
    id: (request) => request.url?.split("/")[2] ?? "none",
    createConnection: (id, namespace, socket) => new Player(id, namespace, socket),
  });
  middleware.attach(http);
  await dial(port, "/red/7");
  await dial(port, "/blue/7");
  expect(middleware.pool.getConnection("red", "7")).toBeInstanceOf(Player);
  expect(middleware.pool.getConnection("blue", "7")).toBeInstanceOf(Player);
  const second = await dial(port, "/red/7");
  expect((await once(second, "close"))[0]).toBe(4409);
  expect(middleware.pool.size).toBe(2);
});

it("replaces the older connection with the same id if it is told to", async () => {
  const { http, port } = await serve();
  const middleware = make(undefined, { id: () => "only", duplicates: "replace" });
  middleware.attach(http);
  const first = await dial(port);
  const gone = once(first, "close");
  const second = await dial(port);
  const [code, reason] = (await gone) as [number, Buffer];
  expect([code, String(reason)]).toEqual([4409, "replaced"]);
  expect(second.readyState).toBe(WebSocket.OPEN);
  expect(middleware.pool.size).toBe(1);
});

it("answers 400 when a hook throws, 1011 when a class does, and tells both", async () => {
  const { http, port } = await serve();
  const errors: string[] = [];
  const middleware = make(undefined, {
    namespace: (request) => {
      if (request.url === "/bad") throw new Error("no such tenant");
      return "default";
    },
    createConnection: () => {
      throw new Error("no such class");
    },
  });
  middleware.on("error", (error) => errors.push(error.message));
  middleware.attach(http);
  expect(await refusal(port, "/bad")).toBe(400);
  expect((await once(await dial(port, "/good"), "close"))[0]).toBe(1011);
  expect(errors).toEqual(["no such tenant", "no such class"]);
  expect(middleware.pool.size).toBe(0);
});

it("refuses upgrades with 503 and Retry-After while it drains, and after it was closed", async () => {
  const { http, port } = await serve();
  const middleware = make();
  middleware.attach(http);
  const socket = await dial(port);
  const drained = middleware.pool.drainConnections(1);
  expect(await refusal(port)).toBe(503);
  expect((await once(socket, "close"))[0]).toBe(1012);
  await drained;
  const late = await dial(port);
  const closed = once(late, "close");
  await middleware.close();
  expect((await closed)[0]).toBe(1012);
  expect(http.listenerCount("upgrade")).toBe(0);
});

it("takes sockets that another server has upgraded", async () => {
  const { http, port } = await serve();
  const middleware = make();
  const { WebSocketServer } = await import("ws");
  const theirs = new WebSocketServer({ server: http });
  theirs.on("connection", (socket) => void middleware.accept(socket, { id: "theirs", namespace: "tenant" }).join("g"));
  const socket = await dial(port);
  const heard = once(socket, "message");
  await expect.poll(() => middleware.groups.get("g", "tenant")?.size).toBe(1);
  await middleware.groups.publish("g", "hello", { namespace: "tenant" });
  expect(String(((await heard) as [Buffer])[0])).toBe("hello");
  socket.terminate();
});

it("leaves the channel of a manager that was given to it alone, and that of its own not", async () => {
  const groups = new GroupManager();
  await make(groups).close();
  await expect(groups.publish("g", "x")).resolves.toEqual({ position: null });
  const own = make();
  await own.close();
  await expect(own.groups.publish("g", "x")).rejects.toMatchObject({ code: "closed" });
});

it("chooses no subprotocol by default, and the one that handleProtocols names", async () => {
  const { http, port } = await serve();
  const middleware = make(undefined, { handleProtocols: (offered) => offered.has("chat") && "chat" });
  middleware.attach(http);
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, ["other", "chat"]);
  await once(socket, "open");
  expect(socket.protocol).toBe("chat");
  socket.terminate();
});
