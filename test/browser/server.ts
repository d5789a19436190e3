// `groupcast start` as a child process, for tests that look at it from outside.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** Generous: a busy machine starts a few processes. */
const START_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 15_000;

export class StartedServer {
  readonly port: number;
  readonly #read: () => string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess, exited: Promise<unknown>, port: number, read: () => string) {
    this.#read = read;
    this.#child = child;
    this.#exited = exited;
    this.port = port;
  }

  /** Resolves when it has printed the address of its page. */
  static async start(options: { readonly port?: number; readonly args?: readonly string[] } = {}): Promise<StartedServer> {
    const args = ["start", "--port", String(options.port ?? 0), "--workers", "2", ...(options.args ?? [])];
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const exited = once(child, "exit");
    let output = "";
    const port = new Promise<number>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        output += chunk.toString();
        const [, port] = /http:\/\/127\.0\.0\.1:(\d+)/.exec(output) ?? [];
        if (port !== undefined) resolve(Number(port));
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      setTimeout(() => reject(new Error(`no address within ${START_WITHIN_MS} ms:\n${output}`)), START_WITHIN_MS).unref();
      void exited.then(() => reject(new Error(`it ended:\n${output}`)));
    });
    try {
      return new StartedServer(child, exited, await port, () => output);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** What it has printed. */
  get output(): string {
    return this.#read();
  }

  /** The address of the page that shares `group`. */
  page(group: string): string {
    return `http://127.0.0.1:${this.port}/#${encodeURIComponent(group)}`;
  }

  /** The worker processes. Linux only: read from /proc. */
  get workers(): number[] {
    const pid = this.#child.pid ?? 0;
    const children = readProc(`${pid}/task/${pid}/children`).trim().split(" ").map(Number);
    return children.filter((child) => readProc(`${child}/environ`).includes('"kind":"worker"'));
  }

  /** SIGTERM, and SIGKILL for one that does not go. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGTERM");
    const late = setTimeout(() => this.#child.kill("SIGKILL"), STOP_WITHIN_MS);
    await this.#exited;
    clearTimeout(late);
  }
}

// A process may end while it is looked at.
function readProc(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, "utf8");
  } catch {
    return "";
  }
}
