import { describe, expect, it } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { deferred, quiet, within } from "../../../src/base/promises.ts";
import { SystemRandom, systemRandom } from "../../../src/base/random.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { stateOf } from "../fakes.ts";

describe("quiet", () => {
  it("makes a rejection harmless when nobody awaits it, and still rejects for who does", async () => {
    // test/no-unhandled.ts fails this file if one of these is reported.
    void quiet(Promise.reject(new Error("nobody looks")));
    deferred().reject(new Error("nobody looks"));
    await expect(quiet(Promise.reject(new Error("somebody looks")))).rejects.toThrow("somebody looks");
  });
});

describe("within", () => {
  const late = () => new GroupcastError("unavailable");

  it("is the promise itself when that settles in time, and leaves no timer behind", async () => {
    const clock = new FakeClock();
    await expect(within(clock, 100, Promise.resolve(7), late)).resolves.toBe(7);
    await expect(within(clock, 100, Promise.reject(new Error("own")), late)).rejects.toThrow("own");
    await clock.advanceAsync();
    expect(clock.timers).toBe(0);
  });

  it("rejects when the time is over, not before, and quietly if nobody awaits it", async () => {
    const clock = new FakeClock();
    const never = within(clock, 100, new Promise(() => {}), late);
    clock.advance(99);
    expect(await stateOf(never)).toBe("pending");
    clock.advance(1);
    expect(await stateOf(never)).toBe("unavailable");
    void within(clock, 1, new Promise(() => {}), late);
    clock.advance(1);
  });
});

describe("ids", () => {
  it.each([
    ["made one by one", systemRandom],
    ["made ready 256 at a time", new SystemRandom(256)],
  ])("%s are 128 random bits as 32 hexadecimal digits, each another", (_, random) => {
    const ids = Array.from({ length: 1000 }, () => random.id());
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(ids).size).toBe(ids.length);
    // Every digit of it is chance: in a thousand each takes every value.
    for (let digit = 0; digit < 32; digit++) expect(new Set(ids.map((id) => id[digit])).size).toBe(16);
    for (let byte = 0; byte < 32; byte += 2) expect(new Set(ids.map((id) => id.slice(byte, byte + 2))).size).toBeGreaterThan(200);
  });
});
