import { describe, expect, it } from "vitest";
import { Backoff } from "../../../src/workers/backoff.ts";

const with_ = (unit: number): Backoff => new Backoff({ id: () => "", unit: () => unit });

describe("Backoff", () => {
  it("doubles the bound from 0.1 s to 5 s", () => {
    const backoff = with_(0.999_999);
    const waits = Array.from({ length: 9 }, () => Math.round(backoff.ended(0)));
    expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    expect(backoff.failures).toBe(9);
  });

  it("waits anything from 0 to the bound", () => {
    expect(with_(0).ended(0)).toBe(0);
    expect(with_(0.5).ended(0)).toBe(50);
  });

  it("begins anew after a process that lived for 10 s", () => {
    const backoff = with_(0.999_999);
    for (let turn = 0; turn < 5; turn++) backoff.ended(9_999);
    expect(Math.round(backoff.ended(10_000))).toBe(100);
    expect(backoff.failures).toBe(1);
  });

  it("stays finite after many ends", () => {
    const backoff = with_(0.999_999);
    for (let turn = 0; turn < 2_000; turn++) backoff.ended(0);
    expect(Math.round(backoff.ended(0))).toBe(5_000);
  });
});
