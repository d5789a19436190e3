import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { type Asker, Dealer } from "../../../src/workers/dealer.ts";

/** A worker with `left` connections, which closes one `closeAfterMs` after its leave and says so `tellAfterMs` later. */
class Worker implements Asker {
  readonly closedAt: number[] = [];
  readonly #clock: FakeClock;
  readonly #dealer: Dealer;
  readonly #delays: () => { closeAfterMs: number; tellAfterMs: number };
  left: number;

  constructor(clock: FakeClock, dealer: Dealer, left: number, delays = () => ({ closeAfterMs: 0, tellAfterMs: 0 })) {
    this.#clock = clock;
    this.#dealer = dealer;
    this.left = left;
    this.#delays = delays;
  }

  ask(): void {
    if (this.left > 0) this.#dealer.ask(this, this.left);
  }

  grant(count: number): void {
    const { closeAfterMs, tellAfterMs } = this.#delays();
    this.#clock.after(closeAfterMs, () => {
      for (let closed = 0; closed < count; closed++) this.closedAt.push(this.#clock.now());
      this.left -= count;
      this.#clock.after(tellAfterMs, () => {
        this.#dealer.used(this);
        this.ask();
      });
    });
  }
}

function mostInASecond(workers: readonly Worker[]): number {
  const all = workers.flatMap(({ closedAt }) => closedAt).sort((a, b) => a - b);
  return Math.max(0, ...all.map((from) => all.filter((at) => at >= from && at < from + 1_000).length));
}

describe("Dealer", () => {
  it("deals out the rate over all workers together, and none of it is wasted", () => {
    const clock = new FakeClock();
    const dealer = new Dealer(clock, 20);
    const workers = [15, 15, 15, 15].map((left) => new Worker(clock, dealer, left));
    for (const worker of workers) worker.ask();
    clock.advance(3_500);
    expect(workers.map(({ left }) => left)).toEqual([0, 0, 0, 0]);
    expect(mostInASecond(workers)).toBeLessThanOrEqual(20);
  });

  it("reaches high rates over slow pipes", () => {
    const clock = new FakeClock();
    const dealer = new Dealer(clock, 5_000);
    const workers = [2_000, 2_000].map((left) => new Worker(clock, dealer, left, () => ({ closeAfterMs: 2, tellAfterMs: 3 })));
    for (const worker of workers) worker.ask();
    clock.advance(1_000);
    expect(workers.map(({ left }) => left)).toEqual([0, 0]);
    expect(mostInASecond(workers)).toBeLessThanOrEqual(5_000);
  });

  it("never gives more leave than is asked for", () => {
    const clock = new FakeClock();
    const dealer = new Dealer(clock, 100_000);
    const workers = [3, 5].map((left) => new Worker(clock, dealer, left));
    clock.advance(1_000);
    for (const worker of workers) worker.ask();
    clock.advance(1_000);
    expect(workers.map(({ closedAt }) => closedAt.length)).toEqual([3, 5]);
  });

  it("serves who has most left first, so that all end together", () => {
    const clock = new FakeClock();
    const dealer = new Dealer(clock, 10);
    const [many, few] = [new Worker(clock, dealer, 30), new Worker(clock, dealer, 3)];
    many.ask();
    few.ask();
    clock.advance(2_500);
    expect(few.left).toBe(3);
    clock.advance(1_500);
    expect([many.left, few.left]).toEqual([0, 0]);
  });

  it("does not wait for a worker that is gone, nor for what it was given", () => {
    const clock = new FakeClock();
    const dealer = new Dealer(clock, 10);
    const dead = new Worker(clock, dealer, 5, () => ({ closeAfterMs: 1e9, tellAfterMs: 0 }));
    const other = new Worker(clock, dealer, 5);
    dead.ask();
    clock.advance(0);
    dealer.gone(dead);
    dealer.ask(dead, 5);
    dealer.gone(dead);
    other.ask();
    clock.advance(700);
    expect(other.left).toBe(0);
    expect(clock.timers).toBe(1); // that of the dead worker itself
  });

  it("goes on while a worker is stuck with its leave, and keeps a place for its close", () => {
    const clock = new FakeClock();
    const dealer = new Dealer(clock, 5);
    const stuck = new Worker(clock, dealer, 1, () => ({ closeAfterMs: 3_210, tellAfterMs: 0 }));
    const others = [new Worker(clock, dealer, 12), new Worker(clock, dealer, 12)];
    stuck.ask();
    for (const other of others) other.ask();
    clock.advance(12_000);
    expect([stuck, ...others].map(({ left }) => left)).toEqual([0, 0, 0]);
    expect(mostInASecond([stuck, ...others])).toBeLessThanOrEqual(5);
  });

  it("holds the rate in every second, however late workers are", () => {
    const delay = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 60 }) }, fc.integer({ min: 0, max: 2_500 }));
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 2_000 })),
        fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 6 }),
        fc.infiniteStream(fc.record({ closeAfterMs: delay, tellAfterMs: delay })),
        (perSecond, counts, delays) => {
          const clock = new FakeClock();
          const dealer = new Dealer(clock, perSecond);
          const workers = counts.map((left) => new Worker(clock, dealer, left, () => delays.next().value));
          for (const worker of workers) worker.ask();
          clock.advance(2_000_000);
          expect(workers.every(({ left }) => left === 0)).toBe(true);
          expect(mostInASecond(workers)).toBeLessThanOrEqual(perSecond);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("refuses a rate that is not above 0", () => {
    for (const rate of [0, -1, NaN, Infinity]) expect(() => new Dealer(new FakeClock(), rate)).toThrow(/rate/);
  });
});
