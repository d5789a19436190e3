import type { ChildProcess } from "node:child_process";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import type { Report } from "../../../src/workers/messages.ts";
import { Place } from "../../../src/workers/place.ts";
import { FakeChild } from "./fake-child.ts";

const UP: Report = { did: "listen", listen: "ws://h:1", url: undefined };

function makePlace(): { place: Place; clock: FakeClock; children: FakeChild[]; log: string[] } {
  const clock = new FakeClock();
  const children: FakeChild[] = [];
  const log: string[] = [];
  const place = new Place({
    name: "worker 1",
    clock,
    random: { id: () => "", unit: () => 0.5 },
    fork: () => {
      const child = new FakeChild();
      children.push(child);
      return child as unknown as ChildProcess;
    },
    events: {
      up: () => void log.push("up"),
      failed: (_, { kind, text }) => void log.push(`failed ${kind} ${text}`),
      lost: (_, how, againInMs) => void log.push(`lost ${how} ${againInMs}`),
      said: (_, { did }) => void log.push(`said ${did}`),
      ended: () => void log.push("ended"),
    },
  });
  return { place, clock, children, log };
}

describe("Place", () => {
  it("starts a process, and says once when it is up", async () => {
    const { place, children, log } = makePlace();
    await place.start();
    children[0]!.says(UP);
    children[0]!.says(UP);
    expect(await place.firstUp).toMatchObject({ listen: "ws://h:1" });
    expect(log).toEqual(["up"]);
  });

  it("starts the next one, after a wait, when its process ends", async () => {
    const { place, clock, children, log } = makePlace();
    await place.start();
    children[0]!.says(UP);
    children[0]!.end(null, "SIGKILL");
    expect(log).toEqual(["up", "ended", "lost SIGKILL 50"]);
    await clock.advanceAsync(49);
    expect(children).toHaveLength(1);
    await clock.advanceAsync(1);
    expect(children).toHaveLength(2);
    children[1]!.end(0);
    expect(log.at(-1)).toBe("lost exit code 0 100");
    expect(place.failures).toBe(2);
  });

  it("ends a process that is not up within a minute", async () => {
    const { place, clock, children } = makePlace();
    await place.start();
    await clock.advanceAsync(59_999);
    expect(children[0]!.killed).toBeUndefined();
    await clock.advanceAsync(1);
    expect(children[0]!.killed).toBe("SIGKILL");
  });

  it("does not end a process that is up", async () => {
    const { place, clock, children } = makePlace();
    await place.start();
    children[0]!.says(UP);
    await clock.advanceAsync(100_000);
    expect(children[0]!.killed).toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  it("tells its process to go, and is empty from then on", async () => {
    const { place, clock, children, log } = makePlace();
    await place.start();
    children[0]!.says({ did: "hear" });
    children[0]!.says(UP);
    let isGone = false;
    const gone = place.retire({ do: "hurry" }).then(() => (isGone = true));
    expect(children[0]!.told).toEqual([{ do: "hurry" }]);
    await clock.advanceAsync(100_000);
    expect(isGone).toBe(false);
    children[0]!.end(0);
    await gone;
    expect(log).toEqual(["up", "ended"]);
    await place.start();
    await clock.advanceAsync(100_000);
    expect(children).toHaveLength(1);
  });

  it("ends a process that is still loading, and tells it if it does not end", async () => {
    const { place, children } = makePlace();
    await place.start();
    const [child] = children;
    child!.kill = (signal) => void (child!.killed = signal);
    void place.retire({ do: "drain", delayMs: 0, deadlineMs: 1 });
    void place.retire({ do: "hurry" });
    expect(child!.killed).toBe("SIGTERM");
    expect(child!.told).toEqual([]);
    child!.says({ did: "hear" });
    expect(child!.told).toEqual([{ do: "hurry" }]);
  });

  it("is empty at once when it waits for its next start", async () => {
    const { place, clock, children } = makePlace();
    await place.start();
    children[0]!.end(1);
    await place.retire({ do: "hurry" });
    await clock.advanceAsync(100_000);
    expect(children).toHaveLength(1);
  });

  it("hands on what its process says, and nothing that is somebody else's", async () => {
    const { place, children, log } = makePlace();
    await place.start();
    const [child] = children;
    for (const message of ["hello", null, 7, { groupcast: null }, { cmd: "NODE_something" }]) child!.emit("message", message);
    child!.says({ did: "ask", left: 3 });
    child!.says({ did: "fail", kind: "taken", text: "it is taken", port: 1 });
    expect(log).toEqual(["said ask", "failed taken it is taken"]);
  });

  it("can be retired while it says that no process can be made", async () => {
    const gone: Promise<void>[] = [];
    const place: Place = new Place({
      name: "worker",
      clock: new FakeClock(),
      random: { id: () => "", unit: () => 0.5 },
      fork: () => Promise.reject(new Error("EAGAIN")),
      events: {
        up: () => {},
        failed: () => {},
        said: () => {},
        ended: () => {},
        lost: () => void gone.push(place.retire({ do: "hurry" })),
      },
    });
    await place.start();
    expect(gone).toHaveLength(1);
    await gone[0];
  });

  it("tries again when no process can be made", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    let tries = 0;
    const place = new Place({
      name: "worker",
      clock,
      random: { id: () => "", unit: () => 0.5 },
      fork: () => {
        tries++;
        throw new Error("EAGAIN");
      },
      events: { up: () => {}, failed: () => {}, said: () => {}, ended: () => {}, lost: (_, how) => void log.push(how) },
    });
    await place.start();
    await clock.advanceAsync(50);
    expect(tries).toBe(2);
    expect(log[0]).toMatch(/EAGAIN/);
    await clock.advanceAsync(100);
    expect(tries).toBe(3);
    await place.retire({ do: "hurry" });
  });
});
