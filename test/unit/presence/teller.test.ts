import { describe, expect, it } from "vitest";
import type { Present } from "../../../src/presence/rows.ts";
import { Teller } from "../../../src/presence/teller.ts";
import type { News, Share } from "../../../src/presence/words.ts";
import { FakeClock } from "../../../src/testing/index.ts";

type One = Present & { user: string | null; readonly groups: Map<string, true> };

function setUp(): {
  clock: FakeClock;
  teller: Teller<One>;
  news: Omit<News, "node" | "incarnation">[];
  shares: [string, Omit<Share, "incarnation">][];
  come: (id: string, ...groups: string[]) => One;
  join: (one: One, group: string) => void;
} {
  const clock = new FakeClock();
  const news: Omit<News, "node" | "incarnation">[] = [];
  const shares: [string, Omit<Share, "incarnation">][] = [];
  const teller = new Teller<One>({
    clock,
    random: { id: () => "", unit: () => 0.5 },
    publish: (one) => void news.push(one),
    give: (node, share) => void shares.push([node, share]),
  });
  const come = (id: string, ...groups: string[]): One => {
    const one: One = { $serial: 0, id, namespace: "default", user: null, groups: new Map(groups.map((name) => [name, true])) };
    teller.came(one);
    return one;
  };
  const join = (one: One, group: string): void => {
    one.groups.set(group, true);
    teller.joined(one, group);
  };
  teller.up();
  return { clock, teller, news, shares, come, join };
}

describe("what a process has to tell", () => {
  it("is nothing while nobody wants to know, and its version shows that something was left unsaid", () => {
    const { clock, teller, news, come, join } = setUp();
    const one = come("a");
    join(one, "x");
    clock.advance(60_000);
    expect([news, clock.timers, teller.version, teller.version]).toEqual([[], 0, 1, 1]);
    teller.left(one, "x");
    teller.wantedBy("h");
    expect(teller.version).toBe(2);
  });

  it("is one record for all that has happened in a turn, and for what came to nothing none", () => {
    const { clock, teller, news, come, join } = setUp();
    const [a, b] = [come("a", "x"), come("b")];
    teller.wantedBy("h");
    const before = teller.version;
    join(a, "y");
    teller.left(a, "x");
    b.user = "ann";
    teller.renamed(b);
    const c = come("c");
    join(c, "x");
    teller.went(come("d"));
    expect(news).toEqual([]);
    clock.endTurn();
    expect(news).toEqual([
      {
        version: before + 1,
        rows: [
          [1, ["y"], ["x"]],
          [2, [], [], "ann"],
          [3, "default", "c", null, ["x"]],
        ],
      },
    ]);
    clock.advance(50);
    join(a, "z");
    teller.left(a, "z");
    teller.went(b);
    teller.left(b, "x"); // it leaves its groups then
    clock.endTurn();
    expect(news.slice(1)).toEqual([{ version: before + 2, rows: [2] }]);
    clock.advance(50);
    join(a, "z");
    teller.left(a, "z");
    clock.advance(50);
    expect(news).toHaveLength(2);
  });

  it("goes out before a share, which has it already", () => {
    const { teller, news, shares, come } = setUp();
    come("a");
    teller.wantedBy("h");
    const before = teller.version;
    come("b");
    teller.share("h", 0, undefined);
    expect(news).toMatchObject([{ version: before + 1, rows: [[2, "default", "b", null, []]] }]);
    expect(shares).toMatchObject([["h", { version: before + 1, after: 0, next: null, rows: [[1], [2]].map(([serial]) => [serial, "default", serial === 1 ? "a" : "b", null, []]) }]]); // prettier-ignore
  });

  it("is said at once to whoever asks whether it is there, once for all that ask within 50 ms", () => {
    const { clock, teller, news } = setUp();
    teller.wantedBy("h");
    for (const ask of ["1", "2", "3"]) teller.answer(ask);
    expect(news).toEqual([{ version: 0, to: ["1"] }]);
    clock.advance(50);
    expect(news.slice(1)).toEqual([{ version: 0, to: ["2", "3"] }]);
  });

  it("is not kept while the link is down: the version goes up instead", () => {
    const { clock, teller, news, come } = setUp();
    teller.wantedBy("h");
    come("a");
    teller.down();
    come("b");
    clock.advance(60_000);
    expect([news, clock.timers]).toEqual([[], 0]);
    teller.up();
    expect(teller.version).toBe(1);
    clock.advance(500);
    // Nobody has said for so long that he wants to know.
    expect([news, clock.timers]).toEqual([[], 0]);
  });

  it("has bounds: of those who want to know, and of those whom a sign of life is due to", () => {
    const { clock, teller, news } = setUp();
    for (let index = 0; index < 5_000; index++) teller.wantedBy(`h${index}`);
    for (let index = 0; index < 2_000; index++) teller.answer(String(index));
    clock.advance(50);
    expect(news.flatMap(({ to }) => to)).toHaveLength(1 + 1_024);
    for (let index = 0; index < 4_096; index++) teller.forget(`h${index}`);
    expect([teller.isWanted, clock.timers]).toEqual([false, 0]);
  });
});
