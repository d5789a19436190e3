// The program behind `npm run bench` and `npm run bench:quick`: reads the command line, and puts the rest together.
import { parseArgs } from "node:util";
import { Children } from "./children.ts";
import { judge, loosened } from "./goals.ts";
import { type Brokers, startBrokers } from "./brokers.ts";
import { canRun, findBun, installPeers } from "./install.ts";
import { compileLoad } from "./load.ts";
import { findPinning } from "./machine.ts";
import { FAMILIES, PEERS } from "./peers.ts";
import { describeScenario } from "./report.ts";
import { type Book, writeResults } from "./results.ts";
import { findProduct, readRuns, type Run } from "./runs.ts";
import { CLUSTER_SCENARIOS, type Scenario, SCENARIOS } from "./scenarios.ts";
import { inWords, runnable, runSession, secondsFor, type SessionSettings } from "./session.ts";

const HELP = `npm run bench -- [options]
  --scenarios S1b,S3      only these of ${SCENARIOS.map(({ id }) => id).join(", ")}
  --peers groupcast,bun   only these of ${FAMILIES.join(", ")}
  --rounds N              rounds of each scenario (default 3; slow: 5)
  --write                 write bench/RESULTS.md and the charts beside it, from all runs of this source that are stored
  --report                run nothing; print the tables of the stored runs (with --write: write them)
npm run bench:cluster     the same options, for ${CLUSTER_SCENARIOS.map(({ id }) => id).join(", ")}: two nodes over a broker; writes bench/CLUSTER.md
npm run bench:quick       a minute: fails if groupcast has fallen far below its goals`;

const QUICK_ROUNDS = 2;
const QUICK_PEERS = ["groupcast", "bun", "ws"];
const ROUNDS_MAX = 100;

const ALONE: Book = { scenarios: SCENARIOS, file: "RESULTS.md", command: "bench" };
const CLUSTER: Book = { scenarios: CLUSTER_SCENARIOS, file: "CLUSTER.md", command: "bench:cluster" };

class Usage extends Error {}

interface Wishes {
  readonly book: Book;
  readonly scenarios: readonly Scenario[];
  readonly writes: boolean;
  readonly onlyReports: boolean;
  readonly isQuick: boolean;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function readWishes(words: readonly string[]): Wishes | undefined {
  const { values } = parseArgs({
    args: [...words],
    options: {
      scenarios: { type: "string" },
      peers: { type: "string" },
      rounds: { type: "string" },
      write: { type: "boolean", default: false },
      report: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      cluster: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const book = values.cluster ? CLUSTER : ALONE;
  const ids = choose(
    "scenarios",
    values.scenarios,
    book.scenarios.map(({ id }) => id),
  );
  const families = choose("peers", values.peers ?? (values.quick ? QUICK_PEERS.join(",") : undefined), FAMILIES);
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= 1 && rounds <= ROUNDS_MAX)) {
    throw new Usage(`--rounds: given ${values.rounds}, allowed: 1 to ${ROUNDS_MAX}`);
  }
  const scenarios = book.scenarios
    .filter(({ id }) => ids.includes(id))
    .flatMap((scenario) => (values.quick ? quickly(scenario) : [scenario]))
    .map((scenario) => ({
      ...scenario,
      rounds: rounds ?? scenario.rounds,
      peers: scenario.peers.filter((peer) => families.includes(PEERS[peer].family)),
    }));
  return { book, scenarios, writes: values.write, onlyReports: values.report, isQuick: values.quick };
}

// `large` in the list of all: what is asked for must be one of them.
function choose(option: string, given: string | undefined, allowed: readonly string[]): readonly string[] {
  if (given === undefined) return allowed;
  const wanted = given.split(",").map((word) => allowed.find((name) => name.toLowerCase() === word.trim().toLowerCase()) ?? word);
  const unknown = wanted.find((word) => !allowed.includes(word));
  if (unknown !== undefined) throw new Usage(`--${option}: given ${unknown}, allowed: ${allowed.join(", ")}`);
  return wanted;
}

/** The short form of a scenario, if it has one. Kept under another name, so that it is never taken for the long one. */
function quickly(scenario: Scenario): readonly Scenario[] {
  const { quick, goals, ...rest } = scenario;
  return quick === undefined
    ? []
    : [{ ...rest, id: `${rest.id}-quick`, shapes: [quick], goals: goals.map(loosened), rounds: QUICK_ROUNDS }];
}

async function prepare(children: Children, brokers: Brokers): Promise<SessionSettings> {
  if (process.platform !== "linux") throw new Error("the bench needs Linux: it counts CPU and memory in /proc, and waits with epoll");
  compileLoad();
  await installPeers(children, say);
  const bun = findBun();
  if (bun === undefined) say("There is no Bun that runs on this machine: going on without it.");
  const pinning = findPinning();
  if (pinning === undefined) say("Server and load share all cores: there is no taskset (util-linux), or only one core. Expect noise.");
  return { children, product: findProduct(), pinning, runtimes: { node: process.execPath, bun }, brokers: brokers.urls, say };
}

async function measure(wishes: Wishes, children: Children): Promise<readonly Run[]> {
  const needed = new Set(wishes.scenarios.flatMap(({ peers }) => peers.flatMap((peer) => PEERS[peer].broker ?? [])));
  const brokers = await startBrokers(needed);
  try {
    return await measureWith(wishes, children, brokers);
  } finally {
    await brokers.stop();
  }
}

async function measureWith({ scenarios, isQuick }: Wishes, children: Children, started: Brokers): Promise<readonly Run[]> {
  const settings = await prepare(children, started);
  const { runtimes, brokers } = settings;
  const possible = runnable(scenarios, (peer) => canRun(PEERS[peer], runtimes.bun, brokers), say);
  say(`${settings.product.commit}; about ${inWords(secondsFor(possible))}`);
  const all: Run[] = [];
  await runSession(possible, settings, (scenario, runs) => {
    all.push(...runs);
    if (!isQuick) process.stdout.write(`${describeScenario(scenario, runs)}\n\n`);
  });
  return all;
}

/** One line for each floor; false: one of them was not reached, or none could be looked at. */
function judgeQuickly(scenarios: readonly Scenario[], runs: readonly Run[]): boolean {
  const judged = scenarios
    .flatMap(({ id, goals }) =>
      goals.map((goal) => ({
        id,
        ...judge(
          goal,
          runs.filter((run) => run.scenario === id),
        ),
      })),
    )
    .filter(({ verdict }) => verdict !== "not measured");
  for (const { id, text } of judged) process.stdout.write(`${id}: ${text}\n`);
  const missed = judged.filter(({ verdict }) => verdict === "missed");
  const failures = [...missed.map(({ id, text }) => `${id}: ${text}`), ...(judged.length === 0 ? ["nothing could be compared"] : [])];
  if (failures.length > 0) say(`bench:quick: FAILED: ${failures.join("; ")}`);
  return failures.length === 0;
}

async function main(words: readonly string[], children: Children): Promise<number> {
  const wishes = readWishes(words);
  if (wishes === undefined) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const runs = wishes.onlyReports ? [] : await measure(wishes, children);
  if (wishes.isQuick) return judgeQuickly(wishes.scenarios, runs) ? 0 : 1;
  const { source } = findProduct();
  if (wishes.onlyReports) {
    for (const scenario of wishes.scenarios) {
      const stored = readRuns(scenario.id, source);
      if (stored.length > 0) process.stdout.write(`${describeScenario(scenario, stored)}\n\n`);
    }
  }
  if (wishes.writes) for (const file of writeResults(wishes.book, source)) say(`written: ${file}`);
  return 0;
}

const children = new Children();
process.on("exit", () => children.killAll());
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1],
] as const)
  process.on(signal, () => process.exit(128 + number));
try {
  process.exitCode = await main(process.argv.slice(2), children);
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  const isUsage =
    error instanceof Usage || (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"));
  process.exitCode = isUsage ? 2 : 1;
}
