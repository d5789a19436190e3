import { describe, expect, it } from "vitest";
import { Turn } from "../../../src/base/turn.ts";
import { encodeSubscribed, FRAME_BYTES_MAX, PING } from "../../../src/hub/frames.ts";
import { Link } from "../../../src/hub/link.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { Pipe } from "./pipe.ts";

function open(waitingBytesMax = 1000): { clock: FakeClock; pipe: Pipe; link: Link; told: string[] } {
  const clock = new FakeClock();
  const pipe = new Pipe();
  const told: string[] = [];
  const link = new Link(
    pipe.asSocket(),
    new Turn(clock),
    {
      frame: (frame) => {
        if (frame.length === 13) throw new Error("a frame that cannot be read");
        told.push(`frame of ${frame.length}`);
      },
      drained: () => void told.push("drained"),
      behind: () => void told.push("behind"),
      ended: (reason) => void told.push(`ended: ${reason.message}`),
    },
    waitingBytesMax,
  );
  return { clock, pipe, link, told };
}

describe("a link", () => {
  it("writes what gathers in a turn once, at its end", () => {
    const { clock, pipe, link } = open();
    for (let ref = 0; ref < 3; ref++) link.push(encodeSubscribed(ref));
    expect(pipe.written).toEqual([]);
    clock.endTurn();
    expect(pipe.written).toEqual([Buffer.concat([0, 1, 2].map(encodeSubscribed))]);
    clock.endTurn();
    expect(pipe.written.length).toBe(1);
  });

  it("writes sooner when it is asked to, all of one run of code together and in order", async () => {
    const { clock, pipe, link } = open();
    link.push(encodeSubscribed(1));
    link.flushSoon();
    link.push(encodeSubscribed(2));
    link.flushSoon();
    expect(pipe.written).toEqual([]);
    await Promise.resolve();
    expect(pipe.written).toEqual([Buffer.concat([1, 2].map(encodeSubscribed))]);
    clock.endTurn();
    expect(pipe.written.length).toBe(1);
  });

  it("does not let a turn gather more than 256 KiB, and does not copy what is that large", () => {
    const { pipe, link } = open();
    const small = Buffer.alloc(100_000);
    const large = Buffer.alloc(300_000);
    for (const part of [small, small, small]) link.push(part);
    expect(pipe.written.map(({ length }) => length)).toEqual([300_000]);
    link.push(small);
    link.push(large);
    expect(pipe.written.map(({ length }) => length)).toEqual([300_000, 100_000, 300_000]);
    expect(pipe.written[2]).toBe(large);
  });

  it("does not keep a large buffer for a small piece of it", () => {
    const { clock, pipe, link } = open();
    link.push(Buffer.alloc(64 * 1024).subarray(100, 200));
    clock.endTurn();
    expect(pipe.written[0]?.length).toBe(100);
    expect(pipe.written[0]?.buffer.byteLength).toBeLessThan(64 * 1024);
  });

  it("is behind when more than the limit has waited longer than a turn, not before", () => {
    const { clock, pipe, link, told } = open(1000);
    pipe.takes = false;
    link.push(Buffer.alloc(5000));
    expect(link.isFull).toBe(false);
    clock.endTurn(); // this turn's own output
    expect(told).toEqual([]);
    expect(link.isFull).toBe(true);
    link.push(PING);
    clock.endTurn();
    expect(told).toEqual(["behind"]);
  });

  it("does not count what was written in this turn, however much", () => {
    const { clock, pipe, link, told } = open(1000);
    pipe.takes = false;
    link.push(Buffer.alloc(300_000));
    expect(pipe.written.length).toBe(1);
    expect(link.isFull).toBe(false);
    clock.endTurn();
    expect(told).toEqual([]);
    link.push(PING);
    clock.endTurn();
    expect(told).toEqual(["behind"]);
  });

  it("is not behind when the kernel has taken it in time", () => {
    const { clock, pipe, link, told } = open(1000);
    pipe.takes = false;
    link.push(Buffer.alloc(5000));
    clock.endTurn();
    pipe.take();
    link.push(PING);
    clock.endTurn();
    expect(link.isFull).toBe(false);
    expect(told).toEqual(["drained"]);
  });

  it("is cut when far too much waits, even of one turn", () => {
    const { pipe, link, told } = open(1000);
    pipe.takes = false;
    const part = Buffer.alloc(1024 * 1024);
    for (let parts = 0; parts < 200; parts++) link.push(part);
    expect(pipe.written.length).toBeLessThan(100);
    expect(pipe.destroyed).toBe(true);
    expect(told).toEqual([expect.stringMatching(/^ended: it reads too slowly/)]);
  });

  it("pings, and is cut at the third ping without a byte from the other side", () => {
    const { clock, pipe, link, told } = open();
    link.tick();
    link.tick();
    clock.endTurn();
    expect(Buffer.concat(pipe.written)).toEqual(Buffer.concat([PING, PING]));
    pipe.emit("data", Buffer.of(0)); // one byte of a frame is a sign of life
    link.tick();
    link.tick();
    expect(told.filter((word) => word.startsWith("ended"))).toEqual([]);
    link.tick();
    expect(told.at(-1)).toBe("ended: nothing was heard from it for 3 s");
  });

  it("takes nobody for dead whom it does not read", () => {
    const { pipe, link, told } = open();
    link.pause();
    expect(pipe.paused).toBe(true);
    for (let pings = 0; pings < 10; pings++) link.tick();
    link.resume();
    link.tick();
    link.tick();
    expect([pipe.paused, told]).toEqual([false, []]);
  });

  it("is cut by a frame that cannot be read, and hands on none after it", () => {
    const { pipe, link, told } = open();
    link.trust();
    const bad = Buffer.alloc(13);
    bad.writeUInt32BE(9);
    pipe.emit("data", Buffer.concat([encodeSubscribed(1).subarray(0, 9), bad, encodeSubscribed(2)]));
    pipe.emit("data", encodeSubscribed(3));
    expect(told).toEqual(["frame of 9", "ended: a frame that cannot be read"]);
    expect(pipe.destroyed).toBe(true);
  });

  it("takes long frames only from a side that it trusts", () => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(FRAME_BYTES_MAX);
    const stranger = open();
    stranger.pipe.emit("data", head);
    expect(stranger.told.length).toBe(1);
    const known = open();
    known.link.trust();
    known.pipe.emit("data", head);
    expect(known.told).toEqual([]);
  });

  it("tells its end once, with the error that caused it, and writes nothing after it", async () => {
    const { clock, pipe, link, told } = open();
    pipe.emit("error", new Error("ECONNRESET"));
    pipe.emit("close");
    link.push(PING);
    link.flushSoon();
    link.cut(new Error("again"));
    await link.gone;
    clock.endTurn();
    expect(told).toEqual(["ended: ECONNRESET"]);
    expect(pipe.written).toEqual([]);
  });

  it("writes what has gathered before it finishes", async () => {
    const { pipe, link, told } = open();
    link.push(PING);
    link.finish(new Error("closed"));
    await link.gone;
    expect(pipe.written).toEqual([PING]);
    expect(told).toEqual(["ended: closed"]);
  });
});
