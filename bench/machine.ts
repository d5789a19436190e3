// What the machine is and lets us do: its name for the report, cores to pin to, files that one process may open.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

/** Where server and load run, so that they do not disturb each other. */
export interface Pinning {
  readonly serverCore: number;
  readonly loadCore: number;
  /** The kernel thread that does the network work that the server's core has put off: its CPU is the server's. */
  readonly softirq: number | undefined;
}

/** Undefined: there is no `taskset`, or only one core. */
export function findPinning(): Pinning | undefined {
  const [serverCore, loadCore] = allowedCores();
  if (serverCore === undefined || loadCore === undefined || spawnSync("taskset", ["-V"]).error !== undefined) return undefined;
  return { serverCore, loadCore, softirq: findProcess(`ksoftirqd/${serverCore}`) };
}

/** The words that start a program on one core. */
export function pinned(core: number | undefined, words: readonly string[]): readonly string[] {
  return core === undefined ? words : ["taskset", "-c", String(core), ...words];
}

/** A process and all below it. */
export function familyOf(pid: number): readonly number[] {
  const parents = new Map(processes().map((each) => [each, parentOf(each)]));
  const family = [pid];
  // Grows while it is walked, so grandchildren are found too.
  for (const member of family) for (const [child, parent] of parents) if (parent === member) family.push(child);
  return family;
}

/** Files that one process may have open: the limit that a program can raise itself to. */
export function filesMax(): number {
  const text = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text);
}

/** The machine in one line. */
export function describeMachine(): string {
  const all = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return `${all.length} × ${all[0]?.model.trim() ?? "unknown CPU"}, ${gigabytes} GiB, Linux ${/^[\d.]+/.exec(release())?.[0] ?? ""}, Node.js ${process.versions.node}`;
}

function allowedCores(): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

function processes(): readonly number[] {
  return readdirSync("/proc").map(Number).filter(Number.isInteger);
}

function statOf(pid: number): RegExpExecArray | null {
  try {
    return /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return null; // gone meanwhile
  }
}

function parentOf(pid: number): number {
  return Number(statOf(pid)?.[2] ?? 0);
}

// A container may not see the threads of the kernel.
function findProcess(name: string): number | undefined {
  return processes().find((pid) => statOf(pid)?.[1] === name);
}
