// One WebSocket: sends, closes, and says what arrives. Owns its carrier. Groups are edited by memberships.ts only.
// Must not know which engine carries it, channels, or how messages between processes look.
import { type Cancel, type Clock, systemClock } from "../base/clock.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { Emitter } from "../base/emitter.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { consoleLogger } from "../base/logger.ts";
import { type Deferred, deferred } from "../base/promises.ts";
import { carry } from "../sockets/carry.ts";
import { Batch, type Carrier, CLOSED, OPEN, type SocketLike } from "../sockets/socket.ts";
import { CLOSE, type CloseArguments, type Goodbye, readCloseArguments } from "../wire/close-codes.ts";
import { checkName } from "../wire/names.ts";
import { Backlog } from "./backlog.ts";
import type { Fanout } from "./fanout.ts";
import type { ConnectionGroup } from "./group.ts";
import type { Memberships } from "./memberships.ts";

/** What listeners of a {@link Connection} are given. */
export interface ConnectionEvents {
  /** A message from the peer, before `text` or `binary`. Text is a string, bytes are a Uint8Array. */
  message: [data: string | Uint8Array, isBinary: boolean];
  text: [text: string];
  binary: [bytes: Uint8Array];
  /** Told once, last, however it ended; 1006 if the peer went without a word. It has left its groups and pools. */
  close: [code: number, reason: string];
  /** The socket failed (`close` follows), or a listener threw. */
  error: [error: Error];
  /** The peer reads more slowly than it is sent to: there is a backlog now. */
  slow: [];
  /** The backlog is gone. */
  drain: [];
}

/** Why a delivery needs a second look, once everybody else has got the message. */
export type Trouble = { readonly kind: "slow" | "overflow" } | { readonly kind: "failed"; readonly error: Error };

/** A peer that reads nothing any more has this long to answer a close frame: it stands behind a megabyte. So has a cut socket to say so. */
const CLOSE_SLOW_WITHIN_MS = 1_000;

const SLOW: Trouble = Object.freeze({ kind: "slow" });
const OVERFLOW: Trouble = Object.freeze({ kind: "overflow" });
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const NO_GROUPS: ReadonlyMap<string, ConnectionGroup> = new Map();
const NO_OWNERS: readonly Owner[] = [];

/** Who hears all messages of a connection before its listeners do, and its end: the protocol that its client speaks. */
export interface Reader {
  /** A text message as its UTF-8 bytes, which are valid: a view that is good during this call only. */
  readText(bytes: Uint8Array): void;
  /** Any other message. */
  readMessage(data: string | Uint8Array): void;
  /** An error of the connection that no listener has heard. */
  unheard(error: Error): void;
  /** The connection is gone. */
  end(): void;
}

/** Who has a connection besides its groups: a pool's namespace, a heartbeat. One object for all connections that it has. */
export interface Owner {
  /** What gathers for them; flushed before a direct send. */
  readonly fanout?: Fanout;
  /** The connection's socket is gone. */
  closed(connection: Connection): void;
}

type Phase = "connecting" | "open" | "closing" | "closed";

/**
 * A WebSocket with an id that is unique in its namespace. Wraps a `ws` socket, a WHATWG `WebSocket`, or anything of that shape.
 *
 * May be subclassed. Made by hand it belongs to no manager until a middleware, a pool made with `{ groups }` or
 * `groups.adopt(connection)` gives it one: before that `setGroup` and `join` throw `no_manager`.
 */
export class Connection extends Emitter<ConnectionEvents> {
  /** Unique within {@link namespace}; 1 to 200 bytes without control characters. */
  readonly id: string;
  /** The fixed wall that ids, groups and broadcasts never cross. */
  readonly namespace: string;
  /** The application's own; groupcast never looks at it. */
  data: unknown;

  readonly #carrier: Carrier;
  #phase: Phase;
  #goodbye: Goodbye | undefined;
  #gone: Deferred<void> | undefined;
  #cancelForce: Cancel | undefined;
  #terminated = false;

  #user: string | null = null;
  #memberships: Memberships | undefined;
  #groups: Map<string, ConnectionGroup> | undefined;
  #primary: ConnectionGroup | null = null;
  #owners = NO_OWNERS;

  // Undefined unless the peer is slow.
  #backlog: Backlog | undefined;
  #alive = true;
  #paused = false;
  #takenAtPing = 0;
  #reader: Reader | undefined;
  /** @internal Which of the heartbeat's slots it is in; -1: none. */
  $heartbeatSlot = -1;
  /** @internal Its number among all that its manager ever had; 0: none yet. */
  $serial = 0;

  /**
   * @throws GroupcastError `bad_group`: the namespace is no name; `bad_option`: the id is none (it follows the same rule), or no socket.
   */
  constructor(id: string, namespace: string, socket: SocketLike) {
    super();
    this.id = checkName(id, "connection id");
    this.namespace = checkName(namespace, "namespace");
    this.#carrier = carry(socket, this);
    const { readyState } = socket;
    this.#phase = readyState === CLOSED ? "closed" : readyState === OPEN ? "open" : readyState < OPEN ? "connecting" : "closing";
  }

  /** True once the socket is gone. */
  get closed(): boolean {
    return this.#phase === "closed";
  }

  /** Bytes that were sent and that the kernel has not taken yet. */
  get bufferedAmount(): number {
    return this.#carrier.queuedBytes;
  }

  /**
   * Who is behind it, or null: the application says so, at any time, and asks by it in every process (`pool.isUserOnline`,
   * `pool.connectionsOf`, `groups.users`). Several connections may have the same. 1 to 200 bytes without control characters.
   */
  get user(): string | null {
    return this.#user;
  }

  /** @throws GroupcastError `bad_option`: no such name. */
  set user(user: string | null) {
    const previous = this.#user;
    if (user === previous) return;
    this.#user = user === null ? null : checkName(user, "user");
    this.#memberships?.renamed(this, previous);
  }

  /** The groups that this connection is in, by name, the longest membership first. A live view. */
  get groups(): ReadonlyMap<string, ConnectionGroup> {
    return this.#groups ?? NO_GROUPS;
  }

  /**
   * Sends a message to this peer: a string as text, bytes as binary. In order with everything that the peer gets from its
   * groups in this process. Done when the socket has it, not when the peer has read it.
   *
   * Returns false if it is known not to have been accepted: the connection is not open, or more than 1 MiB has waited for
   * longer than a turn. Never throws for a dead socket.
   *
   * @throws GroupcastError `bad_option`: neither a string nor bytes (see {@link sendJson}).
   */
  send(data: string | Uint8Array): boolean {
    if (typeof data !== "string" && !(data instanceof Uint8Array)) {
      throw new GroupcastError("bad_option", `send takes a string or a Uint8Array, not ${typeof data}; sendJson takes any value`);
    }
    if (this.#phase !== "open") return false;
    this.#flush();
    const trouble = this.$deliver(Batch.of(data));
    if (trouble === undefined) return this.#carrier.open;
    if (trouble === OVERFLOW) return false; // the caller is told, so nothing is lost in silence and the connection may stay
    this.$settle(trouble);
    return trouble.kind === "slow";
  }

  /** {@link send} for text. */
  write(text: string): boolean {
    if (typeof text !== "string") throw new GroupcastError("bad_option", `write takes a string, not ${typeof text}`);
    return this.send(text);
  }

  /** {@link send} for bytes, as a binary message. */
  writeBinary(bytes: Uint8Array): boolean {
    if (!(bytes instanceof Uint8Array)) throw new GroupcastError("bad_option", `writeBinary takes a Uint8Array, not ${typeof bytes}`);
    return this.send(bytes);
  }

  /**
   * {@link send} for any value, as its JSON text: a string is quoted.
   *
   * @throws GroupcastError `bad_option`: the value has no JSON text (undefined, a function, a cycle).
   */
  sendJson(value: unknown): boolean {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (cause) {
      throw new GroupcastError("bad_option", "the value has no JSON text", { cause });
    }
    if (text === undefined) throw new GroupcastError("bad_option", `a ${typeof value} has no JSON text`);
    return this.send(text);
  }

  /**
   * Closes with a closing handshake, after everything that was sent. Code (default 1000) and reason in either order, or as
   * `{ code, reason }`; a reason is cut to 123 bytes. The first call's code counts.
   *
   * Resolves when the socket is gone: at most 5 s later, when a peer that does not answer is cut.
   *
   * @throws GroupcastError `bad_option`: a code that may not be sent; nothing has happened.
   */
  close(...args: CloseArguments): Promise<void> {
    return this.#close(readCloseArguments(args, CLOSE.normal), DEFAULTS.closeWithinMs);
  }

  /** Ends the socket at once, without a closing handshake: the peer sees 1006. */
  terminate(): void {
    if (this.#phase === "closed") return;
    this.#terminated = true;
    this.#phase = "closing";
    // A socket that says nothing of its end is not waited for.
    this.#cancelForce?.();
    this.#cancelForce = this.#clock.after(CLOSE_SLOW_WITHIN_MS, () => this.$closed(1006, ""));
    this.#carrier.terminate();
  }

  /**
   * Puts this connection into its primary group, leaving the previous primary one; `null` leaves it. Other groups are not
   * touched; a group that it is in already becomes the primary one. The local membership and all events (`leave`, `destroyed`,
   * `created`, `join`) are done when it returns. No barrier: `getGroup().ready` is, and so is {@link join}.
   *
   * Returns false if the manager refuses, and nothing has changed then.
   *
   * @throws GroupcastError `bad_group`, `no_manager`, or `use_join`: the manager's `authorize` is asynchronous.
   */
  setGroup(name: string | null): boolean {
    return this.#managed().setPrimary(this, name);
  }

  /** The primary group, or null. */
  getGroup(): ConnectionGroup | null {
    return this.#primary;
  }

  /** The primary group's name, or null. */
  getGroupName(): string | null {
    return this.#primary?.name ?? null;
  }

  /**
   * Joins a group beside those that it is in. A barrier: once it resolves, no later publish anywhere is missed.
   * Joining twice changes nothing.
   *
   * Rejects with `bad_group`, `forbidden` (refused), `limit` (128 groups), `closed`, or `unavailable`: the channel has been down for
   * 5 s; the join is undone.
   *
   * @throws GroupcastError `no_manager`
   */
  join(name: string): Promise<ConnectionGroup> {
    return this.#managed().join(this, name);
  }

  /** Leaves a group; true if it was in it. Done, with its events, when it returns. */
  leave(name: string): boolean {
    return this.#memberships?.leave(this, name) ?? false;
  }

  protected override unheard(error: Error): void {
    if (this.#reader !== undefined) return this.#reader.unheard(error);
    (this.#memberships?.logger ?? consoleLogger).error(
      { err: error, connection: this.id, namespace: this.namespace },
      `connection ${this.id}: ${error.message}`,
    );
  }

  #managed(): Memberships {
    if (this.#memberships === undefined) {
      throw new GroupcastError("no_manager", `connection ${this.id} belongs to no GroupManager: call groups.adopt(connection) first`);
    }
    return this.#memberships;
  }

  get #clock(): Clock {
    return this.#memberships?.clock ?? systemClock;
  }

  // Everything that waits for the end of the turn goes first: a direct send, or the close frame, comes after it.
  #flush(): void {
    if (this.#groups !== undefined) for (const group of this.#groups.values()) group.$flush();
    for (const { fanout } of this.#owners) fanout?.flush();
  }

  #close(goodbye: Goodbye, withinMs: number): Promise<void> {
    if (this.#phase === "closed") return Promise.resolve();
    this.#gone ??= deferred();
    if (this.#goodbye === undefined) {
      this.#flush();
      // A listener of `slow` may have closed it meanwhile: the first code that was sent counts.
      if (this.#goodbye === undefined && !this.closed) {
        this.#goodbye = goodbye;
        this.#phase = "closing";
        this.#cancelForce = this.#clock.after(withinMs, () => this.terminate());
        this.#carrier.close(goodbye.code, goodbye.reason);
      }
    }
    return this.#gone.promise;
  }

  #tell(data: string | Uint8Array, isBinary: boolean): void {
    this.emit("message", data, isBinary);
    if (typeof data === "string") this.emit("text", data);
    else this.emit("binary", data);
  }

  // What follows is for this floor and its engine room only; it is not in the published types.

  /** @internal As a carrier tells it. */
  $opened(): void {
    if (this.#phase === "connecting") this.#phase = "open";
  }

  /** @internal As a carrier tells it. */
  $message(data: string | Uint8Array, isBinary: boolean): void {
    if (this.closed) return; // the socket of a connection that was cut may still speak
    this.#alive = true;
    this.#reader?.readMessage(data);
    this.#tell(data, isBinary);
  }

  /** @internal As a carrier tells it. */
  $pong(): void {
    this.#alive = true;
  }

  /** @internal As a carrier tells it. */
  $drained(): void {
    const told = this.#backlog?.told;
    this.#backlog = undefined;
    if (told === true) this.emit("drain");
  }

  /** @internal As a carrier tells it. */
  $failed(error: Error): void {
    if (!this.closed) this.emit("error", error); // nothing is told after `close`
  }

  /** @internal As a carrier tells it. */
  $closed(code: number, reason: string): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#cancelForce?.();
    this.#memberships?.leaveAll(this);
    for (const owner of this.#owners) owner.closed(this);
    this.#owners = NO_OWNERS;
    this.#reader?.end();
    this.#gone?.resolve();
    // A peer that went without a close frame leaves 1006; if this side had closed already, why it did says more.
    if (code === 1006 && this.#goodbye !== undefined) this.emit("close", this.#goodbye.code, this.#goodbye.reason);
    else this.emit("close", code, reason);
  }

  /**
   * @internal Writes finished frames. Runs no listener: what needs one is returned, and told by {@link $settle} afterwards.
   */
  $deliver(batch: Batch): Trouble | undefined {
    if (this.#phase !== "open") return undefined;
    if (this.#backlog !== undefined) {
      if (this.#backlog.full) return OVERFLOW;
      this.#backlog.add(batch.frames.length);
    }
    try {
      const slow = this.#carrier.write(batch);
      if (!slow || this.#backlog !== undefined) return undefined;
    } catch (thrown) {
      return { kind: "failed", error: asError(thrown) };
    }
    return this.$fellBehind(batch.frames.length);
  }

  /** @internal What a fan-out writes to, if it takes it at once; else to {@link $deliver}. */
  get $carrier(): Carrier {
    return this.#carrier;
  }

  /** @internal A backlog has begun, with a write of so many bytes. For {@link $settle}. */
  $fellBehind(bytes: number): Trouble {
    this.#backlog = new Backlog(this.#carrier, this.#clock);
    this.#backlog.add(bytes);
    return SLOW;
  }

  /** @internal It has missed a message: it gets nothing more, or the gap would go unnoticed. {@link $settle} ends it. */
  $doom(): void {
    if (this.#phase === "open") this.#phase = "closing";
    this.#carrier.seal();
  }

  /** @internal Acts on what {@link $deliver} returned. */
  $settle(trouble: Trouble): void {
    if (this.closed) return;
    switch (trouble.kind) {
      case "slow":
        if (this.#backlog === undefined || this.#backlog.told) return; // it has drained since, or was told with a backlog before this one
        this.#backlog.told = true;
        this.emit("slow");
        return;
      case "overflow":
        void this.#close({ code: CLOSE.slow, reason: "slow" }, CLOSE_SLOW_WITHIN_MS);
        return;
      case "failed":
        this.emit("error", trouble.error);
        this.terminate();
    }
  }

  /** @internal True while it may still be given messages and groups. */
  get $open(): boolean {
    return this.#phase === "open" || this.#phase === "connecting";
  }

  /** @internal True if it was cut, not closed. */
  get $terminated(): boolean {
    return this.#terminated;
  }

  /** @internal Closes now, and cuts a silent peer after `withinMs`. */
  $closeWithin(goodbye: Goodbye, withinMs: number): Promise<void> {
    return this.#close(goodbye, withinMs);
  }

  /** @internal Sends a ping that {@link $answered} will tell of. False: this socket cannot. */
  $ping(): boolean {
    // Whoever is not read cannot be heard.
    this.#alive = this.#paused;
    this.#takenAtPing = this.#carrier.takenBytes;
    const pinged = this.#carrier.ping();
    if (!pinged) this.#alive = true; // nobody was asked
    return pinged;
  }

  /**
   * @internal True unless nothing has arrived since the last {@link $ping}. The ping of a slow peer stands behind its backlog: as long as
   * the kernel gets rid of some of that, somebody is there.
   */
  get $answered(): boolean {
    return this.#alive || (this.#backlog !== undefined && this.#carrier.takenBytes > this.#takenAtPing);
  }

  /** @internal Closes a peer that no ping reaches: a close frame in case it listens, and the end in any case. */
  $giveUp(goodbye: Goodbye): void {
    void this.#close(goodbye, CLOSE_SLOW_WITHIN_MS);
    this.terminate();
  }

  /** @internal */
  $pauseReading(): void {
    this.#paused = true;
    this.#carrier.pause();
  }

  /** @internal */
  $resumeReading(): void {
    this.#paused = false;
    this.#alive = true; // its answer may lie in what was not read
    this.#carrier.resume();
  }

  /** @internal Has a protocol hear it. */
  $readBy(reader: Reader): void {
    this.#reader = reader;
  }

  /** @internal True if it is `socket` that carries it, and not something around that. */
  $isOn(socket: SocketLike): boolean {
    return this.#carrier.socket === socket;
  }

  /** @internal A text message as its UTF-8 bytes, which are valid: a view that is good during this call only. For the fast lane. */
  $hear(bytes: Uint8Array): void {
    if (this.closed) return;
    if (this.#reader === undefined) return this.$message(fromUtf8.decode(bytes), false);
    this.#alive = true;
    this.#reader.readText(bytes);
    if (this.listenerCount("message") + this.listenerCount("text") > 0) this.#tell(fromUtf8.decode(bytes), false);
  }

  /** @internal Gives it a manager. */
  $belongTo(memberships: Memberships): void {
    if (this.#memberships !== memberships && this.groups.size > 0) {
      throw new GroupcastError("bad_option", `connection ${this.id} is in groups of another GroupManager`);
    }
    if (this.#memberships !== memberships) this.#memberships?.release(this);
    this.#memberships = memberships;
  }

  /** @internal */
  $ownedBy(owner: Owner): void {
    this.#owners = this.#owners.concat(owner); // not a spread: that leaves room for 16 more
  }

  /** @internal Undoes {@link $ownedBy}. */
  $disownedBy(owner: Owner): void {
    this.#owners = this.#owners.filter((one) => one !== owner);
  }

  /** @internal The connection's side of a membership; memberships.ts keeps it and the group's side the same fact. */
  $entered(group: ConnectionGroup): void {
    (this.#groups ??= new Map()).set(group.name, group);
  }

  /** @internal */
  $exited(group: ConnectionGroup): void {
    this.#groups?.delete(group.name);
    if (this.#groups?.size === 0) this.#groups = undefined;
    if (this.#primary === group) this.#primary = null;
  }

  /** @internal */
  $makePrimary(group: ConnectionGroup): void {
    this.#primary = group;
  }
}
