// One peer, started for one run: where it listens, which processes it is, and its end.
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { Children } from "./children.ts";
import { familyOf, pinned, type Pinning } from "./machine.ts";
import type { Peer } from "./peers.ts";
import { PLACES } from "./places.ts";

/** A peer has this long to listen, ms. */
const START_WITHIN_MS = 15_000;
/** Of what a peer complains about, as much as one reads. */
const COMPLAINT_CHARACTERS = 1_000;

export interface ServerSettings {
  /** The program that runs a peer of that runtime. */
  readonly runtimes: Readonly<Record<Peer["runtime"], string | undefined>>;
  readonly pinning: Pinning | undefined;
  /** Where the brokers are that peers may need: variables of the environment. */
  readonly brokers: Readonly<Record<string, string>>;
  /** It shall be able to collect its garbage when asked. */
  readonly collects: boolean;
}

export interface RunningServer {
  /** One of each of its nodes. */
  readonly ports: readonly number[];
  /** Its processes, and the kernel's part of its work. */
  readonly pids: readonly number[];
  /** The process that collects its garbage on SIGUSR2. */
  readonly collect: number | undefined;
  end(): Promise<void>;
}

/** Starts a peer. Rejects with what it said if it ends, or does not listen in time. */
export async function startServer(
  children: Children,
  peer: Peer,
  { runtimes, pinning, brokers, collects }: ServerSettings,
): Promise<RunningServer> {
  const program = runtimes[peer.runtime];
  if (program === undefined) throw new Error(`${peer.runtime} is not installed`);
  // V8 has no other way of collecting at a given time, and this one changes nothing else.
  const flags = collects && peer.runtime === "node" ? ["--expose-gc"] : [];
  const core = peer.hasManyProcesses ? undefined : pinning?.serverCore;
  const [first = "", ...rest] = pinned(core, [program, ...flags, join(PLACES.peers, peer.file)]);
  const child = children.start(first, rest, { env: { ...brokers, ...peer.env }, cwd: PLACES.peers });
  try {
    const ports = await listening(child);
    const pid = child.pid ?? 0;
    const softirq = peer.hasManyProcesses ? undefined : pinning?.softirq;
    return {
      ports,
      pids: [...(peer.hasManyProcesses ? familyOf(pid) : [pid]), ...(softirq === undefined ? [] : [softirq])],
      collect: collects && !peer.hasManyProcesses ? pid : undefined,
      end: () => children.end(child),
    };
  } catch (error) {
    await children.end(child);
    throw error;
  }
}

function listening(child: ChildProcess): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    let output = "";
    let complaint = "";
    const failed = (what: string): void => reject(new Error(`${what}: ${(complaint + output).trim()}`));
    const patience = setTimeout(() => failed(`does not listen after ${START_WITHIN_MS / 1e3} s`), START_WITHIN_MS);
    child.stdout?.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-COMPLAINT_CHARACTERS);
      const ports = /^listening ([\d ]+)$/m.exec(output)?.[1];
      if (ports === undefined) return;
      clearTimeout(patience);
      resolve(ports.split(" ").map(Number));
    });
    child.stderr?.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-COMPLAINT_CHARACTERS)));
    child.once("error", (error) => failed(error.message));
    child.once("close", () => {
      clearTimeout(patience);
      failed("has ended");
    });
  });
}
