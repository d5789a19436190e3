// A server of one test file, in a process and a folder of its own. Both are gone when the test process is, however that ends.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Found } from "./find.ts";

/** Only a failure waits for it: a server is ready in less than 0.1 s, unless it has a log to read. */
const PATIENCE_MS = 20_000;

/** Of what the server says, for the error that it did not start. */
const KEPT_CHARACTERS = 8192;

// Below the ports that Linux (32768) and macOS (49152) give to clients: while a server is down, nobody gets its port by chance.
const FIRST_PORT = 12_000;
const PORTS = 18_000;

/** Reads process ids, and when the other end of its input is gone, ends the last one and removes the folder. An empty line: none. */
const WATCHDOG = 'pid=; while read -r next; do pid=$next; done; [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; rm -rf "$1"';

/** A broker as tests use it. */
export interface Broker {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Of the server's process; throws if it is not ours. */
  readonly pid: number;
  /** False: it was given by its URL, so it is not ours to end, and others may use it. */
  readonly isOwn: boolean;
  /** Ends it and removes its folder. Done when both are gone. Harmless when called again, and for a server that is not ours. */
  stop(): Promise<void>;
  /** `kill -9`. Done when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again, killed before if it still runs, on the same port and with the same folder. Done when it answers. */
  restart(): Promise<void>;
  /** Lets it stand still, its connections open, until {@link resume}. */
  pause(): void;
  resume(): void;
}

export interface Launch extends Found {
  /** How to start it in that folder on that port. */
  readonly words: (port: number, folder: string) => readonly string[];
  /** What it says of itself when it listens. */
  readonly listens: RegExp;
  readonly url: (port: number) => string;
  /** Speaks to it. Rejects unless it answers as it should. */
  readonly speak: (url: string) => Promise<void>;
}

export class PrivateServer implements Broker {
  readonly host = "127.0.0.1";
  readonly isOwn = true;
  /** Gone with {@link stop}. */
  readonly folder: string;
  readonly #launch: Launch;
  readonly #watchdog: ChildProcess;
  #port = 0;
  #child: ChildProcess | undefined;
  #said = "";

  private constructor(launch: Launch) {
    this.#launch = launch;
    this.folder = mkdtempSync(join(tmpdir(), "groupcast-broker-"));
    // Detached: Ctrl-C in a terminal reaches every process of it, and this one has to outlive the others.
    this.#watchdog = spawn("/bin/sh", ["-c", WATCHDOG, "sh", this.folder], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    this.#watchdog.stdin?.on("error", () => {}); // it is gone: `stop` was called
    this.#watchdog.unref();
  }

  /** Resolves with a server that has answered. */
  static async start(launch: Launch): Promise<PrivateServer> {
    const server = new PrivateServer(launch);
    try {
      // Somebody else may take the port between the look at it and the start.
      for (let triesLeft = 4; ; triesLeft--) {
        server.#port = await freePort();
        try {
          await server.restart();
          return server;
        } catch (error) {
          if (triesLeft === 0 || !/in use/i.test(server.#said)) throw error;
        }
      }
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return this.#launch.url(this.#port);
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("the server does not run");
    return pid;
  }

  /** The end of what it has said. */
  get said(): string {
    return this.#said;
  }

  async stop(): Promise<void> {
    await this.kill();
    this.#watchdog.stdin?.end();
    if (!hasEnded(this.#watchdog)) {
      this.#watchdog.ref();
      await once(this.#watchdog, "exit");
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined && !hasEnded(child)) {
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    }
    this.#watch("");
  }

  async restart(): Promise<void> {
    await this.kill();
    if (hasEnded(this.#watchdog)) throw new Error("the server was stopped");
    const { command, words, env, listens, speak } = this.#launch;
    this.#said = "";
    const child = spawn(command, words(this.#port, this.folder), { cwd: this.folder, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#watch(String(child.pid ?? ""));
    await this.#hear(child, listens);
    await speak(this.url);
  }

  pause(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  resume(): void {
    process.kill(this.pid, "SIGCONT");
  }

  #watch(pid: string): void {
    if (!hasEnded(this.#watchdog)) this.#watchdog.stdin?.write(`${pid}\n`);
  }

  /** Resolves when the child has said something that fits; rejects when it ends before, or says nothing for too long. */
  #hear(child: ChildProcess, pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (what: string): void => reject(new Error(`${this.#launch.command} ${what}:\n${this.#said}`));
      const timer = setTimeout(() => fail(`did not start within ${PATIENCE_MS} ms`), PATIENCE_MS);
      const hear = (chunk: Buffer): void => {
        this.#said = (this.#said + chunk.toString()).slice(-KEPT_CHARACTERS);
        if (!pattern.test(this.#said)) return;
        clearTimeout(timer);
        resolve();
      };
      child.stdout?.on("data", hear);
      child.stderr?.on("data", hear);
      child.once("error", (error) => fail(`did not start: ${error.message}`));
      // `close`, not `exit`: then all that it said is here.
      child.once("close", () => {
        clearTimeout(timer);
        fail("ended");
      });
    });
  }
}

/** A broker that somebody else runs. */
export function givenServer(url: string): Broker {
  const { hostname: host, port } = new URL(url);
  const refuse = (): never => {
    throw new Error("this broker was given by its URL, so it is not ours to end: ask for one of your own with `own: true`");
  };
  return {
    url,
    host,
    port: Number(port),
    isOwn: false,
    get pid(): number {
      return refuse();
    },
    stop: () => Promise.resolve(),
    kill: async () => refuse(),
    restart: async () => refuse(),
    pause: refuse,
    resume: refuse,
  };
}

/** A port of this machine that is free at this moment. */
export async function freePort(): Promise<number> {
  for (let triesLeft = 50; ; triesLeft--) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const server = createServer();
    try {
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
      server.close();
      await once(server, "close");
      return port;
    } catch (error) {
      if (triesLeft === 0) throw error;
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
