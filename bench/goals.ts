// What is to be reached, and whether it was. A goal compares two places of one scenario, or one place with a number.
import { faultOf, measuresOf, type Metric, type Run } from "./runs.ts";
import { type PeerName, PEERS } from "./peers.ts";
import { brief, type Spread, spreadOf } from "./statistics.ts";

/** A peer in a shape of the scenario; without `shape`: in its only one. */
export interface Place {
  readonly peer: PeerName;
  readonly shape?: string;
}

/** A figure from elsewhere, with its source. */
export interface Quoted {
  readonly value: number;
  readonly source: string;
}

export interface Goal {
  readonly text: string;
  readonly metric: Metric;
  readonly of: Place | Quoted;
  /** What it is divided by; without it the figure itself is judged. */
  readonly by?: Place | Quoted;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export type Verdict = "met" | "missed" | "not measured";

export interface Judged {
  readonly goal: Goal;
  readonly verdict: Verdict;
  readonly seen: Spread | undefined;
  /** One line for people. */
  readonly text: string;
}

/** bench:quick is short, and the machine may be busy: it lets a goal be missed by so much. */
export const QUICK_SLACK = 0.7;

/** The same goal, more easily reached. */
export function loosened(goal: Goal): Goal {
  const { atLeast, atMost, ...rest } = goal;
  return {
    ...rest,
    ...(atLeast === undefined ? {} : { atLeast: atLeast * QUICK_SLACK }),
    ...(atMost === undefined ? {} : { atMost: atMost / QUICK_SLACK }),
  };
}

/**
 * Judges by the median over the rounds: each round's two figures were taken one after the other, so a busy machine slowed both.
 * Whatever its figures, groupcast misses a goal in which one of its runs had a fault.
 */
export function judge(goal: Goal, runs: readonly Run[]): Judged {
  const above = figures(goal.of, goal.metric, runs);
  const below = goal.by === undefined ? 1 : figures(goal.by, goal.metric, runs);
  const seen = spreadOf(ratios(above, below));
  const faults = [goal.of, goal.by].flatMap((place) => (place === undefined ? [] : ownFaults(place, runs)));
  const isMet = seen !== undefined && faults.length === 0 && isReached(goal, seen.median);
  const verdict = isMet ? "met" : seen === undefined && faults.length === 0 ? "not measured" : "missed";
  const spread = seen === undefined ? "" : `: ${brief(seen.median)} (${brief(seen.min)}..${brief(seen.max)}, n = ${seen.count})`;
  return { goal, verdict, seen, text: [`${verdict} – ${goal.text} [${boundOf(goal)}]${spread}`, ...faults].join("; ") };
}

function ownFaults(place: Place | Quoted, runs: readonly Run[]): readonly string[] {
  if ("value" in place || PEERS[place.peer].family !== "groupcast") return [];
  // That a run could not be made at all is no fault of the server: it is shown in the table.
  return runs.filter((run) => isAt(place, run) && run.failure === undefined).flatMap((run) => faultOf(run) ?? []);
}

function isAt({ peer, shape }: Place, run: Run): boolean {
  return run.peer === peer && (shape === undefined || run.shape === shape);
}

/** By session and round, or one number for all. */
type Figures = ReadonlyMap<string, number> | number;

function figures(place: Place | Quoted, metric: Metric, runs: readonly Run[]): Figures {
  if ("value" in place) return place.value;
  const found = new Map<string, number>();
  for (const run of runs) {
    if (!isAt(place, run) || faultOf(run) !== undefined) continue;
    const value = measuresOf(run)[metric];
    if (value !== undefined) found.set(`${run.session} ${run.round}`, value);
  }
  return found;
}

function ratios(above: Figures, below: Figures): readonly number[] {
  if (typeof above === "number") return typeof below === "number" ? [above / below] : [...below.values()].map((value) => above / value);
  return [...above].flatMap(([round, value]) => {
    const other = typeof below === "number" ? below : below.get(round);
    // 0: a rate that was held by nobody; whatever is above it has no number.
    return other === undefined || other === 0 ? [] : [value / other];
  });
}

function isReached({ atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }: Goal, value: number): boolean {
  return value >= atLeast && value <= atMost;
}

function boundOf({ atLeast, atMost }: Goal): string {
  return [
    ...(atLeast === undefined ? [] : [`at least ${brief(atLeast)}`]),
    ...(atMost === undefined ? [] : [`at most ${brief(atMost)}`]),
  ].join(", ");
}
