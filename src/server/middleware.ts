// From an HTTP upgrade to a connection in the pool: the only file that makes `ws` sockets. Must not know commands or the channel.
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type ServerOptions, WebSocketServer } from "ws";
import { type Clock, systemClock } from "../base/clock.ts";
import { Emitter } from "../base/emitter.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { consoleLogger, type Logger } from "../base/logger.ts";
import { type Random, SystemRandom } from "../base/random.ts";
import { Connection } from "../groups/connection.ts";
import { Heartbeat } from "../groups/heartbeat.ts";
import { ConnectionsPool } from "../groups/pool.ts";
import type { SocketLike } from "../sockets/socket.ts";
import { CLOSE } from "../wire/close-codes.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { GroupManager } from "./group-manager.ts";
import { pathOf } from "./http.ts";
import { refuseUpgrade } from "./http-refusal.ts";
import { openLane } from "./lane.ts";
import { listenForUpgrades } from "./upgrades.ts";

/** Ids that are made ready together: 4 KiB of chance. */
const IDS_AT_ONCE = 256;

/** What listeners of a {@link WebSocketMiddleware} are given. */
export interface WebSocketMiddlewareEvents {
  /** A WebSocket was let in; it is in the pool and belongs to the manager. Register its listeners now: no message is missed. */
  connection: [connection: Connection, request: IncomingMessage | undefined];
  /** `createConnection`, `id`, `namespace` or a listener threw. */
  error: [error: Error];
}

export interface WebSocketMiddlewareOptions {
  /** Makes the connection, for a subclass. */
  readonly createConnection?: ((id: string, namespace: string, socket: SocketLike) => Connection) | undefined;
  /** The namespace of each connection, or how to tell it from its request; default `"default"`. */
  readonly namespace?: string | ((request: IncomingMessage) => string) | undefined;
  /** The id of each connection; default: 128 random bits. */
  readonly id?: ((request: IncomingMessage) => string) | undefined;
  /** What a second connection with the same id gets; default: `"refuse"`, with 4409. */
  readonly duplicates?: "refuse" | "replace" | undefined;
  /** Chooses among the subprotocols that a client offers; default: none is chosen. */
  readonly handleProtocols?: ((offered: ReadonlySet<string>, request: IncomingMessage) => string | false) | undefined;
  /** Bytes in one message of a client; more: 1009. Default 65,536. */
  readonly messageBytes?: number | undefined;
  /** Each connection is pinged this often; default 20,000 ms. */
  readonly pingEveryMs?: number | undefined;
  /** A peer has this long for its pong, or is closed with 4003; default 10,000 ms; less than `pingEveryMs`. */
  readonly pongWithinMs?: number | undefined;
  /** Where unheard errors go; default: the console. */
  readonly logger?: Logger | undefined;
  /** For tests: time and chance. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** What {@link WebSocketMiddleware.accept} is told of a socket that another server has upgraded. */
export interface AcceptInfo {
  readonly id?: string | undefined;
  readonly namespace?: string | undefined;
  readonly request?: IncomingMessage | undefined;
}

/**
 * Puts groups into your own HTTP server: turns upgrades into connections, keeps them in a pool, finds half-open peers.
 *
 * Without a manager it makes one of its own, for this process alone.
 */
export class WebSocketMiddleware extends Emitter<WebSocketMiddlewareEvents> {
  readonly groups: GroupManager;
  readonly pool: ConnectionsPool;
  readonly #options: WebSocketMiddlewareOptions;
  readonly #ownsGroups: boolean;
  readonly #logger: Logger;
  readonly #random: Random;
  readonly #heartbeat: Heartbeat;
  readonly #engine: WebSocketServer;
  readonly #detach = new Set<() => void>();
  #closed = false;

  /** @throws GroupcastError `bad_option`: `pongWithinMs` is not below `pingEveryMs`. */
  constructor(groups?: GroupManager, options: WebSocketMiddlewareOptions = {}) {
    super();
    this.#ownsGroups = groups === undefined;
    this.#options = options;
    this.#logger = options.logger ?? consoleLogger;
    this.#random = options.random ?? new SystemRandom(IDS_AT_ONCE);
    const clock = options.clock ?? systemClock;
    this.#heartbeat = new Heartbeat(clock, {
      pingEveryMs: options.pingEveryMs ?? DEFAULTS.pingEveryMs,
      pongWithinMs: options.pongWithinMs ?? DEFAULTS.pongWithinMs,
    });
    this.groups = groups ?? new GroupManager({ clock, logger: this.#logger, random: this.#random });
    this.pool = new ConnectionsPool({ groups: this.groups, duplicates: options.duplicates });
    // Two of them are not in the types of `ws` yet.
    const engineOptions: ServerOptions & { closeTimeout: number; maxPendingAutoPongs: number } = {
      noServer: true,
      clientTracking: false, // the pool does that
      perMessageDeflate: false, // 200 KB a connection, and a way to send bombs
      maxPayload: options.messageBytes ?? DEFAULTS.messageBytes,
      maxFragments: DEFAULTS.messageFragments,
      maxBufferedChunks: DEFAULTS.messageFragments * 4,
      closeTimeout: DEFAULTS.closeWithinMs,
      maxPendingAutoPongs: DEFAULTS.pongsPending,
      handleProtocols: (offered, request) => options.handleProtocols?.(offered, request) ?? false,
    };
    this.#engine = new WebSocketServer(engineOptions);
  }

  /**
   * Takes the upgrades of an HTTP server; without `path` every one, else those of exactly that path. Another path is answered
   * with 404 if nobody else listens for upgrades on that server. Returns its undo.
   */
  attach(server: Server, { path }: { readonly path?: string | undefined } = {}): () => void {
    const undo = listenForUpgrades(
      server,
      (request) => path === undefined || pathOf(request) === path,
      (request, socket, head) => this.handleUpgrade(request, socket, head),
    );
    const detach = (): void => {
      undo();
      this.#detach.delete(detach);
    };
    this.#detach.add(detach);
    return detach;
  }

  /** Answers one upgrade: with a connection, or with an HTTP error. For servers that route upgrades themselves. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    let info: AcceptInfo;
    try {
      const { namespace } = this.#options;
      info = { namespace: typeof namespace === "function" ? namespace(request) : namespace, id: this.#options.id?.(request), request };
    } catch (thrown) {
      this.emit("error", asError(thrown));
      refuseUpgrade(socket, { status: 400, text: "this request names no connection" });
      return;
    }
    this.upgrade(request, socket, head, info);
  }

  /** @internal {@link handleUpgrade} for a request whose namespace is known. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, info: AcceptInfo): void {
    if (this.#closed || this.pool.isDraining(info.namespace ?? DEFAULTS.namespace)) {
      refuseUpgrade(socket, { status: 503, text: "this server is going away", retryAfterSeconds: 1 });
      return;
    }
    this.#engine.handleUpgrade(request, socket, head, (webSocket) => {
      try {
        const connection = this.accept(webSocket, info);
        // A class of the user's may listen to something around the socket instead: then `ws` alone reads it.
        if (connection.$isOn(webSocket)) openLane(webSocket, connection);
      } catch (thrown) {
        this.#turnAway(webSocket, asError(thrown));
      }
    });
  }

  /**
   * Makes a connection of a socket that was upgraded elsewhere (a framework's WebSocket route), puts it into the pool and tells
   * `connection`.
   *
   * @throws GroupcastError `id_conflict`, `draining`, `closed`, `bad_group` (no such namespace); the socket is left as it is.
   */
  accept(socket: SocketLike, info: AcceptInfo = {}): Connection {
    if (this.#closed) throw new GroupcastError("closed", "this middleware is closed");
    const id = info.id ?? this.#random.id();
    const namespace = info.namespace ?? DEFAULTS.namespace;
    const connection = this.#options.createConnection?.(id, namespace, socket) ?? new Connection(id, namespace, socket);
    this.pool.newConnection(connection);
    this.#heartbeat.add(connection);
    this.emit("connection", connection, info.request);
    return connection;
  }

  /**
   * Closes for good: takes no more upgrades, closes all connections with 1012 at once (see {@link pool} for a paced way), and
   * leaves the channel if the manager is its own. Resolves when the connections are gone: after 5 s at the most.
   */
  async close(): Promise<void> {
    this.#closed = true;
    for (const detach of this.#detach) detach();
    await this.pool.closeAll(null, CLOSE.restart, "shutdown");
    if (this.#ownsGroups) await this.groups.stop();
  }

  protected override unheard(error: Error): void {
    this.#logger.error({ err: error }, error.message);
  }

  #turnAway(socket: SocketLike, error: Error): void {
    socket.on?.("error", () => {}); // it is nobody's connection, so nobody else hears its errors
    if (error instanceof GroupcastError && error.code === "id_conflict") return socket.close(CLOSE.replaced, "id taken");
    if (error instanceof GroupcastError && error.code === "draining") return socket.close(CLOSE.restart, "drain");
    if (!(error instanceof GroupcastError && error.code === "closed")) this.emit("error", error);
    socket.close(CLOSE.internal, "internal");
  }
}
