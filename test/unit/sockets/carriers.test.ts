import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { carry } from "../../../src/sockets/carry.ts";
import { Batch, type Carrier, type SocketLike } from "../../../src/sockets/socket.ts";
import { FakeSocket } from "../../../src/testing/index.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { codeOf, settle, StreamSocket, texts, WebFake } from "../fakes.ts";

/** A carrier, and everything that it tells. */
function carried(socket: SocketLike): { carrier: Carrier; told: string[] } {
  const told: string[] = [];
  const carrier = carry(socket, {
    $opened: () => void told.push("opened"),
    $message: (data, isBinary) => void told.push(`${isBinary ? "binary" : "text"} ${texts([data])[0]}`),
    $pong: () => void told.push("pong"),
    $drained: () => void told.push("drained"),
    $failed: (error) => void told.push(`error ${error.message}`),
    $closed: (code, reason) => void told.push(`closed ${code} ${reason}`),
  });
  return { carrier, told };
}

const batch = (...payloads: (string | Uint8Array)[]): Batch => {
  return new Batch(Buffer.concat(payloads.map(encodeFrame)));
};

describe("picking a carrier", () => {
  it("throws bad_option for what is no socket", () => {
    const none: unknown[] = [
      undefined,
      null,
      {},
      "socket",
      { send() {}, close() {} },
      { on() {}, close() {} },
      { addEventListener() {}, send() {} },
    ];
    for (const thing of none) expect(codeOf(() => carried(thing as SocketLike))).toBe("bad_option");
  });
});

describe.each([
  ["a ws server socket", () => new StreamSocket()],
  ["a socket with on and send", () => new FakeSocket()],
])("%s", (_, make) => {
  it("gets messages in order: text as text, bytes as bytes", () => {
    const socket = make();
    const { carrier } = carried(socket);
    carrier.write(batch("one", new Uint8Array([1, 2]), "", "\ufeff€😀\0"));
    carrier.write(Batch.of("last"));
    expect(texts(socket.sent)).toEqual(["one", "bytes 0102", "", "\ufeff€😀\0", "last"]);
  });

  it("tells what arrives", () => {
    const socket = make();
    const { told } = carried(socket);
    socket.receive("text \ufeff😀");
    socket.receive(new Uint8Array([1, 2]));
    socket.pong();
    socket.fail(new Error("reset"));
    expect(told).toEqual(["text text \ufeff😀", "binary bytes 0102", "pong", "error reset", "closed 1006 "]);
  });

  it("closes with the code and the reason that it is given, and tells those of the peer", async () => {
    const socket = make();
    const { carrier, told } = carried(socket);
    carrier.close(1012, "moving");
    expect(socket.closeSent).toEqual({ code: 1012, reason: "moving" });
    expect(carrier.open).toBe(false);
    await settle();
    expect(told).toEqual(["closed 1012 moving"]);
  });

  it("pings, pauses and resumes", () => {
    const socket = make();
    const { carrier, told } = carried(socket);
    carrier.ping();
    expect(told).toEqual(["pong"]);
    carrier.pause();
    expect(socket.paused).toBe(true);
    carrier.resume();
    expect(socket.paused).toBe(false);
    socket.hangUp();
    carrier.ping();
    expect(socket.pings).toBe(1);
  });

  it("lets a throwing send through, so that the connection learns of it", () => {
    const socket = make();
    socket.sendError = new Error("no");
    expect(() => carried(socket).carrier.write(Batch.of("x"))).toThrow("no");
  });
});

describe("a ws server socket", () => {
  it("gets the finished frames in one write, uncopied", () => {
    const socket = new StreamSocket();
    const { carrier } = carried(socket);
    const together = batch("one", "two");
    carrier.write(together);
    expect(socket.runs).toHaveLength(1);
    expect(socket.runs[0]).toBe(together.frames);
  });

  it("says that there is a backlog when the stream asks for a drain, and tells when it is gone", () => {
    const socket = new StreamSocket();
    const { carrier, told } = carried(socket);
    expect(carrier.write(Batch.of("x".repeat(100_000)))).toBe(false);
    socket.stall();
    expect(carrier.write(Batch.of("small"))).toBe(false);
    expect(carrier.write(Batch.of("x".repeat(100_000)))).toBe(true);
    expect(carrier.queuedBytes).toBeGreaterThan(100_000);
    socket.flow();
    expect(told).toEqual(["drained"]);
    expect(carrier.write(Batch.of("small"))).toBe(false);
  });
});

describe("carriers of server sockets", () => {
  it("share their listeners, which find the carrier on the socket, and hear the stream only while there is a backlog", () => {
    const listeners = new Map<string, Set<unknown>>();
    const drains: unknown[] = [];
    class Listened extends StreamSocket {
      override on(event: string, listener: (...args: never[]) => void): this {
        if (!listeners.has(event)) listeners.set(event, new Set());
        listeners.get(event)?.add(listener);
        return super.on(event, listener);
      }
    }
    const [one, two] = [new Listened(), new Listened()];
    const all = [one, two].map((socket) => carried(socket));
    const stream = (one as unknown as { _socket: { once(event: string, listener: () => void): unknown } })._socket;
    const once = stream.once.bind(stream);
    stream.once = (event, listener) => (drains.push(listener), once(event, listener));
    expect([...listeners].map(([event, { size }]) => [event, size])).toEqual([
      ["message", 1],
      ["pong", 1],
      ["error", 1],
      ["close", 1],
    ]);
    one.receive("for one");
    two.receive("for two");
    two.hangUp();
    expect(all.map(({ told }) => told)).toEqual([["text for one"], ["text for two", "closed 1006 "]]);
    one.flow();
    one.stall();
    for (let message = 0; message < 5; message++) all[0]?.carrier.write(Batch.of("x".repeat(100_000)));
    expect(drains).toHaveLength(1);
    one.flow();
    one.flow();
    expect(all[0]?.told).toEqual(["text for one", "drained"]);
  });

  it("let a second one carry the same socket: both hear it, and both write in order", () => {
    const socket = new StreamSocket();
    const [first, second] = [carried(socket), carried(socket)];
    first.carrier.write(Batch.of("one"));
    second.carrier.write(Batch.of("two"));
    socket.receive("both");
    expect(texts(socket.sent)).toEqual(["one", "two"]);
    expect([first.told, second.told]).toEqual([["text both"], ["text both"]]);
  });
});

describe("a stream that took everything at once", () => {
  it("is no backlog, though it asks for a drain: more than its high-water mark went in one write", () => {
    const stream = { writableLength: 0, writableNeedDrain: true, write: () => false, once: () => {} };
    const socket = Object.assign(new FakeSocket(), { _isServer: true, _socket: stream });
    const { carrier } = carried(socket);
    expect(carrier.write(Batch.of("x".repeat(100_000)))).toBe(false);
    stream.writableLength = 1;
    expect(carrier.write(Batch.of("x"))).toBe(true);
  });

  it("is left alone where frames cannot go straight to it: a client must mask, and other runtimes have none", () => {
    const stream = { writableLength: 0, writableNeedDrain: false, write: () => true, once: () => {} };
    for (const shape of [
      { _isServer: false, _socket: stream },
      { _isServer: true, _socket: null },
      { _isServer: true, _socket: { write() {} } },
    ]) {
      const socket = Object.assign(new FakeSocket(), shape);
      carried(socket).carrier.write(Batch.of("text"));
      expect(socket.sent).toEqual(["text"]);
    }
  });
});

describe("emitters of other shapes", () => {
  const listening = () => {
    const listeners = new Map<string, (...args: unknown[]) => void>();
    const socket = {
      readyState: 1,
      bufferedAmount: 0,
      closes: 0,
      send() {},
      close() {
        this.closes++;
      },
      on(event: string, listener: object) {
        listeners.set(event, listener as (...args: unknown[]) => void);
      },
    };
    return { socket, tell: (event: string, ...args: unknown[]) => listeners.get(event)?.(...args) };
  };

  it("may give messages as a string, an ArrayBuffer, or fragments", () => {
    const { socket, tell } = listening();
    const { told } = carried(socket);
    tell("message", "text");
    tell("message", Buffer.from("text"), false);
    tell("message", [Buffer.from("fr"), Buffer.from("ag")], false);
    tell("message", new Uint8Array([1, 2]).buffer, true);
    tell("message", Buffer.from([3]));
    tell("message", [Buffer.from([4]), Buffer.from([5])], true);
    expect(told).toEqual(["text text", "text text", "text frag", "binary bytes 0102", "binary bytes 03", "binary bytes 0405"]);
  });

  it("may close with or without a code and a reason", () => {
    for (const [args, told] of [
      [[], "closed 1006 "],
      [[1000, "bye"], "closed 1000 bye"],
      [[4000, Buffer.from("bye")], "closed 4000 bye"],
    ] as const) {
      const { socket, tell } = listening();
      const carrier = carried(socket);
      tell("close", ...args);
      expect(carrier.told).toEqual([told]);
    }
  });

  it("are ended for us when they cannot be terminated and their peer is silent", () => {
    const { socket, tell } = listening();
    const { carrier, told } = carried(socket);
    carrier.terminate();
    expect(socket.closes).toBe(1);
    expect(told).toEqual(["closed 1006 "]);
    tell("close", 1000, "late");
    carrier.terminate();
    expect(told).toEqual(["closed 1006 "]);
  });

  it("are ended for us when even terminate throws", () => {
    const { socket } = listening();
    const { carrier, told } = carried(
      Object.assign(socket, {
        terminate() {
          throw new Error("broken");
        },
      }),
    );
    carrier.close(1000, "");
    carrier.terminate();
    expect(told).toEqual(["error broken", "closed 1006 "]);
  });

  it("say what is wrong, and end, when close throws", () => {
    const { socket } = listening();
    const { carrier, told } = carried(
      Object.assign(socket, {
        close() {
          throw new Error("cannot close");
        },
        terminate() {},
      }),
    );
    expect(() => carrier.close(1000, "")).not.toThrow();
    expect(told).toEqual(["error cannot close"]);
  });

  it("report what is no Error as one", () => {
    const { socket, tell } = listening();
    const { told } = carried(socket);
    tell("error", "text");
    expect(told).toEqual(["error thrown: text"]);
  });
});

describe("a WHATWG WebSocket", () => {
  it("gets messages in order: text as text, bytes as bytes", () => {
    const socket = new WebFake();
    carried(socket).carrier.write(batch("one", new Uint8Array([1, 2]), "", "\ufeff€😀\0"));
    expect(texts(socket.sent)).toEqual(["one", "bytes 0102", "", "\ufeff€😀\0"]);
  });

  it("is asked for ArrayBuffers, and tells what arrives", () => {
    const socket = new WebFake();
    const { told } = carried(socket);
    expect(socket.binaryType).toBe("arraybuffer");
    socket.tell("message", { data: "text" });
    socket.tell("message", { data: new Uint8Array([1, 2]).buffer });
    socket.tell("message", { data: new Uint8Array([3]) });
    socket.tell("error", { message: "" });
    socket.tell("error", { error: new Error("own") });
    socket.end(1001, "away");
    expect(told).toEqual(["text text", "binary bytes 0102", "binary bytes 03", "error the socket failed", "error own", "closed 1001 away"]);
  });

  it("has neither ping nor terminate: it ends for us when its peer is silent, once", () => {
    const socket = new WebFake();
    socket.answersClose = false;
    const { carrier, told } = carried(socket);
    expect(carrier.ping()).toBe(false);
    carrier.close(1000, "bye");
    expect(told).toEqual([]);
    carrier.terminate();
    expect(told).toEqual(["closed 1006 "]);
    socket.end(1000, "late");
    carrier.terminate();
    expect(told).toEqual(["closed 1006 "]);
  });

  it.each([
    [1000, 1000],
    [1001, 1000],
    [1008, 1000],
    [1011, 1000],
    [1012, 4001],
    [3000, 3000],
    [4002, 4002],
    [4999, 4999],
  ])("closes with %i as %i, which scripts may send", async (code, sent) => {
    const socket = new WebFake();
    const { carrier, told } = carried(socket);
    carrier.close(code, "why");
    expect(socket.closes).toEqual([[sent, "why"]]);
    await settle();
    expect(told).toEqual([`closed ${sent} why`]);
  });

  it("pauses and resumes nothing when it cannot", () => {
    const { carrier } = carried(new WebFake());
    expect(() => {
      carrier.pause();
      carrier.resume();
    }).not.toThrow();
  });
});

describe("a socket that counts its backlog and tells nothing", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is looked at now and then until the backlog is gone, and then no more", () => {
    const socket = new WebFake();
    const { carrier, told } = carried(socket);
    socket.bufferedAmount = 64 * 1024;
    expect(carrier.write(Batch.of("x"))).toBe(false);
    socket.bufferedAmount = 64 * 1024 + 1;
    expect(carrier.write(Batch.of("x"))).toBe(true);
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual([]);
    socket.bufferedAmount = 0;
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual(["drained"]);
    expect(vi.getTimerCount()).toBe(0);
    expect(carrier.write(Batch.of("x"))).toBe(false);
  });

  it("is not looked at any more when it is closed", () => {
    const socket = new WebFake();
    const { carrier, told } = carried(socket);
    socket.bufferedAmount = 1_000_000;
    carrier.write(Batch.of("x"));
    socket.end(1000);
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual(["closed 1000 "]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
