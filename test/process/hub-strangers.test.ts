// Peers that are no clients of the hub: they are dropped and counted, and the links beside them are not disturbed.
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import {
  encodeChallenge,
  encodeHello,
  encodeWelcome,
  newNonce,
  readChallenge,
  readHello,
  SECRET_VARIABLE,
} from "../../dist/hub/handshake.js";
import { breath, later, Member, SECRET, serve, timersByHand } from "./hub/rig.ts";

/** A stranger that says this: when the hub has spoken to it, and all that it was told until it was dropped. */
function visit(
  port: number,
  said: Buffer | string,
  leave: (socket: Socket) => void = () => {},
): { greeted: Promise<unknown>; gone: Promise<Buffer> } {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // the hub may be faster than what we say
  const heard: Buffer[] = [];
  socket.on("data", (chunk) => void heard.push(chunk));
  socket.on("connect", () => {
    socket.write(said);
    leave(socket);
  });
  const greeted = new Promise((resolve) => void socket.once("data", resolve));
  return { greeted, gone: new Promise((resolve) => void socket.on("close", () => resolve(Buffer.concat(heard)))) };
}

function frame(type: number, body: Buffer, length = 1 + body.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length);
  head.writeUInt8(type, 4);
  return Buffer.concat([head, body]);
}

const hello = (secret: string): Buffer =>
  encodeHello(secret, { hubNonce: newNonce(), processNonce: newNonce(), prefix: Buffer.from("groupcast") });

const STRANGERS: Readonly<Record<string, Buffer | string>> = {
  "an HTTP request": "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
  "serialised PHP": 'a:2:{s:4:"type";s:9:"subscribe";s:8:"channels";a:1:{i:0;s:3:"abc";}}',
  "two frames of Workerman": Buffer.concat([
    Buffer.of(0, 0, 0, 40),
    Buffer.alloc(36, "a:1:{}"),
    Buffer.of(0, 0, 0, 40),
    Buffer.alloc(36, "a:1:{}"),
  ]),
  "a length of 2 GiB": frame(2, Buffer.alloc(10), 2 ** 31),
  "a length of 4 GiB": frame(2, Buffer.alloc(10), 2 ** 32 - 1),
  "a length of nothing": frame(2, Buffer.alloc(10), 0),
  "a TLS hello": Buffer.from("16030100f1010000ed0303", "hex"),
  zeros: Buffer.alloc(100_000),
  noise: Buffer.from("d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e", "hex"),
  "a wrong secret": hello("another secret that is long enough for the hub"),
  "no secret": hello(""),
  "a proof for another nonce": hello(SECRET),
  "a hello that is too short": frame(2, Buffer.alloc(20, 1)),
  "another version": frame(2, Buffer.concat([Buffer.of(2), Buffer.alloc(80)])),
  "a publish before the hello": frame(9, Buffer.alloc(30)),
  "a challenge, as if it were the hub": encodeChallenge(newNonce()),
};

describe("a peer that is no client", () => {
  for (const [what, said] of Object.entries(STRANGERS)) {
    it(`is dropped when it sends ${what}, and good links go on`, async () => {
      const { server, at, port } = await serve("127.0.0.1", { secret: SECRET });
      const [good, other] = await Promise.all([Member.join(at), Member.join(at)]);
      await good.adapter.subscribe("topic");
      const before = other.publish("topic", "before");
      const heard = await visit(port, said).gone;
      await before;
      await other.publish("topic", "after");
      expect(good.told).toEqual(["up", "topic before", "topic after"]);
      expect(other.told).toEqual(["up"]);
      expect(server.counters).toEqual({ links: 2, dropped: 1, ended: 0 });
      // It was told the nonce, and at most one byte of a reason.
      expect(heard.length).toBeLessThanOrEqual(38 + 6);
    });
  }

  it("is dropped when it leaves in the middle of its handshake", async () => {
    const { server, at, port } = await serve("127.0.0.1", { secret: SECRET });
    const good = await Member.join(at);
    await good.adapter.subscribe("topic");
    await visit(port, hello(SECRET).subarray(0, 40), (socket) => socket.end()).gone;
    await visit(port, hello(SECRET).subarray(0, 40), (socket) => socket.resetAndDestroy()).gone;
    await expect.poll(() => server.counters.dropped).toBe(2);
    await good.publish("topic", "after");
    expect(good.told).toEqual(["up", "topic after"]);
  });

  it("is dropped when it has not proved itself within 5 s, silent or slow; links in force may be silent", async () => {
    const { clock, pass } = timersByHand();
    const { server, at, port } = await serve("127.0.0.1", { secret: SECRET, clock });
    const good = await Member.join(at);
    const silent = visit(port, "");
    const slow = visit(port, hello(SECRET).subarray(0, 40));
    const gone: string[] = [];
    void silent.gone.then(() => gone.push("silent"));
    void slow.gone.then(() => gone.push("slow"));
    await Promise.all([silent.greeted, slow.greeted]);
    pass(4_999);
    await breath();
    expect(gone).toEqual([]);
    pass(1);
    await Promise.all([silent.gone, slow.gone]);
    expect(server.counters).toEqual({ links: 1, dropped: 2, ended: 0 });
    expect(good.told).toEqual(["up"]);
  });

  it("does not keep newcomers out by being many: the one that has been there longest goes", async () => {
    const { server, at, port } = await serve("127.0.0.1", { secret: SECRET });
    const crowd = Array.from({ length: 300 }, () => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      later(() => socket.destroy());
      return socket;
    });
    await Promise.all(crowd.map((socket) => once(socket, "connect")));
    const good = await Member.join(at);
    expect(good.told).toEqual(["up"]);
    expect(server.counters.dropped).toBeGreaterThanOrEqual(300 - 256);
    expect(server.counters.dropped).toBeLessThan(300);
  });

  it("does not make the hub allocate what it announces", async () => {
    const { at, port } = await serve("127.0.0.1", { secret: SECRET });
    await Member.join(at);
    const before = process.memoryUsage().arrayBuffers;
    await Promise.all(Array.from({ length: 50 }, () => visit(port, frame(2, Buffer.alloc(10), 2 ** 31 - 1)).gone));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 * 1024 * 1024);
  });

  it("ends its own link alone when it breaks the rules after its handshake", async () => {
    const { server, at, port } = await serve("127.0.0.1", { secret: SECRET });
    const good = await Member.join(at);
    await good.adapter.subscribe("topic");
    const broken = [frame(99, Buffer.alloc(3)), frame(2, Buffer.alloc(100)), frame(9, Buffer.alloc(2)), frame(9, Buffer.alloc(0), 2 ** 31)];
    broken.push(frame(6, Buffer.from("0000000102ff", "hex")), frame(12, Buffer.from("00000001", "hex")));
    for (const said of broken) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      const [challenge] = (await once(socket, "data")) as [Buffer];
      socket.write(encodeHello(SECRET, { hubNonce: readChallenge(challenge), processNonce: newNonce(), prefix: Buffer.from("groupcast") }));
      await once(socket, "data");
      socket.write(said);
      await once(socket, "close");
    }
    await good.publish("topic", "after");
    expect(good.told).toEqual(["up", "topic after"]);
    expect(server.counters).toEqual({ links: 1, dropped: 0, ended: broken.length });
  });
});

describe("a client with another secret", () => {
  it("is told so, and tries again each second until it is stopped", async () => {
    const { at, server } = await serve("127.0.0.1", { secret: SECRET });
    const { clock, asked, pass } = timersByHand();
    const wrong = new Member({ ...at, secret: "wrong", clock });
    await wrong.until("down unauthorized");
    expect(wrong.reasons[0]?.message).toContain("secret");
    expect(wrong.reasons[0]?.message).not.toContain(SECRET);
    expect(asked.at(-1)).toBe(1_000);
    for (const attempts of [2, 3]) {
      pass(1_000);
      await expect.poll(() => server.counters.dropped).toBe(attempts);
      await expect.poll(() => asked.at(-1)).toBe(1_000);
    }
    expect(wrong.told).toEqual(["down unauthorized"]);
    await expect(wrong.publish("topic", "x")).rejects.toMatchObject({ code: "unavailable" });
  });

  it("does not take a hub for its own that does not know the secret", async () => {
    const { at } = await serve("127.0.0.1", { secret: "" });
    const wrong = new Member({ ...at, secret: SECRET });
    await wrong.until("down unauthorized");
    expect(wrong.told).toEqual(["down unauthorized"]);
  });

  it("takes the runner's secret when it is given none, on both sides", async () => {
    process.env[SECRET_VARIABLE] = SECRET;
    later(() => delete process.env[SECRET_VARIABLE]);
    const { port } = await serve();
    expect((await Member.join({ port })).told).toEqual(["up"]);
    await new Member({ port, secret: "" }).until("down unauthorized");
  });
});

describe("a hub that is none", () => {
  /** Says this to whoever comes, as soon as it has heard their hello if `after` is true. */
  async function pretend(say: (hello: Buffer | undefined) => Buffer, after: boolean): Promise<number> {
    const pretender = createTcpServer((socket) => {
      socket.on("error", () => {});
      if (!after) socket.write(say(undefined));
      else socket.write(encodeChallenge(NONCE));
      socket.on("data", (hello) => {
        if (after) socket.write(say(hello));
      });
      later(() => socket.destroy());
    });
    pretender.listen(0, "127.0.0.1");
    await once(pretender, "listening");
    later(() => pretender.close());
    return (pretender.address() as { port: number }).port;
  }

  const NONCE = newNonce();
  /** What a hub that knows the secret would answer. */
  const welcome = (said: Buffer | undefined, secret = SECRET): Buffer => {
    const { processNonce, prefix } = readHello(said ?? Buffer.alloc(0));
    return encodeWelcome(secret, { hubNonce: NONCE, processNonce, prefix });
  };
  const lies: readonly [what: string, code: string, after: boolean, say: (hello: Buffer | undefined) => Buffer][] = [
    ["garbage", "unavailable", false, () => Buffer.from("220 mail.example.com ESMTP\r\n")],
    ["a length of 2 GiB", "unavailable", false, () => frame(1, Buffer.alloc(33), 2 ** 31)],
    ["another version", "unavailable", false, () => frame(1, Buffer.concat([Buffer.of(2), Buffer.alloc(32)]))],
    ["a welcome without a challenge", "unavailable", false, () => frame(3, Buffer.alloc(32))],
    ["a second challenge", "unavailable", true, () => encodeChallenge(NONCE)],
    ["a proof that is none", "unauthorized", true, () => frame(3, Buffer.alloc(32))],
    ["the proof that it was given", "unauthorized", true, (said) => frame(3, readHello(said ?? Buffer.alloc(0)).proof)],
    ["the proof of another secret", "unauthorized", true, (said) => welcome(said, "")],
    ["a broken frame after its welcome", "unavailable", true, (said) => Buffer.concat([welcome(said), frame(10, Buffer.alloc(2))])],
    [
      "a frame that is too long after its welcome",
      "unavailable",
      true,
      (said) => Buffer.concat([welcome(said), frame(10, Buffer.alloc(2), 2 ** 31)]),
    ],
  ];
  for (const [what, code, after, say] of lies) {
    it(`is left when it says ${what}, and tried again later`, async () => {
      const { clock, asked } = timersByHand();
      const port = await pretend(say, after);
      const one = new Member({ port, secret: SECRET, clock });
      await one.until(`down ${code}`);
      await breath();
      expect(one.told).toEqual([`down ${code}`]);
      expect(asked.length).toBe(2); // the handshake's, and the next attempt's
    });
  }
});

it("a client says what is wrong when something else than a hub answers", async () => {
  const web = createServer((_, response) => response.end("hello"));
  web.listen(0, "127.0.0.1");
  await once(web, "listening");
  later(() => web.close());
  const { port } = web.address() as { port: number };
  const { clock, pass } = timersByHand();
  const lost = new Member({ port, clock });
  // A web server waits for us to speak first.
  await expect.poll(() => connections(web)).toBe(1);
  pass(5_000);
  await lost.until("down unavailable");
  expect(lost.reasons[0]?.message).toContain("no answer within 5 s");
  web.closeAllConnections();
});

it("a hub that is full says so, and takes the next when one has left", async () => {
  const { server, at } = await serve("127.0.0.1", { linksMax: 1 });
  const first = await Member.join(at);
  const second = new Member(at);
  await second.until("down unavailable");
  expect(second.reasons[0]?.message).toContain("all the links");
  expect(server.counters.links).toBe(1);
  await first.adapter.stop();
  await second.until("up");
});

function connections(server: { getConnections(told: (error: Error | null, count: number) => void): unknown }): Promise<number> {
  return new Promise((resolve, reject) => void server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))));
}
