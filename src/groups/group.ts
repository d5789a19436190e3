// One group as this process sees it: its members here, and the way to all members everywhere. Membership is edited by
// memberships.ts only. Must not know channels: it is given a road.
import { Emitter } from "../base/emitter.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { consoleLogger, type Logger } from "../base/logger.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import { Batch } from "../sockets/socket.ts";
import { CLOSE, type CloseArguments, type Goodbye, readCloseArguments } from "../wire/close-codes.ts";
import type { Payload } from "../wire/frames.ts";
import { checkName } from "../wire/names.ts";
import type { Message } from "../wire/record.ts";
import type { Connection } from "./connection.ts";
import { Fanout } from "./fanout.ts";
import { type SendOptions, toMessage } from "./message.ts";
import type { Turn } from "../base/turn.ts";

/** What listeners of a {@link ConnectionGroup} are given. */
export interface ConnectionGroupEvents {
  /** The connection is a member already: writing to the group reaches it. */
  join: [connection: Connection];
  /** The connection is still a member: writing to the group reaches it, if its socket is open. */
  leave: [connection: Connection];
  /** A `write` failed, or a listener threw. */
  error: [error: Error];
}

/** Where an acknowledged message stands in the group's log; null without history. */
export interface Published {
  readonly position: string | null;
}

/** How a group reaches its members in every process. */
export interface GroupRoad {
  readonly turn: Turn;
  readonly logger: Logger;
  publish(group: ConnectionGroup, message: Message): Promise<Published>;
  /** Brings back what was published to the group, if that can be here within the turn. Runs no listener. */
  catchUp(group: ConnectionGroup): void;
  closeAll(group: ConnectionGroup, goodbye: Goodbye): Promise<void>;
}

type Life = { readonly road: GroupRoad; readonly fanout: Fanout };

/**
 * A named set of connections inside one namespace. It appears with its first member and disappears with its last; made again
 * under the same name it is a new object.
 *
 * Iterating and {@link size} are the members in this process. A member that is removed before its turn is not visited, and none
 * is visited twice. May be subclassed, for a manager's `implementation`.
 */
export class ConnectionGroup extends Emitter<ConnectionGroupEvents> implements Iterable<Connection> {
  static readonly EVENT_JOIN = "join";
  static readonly EVENT_LEAVE = "leave";

  readonly name: string;
  readonly namespace: string;
  readonly #ready: Deferred<void> = deferred();
  #isNew = true;
  #isHeard = false;
  #logger: Logger = consoleLogger;
  #life: Life | undefined;
  // Members whose `leave` is being told: what is written meanwhile is handed to them directly.
  #leaving: Set<Connection> | undefined;

  /** @throws GroupcastError `bad_group` */
  constructor(name: string, namespace: string) {
    super();
    this.name = checkName(name);
    this.namespace = checkName(namespace, "namespace");
  }

  /** Members in this process. */
  get size(): number {
    return this.#life?.fanout.size ?? 0;
  }

  /** True if `connection` is a member, in this process. */
  has(connection: Connection): boolean {
    return this.#life?.fanout.has(connection) ?? false;
  }

  *[Symbol.iterator](): Iterator<Connection> {
    for (const member of this.#life?.fanout.list() ?? []) if (this.has(member)) yield member;
  }

  /**
   * Resolves when this process hears the group: from then on no publish anywhere is missed while the channel stays up. Rejects with `closed` if the group is
   * destroyed before, and with the channel's own error if it will not have the group (`limit`).
   */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /**
   * Sends to every member in every process, the sender included. Fire and forget: failures go to `error`.
   * Returns false if the group is destroyed.
   *
   * Order: all members, in every process, see one order of messages; a string goes as text, bytes as binary.
   *
   * @throws GroupcastError `bad_option`: neither a string nor bytes; `too_large`: over 960 KiB.
   */
  write(payload: Payload, options?: SendOptions): boolean {
    const message = toMessage(payload, options?.except);
    if (this.#life === undefined) return false;
    this.#life.road.publish(this, this.#handToLeavers(message)).catch((error: unknown) => this.emit("error", asError(error)));
    return true;
  }

  /** {@link write}. */
  writeAll(payload: Payload, options?: SendOptions): boolean {
    return this.write(payload, options);
  }

  /**
   * {@link write}, acknowledged: resolves when the channel has accepted the message (with history: when it is in the log).
   *
   * Rejects with `unavailable`: the channel has been down for 5 s and nothing was sent; `unknown_outcome`: the channel went down
   * before it answered; `closed`: the group is destroyed; `bad_option`, `too_large`: as {@link write} throws.
   */
  publish(payload: Payload, options?: SendOptions): Promise<Published> {
    return quiet(this.#publish(payload, options));
  }

  /**
   * Closes the members in every process, after everything that was written before. Reason and code (default 1000) in either
   * order, or as `{ reason, code }`. Resolves when every process has confirmed that its members are gone, and after 5 s in any case.
   *
   * Rejects with `unavailable` if the channel is down; the members in this process are closed then, too.
   *
   * @throws GroupcastError `bad_option`: a code that may not be sent; nobody has been closed.
   */
  closeAll(...args: CloseArguments): Promise<void> {
    const goodbye = readCloseArguments(args, CLOSE.normal);
    if (this.#life === undefined) return Promise.resolve();
    return quiet(this.#life.road.closeAll(this, goodbye));
  }

  protected override unheard(error: Error): void {
    this.#logger.error({ err: error, group: this.name, namespace: this.namespace }, `group ${JSON.stringify(this.name)}: ${error.message}`);
  }

  async #publish(payload: Payload, options: SendOptions | undefined): Promise<Published> {
    const message = toMessage(payload, options?.except);
    if (this.#life === undefined) throw closedGroup(this);
    return this.#life.road.publish(this, this.#handToLeavers(message));
  }

  // A leaver may be gone when the message has come back from the channel, so it is handed over here, and left out there.
  #handToLeavers(message: Message): Message {
    if (this.#leaving === undefined) return message;
    const leavers = [...this.#leaving].filter((leaver) => leaver.$open && !message.except.includes(leaver.id));
    if (leavers.length === 0) return message;
    this.$flush();
    for (const leaver of leavers) {
      const trouble = leaver.$deliver(new Batch(message.frame));
      if (trouble !== undefined) leaver.$settle(trouble);
    }
    return { ...message, except: [...message.except, ...leavers.map((leaver) => leaver.id)] };
  }

  // What follows is for memberships.ts and the road; it is not in the published types.

  /** @internal Begins its life. */
  $begin(road: GroupRoad): void {
    this.#isNew = false;
    this.#logger = road.logger; // kept beyond its life: what it wrote may fail later
    this.#life = { road, fanout: new Fanout(road.turn, () => road.catchUp(this)) };
  }

  /** @internal True until `begin`: a group lives once. */
  get $isNew(): boolean {
    return this.#isNew;
  }

  /** @internal True from `begin` to `end`. */
  get $alive(): boolean {
    return this.#life !== undefined;
  }

  /** @internal Ends its life; it has no members any more. */
  $end(): void {
    this.#ready.reject(closedGroup(this));
    this.#life = undefined;
  }

  /** @internal This process cannot hear the group, for good: who waits for that is told why. */
  $deaf(error: Error): void {
    this.#ready.reject(error);
  }

  /** @internal This process hears the group now. */
  $heard(): void {
    this.#isHeard = true;
    this.#ready.resolve();
  }

  /** @internal True once {@link ready} has resolved. */
  get $isHeard(): boolean {
    return this.#isHeard;
  }

  /** @internal */
  $add(connection: Connection): void {
    this.#life?.fanout.add(connection);
  }

  /** @internal */
  $delete(connection: Connection): void {
    this.#life?.fanout.delete(connection);
  }

  /** @internal Messages that came back from the channel, for everybody. */
  $push(frames: Uint8Array): void {
    this.#life?.fanout.push(frames);
  }

  /** @internal The same, for everybody but some. */
  $pushExcept(frame: Uint8Array, except: readonly string[]): void {
    this.#life?.fanout.pushExcept(frame, except);
  }

  /** @internal */
  $flush(): void {
    this.#life?.fanout.flush();
  }

  /** @internal Tells `leave` while `connection` is still a member. False: it is being told already. */
  $tellLeave(connection: Connection): boolean {
    this.#leaving ??= new Set();
    if (this.#leaving.has(connection)) return false;
    this.#leaving.add(connection);
    this.emit("leave", connection);
    this.#leaving.delete(connection);
    if (this.#leaving.size === 0) this.#leaving = undefined;
    return true;
  }

  /** @internal True while `leave` of `connection` is being told. */
  $isLeaving(connection: Connection): boolean {
    return this.#leaving?.has(connection) ?? false;
  }

  /** @internal What `publish` of the manager does to a message for this group. */
  $prepare(message: Message): Message {
    return this.#handToLeavers(message);
  }
}

function closedGroup(group: ConnectionGroup): GroupcastError {
  return new GroupcastError("closed", `group ${JSON.stringify(group.name)} is destroyed`);
}
