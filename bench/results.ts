// Writes bench/RESULTS.md, and the charts beside it, from the stored runs of one source.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bar, barChart } from "./chart.ts";
import { judge } from "./goals.ts";
import { versionOf } from "./install.ts";
import { describeMachine, findPinning } from "./machine.ts";
import { PEERS } from "./peers.ts";
import { PLACES } from "./places.ts";
import { describeScenario, medianOf } from "./report.ts";
import { readRuns, type Run } from "./runs.ts";
import type { Scenario } from "./scenarios.ts";
import { table } from "./table.ts";

/** What is written of a set of scenarios: into which file, made by which command. */
export interface Book {
  readonly scenarios: readonly Scenario[];
  readonly file: string;
  readonly command: string;
}

/** Returns the files that it has written, the book's own first. */
export function writeResults({ scenarios, file, command }: Book, source: string): readonly string[] {
  const measured = scenarios.map((scenario) => ({ scenario, runs: readRuns(scenario.id, source) })).filter(({ runs }) => runs.length > 0);
  if (measured.length === 0) throw new Error(`there are no stored runs of this source (${source}): run the bench first`);
  const notes = readNotes();
  const charts = new Map<string, string>();
  const sections = measured.map(({ scenario, runs }) => {
    const chart = chartOf(scenario, runs);
    const parts = [describeScenario(scenario, runs)];
    if (chart !== undefined) {
      charts.set(`${scenario.id}.svg`, chart);
      parts.push(`![${scenario.chart?.title ?? scenario.title}](${scenario.id}.svg)`);
    }
    parts.push(...(notes.get(scenario.id) ?? []));
    return parts.join("\n\n");
  });
  const text = [
    headOf(
      command,
      measured.flatMap(({ runs }) => runs),
    ),
    summaryOf(measured),
    ...sections,
  ].join("\n\n");
  const files: readonly [name: string, text: string][] = [[file, `${text}\n`], ...charts];
  for (const [name, content] of files) writeFileSync(join(PLACES.bench, name), content);
  return files.map(([name]) => join("bench", name));
}

function headOf(command: string, runs: readonly Run[]): string {
  const dates = runs.map(({ date }) => date.slice(0, 10)).sort();
  const names = new Set(runs.map(({ peer }) => peer));
  const versions = [...names].flatMap((name) => {
    const peer = PEERS[name];
    const version = versionOf(peer);
    return version === undefined ? [] : [`${peer.package} ${version}`];
  });
  const pinning = findPinning();
  const [first, last] = [dates[0] ?? "", dates.at(-1) ?? ""];
  const facts: readonly (readonly [string, string])[] = [
    ["machine", describeMachine()],
    ["peers", versions.join(", ")],
    ["commit", [...new Set(runs.map(({ commit }) => commit))].join(", ")],
    ["date", first === last ? first : `${first} to ${last}`],
    [
      "cores",
      pinning === undefined
        ? "server and load shared all cores"
        : `server on core ${pinning.serverCore}${pinning.softirq === undefined ? ", without" : ", with"} ksoftirqd, load on core ${pinning.loadCore}; servers of several processes on all cores`,
    ],
  ];
  return [
    "# Results of the bench",
    `Made by \`npm run ${command} -- --write\`; [README.md](README.md) says what is measured and how to read it. Figures are medians, with (min..max).`,
    facts.map(([what, text]) => `- ${what}: ${text}`).join("\n"),
  ].join("\n\n");
}

function summaryOf(measured: readonly { readonly scenario: Scenario; readonly runs: readonly Run[] }[]): string {
  const rows = measured.flatMap(({ scenario: { id, goals }, runs }) =>
    goals.map((goal) => {
      const { verdict, seen } = judge(goal, runs);
      const bound = goal.atLeast === undefined ? `≤ ${goal.atMost ?? ""}` : `≥ ${goal.atLeast}`;
      return [`${id}: ${goal.text}`, bound, seen === undefined ? "–" : seen.median.toPrecision(3), verdict];
    }),
  );
  return `## Goals\n\n${table(["", "goal", "seen", "verdict"], rows)}`;
}

function chartOf({ chart, peers }: Scenario, runs: readonly Run[]): string | undefined {
  if (chart === undefined) return undefined;
  const bars = peers.flatMap((peer): readonly Bar[] => {
    const value = medianOf(runs, peer, chart.metric);
    return value === undefined ? [] : [{ label: PEERS[peer].title, value, isOurs: PEERS[peer].family === "groupcast" }];
  });
  return bars.length < 2 ? undefined : barChart(chart.title, bars);
}

/** What a person has to say about a scenario: the section of bench/notes.md with its name. */
function readNotes(): ReadonlyMap<string, readonly string[]> {
  if (!existsSync(PLACES.notes)) return new Map();
  const [, ...sections] = readFileSync(PLACES.notes, "utf8").split(/^## /m);
  return new Map(
    sections.map((section) => {
      const [id = "", ...lines] = section.split("\n");
      return [id.trim(), [lines.join("\n").trim()]];
    }),
  );
}
