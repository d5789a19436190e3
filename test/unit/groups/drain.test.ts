import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import type { Connection } from "../../../src/index.ts";
import { FakeSocket } from "../../../src/testing/index.ts";
import { codeOf, Process, settle, stateOf, texts } from "../fakes.ts";

/** A process with `count` connections dealt out to `namespaces`, and when each was closed by this side. */
function full(count: number, namespaces = 1) {
  const here = new Process();
  const closedAt: number[] = [];
  class TimedSocket extends FakeSocket {
    override close(code?: number, reason?: string): void {
      if (this.readyState === 1) closedAt.push(here.clock.now());
      super.close(code, reason);
    }
  }
  const people = Array.from({ length: count }, (_, index) => here.connect(`c${index}`, new TimedSocket(), `ns${index % namespaces}`));
  return { here, people, closedAt };
}

function mostInOneSecond(times: readonly number[]): number {
  return Math.max(0, ...times.map((from) => times.filter((time) => time >= from && time < from + 1000).length));
}

/** Lets time pass in steps that are as long as `late` makes them, until `promise` has settled. */
async function runUntilDone(here: Process, promise: Promise<unknown>, late: () => number = () => 10): Promise<void> {
  let done = false;
  void promise.finally(() => (done = true));
  await settle();
  for (let steps = 0; !done; steps++) {
    if (steps > 20_000) throw new Error("it does not end");
    here.clock.advance(late());
    await settle();
  }
}

describe("drainConnections", () => {
  it.each([1, 5])(
    "closes 25 connections in %i namespaces at 10 a second: in about 2 s, never more than 10 in any second",
    async (namespaces) => {
      const { here, people, closedAt } = full(25, namespaces);
      const drained = here.pool.drainConnections(10);
      await runUntilDone(here, drained);
      const report = await drained;
      expect(closedAt).toHaveLength(25);
      expect(mostInOneSecond(closedAt)).toBeLessThanOrEqual(10);
      expect(Math.max(...closedAt)).toBeGreaterThanOrEqual(2_000);
      expect(Math.max(...closedAt)).toBeLessThanOrEqual(2_600);
      expect(report).toEqual({ closed: 25, forced: 0, seconds: expect.any(Number) });
      expect(report.seconds).toBeGreaterThanOrEqual(2);
      expect(report.seconds).toBeLessThanOrEqual(2.7);
      expect(people.every(({ connection }) => connection.closed)).toBe(true);
      expect([here.pool.size, here.clock.timers]).toEqual([0, 0]);
    },
  );

  it("never closes more than N in any second, for any N, any number of connections and namespaces, leavers, and late timers", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          perSecond: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 21, max: 700 })),
          count: fc.integer({ min: 0, max: 60 }),
          namespaces: fc.integer({ min: 1, max: 5 }),
          leavers: fc.array(fc.record({ who: fc.nat(59), at: fc.nat(3_000) }), { maxLength: 20 }),
          lateness: fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 100, max: 2_500 })), {
            minLength: 1,
            maxLength: 20,
          }),
        }),
        async ({ perSecond, count, namespaces, leavers, lateness }) => {
          const { here, people, closedAt } = full(count, namespaces);
          const left = new Set<Connection>();
          for (const { who, at } of leavers) {
            const person = people[who];
            if (person === undefined) continue;
            here.clock.after(at, () => {
              if (!person.connection.$open) return;
              left.add(person.connection);
              person.socket.hangUp(1001);
            });
          }
          const drained = here.pool.drainConnections(perSecond);
          let step = 0;
          await runUntilDone(here, drained, () => lateness[step++ % lateness.length] ?? 10);
          expect(mostInOneSecond(closedAt)).toBeLessThanOrEqual(perSecond);
          const report = await drained;
          expect(report).toMatchObject({ closed: count - left.size, forced: 0 });
          expect(closedAt).toHaveLength(count - left.size);
          expect([here.pool.size, here.pool.isDraining("ns0")]).toEqual([0, false]);
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);

  it("closes with 1012 and no reason, or with what it is given in either order", async () => {
    for (const [args, code, reason] of [
      [[], 1012, ""],
      [["moving"], 1012, "moving"],
      [["moving", 4001], 4001, "moving"],
      [[4001, "moving"], 4001, "moving"],
      [[{ reason: "moving", code: 4001 }], 4001, "moving"],
    ] as const) {
      const { here, people } = full(1);
      const drained = here.pool.drainConnections(10, ...(args as unknown as [string]));
      await runUntilDone(here, drained);
      expect(people[0]?.socket.closeSent).toEqual({ code, reason });
    }
  });

  it("is 500 a second if nobody says otherwise", async () => {
    const { here, closedAt } = full(600);
    await runUntilDone(here, here.pool.drainConnections(), () => 1);
    expect(mostInOneSecond(closedAt)).toBeLessThanOrEqual(500);
    expect(mostInOneSecond(closedAt)).toBeGreaterThan(450);
  });

  it.each([0, -1, NaN, Infinity, -Infinity, "10", null])("throws bad_option for a rate of %s, and closes nobody", async (rate) => {
    const { here, closedAt } = full(3);
    expect(codeOf(() => here.pool.drainConnections(rate as number))).toBe("bad_option");
    expect(codeOf(() => here.pool.drainConnections(10, "x", 1005))).toBe("bad_option");
    expect(codeOf(() => here.pool.drainConnections(10, 1000, 1000))).toBe("bad_option");
    await here.clock.advanceAsync(5_000);
    expect(closedAt).toEqual([]);
    expect(here.pool.isDraining("ns0")).toBe(false);
    expect(() => here.connect("new", undefined, "ns0")).not.toThrow();
  });

  it("refuses newcomers while it runs, and takes them afterwards", async () => {
    const { here } = full(5);
    const drained = here.pool.drainConnections(10);
    expect(codeOf(() => here.connect("late", undefined, "ns0"))).toBe("draining");
    expect(codeOf(() => here.connect("late", undefined, "another"))).toBe("draining");
    await here.clock.advanceAsync(200);
    expect(codeOf(() => here.connect("late", undefined, "ns0"))).toBe("draining");
    await runUntilDone(here, drained);
    expect(() => here.connect("afterwards", undefined, "ns0")).not.toThrow();
  });

  it("returns the same promise to a second call while it runs, and begins anew afterwards", async () => {
    const { here } = full(5);
    const drained = here.pool.drainConnections(10);
    expect(here.pool.drainConnections(1000, "faster", 4001)).toBe(drained);
    expect(here.pool.drainConnections(10, "part of it", 4001, { namespace: "ns0" })).toBe(drained);
    await runUntilDone(here, drained);
    const again = here.pool.drainConnections(10);
    expect(again).not.toBe(drained);
    expect(await again).toEqual({ closed: 0, forced: 0, seconds: 0 });
  });

  it("reaches those that are not closed yet with broadcasts", async () => {
    const { here, people } = full(3);
    const drained = here.pool.drainConnections(1);
    await here.clock.advanceAsync(10);
    await here.pool.broadcastMessage("ns0", "still here?");
    await here.clock.advanceAsync(1);
    expect(people.map(({ socket }) => texts(socket.sent))).toEqual([[], ["still here?"], ["still here?"]]);
    await runUntilDone(here, drained, () => 100);
  });

  it("spends no time on who leaves by itself", async () => {
    const { here, people, closedAt } = full(20);
    const drained = here.pool.drainConnections(10);
    await here.clock.advanceAsync(50); // the first is closed
    for (const { socket } of people.slice(1, 18)) socket.hangUp(1001);
    await runUntilDone(here, drained);
    expect(await drained).toMatchObject({ closed: 3, forced: 0 });
    expect(Math.max(...closedAt)).toBeLessThanOrEqual(250);
  });

  it("resolves as soon as all are gone, also when the last ones left by themselves long before their turn", async () => {
    const { here, people } = full(3);
    const drained = here.pool.drainConnections(0.01); // one in 100 s
    await here.clock.advanceAsync(10);
    for (const { socket } of people) socket.hangUp(1001);
    await here.clock.advanceAsync(100);
    expect(await stateOf(drained)).toBe("done");
    expect(await drained).toMatchObject({ closed: 1, forced: 0 });
  });

  it("waits for those that were closing already, and counts them nowhere", async () => {
    const { here, people } = full(2);
    const [closing] = people;
    if (closing === undefined) throw new Error("nobody");
    closing.socket.answersClose = false;
    void closing.connection.close(4000);
    const drained = here.pool.drainConnections(10);
    await here.clock.advanceAsync(1_000);
    expect(await stateOf(drained)).toBe("pending");
    closing.socket.finishClose();
    expect(await drained).toMatchObject({ closed: 1, forced: 0 });
  });

  it("cuts peers that do not answer after 5 s, and counts them as forced", async () => {
    const { here, people } = full(4);
    for (const { socket } of people.slice(0, 2)) socket.answersClose = false;
    const drained = here.pool.drainConnections(100);
    await runUntilDone(here, drained);
    const report = await drained;
    expect(report).toMatchObject({ closed: 2, forced: 2 });
    expect(report.seconds).toBeGreaterThanOrEqual(5);
    expect(report.seconds).toBeLessThan(5.5);
    expect(here.pool.size).toBe(0);
  });

  it("closes who is left at its deadline at once, and counts them as forced", async () => {
    const { here, closedAt } = full(20);
    const drained = here.pool.drainConnections(2, "moving", 1012, { deadlineMs: 2_000 });
    await runUntilDone(here, drained);
    const report = await drained;
    const inTime = closedAt.filter((at) => at < 2_000).length;
    expect(inTime).toBeGreaterThanOrEqual(3);
    expect(closedAt).toHaveLength(20);
    expect(report).toMatchObject({ closed: inTime, forced: 20 - inTime });
    expect(report.seconds).toBeLessThan(3.5);
    expect(here.clock.timers).toBe(0);
  });

  it("leaves no timer behind when all are gone before its deadline, or before the next slot", async () => {
    const { here, people } = full(3);
    const drained = here.pool.drainConnections(0.1, "moving", 1012, { deadlineMs: 60_000 });
    await here.clock.advanceAsync(10);
    for (const { socket } of people) socket.hangUp();
    await here.clock.advanceAsync();
    await drained;
    expect(here.clock.timers).toBe(0);
  });

  it("may be for one namespace: the others go on and take newcomers", async () => {
    const { here, people } = full(6, 2);
    const drained = here.pool.drainConnections(10, "moving", 1012, { namespace: "ns0" });
    expect(codeOf(() => here.connect("late", undefined, "ns0"))).toBe("draining");
    here.connect("welcome", undefined, "ns1");
    await runUntilDone(here, drained);
    expect(await drained).toMatchObject({ closed: 3 });
    expect(people.filter(({ connection }) => !connection.closed).map(({ connection }) => connection.namespace)).toEqual([
      "ns1",
      "ns1",
      "ns1",
    ]);
    here.connect("welcome again", undefined, "ns0");
  });

  it.each([
    [10, 5],
    [5, 10],
  ])("of two namespaces at the same time, at %i and %i a second, keeps to the slower one over both together", async (first, second) => {
    const { here, closedAt } = full(60, 2);
    const both = [
      here.pool.drainConnections(first, "a", 1012, { namespace: "ns0" }),
      here.pool.drainConnections(second, "b", 1012, { namespace: "ns1" }),
    ];
    await runUntilDone(here, Promise.all(both));
    expect(closedAt).toHaveLength(60);
    // What the first was allowed before the second came is its own.
    expect(mostInOneSecond(closedAt.slice(1))).toBeLessThanOrEqual(5);
  });

  it("closes nobody twice and nobody new, though listeners of close meddle", async () => {
    const { here, people, closedAt } = full(10);
    people.forEach(({ connection }, index) =>
      connection.on("close", () => {
        people[index + 1]?.connection.terminate();
        void here.pool.drainConnections(1000);
      }),
    );
    const drained = here.pool.drainConnections(10);
    await runUntilDone(here, drained);
    expect(here.pool.size).toBe(0);
    expect(closedAt.length).toBeLessThanOrEqual(10);
  });
});
