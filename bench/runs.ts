// What was measured: one run is one start of one peer with one shape. Kept as JSON lines, so that a report can be made of several
// invocations, as long as the product is the same.
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Step } from "./load.ts";
import type { PeerName } from "./peers.ts";
import { PLACES } from "./places.ts";

/** What a goal or a column can speak of. */
export type Metric =
  | "deliveriesPerSecond"
  | "cpuPerMillion"
  | "p50Ms"
  | "p99Ms"
  | "framesPerRead"
  | "heldRate"
  | "bytesPerConnection"
  | "bytesPerConnectionAsItIs"
  | "bytesPerMembership"
  | "handshakesPerSecond"
  | "cpuUsPerHandshake"
  | "peakMb"
  | "loadCores"
  | "otherCores";

export type Measures = Readonly<Partial<Record<Metric, number>>>;

/** Which code was measured. */
export interface Product {
  readonly commit: string;
  /** The hash of src/, so that a commit elsewhere does not make results old; with changes not committed, that and the word. */
  readonly source: string;
}

export interface Run extends Product {
  readonly scenario: string;
  readonly shape: string;
  readonly peer: PeerName;
  /** When the invocation began that it belongs to; its rounds are compared with each other. */
  readonly session: string;
  readonly round: number;
  readonly date: string;
  readonly steps: readonly Step[];
  /** Its steps are rising rates: the last ones are those that it could not hold. */
  readonly isRising: boolean;
  /** It did not come to an end. */
  readonly failure?: string;
}

/** The product as it stands in this clone. */
export function findProduct(): Product {
  const isChanged = git("status", "--porcelain", "--", "src") !== "";
  const source = git("rev-parse", "--short", "HEAD:src") || "unknown";
  const commit = git("rev-parse", "--short", "HEAD") || "unknown";
  return isChanged ? { commit: `${commit} with changes`, source: `${source} with changes` } : { commit, source };
}

export function keepRun(run: Run): void {
  mkdirSync(PLACES.results, { recursive: true });
  appendFileSync(fileOf(run.scenario), `${JSON.stringify(run)}\n`);
}

/** The runs of a scenario with that source, oldest first. */
export function readRuns(scenario: string, source: string): readonly Run[] {
  const file = fileOf(scenario);
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Run)
    .filter((run) => run.source === source);
}

/** Why a run does not count; undefined: it does. */
export function faultOf({ failure, steps, isRising }: Run): string | undefined {
  if (failure !== undefined) return failure;
  if (steps.length === 0) return "nothing was measured";
  const counts: Readonly<Record<string, number>> = {
    gaps: most(steps, "gaps"),
    duplicates: most(steps, "duplicates"),
    "wrong messages": most(steps, "wrong"),
    // Beyond what a server can do it may be late and cut off who lags: that ends the series, and the step was not held.
    ...(isRising ? {} : { "messages missing": most(steps, "missing"), "connections closed": most(steps, "closed") }),
  };
  const faults = Object.entries(counts).filter(([, count]) => count > 0);
  if (faults.length > 0) return faults.map(([what, count]) => `${count} ${what}`).join(", ");
  return isRising || steps.every(({ drained }) => drained) ? undefined : "not all had arrived when the time was up";
}

/** The figures of a run; of rising rates, those of the highest rate that was held. */
export function measuresOf({ steps, isRising }: Run): Measures {
  if (!isRising) return steps[0] === undefined ? {} : figures(steps[0]);
  const highest = steps.findLast(({ held }) => held);
  return highest === undefined ? { heldRate: 0 } : { ...figures(highest), heldRate: Number(highest["rate"]) };
}

function figures(step: Step): Measures {
  const found: Readonly<Record<Metric, number>> = {
    deliveriesPerSecond: Number(step["deliveriesPerSecond"]),
    cpuPerMillion: Number(step["cpuPerMillion"]),
    p50Ms: Number(step["p50Us"]) / 1e3,
    p99Ms: Number(step["p99Us"]) / 1e3,
    framesPerRead: Number(step["framesPerRead"]),
    heldRate: Number.NaN,
    bytesPerConnection: Number(step["bytesPerConnection"]),
    bytesPerConnectionAsItIs: Number(step["bytesPerConnectionAsItIs"]),
    bytesPerMembership: Number(step["bytesPerMembership"]),
    handshakesPerSecond: Number(step["handshakesPerSecond"]),
    cpuUsPerHandshake: Number(step["cpuUsPerHandshake"]),
    peakMb: Number(step["kbPeak"]) / 1024,
    loadCores: Number(step["loadCores"]),
    otherCores: Number(step["otherCores"]),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => Number.isFinite(value)));
}

// The load generator counts on from step to step, so the last line has them all.
function most(steps: readonly Step[], count: "missing" | "gaps" | "duplicates" | "wrong" | "closed"): number {
  return Math.max(...steps.map((step) => step[count]));
}

function fileOf(scenario: string): string {
  return join(PLACES.results, `${scenario}.jsonl`);
}

function git(...words: readonly string[]): string {
  return spawnSync("git", words, { cwd: PLACES.root, encoding: "utf8" }).stdout?.trim() ?? "";
}
