import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { Connection, DEFAULTS } from "../../../src/index.ts";
import { Heartbeat, type HeartbeatOptions } from "../../../src/groups/heartbeat.ts";
import { FakeClock, FakeSocket } from "../../../src/testing/index.ts";
import { codeOf, settle, WebFake } from "../fakes.ts";

const { pingEveryMs, pongWithinMs } = DEFAULTS;

function watched(count = 1, options: HeartbeatOptions = { pingEveryMs, pongWithinMs }) {
  const clock = new FakeClock();
  const heartbeat = new Heartbeat(clock, options);
  const closes: string[] = [];
  const people = Array.from({ length: count }, (_, index) => {
    const socket = new FakeSocket();
    const connection = new Connection(String(index), "default", socket);
    connection.on("close", (code, reason) => void closes.push(`${connection.id} ${code} ${reason} at ${clock.now()}`));
    heartbeat.add(connection);
    return { connection, socket };
  });
  const [first] = people;
  if (first === undefined) throw new Error("nobody");
  return { clock, heartbeat, people, closes, first };
}

describe("the heartbeat", () => {
  it("is 20 s for a ping and 10 s for its pong", () => {
    expect([pingEveryMs, pongWithinMs]).toEqual([20_000, 10_000]);
  });

  it("pings each connection once in 20 s, the first time after a whole period, and never closes one that answers", async () => {
    const { clock, first, closes } = watched();
    await clock.advanceAsync(19_000);
    expect(first.socket.pings).toBe(0);
    await clock.advanceAsync(2_000);
    expect(first.socket.pings).toBe(1);
    await clock.advanceAsync(3_600_000);
    expect(first.socket.pings).toBeGreaterThanOrEqual(180);
    expect(first.socket.pings).toBeLessThanOrEqual(182);
    expect(closes).toEqual([]);
  });

  it("finds a half-open peer: closed with 4003, and cut, 20 s + 10 s after it was heard last, or one tick later", async () => {
    const { clock, first, closes } = watched();
    first.socket.answersPing = false;
    first.socket.answersClose = false;
    await clock.advanceAsync(29_000);
    expect(closes).toEqual([]);
    await clock.advanceAsync(2_000);
    expect(closes).toEqual([expect.stringMatching(/^0 4003 .* at (30|31)000$/)]);
    expect(first.socket.closeSent).toMatchObject({ code: 4003 });
    expect(first.connection.closed).toBe(true);
  });

  it("takes any message for a sign of life, and a late pong, too", async () => {
    const { clock, first, closes } = watched();
    first.socket.answersPing = false;
    for (let period = 0; period < 10; period++) {
      await clock.advanceAsync(pingEveryMs + 9_000 - (period === 0 ? 0 : 9_000));
      if (period % 2 === 0) first.socket.receive("anything");
      else first.socket.pong();
    }
    expect(closes).toEqual([]);
    await clock.advanceAsync(41_000);
    expect(closes).toHaveLength(1);
  });

  it("does not take what came before the ping for an answer to it", async () => {
    const { clock, first, closes } = watched();
    first.socket.answersPing = false;
    await clock.advanceAsync(19_500);
    first.socket.receive("just before");
    await clock.advanceAsync(12_000);
    expect(closes).toHaveLength(1);
  });

  it("does not blame peers for a hang of this process: a tick that comes late is one tick, and their answers are read first", async () => {
    // The machine's setInterval: after a hang it runs once, however much time has passed.
    let tick = (): void => {};
    const clock = Object.assign(new FakeClock(), { every: (_: number, run: () => void) => ((tick = run), () => {}) });
    const heartbeat = new Heartbeat(clock, { pingEveryMs, pongWithinMs });
    const socket = new FakeSocket();
    const connection = new Connection("1", "default", socket);
    heartbeat.add(connection);
    socket.answersPing = false;
    while (socket.pings === 0) tick();
    // Hangs for a minute; the pong lies in the kernel meanwhile. One late tick runs, then the socket is read.
    tick();
    expect(connection.closed).toBe(false);
    socket.pong();
    for (let ticks = 0; ticks < 15; ticks++) tick();
    await settle();
    expect(connection.closed).toBe(false);
  });

  it("spreads its pings over the period", async () => {
    const { clock, people, heartbeat } = watched(1);
    for (let second = 1; second < 20; second++) {
      await clock.advanceAsync(1_000);
      const socket = new FakeSocket();
      const connection = new Connection(`late ${second}`, "default", socket);
      heartbeat.add(connection);
      people.push({ connection, socket });
    }
    await clock.advanceAsync(20_000);
    const before = people.map(({ socket }) => socket.pings);
    await clock.advanceAsync(1_000);
    const pinged = people.filter(({ socket }, index) => socket.pings > (before[index] ?? 0));
    expect(pinged).toHaveLength(1);
  });

  it("spreads the pings of those who came together", async () => {
    const { clock, people } = watched(60);
    for (let second = 1; second <= 20; second++) {
      const before = people.map(({ socket }) => socket.pings);
      await clock.advanceAsync(1_000);
      expect(people.filter(({ socket }, index) => socket.pings > (before[index] ?? 0))).toHaveLength(3);
    }
  });

  it("never closes a peer that answers within its time, and always closes one that does not, wherever it sits in the wheel", async () => {
    await fc.assert(
      fc.asyncProperty(
        // Ticks of less than a millisecond are beyond any timer.
        fc.integer({ min: 20, max: 60_000 }).chain((every) => {
          const least = Math.ceil(every / 50) + 2;
          return fc.tuple(fc.constant(every), fc.integer({ min: least, max: every - least }));
        }),
        fc.array(fc.record({ answers: fc.boolean(), addedAt: fc.double({ min: 0, max: 2, noNaN: true }) }), { minLength: 1, maxLength: 5 }),
        async ([every, within], peers) => {
          const { clock, heartbeat, people } = watched(peers.length, { pingEveryMs: every, pongWithinMs: within });
          const addedAt = new Map<Connection, number>();
          const endedAt = new Map<Connection, number>();
          people.forEach(({ connection, socket }, index) => {
            const peer = peers[index];
            if (peer === undefined) return;
            heartbeat.remove(connection);
            socket.answersPing = peer.answers;
            connection.on("close", () => void endedAt.set(connection, clock.now()));
            clock.after(peer.addedAt * every, () => {
              addedAt.set(connection, clock.now());
              heartbeat.add(connection);
            });
          });
          await clock.advanceAsync(6 * every);
          people.forEach(({ connection }, index) => {
            expect(connection.closed).toBe(peers[index]?.answers === false);
            if (peers[index]?.answers !== false) return;
            const took = (endedAt.get(connection) ?? NaN) - (addedAt.get(connection) ?? NaN);
            const tick = Math.min(1_000, within / 2, (every - within) / 2);
            // The first ping comes within one period. A rounding of the wheel to whole ticks beside the tick itself.
            expect(took).toBeGreaterThanOrEqual(within - 2 * tick);
            expect(took).toBeLessThanOrEqual(every + within + 2 * tick);
          });
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  it("stops with remove, and its timer ends with the last one", async () => {
    const { clock, heartbeat, people } = watched(3);
    expect(clock.timers).toBe(1);
    for (const { connection, socket } of people) {
      socket.answersPing = false;
      heartbeat.remove(connection);
      heartbeat.remove(connection);
    }
    expect(clock.timers).toBe(0);
    await clock.advanceAsync(100_000);
    expect(people.map(({ socket, connection }) => [socket.pings, connection.closed])).toEqual([
      [0, false],
      [0, false],
      [0, false],
    ]);
    heartbeat.add(people[0]?.connection ?? new Connection("x", "default", new FakeSocket()));
    expect(clock.timers).toBe(1);
    const told: string[] = [];
    heartbeat.closed = ({ id }) => void told.push(id);
    for (const { socket } of people) socket.hangUp();
    expect(told).toEqual(["0"]); // whom it does not watch does not know it
  });

  it("leaves no timer behind when all are gone", async () => {
    const { clock, people } = watched(3);
    for (const { socket } of people) socket.hangUp();
    expect(clock.timers).toBe(0);
  });

  it("is watched no more by the time that its end is told", () => {
    const { clock, first } = watched();
    const timers: number[] = [];
    first.connection.on("close", () => void timers.push(clock.timers));
    first.socket.hangUp();
    expect(timers).toEqual([0]);
  });

  it("watches a connection once, however often it is added", async () => {
    const { clock, heartbeat, first } = watched();
    await clock.advanceAsync(5_000);
    heartbeat.add(first.connection);
    await clock.advanceAsync(20_000);
    expect(first.socket.pings).toBe(1);
    heartbeat.remove(first.connection);
    expect(clock.timers).toBe(0);
    await clock.advanceAsync(100_000);
    expect(first.socket.pings).toBe(1);
  });

  it("leaves sockets alone that cannot ping", async () => {
    const clock = new FakeClock();
    const heartbeat = new Heartbeat(clock, { pingEveryMs, pongWithinMs });
    const connection = new Connection("1", "default", new WebFake());
    heartbeat.add(connection);
    await clock.advanceAsync(100_000);
    expect(connection.closed).toBe(false);
  });

  it.each([
    [10, 10],
    [10, 11],
    [10, 0],
    [10, -1],
    [0, 0],
    [NaN, 1],
    [10, NaN],
    [Infinity, 1],
  ])("throws bad_option for a ping every %d ms and a pong within %d ms", (every, within) => {
    expect(codeOf(() => new Heartbeat(new FakeClock(), { pingEveryMs: every, pongWithinMs: within }))).toBe("bad_option");
  });
});
