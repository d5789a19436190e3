import { describe, expect, it } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { deferred, type Deferred } from "../../../src/base/promises.ts";
import { WaitingLine } from "../../../src/base/waiting-line.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { settle } from "../fakes.ts";

class Rig {
  readonly clock = new FakeClock();
  /** What became of everybody, in order. */
  readonly told: string[] = [];
  obstacle: Deferred<void> | undefined;
  readonly line = new WaitingLine(this.clock, () => this.obstacle?.promise);

  enter(name: string, { bytes = 1, withinMs = 1_000, go = (): void => {} } = {}): void {
    this.line.enter({
      bytes,
      withinMs,
      go: () => {
        this.told.push(name);
        go();
      },
      refuse: (error) => void this.told.push(`${name} ${error instanceof GroupcastError ? error.code : error.message}`),
    });
  }

  clear(): void {
    const { obstacle } = this;
    this.obstacle = undefined;
    obstacle?.resolve();
  }
}

describe("a waiting line", () => {
  it("lets everybody through within the call while nothing is in the way", () => {
    const rig = new Rig();
    for (const name of ["a", "b"]) rig.enter(name);
    expect([rig.told, rig.clock.timers]).toEqual([["a", "b"], 0]);
  });

  it("keeps the order: who comes when the way is free already stands behind who still waits", async () => {
    const rig = new Rig();
    rig.obstacle = deferred();
    rig.enter("a", { go: () => rig.enter("from a") });
    rig.enter("b");
    rig.clear();
    rig.enter("c");
    expect(rig.told).toEqual([]);
    await settle();
    rig.enter("d");
    expect([rig.told, rig.clock.timers]).toEqual([["a", "b", "c", "from a", "d"], 0]);
  });

  it("stops again at the next thing in the way", async () => {
    const rig = new Rig();
    rig.obstacle = deferred();
    rig.enter("a", { go: () => void (rig.obstacle = deferred()) });
    rig.enter("b");
    rig.clear();
    await settle();
    expect(rig.told).toEqual(["a"]);
    rig.clear();
    await settle();
    expect(rig.told).toEqual(["a", "b"]);
  });

  it("refuses who has waited too long, and lets the others wait on", async () => {
    const rig = new Rig();
    rig.obstacle = deferred();
    rig.enter("short", { withinMs: 10 });
    rig.enter("long");
    await rig.clock.advanceAsync(10);
    expect(rig.told).toEqual(["short unavailable"]);
    rig.clear();
    await settle();
    expect(rig.told).toEqual(["short unavailable", "long"]);
  });

  it("refuses everybody who waits with the error of what was waited for, and nobody who comes later", async () => {
    const rig = new Rig();
    rig.obstacle = deferred();
    for (const name of ["a", "b"]) rig.enter(name);
    const { obstacle } = rig;
    rig.obstacle = undefined;
    obstacle.reject(new GroupcastError("closed"));
    await settle();
    rig.enter("c");
    expect(rig.told).toEqual(["a closed", "b closed", "c"]);
  });

  it("refuses whom there is no room for: 10,000 calls and 8 MiB wait at the most", async () => {
    const rig = new Rig();
    rig.obstacle = deferred();
    rig.enter("large", { bytes: 8 * 1024 * 1024 - 9_999 });
    for (let n = 1; n < 10_000; n++) rig.enter(String(n));
    expect(rig.told).toEqual([]);
    rig.enter("one more", { bytes: 0 });
    expect(rig.told.splice(0)).toEqual(["one more unavailable"]);
    rig.clear();
    await settle();
    expect(rig.told.splice(0).length).toBe(10_000);

    rig.obstacle = deferred();
    rig.enter("larger", { bytes: 8 * 1024 * 1024 });
    rig.enter("one more");
    expect(rig.told).toEqual(["one more unavailable"]); // and what had waited before takes no room
  });

  it("refuses everybody once it is closed", async () => {
    const rig = new Rig();
    rig.obstacle = deferred();
    rig.enter("a");
    rig.line.close(new GroupcastError("closed"));
    rig.enter("b");
    rig.clear();
    await settle();
    expect([rig.told, rig.clock.timers]).toEqual([["a closed", "b closed"], 0]);
  });
});
