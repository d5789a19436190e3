// What is written below a stream, and when nothing is: on handles of every make.
import { describe, expect, it } from "vitest";
import { carry } from "../../../src/sockets/carry.ts";
import { Batch, type Carrier } from "../../../src/sockets/socket.ts";
import { FakeSocket } from "../../../src/testing/index.ts";

/** Node's request: it has an id once libuv has it. */
class WriteWrap {
  id = -1;
  oncomplete?: (status: number) => void;

  getAsyncId(): number {
    return this.id;
  }
}

/** Node's handle of a TCP socket, and the stream above it: the kernel takes everything, `full` nothing, `error` fails. */
class TCP {
  kernel: "takes" | "full" | "error" = "takes";
  readonly requests: WriteWrap[] = [];
  readonly written: string[] = [];

  writeBuffer(request: WriteWrap, bytes: Uint8Array): number {
    if (this.kernel === "error") return -32;
    if (request.id !== -1) throw new Error("this request is underway");
    if (!this.requests.includes(request)) this.requests.push(request);
    this.written.push(Buffer.from(bytes.subarray(2)).toString());
    if (this.kernel === "full") request.id = 1;
    return 0;
  }

  /** The kernel takes what is underway, in order. */
  finish(status = 0): void {
    this.kernel = "takes";
    for (const request of this.requests.filter(({ id }) => id !== -1)) request.oncomplete?.(status);
  }
}

class FakeStream {
  _handle: TCP | null = new TCP();
  server: object | undefined = {};
  writable = true;
  destroyed = false;
  corked = false;
  writableNeedDrain = false;
  bytesWritten = 0;
  readonly Request: new () => WriteWrap = WriteWrap;
  readonly queue: Uint8Array[] = [];
  readonly errors: (Error & { errno?: number })[] = [];
  writes = 0;
  #drain: (() => void)[] = [];

  get writableLength(): number {
    return this.queue.reduce((total, { length }) => total + length, 0);
  }

  once(_: "drain", listener: () => void): void {
    this.#drain.push(listener);
  }

  write(bytes: Uint8Array): boolean {
    this.writes++;
    const request = new this.Request();
    request.oncomplete = () => {
      this.queue.shift();
      if (this.queue.length > 0) return;
      this.writableNeedDrain = false;
      for (const listener of this.#drain.splice(0)) listener();
    };
    const status = this.corked ? 0 : (this._handle?.writeBuffer(request, bytes) ?? -1);
    if (status !== 0) this.destroy(Object.assign(new Error("stream"), { errno: status }));
    if (request.id !== -1 || this.corked) this.queue.push(bytes);
    this.writableNeedDrain = this.queue.length > 0;
    return !this.writableNeedDrain;
  }

  destroy(error: Error): void {
    this.destroyed = true;
    this.writable = false;
    this.errors.push(error);
  }
}

interface Carried {
  readonly carrier: Carrier;
  readonly stream: FakeStream;
  readonly handle: TCP;
  readonly told: string[];
  readonly send: (text: string) => boolean;
}

function carried(stream = new FakeStream()): Carried {
  const told: string[] = [];
  const socket = Object.assign(new FakeSocket(), { _isServer: true, _socket: stream });
  Object.defineProperty(socket, "bufferedAmount", { get: () => stream.writableLength });
  const carrier = carry(socket, {
    $opened: () => {},
    $message: () => {},
    $pong: () => {},
    $drained: () => void told.push(`drained, ${carrier.queuedBytes} left`),
    $failed: () => {},
    $closed: () => {},
  });
  const handle = stream._handle ?? new TCP();
  return { carrier, stream, handle, told, send: (text) => carrier.write(Batch.of(text)) };
}

describe("a stream with a handle as Node makes them", () => {
  it("writes the first message itself, and is seen to; all others go below it with one request", () => {
    const { stream, handle, send } = carried();
    for (const text of ["first", "second", "third", "fourth"]) expect(send(text)).toBe(false);
    expect(handle.written).toEqual(["first", "second", "third", "fourth"]);
    expect([stream.writes, handle.requests.length]).toEqual([1, 2]);
    expect(Object.keys(handle)).not.toContain("writeBuffer");
  });

  it("is learned from once for all sockets of a server", () => {
    const server = {};
    const [one, two] = [new FakeStream(), new FakeStream()].map((stream) => carried(Object.assign(stream, { server })));
    one?.send("first");
    two?.send("other");
    expect([one?.stream.writes, two?.stream.writes]).toEqual([1, 0]);
    expect(two?.handle.written).toEqual(["other"]);
  });

  it("is slow while the kernel has not taken everything, counts it, and what follows goes by the stream behind it", () => {
    const { stream, handle, send, carrier, told } = carried();
    send("first");
    stream.bytesWritten = 100;
    handle.kernel = "full";
    expect(send("underway")).toBe(true);
    expect([carrier.queuedBytes, carrier.takenBytes]).toEqual([10, 90]);
    expect(stream.writes).toBe(1);
    handle.kernel = "takes"; // it would: but the order counts
    expect(send("behind")).toBe(true);
    expect(stream.writes).toBe(2);
    handle.finish();
    expect([told, carrier.queuedBytes, carrier.takenBytes]).toEqual([["drained, 0 left"], 0, 100]);
    expect(send("direct again")).toBe(false);
    expect(stream.writes).toBe(2);
    expect(handle.written).toEqual(["first", "underway", "behind", "direct again"]);
  });

  it("tells that it has drained when the stream's own backlog is gone, too, and once", () => {
    const { stream, handle, send, told, carrier } = carried();
    send("first");
    handle.kernel = "full";
    send("underway");
    send("behind");
    expect(carrier.queuedBytes).toBe(10 + 8);
    const [, direct, behind] = handle.requests;
    direct?.oncomplete?.(0);
    expect(told).toEqual([]);
    behind?.oncomplete?.(0);
    expect(told).toEqual(["drained, 0 left"]);
    expect(stream.writableLength).toBe(0);
  });

  it("does not give a request again that is underway", () => {
    const { handle, send } = carried();
    send("first");
    for (let round = 0; round < 3; round++) {
      handle.kernel = "full";
      expect(send(`underway ${round}`)).toBe(true);
      handle.finish();
      for (const request of handle.requests) request.oncomplete = () => {}; // told once each
    }
    expect(new Set(handle.requests).size).toBe(4);
  });

  it("learns of an error as from a write of its own: at once, or when the kernel gives up later", () => {
    const now = carried();
    now.send("first");
    now.handle.kernel = "error";
    now.send("lost");
    expect(now.stream.errors).toMatchObject([{ message: "stream", errno: -32 }]);
    const later = carried();
    later.send("first");
    later.handle.kernel = "full";
    later.send("lost");
    later.handle.finish(-104);
    expect(later.stream.errors).toMatchObject([{ errno: -104, syscall: "write" }]);
    expect(later.told).toEqual([]);
    const cut = carried();
    cut.send("first");
    cut.handle.kernel = "full";
    cut.send("lost");
    cut.stream.destroy(new Error("cut"));
    cut.handle.finish(-125);
    expect(cut.stream.errors).toMatchObject([{ message: "cut" }]);
    expect([cut.told, cut.carrier.queuedBytes]).toEqual([[], 0]);
  });

  it("is not passed by when it has something to write itself", () => {
    const { stream, send } = carried();
    send("first");
    stream.queue.push(new Uint8Array(1));
    send("behind");
    expect(stream.writes).toBe(2);
  });

  it("is passed by in a fan-out only while nothing of ours is on its way, and not once the connection closes", () => {
    const now = (one: Carried): string => one.carrier.writeNow(Batch.of("now").frames);
    const fresh = carried();
    expect(now(fresh)).toBe("refused"); // nothing is known of requests yet
    fresh.send("first");
    expect(now(fresh)).toBe("refused"); // the stream may have some of it
    fresh.send("second");
    expect([now(fresh), now(fresh)]).toEqual(["done", "done"]);
    fresh.handle.kernel = "full";
    expect([now(fresh), now(fresh)]).toEqual(["underway", "refused"]);
    expect(fresh.carrier.queuedBytes).toBeGreaterThan(0);
    fresh.handle.finish();
    expect(now(fresh)).toBe("refused");
    fresh.send("third");
    expect(now(fresh)).toBe("done");
    expect(fresh.handle.written).toEqual(["first", "second", "now", "now", "now", "third", "now"]);
    for (const end of ["seal", "close", "terminate"] as const) {
      const one = carried();
      one.send("first");
      one.send("second");
      expect(now(one)).toBe("done");
      one.carrier[end](1000, "");
      expect(now(one)).toBe("refused");
    }
  });

  it("is looked at again when the first look showed nothing: the first peer was gone, say; but not for ever", () => {
    const server = {};
    const next = (): Carried => carried(Object.assign(new FakeStream(), { server }));
    const gone = next();
    gone.stream.corked = true;
    gone.send("lost");
    const broken = next();
    broken.handle.kernel = "error";
    broken.send("lost");
    const second = next();
    second.send("one");
    second.send("two");
    expect(second.stream.writes).toBe(1);
    const strange = carried();
    strange.stream.corked = true;
    for (let look = 0; look < 20; look++) strange.send("held");
    strange.stream.corked = false;
    strange.stream.queue.length = 0;
    strange.send("late");
    strange.send("late");
    expect(strange.stream.writes).toBe(22);
  });
});

describe("a stream that is another", () => {
  class TLSWrap extends TCP {}
  class Stranger extends WriteWrap {}
  it.each<[string, (stream: FakeStream) => void]>([
    ["whose handle is no plain socket's", (stream) => (stream._handle = new TLSWrap())],
    ["that has no handle", (stream) => (stream._handle = null)],
    ["that belongs to no server", (stream) => (stream.server = undefined)],
    ["whose requests are of another class", (stream) => Object.assign(stream, { Request: Stranger })],
    ["that holds back what it is given when it is looked at", (stream) => (stream.corked = true)],
  ])("%s writes everything itself", (_, change) => {
    const stream = new FakeStream();
    change(stream);
    const { send, handle } = carried(stream);
    for (const text of ["one", "two", "three"]) send(text);
    expect(stream.writes).toBe(3);
    expect(handle.requests.length).toBe(stream.corked || stream._handle === null ? 0 : 3);
  });

  it("whose requests do not tell whether they were used writes everything itself", () => {
    for (const wrong of [{ id: 7 }, { id: -1 }]) {
      // Named as Node's, and always in use or never.
      const Request = { WriteWrap: class extends WriteWrap {} }.WriteWrap;
      Request.prototype.getAsyncId = () => wrong.id;
      const stream = Object.assign(new FakeStream(), { Request });
      const { send, handle } = carried(stream);
      if (wrong.id === -1) handle.kernel = "full";
      send("one");
      handle.finish();
      for (const text of ["two", "three"]) send(text);
      expect(stream.writes).toBe(3);
    }
  });
});
