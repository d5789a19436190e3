import { describe, expect, it } from "vitest";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import type { Order } from "../../../src/workers/messages.ts";
import { type Mourner, Undertaker } from "../../../src/workers/undertaker.ts";

class Worker implements Mourner {
  readonly buried: string[] = [];

  tell(order: Order): void {
    this.buried.push(order.do === "bury" ? order.node : order.do);
  }
}

function rig(): { undertaker: Undertaker; clock: FakeClock; a: Worker; b: Worker; c: Worker } {
  const clock = new FakeClock();
  return { undertaker: new Undertaker(clock), clock, a: new Worker(), b: new Worker(), c: new Worker() };
}

describe("Undertaker", () => {
  it("tells all other workers at once that one has ended, once", () => {
    const { undertaker, a, b, c } = rig();
    for (const [name, worker] of Object.entries({ a, b, c })) undertaker.came(worker, name);
    undertaker.ended(b);
    undertaker.ended(b);
    expect([a.buried, b.buried, c.buried]).toEqual([["b"], [], ["b"]]);
  });

  it("tells who comes up of those who died a short time ago, its own predecessor among them", () => {
    const { undertaker, clock, a, b } = rig();
    undertaker.came(a, "first");
    undertaker.ended(a);
    clock.advance(9_999);
    undertaker.came(a, "second");
    expect(a.buried).toEqual(["first"]);
    clock.advance(1);
    undertaker.came(b, "other");
    expect(b.buried).toEqual([]);
  });

  it("knows nothing of a process that ended before it was up", () => {
    const { undertaker, a, b } = rig();
    undertaker.came(a, "a");
    undertaker.ended(b);
    undertaker.came(b, "b");
    expect([a.buried, b.buried]).toEqual([[], []]);
  });

  it("remembers no more than the last 1,024", () => {
    const { undertaker, a, b } = rig();
    for (let index = 0; index < 1_100; index++) {
      undertaker.came(a, String(index));
      undertaker.ended(a);
    }
    undertaker.came(b, "b");
    expect(b.buried).toHaveLength(1_024);
    expect(b.buried.at(-1)).toBe("1099");
  });
});
