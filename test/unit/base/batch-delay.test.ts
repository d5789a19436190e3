// When a process waits for more before it writes, and for how long.
import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { BatchDelay } from "../../../src/base/batch-delay.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";

function delayed(mostMs = 5) {
  const clock = new FakeClock();
  const delay = new BatchDelay(clock, mostMs);
  const flush = (ms: number): void => {
    delay.begin();
    clock.work(ms);
    delay.end();
  };
  /** One turn of a process that does nothing but flush: how long it waits first. What it waits, it rests. */
  const turn = (ms: number, grows: boolean): number => {
    const waitMs = delay.next();
    clock.advance(waitMs);
    if (grows) delay.grew();
    flush(ms);
    return waitMs;
  };
  return { clock, delay, flush, turn };
}

describe("a process", () => {
  it("does not wait before it has flushed once", () => {
    const { clock, delay } = delayed();
    expect(delay.next()).toBe(0);
    clock.work(100);
    expect(delay.next()).toBe(0);
  });

  it("never waits after flushes of less than a millisecond, however busy it is", () => {
    const { clock, turn } = delayed();
    for (let count = 0; count < 100; count++) {
      expect(turn(0.99, true)).toBe(0);
      if (count % 2 === 0) clock.work(0.5);
    }
  });

  it.each([
    [1, 2],
    [1.5, 3],
    [2.5, 5],
    [2.6, 5],
    [40, 5],
  ])("waits after a flush of %d ms for %d: twice as long, at most 5", (flushMs, waitMs) => {
    const { delay, flush } = delayed();
    flush(flushMs);
    expect(delay.next()).toBe(waitMs);
  });

  it("counts the wait from the end of the last flush", () => {
    const { clock, delay, flush } = delayed();
    flush(2);
    clock.work(1.5);
    expect(delay.next()).toBe(2.5);
    delay.grew(); // or the next one would not wait in any case
    flush(2);
    clock.work(3.1); // less than a millisecond is left: no timer is that quick
    expect(delay.next()).toBe(0);
  });

  it("does not wait if it has rested for more than a quarter of the last flush since then", () => {
    const { clock, delay, flush } = delayed();
    flush(2);
    clock.advance(0.5);
    expect(delay.next()).toBe(3.5);
    delay.grew(); // or the next one would not wait in any case
    flush(2);
    clock.advance(0.51);
    expect(delay.next()).toBe(0);
  });

  it("is not said to have rested for what it has worked", () => {
    const { clock, delay, flush } = delayed(100);
    flush(10);
    clock.work(12);
    expect(delay.next()).toBe(8);
  });

  it("never waits if it is told not to", () => {
    const { turn } = delayed(0);
    for (let count = 0; count < 100; count++) expect(turn(10, true)).toBe(0);
  });

  it("waits before every flush, as long as that brings more", () => {
    const { turn, flush } = delayed();
    flush(10);
    for (let count = 0; count < 300; count++) expect(turn(10, true)).toBe(5);
  });

  it("does not wait before the next 1, 2, 4, … 128 flushes when it has waited in vain", () => {
    const { turn, flush } = delayed();
    flush(10);
    const skipped: number[] = [];
    for (let waits = 0, skips = 0; waits < 11; skips++) {
      if (turn(10, false) === 0) continue;
      if (waits++ > 0) skipped.push(skips);
      skips = -1;
    }
    expect(skipped).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 128, 128]);
  });

  it("begins anew to trust in waiting once that has gained something", () => {
    const { turn, flush } = delayed();
    flush(10);
    const waits = (turns: number, grows: boolean): boolean[] => Array.from({ length: turns }, () => turn(10, grows) > 0);
    expect(waits(9, false)).toEqual([true, false, true, false, false, true, false, false, false]);
    expect(waits(1, false)).toEqual([false]);
    expect(waits(3, true)).toEqual([true, true, true]);
    expect(waits(5, false)).toEqual([true, false, true, false, false]);
  });

  it("has gained nothing by what came before the wait, or after it", () => {
    const { delay, flush } = delayed();
    flush(10);
    delay.grew();
    expect(delay.next()).toBe(5);
    flush(10);
    delay.grew();
    expect(delay.next()).toBe(0);
  });

  it("waits for no longer than it is told, from the end of a flush on, nor for less than a millisecond, whatever happens", () => {
    const act = fc.oneof(
      fc.record({ do: fc.constantFrom("flush", "work", "rest"), ms: fc.oneof(fc.nat(20), fc.double({ min: 0, max: 3, noNaN: true })) }),
      fc.record({ do: fc.constantFrom("turn", "turn", "grew"), ms: fc.double({ min: 0, max: 12, noNaN: true }) }),
    );
    let waited = 0;
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 5, 10, 100), fc.array(act, { maxLength: 60 }), (mostMs, acts) => {
        const { clock, delay, flush } = delayed(mostMs);
        let endedAt = -Infinity;
        let flushMs = 0;
        for (const { do: what, ms } of acts) {
          if (what === "work") clock.work(ms);
          else if (what === "rest") clock.advance(ms);
          else if (what === "grew") delay.grew();
          else {
            if (what === "turn") {
              const waitMs = delay.next();
              if (waitMs > 0) waited++;
              if (waitMs !== 0) expect(waitMs).toBeGreaterThanOrEqual(1);
              expect(clock.now() - endedAt + waitMs).toBeLessThanOrEqual(waitMs === 0 ? Infinity : Math.min(mostMs, 2 * flushMs) + 1e-9);
              clock.advance(waitMs);
            }
            const beganAt = clock.now();
            flush(ms);
            endedAt = clock.now();
            flushMs = endedAt - beganAt;
          }
        }
      }),
      { numRuns: 300 },
    );
    expect(waited).toBeGreaterThan(50);
  });
});
