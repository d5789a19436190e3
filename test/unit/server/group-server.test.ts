// The server's door: who is let in, at which address, and what a browser gets. Real sockets on loopback.
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { GroupServer, type GroupServerOptions, type Logger } from "../../../src/index.ts";

const undo: (() => Promise<unknown>)[] = [];
const warnings: string[] = [];
const logger: Logger = {
  debug: () => {},
  info: () => {},
  warn: (_facts, text) => void warnings.push(text),
  error: (_facts, text) => void warnings.push(text),
};

afterEach(async () => {
  for (const step of undo.splice(0)) await step();
  warnings.length = 0;
});

async function listening(options: GroupServerOptions = {}): Promise<{ server: GroupServer; port: number }> {
  const server = new GroupServer({ port: 0, logger, ...options });
  undo.push(() => server.close());
  const { port } = await server.listen();
  return { server, port };
}

/** 101, or the status that refused the upgrade. */
async function knock(port: number, path = "/", headers: Readonly<Record<string, string>> = {}, protocols: string[] = []): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers });
  socket.on("error", () => {});
  const status = await Promise.race([
    once(socket, "open").then(() => 101),
    once(socket, "unexpected-response").then(([, response]) => (response as { statusCode: number }).statusCode),
  ]);
  socket.terminate();
  return status;
}

async function get(
  port: number,
  path: string,
  options: { method?: string; host?: string } = {},
): Promise<{ status: number; text: string; headers: Record<string, unknown> }> {
  const request = httpRequest({
    port,
    host: "127.0.0.1",
    path,
    method: options.method ?? "GET",
    headers: { host: options.host ?? `127.0.0.1:${port}` },
  }).end();
  const [response] = (await once(request, "response")) as [import("node:http").IncomingMessage];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, text, headers: response.headers };
}

describe("the addresses of a server", () => {
  it("leads / and /ws to the default namespace and /ws/{namespace} to those that are named, and nowhere else", async () => {
    const { port, server } = await listening({ namespaces: ["default", "tenant a", "ä"] });
    for (const path of ["/", "/?x=1", "/ws", "/ws/default", "/ws/tenant%20a", "/ws/%C3%A4"])
      expect([path, await knock(port, path)]).toEqual([path, 101]);
    for (const path of ["/nowhere", "/ws/other", "/ws/", "/ws/%", "/ws/default/x", "/WS"])
      expect([path, await knock(port, path)]).toEqual([path, 404]);
    expect(server.counters).toMatchObject({ connections: 6, upgradesRefused: 6 });
  });

  it("keeps namespaces apart: same group name, different members", async () => {
    const { port, server } = await listening({ namespaces: ["a", "b"] });
    const [inA, inB] = ["a", "b"].map((name) => new WebSocket(`ws://127.0.0.1:${port}/ws/${name}`));
    if (inA === undefined || inB === undefined) throw new Error("two were made");
    await Promise.all([once(inA, "open"), once(inB, "open")]);
    for (const socket of [inA, inB]) {
      socket.send('{"cmd":"add_group","group_id":"g","id":1}');
      await once(socket, "message");
    }
    expect([await server.groups.count("g", "a"), await server.groups.count("g", "b"), await server.groups.count("g")]).toEqual([1, 1, 0]);
    const heard = once(inB, "message");
    inA.send('{"cmd":"send_to_group","group_id":"g","message":"for a","id":2}');
    await once(inA, "message");
    inB.send('{"cmd":"send_to_group","group_id":"g","message":"for b"}');
    expect(String((await heard)[0])).toBe("for b");
    inA.terminate();
    inB.terminate();
  });

  it("shows the page, the probes, and sensible errors for the rest", async () => {
    const { port, server } = await listening();
    const page = await get(port, "/");
    expect(page).toMatchObject({
      status: 200,
      headers: { "content-type": "text/html; charset=utf-8", "x-content-type-options": "nosniff" },
    });
    expect(page.headers["content-security-policy"]).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self';.*frame-ancestors 'none'$/,
    );
    for (const path of ["/page.js", "/page.css", "/icon.svg", "/healthz", "/readyz"])
      expect(await get(port, path)).toMatchObject({ status: 200 });
    expect(await get(port, "/../package.json")).toMatchObject({ status: 404 });
    expect(await get(port, "/ws")).toMatchObject({ status: 426 });
    expect(await get(port, "/", { method: "POST" })).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
    expect(await get(port, "/", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });

    const drained = server.drain({ delayMs: 50 });
    expect(await get(port, "/readyz")).toMatchObject({ status: 503, text: "draining\n" });
    expect(await get(port, "/healthz")).toMatchObject({ status: 200 });
    expect(await knock(port)).toBe(101); // balancers may still send somebody
    expect(await drained).toMatchObject({ forced: 0 });
  });
});

describe("who is let in", () => {
  it("takes pages of its own host under each name of loopback, and programs without an Origin; refuses other pages", async () => {
    const { port } = await listening();
    for (const origin of [`http://127.0.0.1:${port}`, `http://localhost:${port}`, `http://[::1]:${port}`])
      expect([origin, await knock(port, "/", { origin })]).toEqual([origin, 101]);
    const strangers = [
      "http://evil.example",
      `http://127.0.0.1.evil.example:${port}`,
      "http://127.0.0.1:1",
      "null",
      "file://",
      `ws://127.0.0.1:${port}`,
      `http://127.0.0.1:${port}/x`,
    ];
    for (const origin of strangers) expect([origin, await knock(port, "/", { origin })]).toEqual([origin, 403]);
    expect(warnings).toContain('refused a WebSocket from origin "http://evil.example": allow it with --origin http://evil.example');
    expect(warnings).toContain('refused a WebSocket from origin "null": allow it with --origin null');
  });

  it("takes exactly the origins that are listed, and all with *", async () => {
    const { port } = await listening({ origins: ["https://app.example", "null"] });
    expect(await knock(port, "/", { origin: "https://app.example" })).toBe(101);
    expect(await knock(port, "/", { origin: "null" })).toBe(101);
    for (const origin of ["http://app.example", "https://app.example:8443", "https://sub.app.example"])
      expect(await knock(port, "/", { origin })).toBe(403);
    const all = await listening({ origins: ["*"] });
    expect(await knock(all.port, "/", { origin: "http://evil.example" })).toBe(101);
  });

  it("answers only for the names that it is bound to, and those that are allowed", async () => {
    const { port } = await listening({ allowHosts: ["groups.example"] });
    for (const host of [`127.0.0.1:${port}`, "localhost", "LOCALHOST:99", `[::1]:${port}`, "groups.example", "Groups.Example:443"]) {
      expect([host, (await get(port, "/healthz", { host })).status]).toEqual([host, 200]);
      expect([host, await knock(port, "/", { host })]).toEqual([host, 101]);
    }
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.2", "localhost.evil.example"]) {
      expect([host, (await get(port, "/", { host })).status]).toEqual([host, 421]);
      expect([host, await knock(port, "/", { host })]).toEqual([host, 421]);
    }
    expect(warnings).toContain('refused a request for host "evil.example": allow it with --allow-host evil.example');
  });

  it("logs each refusal once, and forgets none of a hundred", async () => {
    const { port, server } = await listening();
    for (let round = 0; round < 3; round++) expect(await knock(port, "/", { origin: "http://evil.example" })).toBe(403);
    expect(warnings).toHaveLength(1);
    expect(server.counters.upgradesRefused).toBe(3);
  });

  it("refuses a public address unless it is told to be open", () => {
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "groups.example"]) {
      expect(() => new GroupServer({ host })).toThrow(
        expect.objectContaining({ code: "bad_option", message: expect.stringContaining("open") as string }),
      );
    }
    expect(() => new GroupServer({ host: "0.0.0.0", open: true })).not.toThrow();
  });

  it("offers no subprotocol that it does not speak", async () => {
    const { port } = await listening();
    expect(await knock(port, "/", {}, ["groupcast.v1"])).toBe(400);
  });

  it("lets nobody in once it drains", async () => {
    const { port, server } = await listening();
    await server.drain();
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNREFUSED");
  });
});

describe("a server inside another", () => {
  it("takes the upgrades below its path and leaves the others alone", async () => {
    const http = createServer((_request, response) => response.end("mine"));
    http.on("upgrade", (request, socket) => {
      if (request.url === "/other") socket.end("HTTP/1.1 418 I'm a teapot\r\nConnection: close\r\n\r\n");
    });
    const server = new GroupServer({ logger, namespaces: ["a"] });
    const detach = server.attach(http, { path: "/groups" });
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    const { port } = http.address() as AddressInfo;
    undo.push(async () => {
      await server.close();
      http.close();
    });
    expect(await knock(port, "/groups")).toBe(101);
    expect(await knock(port, "/groups/ws/a", { host: "any.example" })).toBe(101);
    expect(await knock(port, "/groups", { host: "any.example", origin: "http://any.example" })).toBe(101);
    expect(await knock(port, "/groups", { host: "any.example", origin: "http://evil.example" })).toBe(403);
    expect(await knock(port, "/other")).toBe(418);
    detach();
    expect(http.listenerCount("upgrade")).toBe(1);
  });

  it("says why it cannot listen", async () => {
    const { port } = await listening();
    await expect(new GroupServer({ port, logger }).listen()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(`127.0.0.1:${port} is taken`) as string,
    });
  });
});
