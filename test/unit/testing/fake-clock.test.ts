import { expect, it } from "vitest";
import { FakeClock } from "../../../src/testing/fake-clock.ts";

it("stands still until it is moved", () => {
  const clock = new FakeClock();
  const ran: number[] = [];
  clock.after(1, () => ran.push(clock.now()));
  expect(clock.now()).toBe(0);
  clock.advance(0);
  expect(ran).toEqual([]);
  clock.advance(1);
  expect(ran).toEqual([1]);
  expect(clock.now()).toBe(1);
});

it("runs timers in the order in which they are due, then in the order in which they were made", () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  clock.after(20, () => ran.push("20"));
  clock.after(10, () => ran.push("10, made first"));
  clock.after(10, () => ran.push("10, made second"));
  clock.every(10, () => ran.push(`every ${clock.now()}`));
  clock.advance(20);
  expect(ran).toEqual(["10, made first", "10, made second", "every 10", "20", "every 20"]);
});

it("runs timers that are made by timers, if they are due in the same advance", () => {
  const clock = new FakeClock();
  const ran: number[] = [];
  clock.after(10, () => clock.after(5, () => ran.push(clock.now())));
  clock.after(10, () => clock.after(50, () => ran.push(clock.now())));
  clock.advance(20);
  expect(ran).toEqual([15]);
  clock.advance(40);
  expect(ran).toEqual([15, 60]);
});

it("forgets a timer that is cancelled, also one that would run in the same advance", () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  const cancel = clock.after(2, () => ran.push("cancelled"));
  const cancelEvery = clock.every(1, () => {
    ran.push("every");
    cancel();
    cancelEvery();
  });
  expect(clock.timers).toBe(2);
  clock.advance(10);
  expect(ran).toEqual(["every"]);
  expect(clock.timers).toBe(0);
  expect(cancel).not.toThrow();
});

it("ends a turn when it is told, before time passes, and after every timer", () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  clock.turnEnd(() => ran.push("first turn"));
  clock.endTurn();
  expect(ran).toEqual(["first turn"]);
  clock.turnEnd(() => ran.push(`before, at ${clock.now()}`));
  clock.after(5, () => clock.turnEnd(() => ran.push(`between, at ${clock.now()}`)));
  clock.after(6, () => ran.push("timer"));
  clock.advance(10);
  expect(ran).toEqual(["first turn", "before, at 0", "between, at 5", "timer"]);
});

it("leaves what a turn end puts off to the next turn", () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  clock.turnEnd(() => {
    ran.push("first");
    clock.turnEnd(() => ran.push("second"));
  });
  clock.endTurn();
  expect(ran).toEqual(["first"]);
  clock.advance();
  expect(ran).toEqual(["first", "second"]);
});

it("lets promises settle between timers in advanceAsync", async () => {
  const clock = new FakeClock();
  const ran: number[] = [];
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
  const work = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      await wait(10);
      ran.push(clock.now());
    }
    await new Promise<void>((resolve) => clock.turnEnd(resolve));
    ran.push(clock.now());
  };
  const done = work();
  await clock.advanceAsync(30);
  expect(ran).toEqual([10, 20, 30, 30]);
  await done;
});

it("throws what a timer throws, and has run it", () => {
  const clock = new FakeClock();
  clock.after(1, () => {
    throw new Error("from a timer");
  });
  expect(() => clock.advance(1)).toThrow("from a timer");
  expect(clock.timers).toBe(0);
});

it("ends instead of hanging when a timer starts itself again at once", () => {
  const clock = new FakeClock();
  const again = (): void => void clock.after(0, again);
  again();
  expect(() => clock.advance(1)).toThrow("starts itself again");
});

it("never goes back, though a timer has worked beyond the time that was to pass", async () => {
  const clock = new FakeClock();
  clock.after(1, () => clock.work(10));
  clock.advance(2);
  expect([clock.now(), clock.idleMs()]).toEqual([11, 1]);
  clock.after(1, () => clock.work(10));
  await clock.advanceAsync(2);
  expect([clock.now(), clock.idleMs()]).toEqual([22, 2]);
});
