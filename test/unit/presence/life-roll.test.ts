import { describe, expect, it } from "vitest";
import { GONE_AFTER_MS, LifeRoll, MISSED_MAX } from "../../../src/presence/life-roll.ts";
import { FakeClock } from "../../../src/testing/index.ts";

function roll(nonce: string): { clock: FakeClock; roll: LifeRoll; said: string[]; all: Map<string, string>; alive: Set<string> } {
  const clock = new FakeClock();
  const said: string[] = [];
  const all = new Map(["a", "b", "c", "d"].map((name) => [name, `node ${name}`]));
  const alive = new Set(all.values());
  const host = {
    clock,
    random: { id: () => "", unit: () => 0.5 },
    all: () => ({ participants: all, nonce }),
    alive: () => (alive.size === 0 ? undefined : alive),
    sayGone: (gone: string) => void said.push(gone),
  };
  return { clock, roll: new LifeRoll(host), said, all, alive };
}

describe("somebody who has died", () => {
  it("is told of by the first in the list at once, and by nobody else if that has told it", () => {
    const [first, third] = [roll("a"), roll("c")];
    for (const { roll: its } of [first, third]) its.bury("node b");
    expect([first.said, third.said]).toEqual([["b"], []]);
    third.all.delete("b");
    third.clock.advance(GONE_AFTER_MS * 2);
    expect(third.said).toEqual([]);
  });

  it("is told of by the others if the first does not, after a while", () => {
    const { roll: its, clock, said } = roll("c");
    its.bury("node b");
    clock.advance(GONE_AFTER_MS * 1.5 - 1);
    expect(said).toEqual([]);
    clock.advance(1);
    expect(said).toEqual(["b"]);
    clock.advance(60_000);
    expect(said).toEqual(["b"]);
  });

  it("is waited for by nobody: with the first ones dead the next one speaks at once, of all", () => {
    const { roll: its, said } = roll("c");
    for (const dead of ["d", "b"]) its.bury(`node ${dead}`);
    expect(said).toEqual([]);
    its.bury("node a");
    expect(said.toSorted()).toEqual(["a", "b", "d"]);
  });

  it("and has never taken part is nobody's concern", () => {
    const { roll: its, clock, said } = roll("a");
    its.bury("node x");
    clock.advance(60_000);
    expect(said).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  it("unseen is missed several times before it is told of, and again if that was lost", () => {
    const { roll: its, said, alive } = roll("a");
    alive.delete("node b");
    for (let times = 1; times < MISSED_MAX; times++) its.look();
    expect(said).toEqual([]);
    its.look();
    its.look();
    expect(said).toEqual(["b", "b"]);
  });

  it("is not missed while it is not known who is alive, nor if it was seen meanwhile", () => {
    const { roll: its, said, alive } = roll("a");
    for (let times = 0; times < 10; times++) {
      alive.delete("node b");
      its.look();
      its.look();
      alive.add("node b");
      its.look();
    }
    alive.clear();
    for (let times = 0; times < 10; times++) its.look();
    expect(said).toEqual([]);
  });
});
