import { describe, expect, it } from "vitest";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { StopSignals } from "../../../src/workers/stop-signals.ts";

describe("StopSignals", () => {
  it("stops at the first, and hurries at the same one later", () => {
    const clock = new FakeClock();
    const signals = new StopSignals(clock);
    expect(signals.heard("SIGINT")).toBe("stop");
    clock.advance(500);
    expect(signals.heard("SIGINT")).toBe("hurry");
  });

  it("takes the same signal within 500 ms of the first for the same", () => {
    const clock = new FakeClock();
    const signals = new StopSignals(clock);
    signals.heard("SIGTERM");
    clock.advance(300);
    expect(signals.heard("SIGTERM")).toBe("ignored");
    clock.advance(199);
    expect(signals.heard("SIGTERM")).toBe("ignored");
    clock.advance(1);
    expect(signals.heard("SIGTERM")).toBe("hurry");
  });

  it("hurries at the other signal at once", () => {
    const signals = new StopSignals(new FakeClock());
    expect(signals.heard("SIGTERM")).toBe("stop");
    expect(signals.heard("SIGINT")).toBe("hurry");
  });
});
