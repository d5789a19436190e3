import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { checkRate, Pace } from "../../../src/groups/pace.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { codeOf, settle } from "../fakes.ts";

/** The most of `times` that lie within any window of one second. */
function mostInOneSecond(times: readonly number[]): number {
  let most = 0;
  let from = 0;
  const sorted = [...times].sort((one, other) => one - other);
  sorted.forEach((time, to) => {
    while (time - (sorted[from] ?? 0) >= 1000) from++;
    most = Math.max(most, to - from + 1);
  });
  return most;
}

describe("a rate", () => {
  it.each([0, -1, NaN, Infinity, -Infinity, "10", null, undefined, {}, 10n])("of %s throws bad_option", (rate) => {
    expect(codeOf(() => checkRate(rate))).toBe("bad_option");
    expect(codeOf(() => new Pace(new FakeClock(), rate as number))).toBe("bad_option");
  });

  it.each([1, 0.5, 10, 500, 1e6, Number.MIN_VALUE])("of %d is allowed", (rate) => {
    expect(checkRate(rate)).toBe(rate);
  });
});

describe("a pace", () => {
  it("never gives more than its rate in any second, however late the timers are and whenever it is asked", async () => {
    const pause = fc.oneof(fc.constant(0), fc.nat(5), fc.nat(3000));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 100, max: 600 }), fc.double({ min: 0.3, max: 20, noNaN: true })),
        fc.array(pause, { minLength: 5, maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        async (perSecond, pauses, takers) => {
          const clock = new FakeClock();
          const pace = new Pace(clock, perSecond);
          const times: number[] = [];
          let stop = false;
          const take = async (): Promise<void> => {
            while (!stop) {
              await pace.take();
              times.push(clock.now());
              if (times.length > 2000) return;
            }
          };
          for (let taker = 0; taker < takers; taker++) void take();
          await settle();
          for (const ms of pauses) {
            // The timers are as late as the pause is long: nothing runs within it.
            clock.advance(ms);
            await settle();
          }
          stop = true;
          expect(mostInOneSecond(times)).toBeLessThanOrEqual(Math.max(1, Math.floor(perSecond)));
        },
      ),
      { numRuns: 200 },
    );
  }, 60_000);

  it("is even: one slot each 1000/N ms, and the first at once", async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock, 10);
    const times: number[] = [];
    const takeAll = (async () => {
      for (let slot = 0; slot < 10; slot++) {
        await pace.take();
        times.push(clock.now());
      }
    })();
    await clock.advanceAsync(2_000);
    await takeAll;
    expect(times).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
  });

  it("does not make good for a pause with a burst", async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock, 10);
    await pace.take();
    clock.advance(5_000);
    const times: number[] = [];
    const takeAll = (async () => {
      for (let slot = 0; slot < 5; slot++) {
        await pace.take();
        times.push(clock.now() - 5_000);
      }
    })();
    await clock.advanceAsync(2_000);
    await takeAll;
    // 50 slots were missed; what is made good is 10 ms' worth, which is less than one.
    expect(times.filter((time) => time < 90)).toHaveLength(2);
    for (let slot = 3; slot < 5; slot++) expect((times[slot] ?? 0) - (times[slot - 1] ?? 0)).toBe(100);
  });
});
