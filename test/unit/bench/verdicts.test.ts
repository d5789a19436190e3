// From runs to verdicts: what counts, what is compared with what, and what is written about it.
import { describe, expect, it } from "vitest";
import { barChart } from "../../../bench/chart.ts";
import { type Goal, judge, loosened } from "../../../bench/goals.ts";
import type { Step } from "../../../bench/load.ts";
import { PEERS } from "../../../bench/peers.ts";
import { describeScenario } from "../../../bench/report.ts";
import { faultOf, measuresOf, type Run } from "../../../bench/runs.ts";
import { SCENARIOS } from "../../../bench/scenarios.ts";
import { brief, spreadOf, withSpread } from "../../../bench/statistics.ts";

const step = (given: Partial<Step> = {}): Step => ({
  mode: "run",
  missing: 0,
  gaps: 0,
  duplicates: 0,
  wrong: 0,
  closed: 0,
  drained: true,
  ...given,
});

const run = (given: Partial<Run>): Run => ({
  commit: "c",
  source: "s",
  scenario: "S1b",
  shape: "64 under way",
  peer: "groupcast",
  session: "1",
  round: 0,
  date: "2026-01-01T00:00:00.000Z",
  steps: [step()],
  isRising: false,
  ...given,
});

const rate = (peer: Run["peer"], round: number, deliveriesPerSecond: number, more: Partial<Step> = {}): Run =>
  run({ peer, round, steps: [step({ deliveriesPerSecond, ...more })] });

const FASTER: Goal = { text: "faster", metric: "deliveriesPerSecond", of: { peer: "groupcast" }, by: { peer: "bun" }, atLeast: 2 };

describe("a run", () => {
  it("is void with any fault", () => {
    expect(faultOf(run({}))).toBeUndefined();
    for (const count of ["missing", "gaps", "duplicates", "wrong", "closed"] as const) {
      expect(faultOf(run({ steps: [step({ [count]: 2 })] }))).toMatch(/^2 /);
    }
    expect(faultOf(run({ steps: [step({ drained: false })] }))).toContain("not all had arrived");
    expect(faultOf(run({ steps: [] }))).toBe("nothing was measured");
    expect(faultOf(run({ failure: "has ended" }))).toBe("has ended");
  });

  it("of rising rates may end in lateness, but never in disorder", () => {
    const tooMuch = [step({ rate: 10, held: true }), step({ rate: 20, held: false, drained: false, missing: 5, closed: 1 })];
    expect(faultOf(run({ isRising: true, steps: tooMuch }))).toBeUndefined();
    expect(faultOf(run({ isRising: true, steps: [...tooMuch, step({ gaps: 1 })] }))).toBe("1 gaps");
  });

  it("of rising rates is as good as the highest that was held", () => {
    const steps = [step({ rate: 10, held: true, p99Us: 1e3 }), step({ rate: 20, held: true, p99Us: 2e3 }), step({ rate: 30, held: false })];
    expect(measuresOf(run({ isRising: true, steps }))).toMatchObject({ heldRate: 20, p99Ms: 2 });
    expect(measuresOf(run({ isRising: true, steps: steps.slice(2) }))).toEqual({ heldRate: 0 });
  });
});

describe("a goal", () => {
  it("compares figures of the same round, and is judged by the median", () => {
    const runs = [
      rate("groupcast", 0, 300),
      rate("bun", 0, 100),
      rate("groupcast", 1, 20),
      rate("bun", 1, 10), // a busy minute for both
      rate("groupcast", 2, 300),
      rate("bun", 2, 300),
      rate("groupcast", 3, 900), // has no other
    ];
    expect(judge(FASTER, runs)).toMatchObject({ verdict: "met", seen: { median: 2, min: 1, max: 3, count: 3 } });
    expect(judge({ ...FASTER, atLeast: 2.1 }, runs).verdict).toBe("missed");
    expect(judge({ ...FASTER, atMost: 1.9 }, runs).verdict).toBe("missed");
  });

  it("is not measured without both sides", () => {
    expect(judge(FASTER, [rate("groupcast", 0, 300)]).verdict).toBe("not measured");
    expect(judge(FASTER, [rate("groupcast", 0, 300), run({ peer: "bun", steps: [], failure: "has ended" })]).verdict).toBe("not measured");
  });

  it("is missed if a run of groupcast had a fault, whatever the others were", () => {
    const runs = [rate("groupcast", 0, 300), rate("bun", 0, 100), rate("groupcast", 1, 300, { missing: 1 }), rate("bun", 1, 100)];
    expect(judge(FASTER, runs)).toMatchObject({ verdict: "missed", text: expect.stringContaining("1 messages missing") as string });
    expect(judge(FASTER, [...runs.slice(0, 2), rate("bun", 1, 100, { missing: 1 })]).verdict).toBe("met");
  });

  it("may be a figure itself, or be compared with one that is quoted", () => {
    const runs = [rate("groupcast", 0, 50)];
    expect(judge({ text: "", metric: "deliveriesPerSecond", of: { peer: "groupcast" }, atMost: 50 }, runs).verdict).toBe("met");
    const quoted: Goal = { ...FASTER, of: { value: 100, source: "elsewhere" }, by: { peer: "groupcast" } };
    expect(judge(quoted, runs)).toMatchObject({ verdict: "met", seen: { median: 2 } });
  });

  it("is easier to reach for bench:quick, whichever way it points", () => {
    expect(loosened(FASTER).atLeast).toBeCloseTo(1.4);
    expect(loosened({ ...FASTER, atMost: 1.05 }).atMost).toBeCloseTo(1.5);
  });
});

describe("the table of scenarios", () => {
  it("names each once, and its goals speak of shapes and peers that it has", () => {
    expect(new Set(SCENARIOS.map(({ id }) => id)).size).toBe(SCENARIOS.length);
    for (const { goals, shapes, peers, id } of SCENARIOS) {
      expect(goals.length, id).toBeGreaterThan(0);
      for (const goal of goals) {
        for (const place of [goal.of, goal.by]) {
          if (place === undefined || "value" in place) continue;
          expect(peers, id).toContain(place.peer);
          expect(
            shapes.filter(({ name }) => place.shape === undefined || name === place.shape),
            `${id}: ${goal.text}`,
          ).toHaveLength(1);
        }
      }
    }
  });

  it("has a report: each peer's figures, what was void, and the verdicts", () => {
    const scenario = SCENARIOS.find(({ id }) => id === "S1b");
    if (scenario === undefined) throw new Error("there is no S1b");
    const text = describeScenario(scenario, [rate("groupcast", 0, 4e6), rate("ws", 0, 1e5), rate("bun", 0, 3e6, { gaps: 7 })]);
    expect(text).toMatch(/^\| groupcast +\| +1 \| +4\.00 M \|/m);
    expect(text).toMatch(/^\| ws, a loop over the group +\| +1 \| +100 k \| +40\.0 × \|/m);
    expect(text).toContain("- void: Bun, native topics: 7 gaps");
    expect(text).toContain("- met – deliveries/s, groupcast ÷ ws [at least 25.0]: 40.0 (40.0..40.0, n = 1)");
    expect(text).toContain("- not measured – deliveries/s, groupcast ÷ bun");
  });
});

describe("figures", () => {
  it("are summarised by median, lowest and highest", () => {
    expect(spreadOf([3, 1, 2, 10])).toEqual({ median: 2.5, min: 1, max: 10, count: 4 });
    expect(spreadOf([])).toBeUndefined();
    expect(withSpread(spreadOf([1, 2, 3]))).toBe("2.00 (1.00..3.00)");
  });

  it("are written with three digits", () => {
    const written = [0, 0.1794, 4.886, 43.26, 312.4, 28_000, 154_900, 4_886_000, 34_250_000].map(brief);
    expect(written).toEqual(["0", "0.179", "4.89", "43.3", "312", "28,000", "155 k", "4.89 M", "34.3 M"]);
  });

  it("are drawn to scale, and are seen on light and on dark ground", () => {
    const bar = (median: number) => ({ median, min: median, max: median, count: 1 });
    const svg = barChart("A < B", [
      { label: PEERS.groupcast.title, value: bar(100), isOurs: true },
      { label: "B & C", value: bar(50), isOurs: false },
    ]);
    const widths = [...svg.matchAll(/<rect class="(\w+)" .*?width="([\d.]+)"/g)].map(([, kind, width]) => [kind, Number(width)]);
    expect(widths).toEqual([
      ["ours", 390],
      ["other", 195],
    ]);
    expect(svg).toContain("A &lt; B");
    expect(svg).toContain("B &amp; C");
    expect(svg).toContain("prefers-color-scheme: dark");
  });
});
