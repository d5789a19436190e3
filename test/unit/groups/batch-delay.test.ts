// batchDelayMs: how long a busy process lets messages wait for others, and what ends the wait.
import { describe, expect, it } from "vitest";
import { GroupManager, type GroupManagerOptions } from "../../../src/index.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { codeOf, Process, settle, StreamSocket } from "../fakes.ts";

/** A socket that takes its time to be written to. */
class BusySocket extends StreamSocket {
  readonly #clock: FakeClock;
  readonly #ms: number;

  constructor(clock: FakeClock, ms: number) {
    super();
    this.#clock = clock;
    this.#ms = ms;
  }

  override sendFrames(frames: Uint8Array): void {
    this.#clock.work(this.#ms);
    super.sendFrames(frames);
  }
}

/** Three members of x, one of which takes `ms` for each write; one flush has just ended. */
function busy(options: GroupManagerOptions = {}, ms = 10) {
  const clock = new FakeClock();
  const here = new Process({ ...options, clock });
  const members = ["a", "b", "c"].map((id) => here.connect(id, id === "c" ? new BusySocket(clock, ms) : new StreamSocket()));
  for (const { connection } of members) connection.setGroup("x");
  const group = here.groups.get("x");
  const [a, b] = members;
  if (group === undefined || a === undefined || b === undefined) throw new Error("no group");
  group.write("first");
  expect(a.socket.sent).toEqual([]);
  clock.endTurn();
  expect(a.socket.sent).toEqual(["first"]);
  return { clock, here, group, a, b };
}

describe("batchDelayMs", () => {
  it("is 0 to 100 milliseconds; anything else is a bad option", () => {
    for (const batchDelayMs of [0, 0.5, 5, 100]) expect(codeOf(() => new GroupManager({ batchDelayMs }))).toBe("nothing thrown");
    for (const batchDelayMs of [-1, -0.001, 100.001, 1e9, Infinity, -Infinity, NaN])
      expect(codeOf(() => new GroupManager({ batchDelayMs }))).toBe("bad_option");
  });

  it.each<[title: string, options: GroupManagerOptions, flushMs: number, waitMs: number]>([
    ["5 by default", {}, 10, 5],
    ["5 by default, less if the flush was short", {}, 2, 4],
    ["what is said", { batchDelayMs: 12 }, 10, 12],
    ["what is said, at most twice the flush", { batchDelayMs: 100 }, 10, 20],
  ])("is %s: so long a message waits after a long flush, and not longer", (_, options, flushMs, waitMs) => {
    const { clock, group, a } = busy(options, flushMs);
    group.write("second");
    clock.advance(waitMs - 0.01);
    expect(a.socket.sent).toEqual(["first"]);
    group.write("third");
    clock.advance(0.02);
    expect(a.socket.sent).toEqual(["first", "second", "third"]);
    expect(a.socket.writes).toBe(2);
  });

  it("of 0 means that nothing waits beyond its turn", () => {
    const { clock, group, a } = busy({ batchDelayMs: 0 });
    for (let count = 0; count < 5; count++) {
      group.write("next");
      clock.endTurn();
    }
    expect(a.socket.writes).toBe(6);
    expect(clock.timers).toBe(0);
  });

  it("does nothing in a process that rests between its flushes", () => {
    const { clock, group, a } = busy();
    for (let count = 0; count < 5; count++) {
      clock.advance(3);
      group.write("next");
      clock.endTurn();
      expect(a.socket.writes).toBe(count + 2);
    }
  });
});

describe("waiting", () => {
  const waits = (turns: number, meanwhile: (context: ReturnType<typeof busy>) => void): boolean[] => {
    const context = busy();
    const { clock, here, group } = context;
    here.connect("z").connection.setGroup("y");
    return Array.from({ length: turns }, () => {
      group.write("one");
      clock.endTurn();
      const isWaiting = clock.timers > 0;
      if (isWaiting) meanwhile(context);
      clock.advance(isWaiting ? 5 : 0);
      return isWaiting;
    });
  };

  it("goes on as long as more messages come for a group that waits", () => {
    expect(waits(6, ({ group }) => void group.write("two"))).toEqual([true, true, true, true, true, true]);
  });

  it("is given up for ever longer if nothing comes, or only for groups that have nothing waiting: that saves no write", () => {
    const inVain = [true, false, true, false, false, true];
    expect(waits(6, () => {})).toEqual(inVain);
    expect(waits(6, ({ here }) => void here.groups.get("y")?.write("two"))).toEqual(inVain);
  });
});

describe("a message that waits for others", () => {
  it("goes before a direct send to a member, to all of them", () => {
    const { clock, group, a, b } = busy();
    group.write("waits");
    clock.advance(1);
    b.connection.send("direct");
    expect([a.socket.sent, b.socket.sent]).toEqual([
      ["first", "waits"],
      ["first", "waits", "direct"],
    ]);
    clock.advance(100);
    expect([a.socket.writes, b.socket.writes]).toEqual([2, 3]);
  });

  it("goes to a leaver, and not to a joiner", () => {
    const { clock, here, group, a, b } = busy();
    group.write("waits");
    clock.advance(1);
    b.connection.leave("x");
    const { connection, socket } = here.connect("d");
    connection.setGroup("x");
    group.write("after");
    clock.advance(100);
    expect([a.socket.sent, b.socket.sent, socket.sent]).toEqual([["first", "waits", "after"], ["first", "waits"], ["after"]]);
  });

  it("goes before one with except, and before a close frame", async () => {
    const { clock, group, a, b } = busy();
    group.write("waits");
    clock.advance(1);
    group.write("not for b", { except: b.connection });
    expect([a.socket.sent, b.socket.sent]).toEqual([
      ["first", "waits", "not for b"],
      ["first", "waits"],
    ]);
    group.write("last");
    clock.advance(0);
    void a.connection.close();
    expect(a.socket.sent.at(-1)).toBe("last");
    await settle();
  });

  it("goes at the end of the turn in which 8 KiB have gathered, and at once with 256 KiB", () => {
    const { clock, group, a } = busy({ batchDelayMs: 100 });
    group.write("waits");
    clock.endTurn();
    group.write("x".repeat(4_000));
    clock.endTurn();
    expect(a.socket.writes).toBe(1);
    group.write("x".repeat(5_000));
    expect(a.socket.writes).toBe(1);
    clock.endTurn();
    expect(a.socket.writes).toBe(2);
    group.write("waits again");
    clock.endTurn();
    expect(a.socket.writes).toBe(2);
    group.write("x".repeat(300_000));
    expect(a.socket.writes).toBe(3);
    clock.advance(100);
    expect(a.socket.writes).toBe(3);
    expect(clock.timers).toBe(0);
  });

  it("takes the messages of other groups along, and those that came for its own", () => {
    const { clock, here, group, a } = busy();
    const other = here.connect("z");
    other.connection.setGroup("y");
    group.write("waits");
    clock.advance(2);
    here.groups.get("y")?.write("of another group");
    clock.advance(2);
    group.write("late");
    expect([a.socket.sent, other.socket.sent]).toEqual([["first"], []]);
    clock.advance(1.1);
    expect([a.socket.sent, other.socket.sent]).toEqual([["first", "waits", "late"], ["of another group"]]);
  });
});
