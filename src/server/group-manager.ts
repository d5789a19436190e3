// Where groups and the channel are introduced to each other. Knows both; must not know sockets, HTTP or the wire's commands.
import { BATCH_DELAY_MS_MAX } from "../base/batch-delay.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { Emitter } from "../base/emitter.ts";
import { GroupcastError } from "../base/errors.ts";
import { consoleLogger, type Logger } from "../base/logger.ts";
import { quiet } from "../base/promises.ts";
import { systemRandom } from "../base/random.ts";
import type { Channel, ChannelWatcher, Hearing } from "../channel/channel.ts";
import { encodeTopic } from "../channel/topics.ts";
import { type Connection } from "../groups/connection.ts";
import { ConnectionGroup, type Published } from "../groups/group.ts";
import { Memberships, type MembershipsHost } from "../groups/memberships.ts";
import { toMessage } from "../groups/message.ts";
import type { MembersPage, NamesPage, UsersPage } from "../groups/pages.ts";
import type { PoolHost, PoolRoad } from "../groups/pool.ts";
import type { ReachOutcome } from "../groups/reach.ts";
import { Turn } from "../base/turn.ts";
import { CLOSE, type CloseArguments, readCloseArguments } from "../wire/close-codes.ts";
import type { Payload } from "../wire/frames.ts";
import { checkName } from "../wire/names.ts";
import type { Message } from "../wire/record.ts";
import { channelOf } from "./channel-of.ts";
import type { CloseRequest } from "./close-everywhere.ts";
import { Cluster } from "./cluster.ts";
import { deliver, type Receiver } from "./deliver.ts";
import { type DisconnectArguments, type DisconnectReport, readDisconnect } from "./disconnect.ts";
import type { GroupManagerEvents, GroupManagerOptions, GroupPageOptions, InNamespace, PublishOptions } from "./manager-options.ts";
import { DEFAULTS } from "../base/defaults.ts";

/**
 * All groups of this process, and the way to their members in the others.
 *
 * Every publish goes through the channel and comes back to its own process too, so all members of a group, in every process,
 * see one order of messages.
 */
export class GroupManager extends Emitter<GroupManagerEvents> implements PoolHost {
  static readonly EVENT_CREATED = "created";
  static readonly EVENT_DESTROYED = "destroyed";

  readonly #memberships: Memberships;
  readonly #channel: Channel;
  readonly #turn: Turn;
  readonly #logger: Logger;
  readonly #cluster: Cluster;
  readonly #asksNobody: boolean;
  readonly #hearings = new Map<ConnectionGroup, Hearing>();
  /** @internal */
  readonly poolRoad: PoolRoad;

  /**
   * A broker need not be there yet: until it is, {@link isUp} is false. One that cannot be used as it is set up (its client is not
   * installed, it refuses the password) is told by `degraded`, with `bad_option` or `unauthorized`.
   *
   * @throws GroupcastError `bad_option`: no such channel, or one that belongs to another manager; a `batchDelayMs` that is none.
   */
  constructor(options: GroupManagerOptions = {}) {
    super();
    const clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? consoleLogger;
    this.#asksNobody = options.authorize === undefined;
    this.#turn = new Turn(clock, checkDelay(options.batchDelayMs ?? DEFAULTS.batchDelayMs));
    this.#channel = channelOf(options.channel ?? "memory", { prefix: options.prefix, clock });
    const failed = (error: Error): void => void this.emit("error", error);
    this.#memberships = new Memberships(this.#host(options, clock));
    this.#cluster = new Cluster({
      channel: this.#channel,
      clock,
      random: options.random ?? systemRandom,
      memberships: this.#memberships,
      vacatedAfterMs: options.vacatedAfterMs,
      occupied: (life) => void this.emit("occupied", life),
      vacated: (life) => void this.emit("vacated", life),
      failed,
    });
    this.poolRoad = this.#poolRoad(clock);
    let downAt: number | undefined;
    const watcher: ChannelWatcher = {
      up: () => {
        this.#cluster.up();
        if (downAt !== undefined) this.emit("restored", { downMs: clock.now() - downAt });
        downAt = undefined;
      },
      down: (reason) => {
        this.#cluster.down();
        downAt ??= clock.now();
        const isHeard = this.emit("degraded", { reason });
        // An outage passes; what is set up wrong does not, so somebody has to be told.
        if (!isHeard && reason instanceof GroupcastError && !reason.retry) this.emit("error", reason);
      },
      failed,
    };
    this.#channel.start(watcher, this.#turn);
    this.#cluster.start();
    if (options.presence === "always") void this.#cluster.presence.load();
  }

  /** How other processes call this one: 128 random bits, new with each manager. */
  get node(): string {
    return this.#cluster.node;
  }

  /** Groups in this process, over all namespaces. */
  get size(): number {
    return this.#memberships.size;
  }

  /** True while the channel works: publishing does not wait, and every group is heard. */
  get isUp(): boolean {
    return this.#channel.isUp;
  }

  /** @internal Undefined: the channel works. Else resolves when it does. */
  get $up(): Promise<void> | undefined {
    return this.#channel.up;
  }

  /** The group, if it has a member in this process. */
  get(name: string, namespace: string = DEFAULTS.namespace): ConnectionGroup | undefined {
    return this.#memberships.get(namespace, name);
  }

  /** The groups of a namespace, or of all, in this process and at this moment. */
  groups(namespace?: string): Iterable<ConnectionGroup> {
    return this.#memberships.list(namespace);
  }

  /**
   * Sends to every member of a group in every process; this one needs no member. Resolves when the channel has accepted it.
   * Several calls for one group arrive in the order of the calls.
   *
   * Rejects with `unavailable`: the channel has been down for 5 s and nothing was sent, a retry is safe; `unknown_outcome`: it
   * went down before it answered, a retry may send twice; `bad_group`; `bad_option`: neither a string nor bytes; `too_large`;
   * `no_history`: a `key` needs history.
   */
  publish(name: string, payload: Payload, options: PublishOptions = {}): Promise<Published> {
    return quiet(this.#publish(name, options, () => toMessage(payload, options.except)));
  }

  /** @internal The same for a message that is ready. */
  publishMessage(namespace: string, name: string, make: () => Message): Promise<Published> {
    return quiet(this.#publish(name, { namespace }, make));
  }

  /** @internal The topic of a group, for {@link publishText}. */
  topicOf(namespace: string, name: string): string {
    return encodeTopic({ kind: "group", namespace, name });
  }

  /**
   * @internal A text for a group, UTF-8 bytes of `source` from `from` to `to`: {@link publish} without a promise for each. Resolves with
   * all that goes with it; undefined: refused; null: this takes `publish`.
   */
  publishText(topic: string, source: Uint8Array, from: number, to: number): Promise<unknown> | undefined | null {
    // Leavers need a look at each message, and so do long ones.
    if (this.#memberships.isTellingLeave || to - from > TEXT_BYTES_MAX) return null;
    return this.#channel.publishText(topic, source, from, to);
  }

  /** @internal True: what was published is accepted, without a word. */
  get isImmediate(): boolean {
    return this.#channel.isImmediate;
  }

  /** @internal True: everybody may publish to every group. */
  get asksNobody(): boolean {
    return this.#asksNobody;
  }

  /** @internal Throws or rejects with `forbidden`; undefined: it may. */
  mayPublish(connection: Connection, name: string): undefined | Promise<void> {
    return this.#memberships.mayPublish(connection, name);
  }

  /**
   * Connections that are members of a group, in all processes. Answered from an index that this process keeps from its first question on; see
   * `presence`. It shows what joined or left within 1 s, and the members of a process that died at once if its machine lives on, else
   * within 10 s. Questions for pages have the same index.
   *
   * Rejects with `unavailable`: the channel is down; `bad_group`.
   */
  count(name: string, namespace: string = DEFAULTS.namespace): Promise<number> {
    return quiet(this.#cluster.directory.count(namespace, name).then(({ members }) => members));
  }

  /** @internal {@link count}, and whether a part of it is missing. */
  countMembers(name: string, namespace: string): Promise<{ readonly members: number; readonly partial?: true }> {
    return quiet(this.#cluster.directory.count(namespace, name));
  }

  /**
   * The members of a group in all processes, a page at a time. The order has no meaning. Rejects as {@link count}, and with `bad_option`: no
   * such limit, or no cursor of an earlier page.
   */
  members(name: string, options: GroupPageOptions = {}): Promise<MembersPage> {
    return quiet(this.#cluster.directory.members(options.namespace ?? DEFAULTS.namespace, name, options));
  }

  /** The groups of a namespace that have a member in any process, ordered by name (UTF-16), a page at a time. Rejects as {@link members}. */
  names(options: GroupPageOptions = {}): Promise<NamesPage> {
    return quiet(this.#cluster.directory.names(options.namespace ?? DEFAULTS.namespace, options));
  }

  /**
   * The users (`connection.user`) among the members of a group in all processes, ordered by name (UTF-16), a page at a time; members without
   * one are left out. Rejects as {@link members}.
   */
  users(name: string, options: GroupPageOptions = {}): Promise<UsersPage> {
    return quiet(this.#cluster.directory.users(options.namespace ?? DEFAULTS.namespace, name, options));
  }

  /**
   * Closes the members of a group in every process, after everything that was published before; this process needs no member. Reason and
   * code (default 1000) in either order, or as `{ reason, code }`; `except` stay. Resolves when every process has confirmed that its members
   * are gone, after 5 s in any case.
   *
   * Rejects with `unavailable` if the channel is down, and with `closed` if it is stopped; the members in this process are closed then, too.
   *
   * @throws GroupcastError `bad_group`, or `bad_option`: a code that may not be sent; nobody has been closed.
   */
  disconnect(name: string, ...args: DisconnectArguments): Promise<DisconnectReport> {
    return quiet(this.#disconnect(readDisconnect(name, args)));
  }

  /**
   * Has a connection join a group, in whichever process it is, as its own `join` would: `authorize` is asked there. `done`: it is a
   * member, and misses nothing that is published from then on.
   *
   * Rejects as its own `join` would: `forbidden`, `limit`, `closed`, `bad_group`; and with `unavailable`: it has not joined, because the
   * channel is down or its process cannot be reached; `limit`: 10,000 requests to other processes are unanswered.
   */
  addTo(name: string, connectionId: string, { namespace = DEFAULTS.namespace }: InNamespace = {}): Promise<ReachOutcome> {
    return this.#cluster.reach.join(namespace, connectionId, name);
  }

  /**
   * Has a connection leave a group, in whichever process it is. `done`: it is no member, whether it was one or not.
   *
   * Rejects with `bad_group`; and, if it is not in this process, with `unavailable` and `limit` as {@link addTo} does.
   */
  removeFrom(name: string, connectionId: string, { namespace = DEFAULTS.namespace }: InNamespace = {}): Promise<ReachOutcome> {
    return this.#cluster.reach.leave(namespace, connectionId, name);
  }

  /**
   * Makes a connection one of this manager's. Done by the middleware, and by a pool made with `{ groups }`.
   *
   * @throws GroupcastError `bad_option`: it is in groups of another manager.
   */
  adopt(connection: Connection): void {
    this.#memberships.adopt(connection);
  }

  /** @internal The process of that node is dead, and the caller knows: its members are gone at once, in every process. */
  $bury(node: string): void {
    this.#cluster.presence.bury(node);
  }

  /**
   * Closes the members of all groups in this process: for a clean shutdown. Reason and code (default 1000) in either order, or as
   * `{ reason, code }`. Resolves when they are gone: after 5 s at the most.
   *
   * @throws GroupcastError `bad_option`: a code that may not be sent; nobody has been closed.
   */
  closeAll(...args: CloseArguments): Promise<void> {
    const goodbye = readCloseArguments(args, CLOSE.normal);
    const members = new Set(this.#memberships.list().flatMap((group) => [...group]));
    return quiet(Promise.all([...members].map((member) => member.close(goodbye))).then(() => {}));
  }

  /** Leaves the channel for good; connections stay open, and groups stay as they are. Publishing rejects with `closed`. */
  stop(): Promise<void> {
    return quiet(this.#stop());
  }

  protected override listening(event: keyof GroupManagerEvents): void {
    if (event === "occupied" || event === "vacated") this.#cluster.lives.start();
  }

  protected override unheard(error: Error): void {
    this.#logger.error({ err: error }, error.message);
  }

  async #publish(name: string, { namespace = DEFAULTS.namespace, key }: PublishOptions, make: () => Message): Promise<Published> {
    if (key !== undefined) throw new GroupcastError("no_history", "a key needs history, which is off");
    checkName(name);
    checkName(namespace, "namespace");
    const message = make();
    const group = this.#memberships.get(namespace, name);
    return this.#send(encodeTopic({ kind: "group", namespace, name }), group?.$prepare(message) ?? message);
  }

  async #send(topic: string, message: Message): Promise<Published> {
    await this.#channel.publish(topic, message);
    return NOWHERE;
  }

  async #stop(): Promise<void> {
    await this.#cluster.stop();
    await this.#channel.stop();
  }

  async #disconnect(request: CloseRequest): Promise<DisconnectReport> {
    try {
      return await this.#cluster.closing.ask(request);
    } catch (error) {
      if (error instanceof GroupcastError && error.code === "unknown_outcome") return { outcome: "unknown_outcome", closed: 0 };
      throw error;
    }
  }

  #host(options: GroupManagerOptions, clock: Clock): MembershipsHost {
    return {
      clock,
      turn: this.#turn,
      logger: this.#logger,
      groupsPerConnection: options.groupsPerConnection ?? DEFAULTS.groupsPerConnection,
      joinWithinMs: DEFAULTS.joinWithinMs,
      authorize: options.authorize ?? ((): true => true),
      createGroup: (name, namespace, connection) =>
        options.implementation === undefined
          ? new ConnectionGroup(name, namespace)
          : options.implementation.createGroup(name, namespace, connection),
      up: (ms) => this.#channel.upWithin(ms),
      hear: async (group) => {
        const receiver: Receiver = {
          push: (frames) => group.$push(frames),
          pushExcept: (frame, except) => group.$pushExcept(frame, except),
        };
        const hearing = this.#channel.hear(topicOf(group), (record) => {
          deliver(record, receiver, (frame) => this.#cluster.closing.obey(group.namespace, group.name, frame));
        });
        this.#hearings.set(group, hearing);
        await hearing.ready;
      },
      unhear: (group) => {
        this.#hearings.get(group)?.stop();
        this.#hearings.delete(group);
      },
      came: (connection) => this.#cluster.came(connection),
      went: (connection) => this.#cluster.went(connection),
      renamed: (connection, previous) => this.#cluster.renamed(connection, previous),
      joined: (group, connection) => this.#cluster.joined(group, connection),
      left: (group, connection) => this.#cluster.left(group, connection),
      publish: (group, message) => this.#send(topicOf(group), message),
      catchUp: (group) => {
        if (this.#channel.isGathering) this.#channel.flush(topicOf(group));
      },
      closeAll: async ({ namespace, name }, goodbye) => {
        await this.#cluster.closing.ask({ namespace, name, goodbye, except: [] });
      },
      created: (group) => {
        this.#cluster.created(group);
        this.emit("created", group);
      },
      destroyed: (group) => {
        this.#cluster.destroyed(group);
        this.emit("destroyed", group);
      },
      refused: (refused) => void this.emit("refused", Object.freeze(refused)),
      failed: (error) => void this.emit("error", error),
    };
  }

  #poolRoad(clock: Clock): PoolRoad {
    return {
      clock,
      turn: this.#turn,
      directory: this.#cluster.directory,
      broadcast: async (namespace, message) => {
        await this.#channel.publish(encodeTopic({ kind: "namespace", namespace }), message);
      },
      catchUp: (namespace) => {
        if (this.#channel.isGathering) this.#channel.flush(encodeTopic({ kind: "namespace", namespace }));
      },
      hear: (namespace, fanout, find) => {
        const hearing = this.#channel.hear(encodeTopic({ kind: "namespace", namespace }), (record) => deliver(record, fanout, () => {}));
        const forget = this.#cluster.here.add(namespace, find);
        return () => {
          hearing.stop();
          forget();
        };
      },
      send: (namespace, id, data) => this.#cluster.reach.send(namespace, id, data),
      close: (namespace, id, goodbye) => this.#cluster.reach.close(namespace, id, goodbye),
    };
  }
}

/** Longer texts may be more than a channel carries. */
const TEXT_BYTES_MAX = 64 * 1024;

// Without a log nothing has a place.
const NOWHERE: Published = Object.freeze({ position: null });

function topicOf(group: ConnectionGroup): string {
  return encodeTopic({ kind: "group", namespace: group.namespace, name: group.name });
}

function checkDelay(delayMs: number): number {
  if (typeof delayMs === "number" && delayMs >= 0 && delayMs <= BATCH_DELAY_MS_MAX) return delayMs;
  throw new GroupcastError("bad_option", `batchDelayMs is 0 to ${BATCH_DELAY_MS_MAX}, not ${delayMs}`);
}
