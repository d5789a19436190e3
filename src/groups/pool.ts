// All connections of this process, by namespace and id. Must not know channels: a broadcast beyond this process is a port.
import { type Clock, systemClock } from "../base/clock.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { Emitter } from "../base/emitter.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, isPromiseLike, quiet } from "../base/promises.ts";
import { CLOSE, type CloseArguments, type Goodbye, readCloseArguments } from "../wire/close-codes.ts";
import type { Payload } from "../wire/frames.ts";
import { checkName } from "../wire/names.ts";
import type { Message } from "../wire/record.ts";
import type { Connection, Owner } from "./connection.ts";
import { drain, type DrainOptions, type DrainReport } from "./drain.ts";
import { Fanout } from "./fanout.ts";
import { type Except, toMessage } from "./message.ts";
import { checkRate, Pace, type Slots } from "./pace.ts";
import type { ConnectionsPage, PageOptions } from "./pages.ts";
import { type ReachOutcome, type ReachRoad, sendTo } from "./reach.ts";
import { Turn } from "../base/turn.ts";

/** What listeners of a {@link ConnectionsPool} are given. */
export interface ConnectionsPoolEvents {
  /** A callback of `removeConnection`, or a listener, threw. */
  error: [error: Error];
}

/** What a pool is given by a GroupManager: a way to namespaces in other processes. A GroupManager is one. */
export interface PoolHost {
  /** @internal */
  readonly poolRoad?: PoolRoad;
  adopt(connection: Connection): void;
}

/** @internal How a pool knows of connections in other processes; those of this one are among them. */
export interface PoolDirectory {
  isOnline(namespace: string, id: string): Promise<boolean>;
  isUserOnline(namespace: string, user: string): Promise<boolean>;
  connectionsOf(namespace: string, user: string, options: PageOptions): Promise<ConnectionsPage>;
}

/** @internal How a pool reaches and hears its namespaces in other processes. */
export interface PoolRoad extends ReachRoad {
  readonly clock: Clock;
  readonly turn: Turn;
  readonly directory: PoolDirectory;
  broadcast(namespace: string, message: Message): Promise<void>;
  /** Brings back what was broadcast to `namespace`, if that can be here within the turn. Runs no listener. */
  catchUp(namespace: string): void;
  /**
   * Has what is broadcast to `namespace` handed to `fanout`, and connections of it found by `find`, until the returned undo is called.
   */
  hear(namespace: string, fanout: Fanout, find: (id: string) => Connection | undefined): () => void;
}

export interface ConnectionsPoolOptions {
  /** The manager that the connections of this pool belong to; with it, broadcasts reach every process. */
  readonly groups?: PoolHost | undefined;
  /** What a second connection with the same id in a namespace gets: refused, or the place of the old one, which is closed with 4409. */
  readonly duplicates?: "refuse" | "replace" | undefined;
}

export interface DrainConnectionsOptions {
  /** Only the connections of this namespace; default: all. */
  readonly namespace?: string | undefined;
  /** After this, whoever is left is closed at once, whatever the rate; default: no deadline. */
  readonly deadlineMs?: number | undefined;
  /** @internal Where leave to close comes from instead of a pace of its own: the primary, for a worker. */
  readonly slots?: Slots | undefined;
}

type Namespace = Owner & { readonly connections: Map<string, Connection>; readonly fanout: Fanout; readonly unhear: () => void };
type Drain = { readonly report: Promise<DrainReport>; readonly empty: Deferred<void> };

/**
 * All connections of this process. Ids are unique within a namespace; namespaces appear with their first connection and
 * disappear with their last, and reading never makes one. A connection whose socket is gone removes itself.
 */
export class ConnectionsPool extends Emitter<ConnectionsPoolEvents> {
  readonly #host: PoolHost | undefined;
  readonly #road: PoolRoad | undefined;
  readonly #clock: Clock;
  readonly #turn: Turn;
  readonly #replace: boolean;
  readonly #namespaces = new Map<string, Namespace>();
  readonly #members = new Set<Connection>();
  // Connections whose own end emptied their namespace: a later removeConnection still owes its callback.
  readonly #emptiedBy = new WeakSet<Connection>();
  // By namespace; null: all of them.
  readonly #drains = new Map<string | null, Drain>();
  #pace: Pace | undefined;

  constructor(options: ConnectionsPoolOptions = {}) {
    super();
    this.#host = options.groups;
    this.#road = options.groups?.poolRoad;
    this.#clock = this.#road?.clock ?? systemClock;
    this.#turn = this.#road?.turn ?? new Turn(this.#clock);
    this.#replace = options.duplicates === "replace";
  }

  /** Connections in this pool. */
  get size(): number {
    return this.#members.size;
  }

  /**
   * Adds a connection; a connection that is in it already changes nothing. It gets the pool's manager, if there is one.
   *
   * @throws GroupcastError `id_conflict`: its id is taken in its namespace; `draining`; `closed`.
   */
  newConnection(connection: Connection): void {
    if (this.#members.has(connection)) return;
    if (!connection.$open) throw new GroupcastError("closed", `connection ${connection.id} is closed`);
    if (this.isDraining(connection.namespace))
      throw new GroupcastError("draining", `the pool is draining: connection ${connection.id} is refused`);
    const old = this.getConnection(connection.namespace, connection.id);
    if (old !== undefined && !this.#replace) {
      throw new GroupcastError(
        "id_conflict",
        `namespace ${JSON.stringify(connection.namespace)} has a connection ${JSON.stringify(old.id)} already`,
      );
    }
    this.#host?.adopt(connection);
    if (old !== undefined) this.#remove(old);
    const namespace = this.#namespaces.get(connection.namespace) ?? this.#open(connection.namespace);
    namespace.connections.set(connection.id, connection);
    namespace.fanout.add(connection);
    connection.$ownedBy(namespace);
    this.#members.add(connection);
    void old?.close(CLOSE.replaced, "replaced"); // last: its listeners find the new one in its place
  }

  /**
   * Removes a connection, by identity; its socket stays open. True if it was in the pool. `onEmptyNamespace` is called once, if
   * this connection was the last of its namespace; also when it has left by itself just before, because its socket was gone.
   */
  removeConnection(connection: Connection, onEmptyNamespace?: () => unknown): boolean {
    const present = this.#members.has(connection);
    const emptied = present ? this.#remove(connection) : this.#emptiedBy.has(connection) && !this.hasNamespace(connection.namespace);
    this.#emptiedBy.delete(connection);
    if (emptied && onEmptyNamespace !== undefined) this.#call(onEmptyNamespace);
    return present;
  }

  /** The connection of that id in this process. */
  getConnection(namespace: string, id: string): Connection | undefined {
    return this.#namespaces.get(namespace)?.connections.get(id);
  }

  /** True while the namespace has a connection in this process. */
  hasNamespace(namespace: string): boolean {
    return this.#namespaces.has(namespace);
  }

  /** The connections of a namespace, or of all, at this moment; safe to walk while they come and go. */
  connections(namespace?: string): readonly Connection[] {
    if (namespace === undefined) return [...this.#members];
    return [...(this.#namespaces.get(namespace)?.connections.values() ?? [])];
  }

  /**
   * True if a connection of that id is open in any process whose pool belongs to a manager. Answered from the index that the manager keeps; see
   * `groups.count`. While a part of that is missing (`partial`, as pages say), false may be wrong.
   *
   * Rejects with `unavailable`: the channel is down; `bad_group`, `bad_option`: no such namespace, no such id; `no_manager`.
   */
  isOnline(namespace: string, id: string): Promise<boolean> {
    return quiet(this.#ask((directory) => directory.isOnline(namespace, id)));
  }

  /** {@link isOnline} for a user (`connection.user`): true if he has a connection. */
  isUserOnline(namespace: string, user: string): Promise<boolean> {
    return quiet(this.#ask((directory) => directory.isUserOnline(namespace, user)));
  }

  /** The connections of a user in all processes, a page at a time. Rejects as {@link isOnline}, and with `bad_option` for a limit or cursor. */
  connectionsOf(namespace: string, user: string, options: PageOptions = {}): Promise<ConnectionsPage> {
    return quiet(this.#ask((directory) => directory.connectionsOf(namespace, user, options)));
  }

  /**
   * Sends to one connection, in whichever process it is if the pool belongs to a manager. `done`: its socket has the message. Several
   * calls for one connection arrive in the order of the calls.
   *
   * Rejects with `limit`: more than 1 MiB waits for that connection, or 10,000 requests to other processes are unanswered; `bad_option`:
   * neither a string nor bytes; and, if it is not in this process, `unavailable`: nothing was sent, because the channel is down or its
   * process cannot be reached; `too_large`: over 960 KiB.
   */
  send(namespace: string, id: string, data: Payload): Promise<ReachOutcome> {
    return quiet(this.#send(namespace, id, data));
  }

  /**
   * Closes one connection, in whichever process it is if the pool belongs to a manager. Code (default 1000) and reason in either order,
   * or as `{ code, reason }`. `done`: it is gone; a peer that does not answer is cut within 5 s.
   *
   * Rejects with `unavailable` and `limit` as {@link send} does.
   *
   * @throws GroupcastError `bad_option`: a code that may not be sent; nothing has happened.
   */
  close(namespace: string, id: string, ...args: CloseArguments): Promise<ReachOutcome> {
    return quiet(this.#close(namespace, id, readCloseArguments(args, CLOSE.normal)));
  }

  /**
   * Sends to every connection of a namespace: in every process if the pool belongs to a manager, else in this one. `except` is a
   * connection, an id, or an array of them. Resolves when the channel has accepted it; one member's failure never fails it.
   *
   * Rejects with `unavailable`, `unknown_outcome`, `too_large`, `bad_option`, `bad_group` (no such name).
   */
  broadcastMessage(namespace: string, data: Payload, except?: Except): Promise<void> {
    return quiet(this.#broadcast(namespace, data, except));
  }

  /**
   * Closes all connections of a namespace of this process, or with null of all namespaces, at once. Code (default 1000) and
   * reason in either order, or as `{ code, reason }`. Resolves when they are gone: after 5 s at the most.
   *
   * @throws GroupcastError `bad_option`: a code that may not be sent; nobody has been closed.
   */
  closeAll(namespace: string | null, ...args: CloseArguments): Promise<void> {
    const goodbye = readCloseArguments(args, CLOSE.normal);
    const all = this.connections(namespace ?? undefined).map((connection) => connection.close(goodbye));
    return quiet(Promise.all(all).then(() => {}));
  }

  /**
   * Closes all connections of this process at a rate: never more than `maxPerSecond` in any second, over all namespaces together.
   * Reason and code (default 1012, so that clients come back) in either order, or as `{ reason, code }`. Newcomers are refused
   * meanwhile; broadcasts still reach who is not closed yet; a connection that leaves by itself costs no time.
   *
   * Resolves with a report when all are gone. A second call while it runs returns the same promise.
   *
   * @throws GroupcastError `bad_option`: a rate that is not above 0, or a code that may not be sent; nobody has been closed.
   */
  drainConnections(
    maxPerSecond: number = DEFAULTS.drainPerSecond,
    reason?: CloseArguments[0],
    code?: CloseArguments[1],
    options: DrainConnectionsOptions = {},
  ): Promise<DrainReport> {
    checkRate(maxPerSecond);
    const goodbye = readCloseArguments([reason, code], CLOSE.restart);
    const { namespace = null, deadlineMs = null } = options;
    const running = this.#drains.get(namespace) ?? this.#drains.get(null);
    if (running !== undefined) return running.report;
    const slots = options.slots ?? this.#paceOf(maxPerSecond);
    const empty = deferred();
    const report = this.#drain({ namespace, goodbye, slots, deadlineMs, empty });
    this.#drains.set(namespace, { report: quiet(report), empty });
    return report;
  }

  /** True while newcomers of this namespace are refused because a drain runs. */
  isDraining(namespace: string): boolean {
    return this.#drains.has(null) || this.#drains.has(namespace);
  }

  // Two namespaces that drain at the same time share one pace, the slower one.
  #paceOf(perSecond: number): Pace {
    if (this.#pace === undefined) this.#pace = new Pace(this.#clock, perSecond);
    else this.#pace.slowTo(perSecond);
    return this.#pace;
  }

  async #drain({
    namespace,
    ...how
  }: Omit<DrainOptions, "clock" | "has" | "empty"> & { namespace: string | null; empty: Deferred<void> }): Promise<DrainReport> {
    const connections = this.connections(namespace ?? undefined);
    if (connections.length === 0) how.empty.resolve();
    try {
      return await drain(connections, {
        ...how,
        clock: this.#clock,
        has: (connection) => this.#members.has(connection),
        empty: how.empty.promise,
      });
    } finally {
      this.#drains.delete(namespace);
      if (this.#drains.size === 0) this.#pace = undefined;
    }
  }

  async #ask<T>(question: (directory: PoolDirectory) => Promise<T>): Promise<T> {
    if (this.#road === undefined)
      throw new GroupcastError("no_manager", "a pool knows of other processes by its manager: make it with { groups }");
    return question(this.#road.directory);
  }

  async #send(namespace: string, id: string, data: Payload): Promise<ReachOutcome> {
    const connection = this.getConnection(namespace, id);
    if (connection !== undefined) return sendTo(connection, data);
    return this.#road?.send(namespace, id, data) ?? "unknown_connection";
  }

  async #close(namespace: string, id: string, goodbye: Goodbye): Promise<ReachOutcome> {
    const connection = this.getConnection(namespace, id);
    if (connection === undefined) return this.#road?.close(namespace, id, goodbye) ?? "unknown_connection";
    await connection.close(goodbye);
    return "done";
  }

  async #broadcast(namespace: string, data: Payload, except: Except | undefined): Promise<void> {
    const message = toMessage(data, except);
    checkName(namespace, "namespace");
    if (this.#road !== undefined) return this.#road.broadcast(namespace, message);
    const fanout = this.#namespaces.get(namespace)?.fanout;
    if (message.except.length === 0) fanout?.push(message.frame);
    else fanout?.pushExcept(message.frame, message.except);
  }

  #call(callback: () => unknown): void {
    try {
      const result = callback();
      if (isPromiseLike(result)) result.then(undefined, (thrown: unknown) => this.emit("error", asError(thrown)));
    } catch (thrown) {
      this.emit("error", asError(thrown));
    }
  }

  #open(name: string): Namespace {
    const road = this.#road;
    const fanout = new Fanout(this.#turn, road && ((): void => road.catchUp(name)));
    const connections = new Map<string, Connection>();
    const namespace: Namespace = {
      connections,
      fanout,
      unhear: road?.hear(name, fanout, (id) => connections.get(id)) ?? ((): void => {}),
      closed: (connection) => {
        if (this.#remove(connection)) this.#emptiedBy.add(connection);
      },
    };
    this.#namespaces.set(name, namespace);
    return namespace;
  }

  /** True if the namespace is empty now, and gone. */
  #remove(connection: Connection): boolean {
    const namespace = this.#namespaces.get(connection.namespace);
    if (namespace === undefined || !this.#members.delete(connection)) return false;
    connection.$disownedBy(namespace);
    namespace.fanout.delete(connection);
    namespace.connections.delete(connection.id);
    if (this.#members.size === 0) this.#drains.get(null)?.empty.resolve();
    if (namespace.connections.size > 0) return false;
    this.#drains.get(connection.namespace)?.empty.resolve();
    this.#namespaces.delete(connection.namespace);
    namespace.unhear();
    return true;
  }
}
