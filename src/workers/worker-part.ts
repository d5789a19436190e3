// What a process of a declared Worker does: an HTTP server whose upgrades become connections, and the user's callbacks around them.
// What a user's code does to one connection must not reach another.
import { createServer, type Server } from "node:http";
import { systemClock } from "../base/clock.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { consoleLogger, type Logger } from "../base/logger.ts";
import { deferred, isPromiseLike, sleep, within } from "../base/promises.ts";
import type { Connection } from "../groups/connection.ts";
import type { Slots } from "../groups/pace.ts";
import { GroupManager } from "../server/group-manager.ts";
import { HTTP_LIMITS } from "../server/http.ts";
import { WebSocketMiddleware } from "../server/middleware.ts";
import { CLOSE } from "../wire/close-codes.ts";
import { explain } from "./cannot-start.ts";
import { ChannelWatch } from "./channel-watch.ts";
import type { Part } from "./child.ts";
import { showListen } from "./listen.ts";
import type { Listening } from "./messages.ts";
import type { Worker } from "./worker.ts";

/** How long `onWorkerStop`, and then what the user's callbacks have begun, may hold up the end of a process. */
const USER_WITHIN_MS = 5_000;

export class WorkerPart implements Part {
  readonly #worker: Worker;
  readonly #port: number;
  readonly #logger: Logger;
  readonly #pending = new Set<Promise<unknown>>(); // what callbacks have begun
  #http: Server | undefined;
  #middleware: WebSocketMiddleware | undefined;
  #stopping: Promise<void> | undefined;

  constructor(worker: Worker, port: number) {
    this.#worker = worker;
    this.#port = port;
    this.#logger = worker.options.logger ?? consoleLogger;
  }

  async start(): Promise<Listening> {
    const worker = this.#worker;
    const middleware = this.#makeMiddleware();
    const { groups } = middleware;
    middleware.on("connection", (connection) => this.#welcome(connection));
    worker.playedWith(middleware);
    await new ChannelWatch(groups, worker.options.channel, this.#logger).firstWord();
    await worker.onWorkerStart?.(worker);
    this.#http = createServer(HTTP_LIMITS, (_request, response) =>
      response.writeHead(426, { Connection: "close", Upgrade: "websocket" }).end("this port speaks WebSocket\n"),
    );
    middleware.attach(this.#http);
    await this.#listen(this.#http);
    return { listen: showListen(worker.address.host, this.#port), node: groups.node, isLinked: groups.isUp };
  }

  bury(node: string): void {
    this.#middleware?.groups.$bury(node);
  }

  async drain({ delayMs, deadlineMs, slots }: Parameters<Part["drain"]>[0]): Promise<void> {
    const until = systemClock.now() + delayMs + deadlineMs;
    if (delayMs > 0) await sleep(systemClock, delayMs);
    await this.#stop(Math.min(deadlineMs, USER_WITHIN_MS));
    await this.#letGo(slots, Math.max(0, until - systemClock.now()));
    await this.#settle();
  }

  async close(): Promise<void> {
    // In a hurry onWorkerStop is called, and nobody waits for it.
    void this.#stop(0);
    await this.#middleware?.close();
    await this.#settle();
  }

  #makeMiddleware(): WebSocketMiddleware {
    const { options } = this.#worker;
    try {
      this.#middleware = new WebSocketMiddleware(new GroupManager(options), options);
      return this.#middleware;
    } catch (thrown) {
      throw explain(thrown, this.#worker.address.host, this.#port);
    }
  }

  async #listen(http: Server): Promise<void> {
    const { host } = this.#worker.address;
    const listening = deferred();
    http.once("error", listening.reject);
    http.listen(this.#port, host, listening.resolve);
    try {
      await listening.promise;
    } catch (thrown) {
      throw explain(thrown, host, this.#port);
    }
    http.on("error", (error) => this.#logger.error({ err: error }, error.message));
  }

  #letGo(slots: Slots, deadlineMs: number): Promise<unknown> {
    return this.#middleware?.pool.drainConnections(undefined, "drain", undefined, { slots, deadlineMs }) ?? Promise.resolve();
  }

  /** Takes no more connections, and tells the user; once. */
  #stop(withinMs: number): Promise<void> {
    this.#http?.close();
    this.#stopping ??= this.#tellStop();
    return bounded(this.#stopping, withinMs);
  }

  async #tellStop(): Promise<void> {
    try {
      await this.#worker.onWorkerStop?.(this.#worker);
    } catch (thrown) {
      this.#log(asError(thrown), "onWorkerStop");
    }
  }

  #welcome(connection: Connection): void {
    const { onConnect, onMessage, onClose } = this.#worker;
    connection.on("error", (error) => this.#failed(connection, error));
    if (onMessage !== undefined) {
      connection.on("message", (data) => {
        // What still arrives after this side has closed is for nobody.
        if (connection.$open) this.#call(connection, "onMessage", () => onMessage.call(this.#worker, connection, data));
      });
    }
    if (onClose !== undefined)
      connection.on("close", () => this.#call(connection, "onClose", () => onClose.call(this.#worker, connection)));
    if (onConnect !== undefined) this.#call(connection, "onConnect", () => onConnect.call(this.#worker, connection));
  }

  #call(connection: Connection, what: string, call: () => unknown): void {
    const failed = (thrown: unknown): void => {
      this.#log(asError(thrown), `${what}, connection ${connection.id}`);
      void connection.close(CLOSE.internal, "internal");
    };
    try {
      const result = call();
      if (!isPromiseLike(result)) return;
      const done = Promise.resolve(result)
        .then(undefined, failed)
        .finally(() => this.#pending.delete(done));
      this.#pending.add(done);
    } catch (thrown) {
      failed(thrown);
    }
  }

  // The socket's own troubles are its peer's affair; what is left is a listener of the user's that threw.
  #failed(connection: Connection, error: Error): void {
    if (isOfSocket(error)) return this.#logger.debug({ err: error, connection: connection.id }, error.message);
    this.#log(error, `connection ${connection.id}`);
    void connection.close(CLOSE.internal, "internal");
  }

  #log(error: Error, where: string): void {
    this.#logger.error({ err: error, worker: this.#worker.name }, `worker ${this.#worker.name}, ${where}: ${error.message}`);
  }

  // The last closes have just been told: what callbacks have begun then, a publish or a line in a database, is let finish.
  async #settle(): Promise<void> {
    await nextTurn();
    await bounded(Promise.allSettled(this.#pending), USER_WITHIN_MS);
    await nextTurn();
  }
}

const SOCKET_CODES: ReadonlySet<unknown> = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED", "EHOSTUNREACH", "ENETUNREACH"]);

function isOfSocket(error: Error): boolean {
  if (!("code" in error) || error instanceof GroupcastError) return false;
  return SOCKET_CODES.has(error.code) || (typeof error.code === "string" && error.code.startsWith("WS_ERR_"));
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Resolves when `promise` is settled, at most after `ms`. */
function bounded(promise: Promise<unknown>, ms: number): Promise<void> {
  return within(systemClock, ms, promise, () => new Error("late")).then(
    () => {},
    () => {},
  );
}
