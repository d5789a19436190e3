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

  grant(): void {
    const { closeAfterMs, tellAfterMs } = this.#delays();
    this.#clock.after(closeAfterMs, () => {
      this.left--;
      this.closedAt.push(this.#clock.now());
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
        fc.integer({ min: 1, max: 50 }),
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
