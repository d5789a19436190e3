// One invocation: runs every cell of every scenario, peers in turn (A B C A B C …), keeps each run, and says what it is doing.
import type { Children } from "./children.ts";
import { estimateSeconds, runLoad, type Shape } from "./load.ts";
import { filesMax, pinned, type Pinning } from "./machine.ts";
import { PEERS, type PeerName } from "./peers.ts";
import { faultOf, keepRun, measuresOf, type Product, type Run } from "./runs.ts";
import { type Scenario, shapeFor } from "./scenarios.ts";
import { type ServerSettings, startServer } from "./server.ts";
import { brief } from "./statistics.ts";

/** Files that a process needs besides its connections. */
const OTHER_FILES = 100;

export interface SessionSettings {
  readonly children: Children;
  readonly product: Product;
  readonly pinning: Pinning | undefined;
  readonly runtimes: ServerSettings["runtimes"];
  readonly brokers: ServerSettings["brokers"];
  /** Progress, for whoever waits. */
  readonly say: (text: string) => void;
}

interface Cell {
  readonly scenario: Scenario;
  readonly shape: Shape;
  readonly peer: PeerName;
  readonly round: number;
}

/** Scenarios with what of them can be run here; what cannot is said, loudly. */
export function runnable(
  scenarios: readonly Scenario[],
  canRun: (peer: PeerName) => boolean,
  say: (text: string) => void,
): readonly Scenario[] {
  const files = filesMax();
  const missing = new Set(scenarios.flatMap(({ peers }) => peers.filter((peer) => !canRun(peer))));
  for (const peer of missing) say(`NOT COMPARED: ${PEERS[peer].title}: it is not installed, or does not run here`);
  return scenarios.flatMap((scenario) => {
    const shapes = scenario.shapes.filter(({ name, clients, slow = 0 }) => {
      const needed = clients + slow + OTHER_FILES;
      if (needed > files) say(`SKIPPED: ${scenario.id}, ${name}: it needs ${needed} open files, and the limit is ${files} (ulimit -n)`);
      return needed <= files;
    });
    const peers = scenario.peers.filter((peer) => !missing.has(peer));
    return shapes.length === 0 || peers.length === 0 ? [] : [{ ...scenario, shapes, peers }];
  });
}

/** Runs the scenarios; `finished` is called with each when all its rounds are done. */
export async function runSession(
  scenarios: readonly Scenario[],
  settings: SessionSettings,
  finished: (scenario: Scenario, runs: readonly Run[]) => void,
): Promise<void> {
  const session = new Date().toISOString();
  const clock = new TimeLeft(scenarios.flatMap(cellsOf));
  for (const scenario of scenarios) {
    const runs: Run[] = [];
    for (const cell of cellsOf(scenario)) {
      const { shape, peer, round } = cell;
      settings.say(`${scenario.id}, ${shape.name}, round ${round + 1} of ${scenario.rounds}: ${PEERS[peer].title} (${clock.text} left)`);
      const run = await runCell(cell, session, settings);
      keepRun(run);
      runs.push(run);
      settings.say(`    ${outcomeOf(run)}`);
      clock.done(cell);
    }
    finished(scenario, runs);
  }
}

/** About how long the scenarios take, s. */
export function secondsFor(scenarios: readonly Scenario[]): number {
  return scenarios.flatMap(cellsOf).reduce((sum, cell) => sum + secondsOf(cell), 0);
}

/** "70 s", "12 min". */
export function inWords(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

function cellsOf(scenario: Scenario): readonly Cell[] {
  return Array.from({ length: scenario.rounds }, (_, round) => round).flatMap((round) =>
    scenario.shapes.flatMap((shape) => scenario.peers.map((peer) => ({ scenario, shape, peer, round }))),
  );
}

function secondsOf({ scenario, shape, peer }: Cell): number {
  return estimateSeconds(shapeFor(scenario, shape, peer));
}

async function runCell({ scenario, shape, peer, round }: Cell, session: string, settings: SessionSettings): Promise<Run> {
  const { children, product, pinning, runtimes, brokers } = settings;
  const isRising = scenario.kind === "rising";
  const about = { ...product, isRising, scenario: scenario.id, shape: shape.name, peer, session, round, date: new Date().toISOString() };
  try {
    const server = await startServer(children, PEERS[peer], { runtimes, pinning, brokers, collects: shape.mode === "idle" });
    try {
      const steps = await runLoad(children, shapeFor(scenario, shape, peer), {
        ports: server.ports,
        protocol: PEERS[peer].protocol,
        pids: server.pids,
        collect: server.collect,
        prefix: pinned(PEERS[peer].hasManyProcesses ? undefined : pinning?.loadCore, []),
      });
      return { ...about, steps };
    } finally {
      await server.end();
    }
  } catch (error) {
    return { ...about, steps: [], failure: error instanceof Error ? error.message : String(error) };
  }
}

/** What is still to do, by the estimates, corrected by how wrong they have been. */
class TimeLeft {
  readonly #began = performance.now();
  #estimatedLeft: number;
  #estimatedDone = 0;

  constructor(cells: readonly Cell[]) {
    this.#estimatedLeft = cells.reduce((sum, cell) => sum + secondsOf(cell), 0);
  }

  done(cell: Cell): void {
    this.#estimatedLeft -= secondsOf(cell);
    this.#estimatedDone += secondsOf(cell);
  }

  get text(): string {
    const factor = this.#estimatedDone === 0 ? 1 : (performance.now() - this.#began) / 1e3 / this.#estimatedDone;
    return inWords(this.#estimatedLeft * factor);
  }
}

function outcomeOf(run: Run): string {
  const fault = faultOf(run);
  if (fault !== undefined) return `VOID: ${fault}`;
  const { deliveriesPerSecond, cpuPerMillion, p99Ms, heldRate, bytesPerConnection, bytesPerMembership, cpuUsPerHandshake } =
    measuresOf(run);
  const parts: readonly [value: number | undefined, unit: string][] = [
    [heldRate, "messages/s held"],
    [deliveriesPerSecond, "deliveries/s"],
    [cpuPerMillion, "CPU s per million"],
    [p99Ms, "ms p99"],
    [bytesPerConnection, "B per connection"],
    [bytesPerMembership === 0 ? undefined : bytesPerMembership, "B per membership"],
    [cpuUsPerHandshake, "CPU µs per handshake"],
  ];
  return parts.flatMap(([value, unit]) => (value === undefined ? [] : [`${brief(value)} ${unit}`])).join(", ");
}
