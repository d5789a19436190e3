import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/base/clock.ts";
import { LifeKeeper, RETRY_MS, SAYING_MAX, SLEPT_MS } from "../../../src/presence/life-keeper.ts";
import { FakeClock } from "../../../src/testing/index.ts";

const LINGER_MS = 2_000;

class Case {
  readonly clock = new FakeClock();
  readonly open = new Map<string, string>();
  readonly occupied = new Set<string>();
  readonly said: string[] = [];
  isWhole = true;
  /** False: what is said does not come back. */
  answers = true;
  #number = 0;
  keeper!: LifeKeeper;

  start(clock: Clock = this.clock): this {
    this.keeper = new LifeKeeper(
      {
        clock,
        vacatedAfterMs: LINGER_MS,
        isOccupied: (key) => this.occupied.has(key),
        occupied: () => this.occupied,
        isWhole: () => this.isWhole,
        say: (key, life) => {
          this.said.push(`${life === undefined ? "occupied" : "vacated"} ${key}`);
          if (this.answers) this.clock.after(1, () => this.hear(key, life));
          return Promise.resolve();
        },
      },
      this.open,
    );
    this.clock.advance();
    return this;
  }

  hear(key: string, life: string | undefined): void {
    if (life === undefined) this.open.set(key, `${++this.#number}`);
    else this.open.delete(key);
    this.keeper.heard(key, true);
  }

  come(key: string): void {
    this.occupied.add(key);
    this.keeper.changed(key);
  }

  go(key: string): void {
    this.occupied.delete(key);
    this.keeper.changed(key);
  }
}

describe("who leads", () => {
  it("begins with what is so: lives without members linger, members without a life get one", () => {
    const its = new Case();
    its.open.set("ghost", "0").set("fine", "1");
    its.occupied.add("fine").add("new");
    its.start();
    expect(its.said).toEqual(["occupied new"]);
    its.clock.advance(LINGER_MS - 1);
    expect(its.said).toEqual(["occupied new"]);
    its.clock.advance(1);
    expect(its.said).toEqual(["occupied new", "vacated ghost"]);
  });

  it("says nothing twice while it has not heard it, whatever comes and goes meanwhile", () => {
    const its = new Case().start();
    its.answers = false;
    for (let times = 0; times < 5; times++) {
      its.come("a");
      its.clock.advance(100);
      its.go("a");
      its.clock.advance(5_000);
    }
    expect(its.said).toEqual(["occupied a"]);
    its.answers = true;
    its.hear("a", undefined);
    its.clock.advance(LINGER_MS);
    expect(its.said).toEqual(["occupied a", "vacated a"]);
  });

  it("has no more on its way than it may, and loses none of the rest", () => {
    const its = new Case().start();
    its.answers = false;
    const count = SAYING_MAX + 500;
    for (let number = 0; number < count; number++) its.come(`${number}`);
    its.clock.advance(10);
    expect(its.said).toHaveLength(SAYING_MAX);
    its.answers = true;
    for (let number = 0; number < SAYING_MAX; number++) its.hear(`${number}`, undefined);
    its.clock.advance(100);
    expect(its.said).toHaveLength(count);
    for (const key of [...its.occupied]) its.go(key);
    its.answers = false;
    its.clock.advance(LINGER_MS + 10);
    expect(its.said).toHaveLength(count + SAYING_MAX);
    its.answers = true;
    for (let number = 0; number < SAYING_MAX; number++) its.hear(`${number}`, "");
    its.clock.advance(100);
    expect([its.said.length, its.open.size]).toEqual([2 * count, 0]);
  });

  it("is not led astray by timers that come too early", () => {
    const its = new Case();
    const { clock } = its;
    const hasty: Clock = {
      now: () => clock.now(),
      idleMs: () => clock.idleMs(),
      after: (ms, run) => clock.after(ms > 0.6 ? ms - 0.6 : ms, run),
      every: (ms, run) => clock.every(ms, run),
      turnEnd: (run) => clock.turnEnd(run),
    };
    its.open.set("a", "0");
    its.start(hasty);
    clock.advance(LINGER_MS + 1);
    expect(its.said).toEqual(["vacated a"]);
  });

  it("waits anew after it has slept, whatever runs first when it wakes", () => {
    for (const wakes of ["timer", "message"]) {
      const its = new Case();
      its.open.set("a", "0").set("b", "1");
      its.start();
      if (wakes === "message") its.clock.turnEnd(() => its.keeper.changed("c")); // looks before its timer is run
      its.clock.work(LINGER_MS + SLEPT_MS + 1);
      its.clock.advance(0);
      expect(its.said).toEqual([]);
      its.come("b"); // is read only now
      its.clock.advance(LINGER_MS - 1);
      expect(its.said).toEqual([]);
      its.clock.advance(1);
      expect(its.said).toEqual(["vacated a"]);
    }
  });

  it("ends no life while it may not know all members, and soon after it knows them again", () => {
    const its = new Case();
    its.open.set("a", "0");
    its.isWhole = false;
    its.start();
    its.clock.advance(60_000);
    expect(its.said).toEqual([]);
    its.isWhole = true;
    its.clock.advance(RETRY_MS);
    expect(its.said).toEqual(["vacated a"]);
  });

  it("tries again later what has come to nothing", () => {
    const its = new Case().start();
    its.answers = false;
    its.come("a");
    its.clock.advance(1);
    its.keeper.heard("a", false);
    its.clock.advance(RETRY_MS - 1);
    expect(its.said).toEqual(["occupied a"]);
    its.clock.advance(1);
    expect(its.said).toEqual(["occupied a", "occupied a"]);
  });

  it("says nothing any more once it is stopped", () => {
    const its = new Case();
    its.open.set("a", "0");
    its.start();
    its.occupied.add("b");
    its.keeper.changed("b");
    its.keeper.stop();
    its.keeper.changed("c");
    its.clock.advance(60_000);
    expect([its.said, its.clock.timers]).toEqual([[], 0]);
  });
});
