// The server for people who bring no program of their own: one HTTP server with the page, the probes and the plain protocol.
// Puts together what the other files of this floor do; must not know processes.
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { systemClock } from "../base/clock.ts";
import { type Counters, newCounters } from "../base/counters.ts";
import { GroupcastError } from "../base/errors.ts";
import { consoleLogger, type Logger } from "../base/logger.ts";
import { deferred, quiet, sleep } from "../base/promises.ts";
import type { DrainReport } from "../groups/drain.ts";
import { checkRate, type Slots } from "../groups/pace.ts";
import type { ConnectionsPool } from "../groups/pool.ts";
import { hostPort } from "../wire/addresses.ts";
import { checkName } from "../wire/names.ts";
import { Admission, isLoopback, type Refused } from "./admission.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { GroupManager } from "./group-manager.ts";
import type { GroupManagerOptions } from "./manager-options.ts";
import { HTTP_LIMITS } from "./http.ts";
import { refuseUpgrade } from "./http-refusal.ts";
import { listenForUpgrades } from "./upgrades.ts";
import { WebSocketMiddleware, type WebSocketMiddlewareOptions } from "./middleware.ts";
import { Page } from "./page.ts";
import { PlainSession, type PlainSessionOptions } from "./plain-session.ts";

/** Options of a {@link GroupServer}: its own, its manager's and its middleware's. */
export interface GroupServerOptions
  extends
    Omit<GroupManagerOptions, "logger" | "clock" | "random">,
    Pick<WebSocketMiddlewareOptions, "messageBytes" | "pingEveryMs" | "pongWithinMs" | "logger" | "clock" | "random"> {
  /** Default 127.0.0.1. An address that others can reach needs `open: true`, for there is no authentication yet. */
  readonly host?: string | undefined;
  /** Default 1234; 0: any free port. */
  readonly port?: number | undefined;
  /** Namespaces that `/ws/{namespace}` leads to; default: `default` alone. */
  readonly namespaces?: readonly string[] | undefined;
  /** Origins (scheme, host, port) of pages that may connect, besides the server's own; may hold `null` (files) and `*`. */
  readonly origins?: readonly string[] | undefined;
  /** Host names that the server answers for, besides the bound ones. */
  readonly allowHosts?: readonly string[] | undefined;
  /** Anyone may connect from any origin, join and publish. */
  readonly open?: boolean | undefined;
  /** Only members may send to a group; default false: anyone may, as in the source documents. */
  readonly requireMembership?: boolean | undefined;
  /** Connections that a drain closes in any second; default 500. */
  readonly drainPerSecond?: number | undefined;
  /** A drain closes who is left after this; default 25,000 ms. */
  readonly drainDeadlineMs?: number | undefined;
  /** Between "not ready" and the first close of a drain: time for a balancer to look; default 0. */
  readonly drainDelayMs?: number | undefined;
}

/** Options of one drain; the server's own stand in for what is not given. */
export interface ServerDrainOptions {
  readonly perSecond?: number | undefined;
  readonly deadlineMs?: number | undefined;
  readonly delayMs?: number | undefined;
  /** @internal Where leave to close comes from, for one of several workers. */
  readonly slots?: Slots | undefined;
}

/** Where a server listens. */
export interface ListeningAt {
  readonly host: string;
  readonly port: number;
  /** The address of the page. */
  readonly url: string;
}

/** Origins and hosts that were refused are logged once each, as long as they are among the last so many. */
const REFUSALS_LOGGED_MAX = 100;

/**
 * Serves groups to plain WebSocket clients: commands `add_group`, `leave_group`, `send_to_group` and `count_group` as JSON at `/`,
 * `/ws` and `/ws/{namespace}`; the page at `/`; `/healthz` and `/readyz`. `npx groupcast start` runs one in each worker.
 */
export class GroupServer {
  readonly groups: GroupManager;
  readonly pool: ConnectionsPool;
  /** What it has counted since it began. */
  readonly counters: Readonly<Counters>;
  readonly #counters: Counters;
  readonly #options: GroupServerOptions;
  readonly #logger: Logger;
  readonly #middleware: WebSocketMiddleware;
  readonly #admission: Admission;
  readonly #refusalsLogged = new Set<string>();
  readonly #undo = new Set<() => void>();
  #http: Server | undefined;
  #listening: Promise<ListeningAt> | undefined;
  #phase: "starting" | "ready" | "draining" | "closed" = "starting";
  #drain: Promise<DrainReport> | undefined;

  /**
   * @throws GroupcastError `bad_option`: a public host without `open`, a rate that is not above 0, or what the manager and the
   * middleware refuse; `bad_group`: a namespace that is no name.
   */
  constructor(options: GroupServerOptions = {}) {
    const host = options.host ?? DEFAULTS.host;
    if (!isLoopback(host) && options.open !== true) {
      throw new GroupcastError(
        "bad_option",
        `host ${host} can be reached by others and nobody is asked who they are: say open: true to allow that`,
      );
    }
    checkRate(options.drainPerSecond ?? DEFAULTS.drainPerSecond);
    this.#options = options;
    this.#logger = options.logger ?? consoleLogger;
    this.#counters = newCounters();
    this.counters = this.#counters;
    this.#admission = new Admission({
      host,
      namespaces: (options.namespaces ?? [DEFAULTS.namespace]).map((name) => checkName(name, "namespace")),
      origins: options.open === true ? ["*"] : (options.origins ?? []),
      allowHosts: options.open === true ? ["*"] : (options.allowHosts ?? []),
    });
    this.groups = new GroupManager({ ...options, logger: this.#logger });
    this.#middleware = new WebSocketMiddleware(this.groups, { ...options, logger: this.#logger });
    this.pool = this.#middleware.pool;
    const sessions: PlainSessionOptions = {
      groups: this.groups,
      counters: this.#counters,
      logger: this.#logger,
      requireMembership: options.requireMembership ?? false,
      commandsPending: DEFAULTS.commandsPending,
    };
    this.#middleware.on("connection", (connection) => {
      this.#counters.connections++;
      void new PlainSession(connection, sessions);
    });
  }

  /**
   * Listens on the host and port of the options. Resolves when connections are taken.
   *
   * Rejects with `unavailable` if the address is taken or not there; `cause` is the system's own error; with `closed` if the server is
   * closed meanwhile. A second call returns the same promise.
   */
  listen(): Promise<ListeningAt> {
    this.#listening ??= quiet(this.#listen());
    return this.#listening;
  }

  /**
   * Takes the upgrades of another HTTP server at `path` (default `/`) and `path/ws/{namespace}`; no page, no probes. Which Host names
   * are right is that server's affair, unless `allowHosts` names them. Returns its undo.
   */
  attach(server: Server, { path = "/" }: { readonly path?: string | undefined } = {}): () => void {
    const base = path.replace(/\/+$/, "");
    const stop = listenForUpgrades(
      server,
      (request) => this.#admission.namespaceOf(request, base) !== undefined,
      (request, socket, head) => this.#upgrade(request, socket, head, base, this.#options.allowHosts !== undefined),
    );
    const undo = (): void => {
      stop();
      this.#undo.delete(undo);
    };
    this.#undo.add(undo);
    if (this.#phase === "starting") this.#phase = "ready";
    return undo;
  }

  /**
   * Empties the server: says not ready, waits `delayMs`, takes no more connections, and closes those that it has at a rate, with 1012 so
   * that clients come back; who is left at the deadline is closed at once. Resolves with a report. A second call returns the same promise.
   *
   * @throws GroupcastError `bad_option`: a rate that is not above 0.
   */
  drain(options: ServerDrainOptions = {}): Promise<DrainReport> {
    const perSecond = checkRate(options.perSecond ?? this.#options.drainPerSecond ?? DEFAULTS.drainPerSecond);
    this.#drain ??= quiet(this.#runDrain(perSecond, options));
    return this.#drain;
  }

  /** Ends at once: closes everybody with 1012, stops listening, leaves the channel. Resolves when all that is done: after 5 s at the most. */
  async close(): Promise<void> {
    this.#phase = "closed";
    for (const undo of this.#undo) undo();
    const stopped = this.#stopListening();
    await this.#middleware.close();
    this.#http?.closeAllConnections();
    await stopped;
    await this.groups.stop();
  }

  async #listen(): Promise<ListeningAt> {
    if (this.#phase === "closed") throw closedServer();
    const { host = DEFAULTS.host, port = DEFAULTS.port } = this.#options;
    const page = new Page(() => this.#unready());
    const http = createServer(HTTP_LIMITS, (request, response) => {
      const refused = this.#admission.checkHost(request);
      if (refused === undefined) return page.handle(request, response);
      this.#refused(refused);
      response.writeHead(refused.status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${refused.text}\n`);
    });
    this.#http = http;
    http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head, "", true));
    const listening = deferred();
    http.once("error", (cause: NodeJS.ErrnoException) => {
      const why = cause.code === "EADDRINUSE" ? "is taken; choose another port" : `cannot be listened on (${cause.code})`;
      listening.reject(new GroupcastError("unavailable", `${host}:${port} ${why}`, { cause }));
    });
    http.listen(port, host, () => listening.resolve());
    await listening.promise;
    http.on("error", (error) => this.#logger.error({ err: error }, error.message));
    if (this.#isClosed()) {
      await this.#stopListening();
      throw closedServer();
    }
    this.#phase = "ready";
    const bound = (http.address() as AddressInfo).port;
    return { host, port: bound, url: `http://${hostPort(host, bound)}/` };
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, base: string, checksHost: boolean): void {
    const refused =
      (checksHost ? this.#admission.checkHost(request) : undefined) ??
      this.#admission.checkOrigin(request) ??
      this.#checkPhase() ??
      checkProtocol(request);
    const namespace = this.#admission.namespaceOf(request, base);
    if (refused === undefined && namespace !== undefined) this.#middleware.upgrade(request, socket, head, { namespace, request });
    else {
      const refusal = refused ?? { status: 404, text: "no WebSocket here" };
      this.#refused(refusal);
      refuseUpgrade(socket, refusal);
    }
  }

  #checkPhase(): Refused | undefined {
    const reason = this.#phase === "ready" ? undefined : this.#phase;
    return reason === undefined ? undefined : { status: 503, text: reason, retryAfterSeconds: 1 };
  }

  #refused({ log }: Refused): void {
    this.#counters.upgradesRefused++;
    if (log === undefined || this.#refusalsLogged.has(log)) return;
    const [oldest] = this.#refusalsLogged;
    if (oldest !== undefined && this.#refusalsLogged.size >= REFUSALS_LOGGED_MAX) this.#refusalsLogged.delete(oldest);
    this.#refusalsLogged.add(log);
    this.#logger.warn({}, log);
  }

  // Asked anew after a wait: somebody may have closed it.
  #isClosed(): boolean {
    return this.#phase === "closed";
  }

  #unready(): string | undefined {
    if (this.#phase !== "ready" || this.#drain !== undefined) return this.#drain === undefined ? this.#phase : "draining";
    return this.groups.isUp ? undefined : "channel down";
  }

  async #runDrain(perSecond: number, options: ServerDrainOptions): Promise<DrainReport> {
    const delayMs = options.delayMs ?? this.#options.drainDelayMs ?? 0;
    // Until then balancers may still send somebody, who is let in and drained with the rest.
    if (delayMs > 0) await sleep(this.#options.clock ?? systemClock, delayMs);
    this.#phase = "draining";
    void this.#stopListening();
    return this.pool.drainConnections(perSecond, "drain", undefined, {
      deadlineMs: options.deadlineMs ?? this.#options.drainDeadlineMs ?? DEFAULTS.drainDeadlineMs,
      slots: options.slots,
    });
  }

  #stopListening(): Promise<void> {
    const http = this.#http;
    if (http?.listening !== true) return Promise.resolve();
    return new Promise((resolve) => http.close(() => resolve()));
  }
}

function closedServer(): GroupcastError {
  return new GroupcastError("closed", "this server is closed");
}

// Sessions (`groupcast.v1`) are not spoken yet, and a browser takes an unanswered offer for a failure.
function checkProtocol(request: IncomingMessage): Refused | undefined {
  return request.headers["sec-websocket-protocol"] === undefined
    ? undefined
    : { status: 400, text: "this server speaks the plain protocol: offer no subprotocol" };
}
