// The load generator, seen from here: compiled on first use, started with a shape, and what it prints.
import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Children } from "./children.ts";
import { PLACES } from "./places.ts";

/** What the clients do. Without `rates` each publisher keeps `window` messages under way (closed loop). */
export interface Shape {
  readonly name: string;
  /** `idle`: connect, and stay. */
  readonly mode?: "idle";
  readonly clients: number;
  /** Client i is in group i mod `groups`, publisher i is client i. */
  readonly groups?: number;
  /** With `idle` only: groups that each client joins once all are connected. */
  readonly groupsPerClient?: number;
  readonly publishers?: number;
  readonly window?: number;
  /** Messages per second of all publishers together, one step after the other, at fixed times (open loop). */
  readonly rates?: readonly number[];
  /** Bytes in a message. */
  readonly size?: number;
  /** Members besides `clients` that read nothing. */
  readonly slow?: number;
  readonly seconds?: number;
  readonly warmSeconds?: number;
  /** Between the last join and the first message. */
  readonly settleMs?: number;
  /** A rate is held while p99 is at most this; default 50. */
  readonly capMs?: number;
  /** What is under way at the end may take so long to arrive in all (default 20), with silences of at most `patienceMs` (default 3,000). */
  readonly drainSeconds?: number;
  readonly patienceMs?: number;
}

/** How long a step is, unless its shape says so. */
const SECONDS = 3;
const WARM_SECONDS = 1;

/** One line of the load generator. Of latencies in an open loop: counted from the time that a message was due. */
export interface Step {
  readonly mode: "run" | "idle";
  readonly missing: number;
  readonly gaps: number;
  readonly duplicates: number;
  readonly wrong: number;
  readonly closed: number;
  readonly drained: boolean;
  /** A fixed rate: p99 within 50 ms, 99 % delivered, and no fault. */
  readonly held?: boolean;
  readonly [measure: string]: number | string | boolean | undefined;
}

export interface LoadTarget {
  /** One of each node: members of each group, and publishers, are spread over them. */
  readonly ports: readonly number[];
  readonly protocol: "plain" | "socket.io";
  /** Processes whose CPU and memory is the server's. */
  readonly pids: readonly number[];
  /** This process collects its garbage on SIGUSR2. */
  readonly collect?: number | undefined;
  /** Words before the program, to pin it. */
  readonly prefix?: readonly string[];
}

/** A run is given up after this: only a server that hangs takes so long, s. */
const LIMIT_SECONDS = 170;

/**
 * Compiles the load generator unless it is there, and newer than its source.
 *
 * @throws Error that says what to install, or what the compiler said.
 */
export function compileLoad(): void {
  const { loadSource, loadProgram } = PLACES;
  const made = statSync(loadProgram, { throwIfNoEntry: false });
  if (made !== undefined && made.mtimeMs > statSync(loadSource).mtimeMs) return;
  mkdirSync(dirname(loadProgram), { recursive: true });
  const unfinished = `${loadProgram}.${process.pid}`; // two may compile at once
  const { error, status, stderr } = spawnSync("cc", ["-O2", "-Wall", "-Wextra", "-o", unfinished, loadSource], { encoding: "utf8" });
  if (error !== undefined) {
    throw new Error(
      "the load generator is a C program, and there is no C compiler `cc`: install one " +
        "(Debian and Ubuntu: apt-get install gcc libc6-dev; Fedora: dnf install gcc; Alpine: apk add gcc musl-dev linux-headers)",
      { cause: error },
    );
  }
  if (status !== 0) throw new Error(`the load generator does not compile:\n${stderr}`);
  renameSync(unfinished, loadProgram);
}

/** Runs one shape against a server; resolves with its steps. Rejects with what the load generator says if it could not do its work. */
export async function runLoad(children: Children, shape: Shape, target: LoadTarget): Promise<readonly Step[]> {
  const words = [...(target.prefix ?? []), PLACES.loadProgram, ...flagsOf(shape, target)];
  const [program = "", ...args] = words;
  const child = children.start(program, args);
  let output = "";
  let complaint = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  // 1: it has found faults, which its lines tell.
  if (code !== 0 && code !== 1) throw new Error(complaint.trim() || `the load generator took longer than ${LIMIT_SECONDS} s`);
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map(readStep);
}

/** About how long a run takes, connecting and stopping included. */
export function estimateSeconds({
  clients,
  seconds = SECONDS,
  warmSeconds = WARM_SECONDS,
  settleMs = settleOf(clients),
  ...rest
}: Shape): number {
  const start = 1 + clients / 5_000 + settleMs / 1e3;
  // 2 s for two collections of garbage
  if (rest.mode === "idle") return start + 2 + (rest.groupsPerClient === undefined ? 0 : 1 + settleMs / 1e3);
  return start + (rest.rates?.length ?? 1) * (warmSeconds + seconds + 0.3);
}

// Joins are not answered, so this must be long enough for all of them on a slow machine.
function settleOf(clients: number): number {
  return 300 + clients / 10;
}

function flagsOf(shape: Shape, { ports, protocol, pids, collect }: LoadTarget): readonly string[] {
  const flags: Readonly<Record<string, string | number | undefined>> = {
    port: ports.join(","),
    protocol,
    pids: pids.join(","),
    collect,
    limit: LIMIT_SECONDS,
    mode: shape.mode,
    clients: shape.clients,
    groups: shape.groups,
    "groups-per-conn": shape.groupsPerClient,
    publishers: shape.publishers,
    window: shape.window,
    rates: shape.rates?.join(","),
    size: shape.size,
    slow: shape.slow,
    seconds: shape.seconds ?? SECONDS,
    warm: shape.warmSeconds ?? WARM_SECONDS,
    "cap-ms": shape.capMs,
    drain: shape.drainSeconds,
    "patience-ms": shape.patienceMs,
    "settle-ms": shape.settleMs ?? settleOf(shape.clients),
  };
  return Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)]));
}

function readStep(line: string): Step {
  const step = JSON.parse(line) as Step;
  const counts = [step.missing, step.gaps, step.duplicates, step.wrong, step.closed];
  if (!counts.every(Number.isInteger)) throw new Error(`not a line of the load generator: ${line}`);
  return step;
}
