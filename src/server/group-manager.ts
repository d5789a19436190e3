// Where groups and the channel are introduced to each other. Knows both; must not know sockets, HTTP or the wire's commands.
import { BATCH_DELAY_MS_MAX } from "../base/batch-delay.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { Emitter } from "../base/emitter.ts";
import { GroupcastError } from "../base/errors.ts";
import { consoleLogger, type Logger } from "../base/logger.ts";
import { quiet } from "../base/promises.ts";
import { type Random, systemRandom } from "../base/random.ts";
import type { Channel, ChannelWatcher, Hearing } from "../channel/channel.ts";
import { encodeTopic } from "../channel/topics.ts";
import { type Connection } from "../groups/connection.ts";
import { ConnectionGroup, type Published } from "../groups/group.ts";
import { type Action, Memberships, type MembershipsHost, type Refused, type Verdict } from "../groups/memberships.ts";
import { type SendOptions, toMessage } from "../groups/message.ts";
import type { MembersPage, NamesPage, PageOptions, UsersPage } from "../groups/pages.ts";
import type { PoolHost, PoolRoad } from "../groups/pool.ts";
import type { ReachOutcome } from "../groups/reach.ts";
import { type GroupLife, Lives } from "../presence/lives.ts";
import { Post } from "../presence/post.ts";
import { Presence } from "../presence/presence.ts";
import { Turn } from "../base/turn.ts";
import { CLOSE, type CloseArguments, readCloseArguments } from "../wire/close-codes.ts";
import type { Payload } from "../wire/frames.ts";
import { checkName } from "../wire/names.ts";
import type { Message } from "../wire/record.ts";
import { channelOf } from "./channel-of.ts";
import { CLOSE_FOR_OTHERS_WITHIN_MS, CloseEverywhere, type CloseRequest } from "./close-everywhere.ts";
import { ConnectionsHere } from "./connections-here.ts";
import { deliver, type Receiver } from "./deliver.ts";
import { Directory } from "./directory.ts";
import { OwnNode } from "./own-node.ts";
import { type DisconnectArguments, type DisconnectReport, readDisconnect } from "./disconnect.ts";
import { Reach } from "./reach.ts";
import { DEFAULTS } from "../base/defaults.ts";

/** What listeners of a {@link GroupManager} are given. All are of this process, but for `occupied`, `vacated`, `degraded` and `restored`. */
export interface GroupManagerEvents {
  /** A group has got its first member in this process; told before that member's `join`. */
  created: [group: ConnectionGroup];
  /** A group has lost its last member in this process; its size is 0. */
  destroyed: [group: ConnectionGroup];
  /**
   * A group has got its first member in any process: told once for each life of a group, to every process that listens to this or to
   * `vacated`, well within a second. With the first such listener the groups that have members already are told, each once. A process
   * that was cut off is told the difference.
   */
  occupied: [life: GroupLife];
  /**
   * A group has had no member in any process for `vacatedAfterMs`: the end of the life that `occupied` has told, told once, also if the
   * last members went with their process.
   */
  vacated: [life: GroupLife];
  /** Somebody was not let in, or not let publish. */
  refused: [refused: Refused];
  /** The channel is down: publishing waits up to 5 s, then rejects with `unavailable`. */
  degraded: [state: { readonly reason: Error }];
  /** The channel is back, and every group is heard again. */
  restored: [state: { readonly downMs: number }];
  /** `authorize`, `implementation` or a listener threw, or the channel brought something unreadable. */
  error: [error: Error];
}

/** Replaces how a group is made. */
export interface GroupImplementation {
  /** A new group (a subclass, say), or null: the connection is refused. */
  createGroup(name: string, namespace: string, connection: Connection): ConnectionGroup | null;
}

export interface GroupManagerOptions {
  /**
   * How processes hear each other; default: `"memory"`, this process alone. A URL (`redis://…`, `rediss://…`, `nats://…`, `tls://…`) is a
   * broker: its client has to be installed. A Channel made by `hubChannel()` and its like belongs to one manager.
   */
  readonly channel?: Channel | string | undefined;
  /** Managers with the same broker and prefix are one cluster; others never hear of them. With a URL only; default `groupcast`. */
  readonly prefix?: string | undefined;
  /**
   * May this connection join (or publish to) this group? True allows; false, or the reason as a string, refuses; a throw refuses
   * and goes to `error`. If it is asynchronous, `setGroup` throws `use_join`.
   */
  readonly authorize?: ((connection: Connection, name: string, action: Action) => Verdict | Promise<Verdict>) | undefined;
  readonly implementation?: GroupImplementation | undefined;
  /**
   * When this process begins to keep an index of all connections in all processes, for `count`, `members` and their like: when it is first
   * `"asked"` (default), or `"always"`, from the start, so that the first answer need not wait. About 0.3 KB for each connection elsewhere.
   */
  readonly presence?: "asked" | "always" | undefined;
  /** The most groups of one connection; default 128. */
  readonly groupsPerConnection?: number | undefined;
  /**
   * While the process is busy with sending, messages may wait so long for others to share a write with, ms; default 5, 0: never, at most
   * 100. 10 take half of the CPU off 300 to 3,000 messages a second to 1,000 members. A process with time to spare sends at once.
   */
  readonly batchDelayMs?: number | undefined;
  /**
   * A group is vacated when it has had no member anywhere for so long, ms; default 2,000, at most an hour. To be the same in all
   * processes: one of them decides for all.
   */
  readonly vacatedAfterMs?: number | undefined;
  /** Where unheard errors go; default: the console. Any pino logger will do. */
  readonly logger?: Logger | undefined;
  /** For tests: time and chance. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** Options of {@link GroupManager.publish}. */
export interface PublishOptions extends SendOptions {
  /** Default `"default"`. */
  readonly namespace?: string | undefined;
  /** Names the message, so that publishing it again within 120 s does not send it twice. Needs history. */
  readonly key?: string | undefined;
}

/** Options of {@link GroupManager.addTo}, {@link GroupManager.removeFrom} and their like. */
export interface InNamespace {
  /** Of the connection and the group; default `"default"`. */
  readonly namespace?: string | undefined;
}

/** Options of the questions that {@link GroupManager} answers by pages. */
export interface GroupPageOptions extends PageOptions, InNamespace {}

/**
 * All groups of this process, and the way to their members in the others.
 *
 * Every publish goes through the channel and comes back to its own process too, so all members of a group, in every process,
 * see one order of messages.
 */
export class GroupManager extends Emitter<GroupManagerEvents> implements PoolHost {
  static readonly EVENT_CREATED = "created";
  static readonly EVENT_DESTROYED = "destroyed";

  /** How other processes call this one: 128 random bits, new with each manager. */
  readonly node: string;
  readonly #memberships: Memberships;
  readonly #channel: Channel;
  readonly #turn: Turn;
  readonly #logger: Logger;
  readonly #post: Post;
  readonly #here = new ConnectionsHere();
  readonly #closing: CloseEverywhere;
  readonly #reach: Reach;
  readonly #lives: Lives;
  readonly #asksNobody: boolean;
  readonly #hearings = new Map<ConnectionGroup, Hearing>();
  readonly #presence: Presence<Connection>;
  readonly #ownNode: OwnNode;
  readonly #directory: Directory;
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
    const random = options.random ?? systemRandom;
    const channel = this.#channel;
    const node = (this.node = random.id());
    const failed = (error: Error): void => void this.emit("error", error);
    const post = (this.#post = new Post({ channel, clock, node, failed }));
    const presence = (this.#presence = new Presence<Connection>({ channel, post, clock, random, failed }));
    this.#closing = new CloseEverywhere({
      channel,
      clock,
      post,
      presence,
      members: {
        has: (namespace, name) => this.get(name, namespace) !== undefined,
        close: (request) => closeMembers(this.get(request.name, request.namespace), request),
      },
    });
    this.#reach = new Reach({ clock, post, presence, find: (namespace, id) => this.#here.find(namespace, id) });
    this.#lives = new Lives({
      channel,
      post,
      presence,
      clock,
      random,
      vacatedAfterMs: checkVacatedAfter(options.vacatedAfterMs ?? DEFAULTS.vacatedAfterMs),
      host: {
        has: (namespace, name) => (this.get(name, namespace)?.size ?? 0) > 0,
        groups: () => this.groups(),
        occupied: (life) => void this.emit("occupied", life),
        vacated: (life) => void this.emit("vacated", life),
        failed,
      },
    });
    this.#memberships = new Memberships(this.#host(options, clock));
    this.#ownNode = new OwnNode(node, this.#memberships, presence.present);
    this.#directory = new Directory(presence, channel, this.#ownNode);
    this.poolRoad = this.#poolRoad(clock);
    let downAt: number | undefined;
    const watcher: ChannelWatcher = {
      up: () => {
        this.#presence.up();
        this.#lives.up();
        if (downAt !== undefined) this.emit("restored", { downMs: clock.now() - downAt });
        downAt = undefined;
      },
      down: (reason) => {
        this.#presence.down();
        this.#lives.down();
        downAt ??= clock.now();
        const isHeard = this.emit("degraded", { reason });
        // An outage passes; what is set up wrong does not, so somebody has to be told.
        if (!isHeard && reason instanceof GroupcastError && !reason.retry) this.emit("error", reason);
      },
      failed,
    };
    channel.start(watcher, this.#turn);
    post.start();
    presence.start();
    if (options.presence === "always") void presence.load();
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
    return quiet(this.#directory.count(namespace, name).then(({ members }) => members));
  }

  /** @internal {@link count}, and whether a part of it is missing. */
  countMembers(name: string, namespace: string): Promise<{ readonly members: number; readonly partial?: true }> {
    return quiet(this.#directory.count(namespace, name));
  }

  /**
   * The members of a group in all processes, a page at a time. The order has no meaning. Rejects as {@link count}, and with `bad_option`: no
   * such limit, or no cursor of an earlier page.
   */
  members(name: string, options: GroupPageOptions = {}): Promise<MembersPage> {
    return quiet(this.#directory.members(options.namespace ?? DEFAULTS.namespace, name, options));
  }

  /** The groups of a namespace that have a member in any process, ordered by name (UTF-16), a page at a time. Rejects as {@link members}. */
  names(options: GroupPageOptions = {}): Promise<NamesPage> {
    return quiet(this.#directory.names(options.namespace ?? DEFAULTS.namespace, options));
  }

  /**
   * The users (`connection.user`) among the members of a group in all processes, ordered by name (UTF-16), a page at a time; members without
   * one are left out. Rejects as {@link members}.
   */
  users(name: string, options: GroupPageOptions = {}): Promise<UsersPage> {
    return quiet(this.#directory.users(options.namespace ?? DEFAULTS.namespace, name, options));
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
    return this.#reach.join(namespace, connectionId, name);
  }

  /**
   * Has a connection leave a group, in whichever process it is. `done`: it is no member, whether it was one or not.
   *
   * Rejects with `bad_group`; and, if it is not in this process, with `unavailable` and `limit` as {@link addTo} does.
   */
  removeFrom(name: string, connectionId: string, { namespace = DEFAULTS.namespace }: InNamespace = {}): Promise<ReachOutcome> {
    return this.#reach.leave(namespace, connectionId, name);
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
    this.#presence.bury(node);
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
    if (event === "occupied" || event === "vacated") this.#lives.start();
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
    await Promise.all([this.#lives.stop(), this.#presence.stop()]);
    this.#post.stop();
    await this.#channel.stop();
  }

  async #disconnect(request: CloseRequest): Promise<DisconnectReport> {
    try {
      return await this.#closing.ask(request);
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
          deliver(record, receiver, (frame) => this.#closing.obey(group.namespace, group.name, frame));
        });
        this.#hearings.set(group, hearing);
        await hearing.ready;
      },
      unhear: (group) => {
        this.#hearings.get(group)?.stop();
        this.#hearings.delete(group);
      },
      came: (connection) => {
        this.#presence.came(connection);
        this.#ownNode.came(connection);
      },
      went: (connection) => {
        this.#presence.went(connection);
        this.#ownNode.went(connection);
      },
      renamed: (connection, previous) => {
        this.#presence.renamed(connection);
        this.#ownNode.renamed(connection, previous);
      },
      joined: (group, connection) => {
        this.#presence.joined(connection, group.name);
        this.#ownNode.joined(group, connection);
      },
      left: (group, connection) => {
        this.#presence.left(connection, group.name);
        this.#ownNode.left(group, connection);
      },
      publish: (group, message) => this.#send(topicOf(group), message),
      catchUp: (group) => {
        if (this.#channel.isGathering) this.#channel.flush(topicOf(group));
      },
      closeAll: async ({ namespace, name }, goodbye) => {
        await this.#closing.ask({ namespace, name, goodbye, except: [] });
      },
      created: (group) => {
        this.#ownNode.created(group);
        this.#lives.changed(group.namespace, group.name);
        this.emit("created", group);
      },
      destroyed: (group) => {
        this.#ownNode.destroyed(group);
        this.#lives.changed(group.namespace, group.name);
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
      directory: this.#directory,
      broadcast: async (namespace, message) => {
        await this.#channel.publish(encodeTopic({ kind: "namespace", namespace }), message);
      },
      catchUp: (namespace) => {
        if (this.#channel.isGathering) this.#channel.flush(encodeTopic({ kind: "namespace", namespace }));
      },
      hear: (namespace, fanout, find) => {
        const hearing = this.#channel.hear(encodeTopic({ kind: "namespace", namespace }), (record) => deliver(record, fanout, () => {}));
        const forget = this.#here.add(namespace, find);
        return () => {
          hearing.stop();
          forget();
        };
      },
      send: (namespace, id, data) => this.#reach.send(namespace, id, data),
      close: (namespace, id, goodbye) => this.#reach.close(namespace, id, goodbye),
    };
  }
}

/** Longer texts may be more than a channel carries. */
const TEXT_BYTES_MAX = 64 * 1024;

/** An hour. */
const VACATED_AFTER_MS_MAX = 3_600_000;

// Without a log nothing has a place.
const NOWHERE: Published = Object.freeze({ position: null });

function topicOf(group: ConnectionGroup): string {
  return encodeTopic({ kind: "group", namespace: group.namespace, name: group.name });
}

function checkDelay(delayMs: number): number {
  if (typeof delayMs === "number" && delayMs >= 0 && delayMs <= BATCH_DELAY_MS_MAX) return delayMs;
  throw new GroupcastError("bad_option", `batchDelayMs is 0 to ${BATCH_DELAY_MS_MAX}, not ${delayMs}`);
}

function checkVacatedAfter(ms: number): number {
  if (typeof ms === "number" && ms >= 0 && ms <= VACATED_AFTER_MS_MAX) return ms;
  throw new GroupcastError("bad_option", `vacatedAfterMs is 0 to ${VACATED_AFTER_MS_MAX}, not ${ms}`);
}

// Not from within the channel: what other groups have gathered for the members comes before the close frame, and could not come back now.
async function closeMembers(group: ConnectionGroup | undefined, { goodbye, except }: CloseRequest): Promise<number> {
  const stay = new Set(except);
  const members = [...(group ?? [])].filter(({ id }) => !stay.has(id));
  await Promise.resolve();
  await Promise.all(members.map((member) => member.$closeWithin(goodbye, CLOSE_FOR_OTHERS_WITHIN_MS)));
  return members.length;
}
