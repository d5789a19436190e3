// The processes that the bench has started, each the leader of a group of its own, so that Ctrl-C in a terminal reaches the bench alone.
// None outlives it: it kills them when it ends, and peers end by themselves when their stdin does.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** A peer may take this long to end by itself, ms. */
const END_WITHIN_MS = 2_000;

export interface SpawnSettings {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export class Children {
  readonly #running = new Set<ChildProcess>();

  /** Starts a program with pipes for stdin, stdout and stderr. A program that is not there shows as `error` on the child. */
  start(program: string, args: readonly string[], { env = {}, cwd }: SpawnSettings = {}): ChildProcess {
    const child = spawn(program, args, {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#running.add(child);
    const gone = (): void => void this.#running.delete(child);
    child.once("exit", gone).once("error", gone);
    child.stdin?.on("error", () => {}); // it has ended: `exit` says so
    return child;
  }

  /** Ends it and what it has started: politely, then for good. Resolves when it is gone. */
  async end(child: ChildProcess): Promise<void> {
    if (this.#running.has(child)) {
      const gone = once(child, "exit");
      signalGroup(child, "SIGTERM");
      const patience = setTimeout(() => signalGroup(child, "SIGKILL"), END_WITHIN_MS);
      await gone;
      clearTimeout(patience);
    }
    signalGroup(child, "SIGKILL"); // what it has left behind
  }

  /** Kills all of them at once. */
  killAll(): void {
    for (const child of this.#running) signalGroup(child, "SIGKILL");
  }
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return; // it never ran
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of that group is left.
  }
}
