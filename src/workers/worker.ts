// Declares processes that take WebSockets: nothing happens until `Worker.runAll()`. Loads what plays the parts only then.
import { GroupcastError } from "../base/errors.ts";
import { deferred } from "../base/promises.ts";
import type { Connection } from "../groups/connection.ts";
import type { ConnectionsPool } from "../groups/pool.ts";
import type { GroupManager } from "../server/group-manager.ts";
import type { GroupManagerOptions } from "../server/manager-options.ts";
import type { WebSocketMiddlewareOptions } from "../server/middleware.ts";
import { type ListenAddress, readListen } from "./listen.ts";

/** Options of a {@link Worker}: those of the manager and of the middleware that each of its processes makes. */
export interface WorkerOptions
  extends Omit<GroupManagerOptions, "clock" | "random">, Omit<WebSocketMiddlewareOptions, "clock" | "random"> {}

/** Processes of one {@link Worker}: far more than any machine has use for. */
const PROCESSES_MAX = 1_024;

// One of the two things that are state of the module (the other is the process's ChannelClient): what this program has declared.
const program: { readonly declared: Worker[]; isRun: boolean } = { declared: [], isRun: false };

/**
 * A WebSocket server that runs as `count` processes on one port. `Worker.runAll()` starts every one that was declared.
 *
 * An exception in a callback for one connection (or its promise, rejected) closes that connection with 1011 and is logged; all others
 * stay. What is thrown where no callback waits for it (a timer, a promise that was not returned) belongs to no connection: it ends the
 * process, as Node does, and all of its connections. A process that ends is replaced.
 * Each process has groups of its own unless `channel` says otherwise: with the URL of a broker all processes with that broker and `prefix`
 * are one cluster, on as many machines as there are.
 */
export class Worker {
  /** Processes; may be set until `runAll`. */
  count = 1;
  /** For the table and the logs. */
  name = "none";
  /** Called in each process before it takes the first connection, and awaited for up to 60 s. If it throws, the process ends and the next one tries. */
  onWorkerStart: ((worker: Worker) => unknown) | undefined;
  /** A connection is open. Not awaited: messages may come before a promise of it is settled. */
  onConnect: ((connection: Connection) => unknown) | undefined;
  /** A message has come: text is a string, bytes are a Uint8Array. In order; not awaited. */
  onMessage: ((connection: Connection, data: string | Uint8Array) => unknown) | undefined;
  /** A connection is gone, however it ended; exactly once for each that `onConnect` was called for. */
  onClose: ((connection: Connection) => unknown) | undefined;
  /** Called in each process when it is told to stop: it takes no more connections, and those that it has are still open. Awaited for up to 5 s. */
  onWorkerStop: ((worker: Worker) => unknown) | undefined;

  readonly #address: ListenAddress;
  readonly #options: WorkerOptions;
  #playing: { readonly groups: GroupManager; readonly pool: ConnectionsPool } | undefined;

  /**
   * @param listen `"websocket://0.0.0.0:1234"`; port 0 is any free one.
   * @throws GroupcastError `bad_option`: not such an address, or `runAll` was called already.
   */
  constructor(listen: string, options: WorkerOptions = {}) {
    this.#address = readListen(listen);
    this.#options = options;
    if (program.isRun) throw new GroupcastError("bad_option", "declare every Worker before Worker.runAll()");
    program.declared.push(this);
  }

  /** The manager of this process, from `onWorkerStart` on. @throws GroupcastError `bad_option`: not in a process of this worker. */
  get groups(): GroupManager {
    return this.#played.groups;
  }

  /** All connections of this process, from `onWorkerStart` on. @throws GroupcastError `bad_option`: not in a process of this worker. */
  get pool(): ConnectionsPool {
    return this.#played.pool;
  }

  /**
   * Starts every declared Worker and ChannelServer in processes of their own: this program is run again for each of them, so what stands
   * outside the callbacks runs in all. Run it as `node program.js` or `node program.js start`.
   *
   * Resolves when everything is up: in the first process when the table is printed, in the others when they take connections.
   * A process waits some seconds for its channel, and starts without it if it is not there. The first process ends with 0 when all are drained
   * after SIGINT or SIGTERM; with 69 if an address is taken, 78 if an option is not allowed or the channel is set up wrong, 1 if a process ends again and again before everything was up.
   *
   * @throws GroupcastError `bad_option`: called twice, nothing declared, a `count` that is no number of processes, or two on one address.
   */
  static runAll(): Promise<void> {
    if (program.isRun) throw new GroupcastError("bad_option", "Worker.runAll() was called already");
    checkDeclared(program.declared);
    program.isRun = true;
    const up = deferred();
    import("./run-all.ts").then(({ runAll }) => runAll(program.declared, up.resolve)).catch(up.reject);
    return up.promise;
  }

  /** @internal */
  get address(): ListenAddress {
    return this.#address;
  }

  /** @internal */
  get options(): WorkerOptions {
    return this.#options;
  }

  /** @internal This process is one of this worker's. */
  playedWith(playing: { readonly groups: GroupManager; readonly pool: ConnectionsPool }): void {
    this.#playing = playing;
  }

  get #played(): { readonly groups: GroupManager; readonly pool: ConnectionsPool } {
    if (this.#playing === undefined) {
      throw new GroupcastError("bad_option", `worker ${this.name} has groups only in its own processes, from onWorkerStart on`);
    }
    return this.#playing;
  }
}

function checkDeclared(workers: readonly Worker[]): void {
  if (workers.length === 0) throw new GroupcastError("bad_option", "nothing to run: declare a Worker first");
  const taken = new Set<string>();
  for (const { name, count, address } of workers) {
    if (!Number.isInteger(count) || count < 1 || count > PROCESSES_MAX) {
      throw new GroupcastError("bad_option", `worker ${name}: count is ${String(count)}, allowed: 1 to ${PROCESSES_MAX}`);
    }
    if (address.port !== 0 && taken.has(address.text)) throw new GroupcastError("bad_option", `two workers listen on ${address.text}`);
    taken.add(address.text);
  }
}
