// The tables: what each peer did in a scenario, and whether its goals were reached. Makes text only.
import { judge } from "./goals.ts";
import { PEERS, type PeerName } from "./peers.ts";
import { faultOf, measuresOf, type Metric, type Run } from "./runs.ts";
import type { Scenario } from "./scenarios.ts";
import { brief, type Spread, spreadOf, withSpread } from "./statistics.ts";
import { table } from "./table.ts";

interface Column {
  readonly title: string;
  readonly cell: (row: Row, first: Row | undefined) => string;
}

/** One peer in one shape. */
interface Row {
  readonly peer: PeerName;
  readonly runs: readonly Run[];
  readonly good: readonly Run[];
}

const spread = (title: string, metric: Metric): Column => ({ title, cell: (row) => withSpread(of(row, metric)) });
const median = (title: string, metric: Metric): Column => ({ title, cell: (row) => briefly(of(row, metric)) });
/** How many times better the first row is. */
const times = (title: string, metric: Metric, better: "high" | "low"): Column => ({
  title,
  cell: (row, first) => {
    const [own, ours] = [of(row, metric)?.median, first === undefined ? undefined : of(first, metric)?.median];
    if (row === first || own === undefined || ours === undefined) return "";
    const value = better === "high" ? ours / own : own / ours;
    return Number.isFinite(value) ? `${brief(value)} ×` : "";
  },
});
const latency: Column = {
  title: "p50 / p99 ms",
  cell: (row) => `${briefly(of(row, "p50Ms"))} / ${briefly(of(row, "p99Ms"))}`,
};

const COLUMNS: Readonly<Record<Scenario["kind"], readonly Column[]>> = {
  deliveries: [
    spread("deliveries/s", "deliveriesPerSecond"),
    times("rate: first ÷ this", "deliveriesPerSecond", "high"),
    spread("CPU s per million", "cpuPerMillion"),
    times("CPU: this ÷ first", "cpuPerMillion", "low"),
    latency,
    median("frames per read", "framesPerRead"),
    median("load's cores", "loadCores"),
    median("others' cores", "otherCores"),
    median("peak MiB", "peakMb"),
  ],
  rising: [
    spread("messages/s held", "heldRate"),
    times("first ÷ this", "heldRate", "high"),
    median("deliveries/s there", "deliveriesPerSecond"),
    latency,
    spread("CPU s per million there", "cpuPerMillion"),
    median("load's cores", "loadCores"),
    median("others' cores", "otherCores"),
  ],
  idle: [
    spread("bytes per connection", "bytesPerConnection"),
    times("this ÷ first", "bytesPerConnection", "low"),
    median("garbage included", "bytesPerConnectionAsItIs"),
    spread("handshakes/s", "handshakesPerSecond"),
    spread("CPU µs per handshake", "cpuUsPerHandshake"),
    times("this ÷ first", "cpuUsPerHandshake", "low"),
  ],
  memberships: [spread("bytes per membership", "bytesPerMembership"), median("bytes per connection", "bytesPerConnection")],
};

/** The tables of a scenario and its goals, in Markdown. */
export function describeScenario(scenario: Scenario, runs: readonly Run[]): string {
  const parts = [`## ${scenario.id}: ${scenario.title}`];
  for (const { name } of scenario.shapes) {
    const ofShape = runs.filter(({ shape }) => shape === name);
    if (ofShape.length === 0) continue;
    if (scenario.shapes.length > 1) parts.push(`### ${name}`);
    parts.push(shapeTable(scenario, ofShape));
  }
  const goals = scenario.goals.map((goal) => `- ${judge(goal, runs).text}`);
  if (goals.length > 0) parts.push(`Goals:\n\n${goals.join("\n")}`);
  return parts.join("\n\n");
}

/** The median of a peer in a scenario, over its runs that count. */
export function medianOf(runs: readonly Run[], peer: PeerName, metric: Metric): Spread | undefined {
  return of(rowOf(runs, peer), metric);
}

function shapeTable(scenario: Scenario, runs: readonly Run[]): string {
  const rows = scenario.peers.map((peer) => rowOf(runs, peer)).filter((row) => row.runs.length > 0);
  const [first] = rows;
  const columns = COLUMNS[scenario.kind];
  const lines = rows.map((row) => [PEERS[row.peer].title, countOf(row), ...columns.map(({ cell }) => cell(row, first))]);
  const faults = rows.flatMap((row) => row.runs.map((run) => ({ title: PEERS[row.peer].title, fault: faultOf(run) })));
  const notes = faults.flatMap(({ title, fault }) => (fault === undefined ? [] : [`- void: ${title}: ${fault}`]));
  const text = table(["", "runs", ...columns.map(({ title }) => title)], lines);
  return notes.length === 0 ? text : `${text}\n\n${notes.join("\n")}`;
}

function rowOf(runs: readonly Run[], peer: PeerName): Row {
  const own = runs.filter((run) => run.peer === peer);
  return { peer, runs: own, good: own.filter((run) => faultOf(run) === undefined) };
}

function countOf({ runs, good }: Row): string {
  return good.length === runs.length ? String(runs.length) : `${good.length}, ${runs.length - good.length} void`;
}

function of({ good }: Row, metric: Metric): Spread | undefined {
  return spreadOf(good.flatMap((run) => measuresOf(run)[metric] ?? []));
}

function briefly(found: Spread | undefined): string {
  return found === undefined ? "–" : brief(found.median);
}
