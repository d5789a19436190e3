// Makes the processes. Workers share their port through node:cluster; a hub is a plain child.
import { type ChildProcess, fork } from "node:child_process";
import cluster from "node:cluster";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { GroupcastError } from "../base/errors.ts";
import { deferred } from "../base/promises.ts";
import { Handoffs } from "./handoffs.ts";
import { type Role, roleEnvironment } from "./role.ts";

/** A program and its arguments, to be run as a child. */
export interface Program {
  readonly file: string;
  readonly args?: readonly string[] | undefined;
  /** Told to every child besides its role. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** Runs `program` as a child that is not part of the cluster. */
export function forkHub({ file, args = [], env }: Program, role: Role): ChildProcess {
  return fork(file, args, { env: { ...process.env, ...env, ...roleEnvironment(role) } });
}

/** Runs programs as workers of the cluster: what one of them listens on, it shares with the others. */
export class WorkerForks {
  readonly #policy: number;
  readonly #handoffs = new Handoffs();

  /**
   * `perPort`: how many workers share a port at the most. Several are dealt their connections in turn, by this process. One takes them
   * from the port itself, which saves 40 % or more of what a handshake costs (docs/decisions/0007). In both cases this process holds the port
   * while any worker listens.
   *
   * @throws GroupcastError `bad_option`: this process is a worker of somebody else's cluster.
   */
  constructor(perPort: number) {
    if (!cluster.isPrimary) throw new GroupcastError("bad_option", "groupcast makes its own cluster: do not run it as a worker of another");
    this.#policy = perPort > 1 ? cluster.SCHED_RR : cluster.SCHED_NONE;
  }

  fork({ file, args = [], env }: Program, role: Role): ChildProcess {
    // An environment variable could have set another. Node looks at the first fork only.
    cluster.schedulingPolicy = this.#policy;
    cluster.setupPrimary({ exec: file, args: [...args] });
    const worker = cluster.fork({ ...env, ...roleEnvironment(role) });
    // What could not be said to a worker that has just died. That it has, is told by its `exit`.
    worker.on("error", () => {});
    this.#handoffs.watch(worker.process);
    return worker.process;
  }
}

/** 256 bits that nobody outside this program knows. */
export function makeSecret(): string {
  return randomBytes(32).toString("hex");
}

/** How often another free port is looked for, when somebody else was quicker. */
const MOVES_MAX = 5;

/**
 * The port that all workers of a row listen on. Port 0 becomes a free port here, not in the workers: it has to stay the same when all of
 * them are replaced.
 */
export class SharedPort {
  readonly #host: string;
  readonly #given: number;
  #port: Promise<number>;
  #found: number | undefined;
  #moves = 0;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#given = port;
    this.#port = port === 0 ? this.#find() : Promise.resolve(port);
  }

  get port(): Promise<number> {
    return this.#port;
  }

  /** Somebody has taken `port` before the workers did. True: the next ones try another. */
  readonly moved = (port: number): boolean => {
    if (this.#given !== 0) return false;
    if (port !== this.#found) return true; // another worker has said so already
    if (this.#moves >= MOVES_MAX) return false;
    this.#moves++;
    this.#port = this.#find();
    return true;
  };

  async #find(): Promise<number> {
    this.#found = undefined;
    return (this.#found = await freePort(this.#host));
  }
}

function freePort(host: string): Promise<number> {
  const found = deferred<number>();
  const server = createServer();
  // A host that cannot be listened on is for the workers to find out: they know how to say it.
  server.once("error", () => found.resolve(0));
  server.listen({ port: 0, host }, () => {
    const address = server.address();
    server.close(() => found.resolve(typeof address === "object" && address !== null ? address.port : 0));
  });
  return found.promise;
}
