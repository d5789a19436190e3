// Runs the built program, or a program of a user, in processes of its own, and looks at these processes from outside.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Socket } from "node:net";
import { Client } from "./client.ts";

export const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
export const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

/** Long enough for a machine that has much else to do; only a failure waits for it. */
const PATIENCE_MS = 20_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Tries `look` again and again until it returns something. */
export async function until<T>(what: string, look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > giveUpAt) throw new Error(`waited ${PATIENCE_MS} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** True while a process of that number runs (a zombie does not). */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

export class Program {
  readonly child: ChildProcess;
  readonly exit: Promise<Exit>;
  stdout = "";
  stderr = "";
  readonly #seen = new Set<number>();

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout?.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    // `close`: its output is complete, too.
    this.exit = once(this.child, "close").then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error("it did not start");
    return this.child.pid;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Resolves when the table is complete. */
  async started(): Promise<this> {
    await this.says(/Start success\.\n/);
    return this;
  }

  /** Resolves when its output has something that fits. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    return until(`${pattern} in\n${this.stdout}\n${this.stderr}`, () => {
      const found = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (found === null && this.hasEnded) throw new Error(`it ended before it said ${pattern}:\n${this.stdout}\n${this.stderr}`);
      return found ?? undefined;
    });
  }

  /** The port in the table. */
  get port(): number {
    return Number(/(?:ws|websocket):\/\/[^\s]*:(\d+)/.exec(this.stdout)?.[1]);
  }

  /** Its children at this moment. */
  get children(): readonly number[] {
    const text = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, "utf8").trim();
    const pids = text === "" ? [] : text.split(" ").map(Number);
    for (const pid of pids) this.#seen.add(pid);
    return pids;
  }

  get workers(): readonly number[] {
    return this.children.filter((pid) => roleOf(pid) === "worker");
  }

  get hub(): number | undefined {
    return this.children.find((pid) => roleOf(pid) === "hub");
  }

  /** Children, of those that were ever looked at, that still run. */
  get left(): readonly number[] {
    return [...this.#seen].filter((pid) => isAlive(pid));
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The worker that has this client's socket. */
  async workerOf(client: Client): Promise<number> {
    const { localPort } = (client.socket as unknown as { _socket: Socket })._socket;
    return until(`the worker of the client at ${localPort}`, () => {
      const inode = inodeOf(this.port, localPort ?? 0);
      return inode === undefined ? undefined : this.workers.find((pid) => hasSocket(pid, inode));
    });
  }

  /** Clients in at least two workers, `count` of them. */
  async clients(count: number, path = "/"): Promise<Client[]> {
    return Promise.all(Array.from({ length: count }, () => Client.open(this.port, path)));
  }

  /** Ends it, whatever state it is in, and all that it has started. */
  async end(): Promise<void> {
    if (!this.hasEnded) {
      void this.children; // remembers them
      this.kill("SIGKILL");
    }
    await this.exit;
    for (const pid of this.left) process.kill(pid, "SIGKILL");
    await until("its children end", () => this.left.length === 0);
  }
}

/** What a child of ours was told to be: it stands in the environment that it began with. */
function roleOf(pid: number): "hub" | "worker" | undefined {
  try {
    const [, json] = /(?:^|\0)GROUPCAST_ROLE=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8")) ?? [];
    return json === undefined || !isAlive(pid) ? undefined : (JSON.parse(json) as { kind: "hub" | "worker" }).kind;
  } catch {
    return undefined; // it is gone
  }
}

/** The server's end of the connection between two ports of this machine. */
function inodeOf(localPort: number, remotePort: number): string | undefined {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, "0");
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n")) {
    const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/);
    if (local?.endsWith(`:${hex(localPort)}`) === true && remote?.endsWith(`:${hex(remotePort)}`) === true) return inode;
  }
  return undefined;
}

function hasSocket(pid: number, inode: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}
