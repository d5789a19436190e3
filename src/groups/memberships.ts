// Who is in which group: the only editor of both sides of a membership, and the teller of join, leave, created and destroyed.
// "c in group" and "group in c.groups" are one fact. Must not know channels: hearing a group is a port.
import type { Clock } from "../base/clock.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { isPromiseLike, quiet, within } from "../base/promises.ts";
import { checkName } from "../wire/names.ts";
import type { Connection } from "./connection.ts";
import { ConnectionGroup, type GroupRoad } from "./group.ts";

/** What `authorize` is asked about. */
export type Action = "join" | "publish";

/** The answer to {@link Action}: true allows; false, or the reason as a string, refuses. */
export type Verdict = boolean | string;

/** A refusal, as the manager's `refused` event tells it. */
export interface Refused {
  readonly connection: Connection;
  readonly name: string;
  readonly action: Action;
  readonly reason: string;
}

/** What memberships need from their manager. */
export interface MembershipsHost extends GroupRoad {
  readonly clock: Clock;
  readonly groupsPerConnection: number;
  readonly joinWithinMs: number;
  /** May throw; may be asynchronous. */
  authorize(connection: Connection, name: string, action: Action): Verdict | Promise<Verdict>;
  /** A new group object, or null: refused. May throw. */
  createGroup(name: string, namespace: string, connection: Connection): ConnectionGroup | null;
  /** Undefined: what this process hears, it hears now. Else resolves when it does again; rejects with `unavailable` after `ms`. */
  up(ms: number): Promise<void> | undefined;
  /** Begins to hear a group; resolves when it does. */
  hear(group: ConnectionGroup): Promise<void>;
  /** Ends it. */
  unhear(group: ConnectionGroup): void;
  /** A connection has become one of the manager's. */
  came(connection: Connection): void;
  /** It is one no more: its socket is gone, or another manager has it. Told before it leaves its groups. */
  went(connection: Connection): void;
  /** Its user has changed. */
  renamed(connection: Connection, previous: string | null): void;
  /** It is a member now. */
  joined(group: ConnectionGroup, connection: Connection): void;
  /** It is a member no more. */
  left(group: ConnectionGroup, connection: Connection): void;
  created(group: ConnectionGroup): void;
  destroyed(group: ConnectionGroup): void;
  refused(refused: Refused): void;
  failed(error: Error): void;
}

/** Why a connection was not let in: a code for `join`, and whether it counts as `refused`. */
type No = { readonly code: "forbidden" | "limit" | "closed"; readonly reason: string };

export class Memberships {
  readonly #host: MembershipsHost;
  readonly #namespaces = new Map<string, Map<string, ConnectionGroup>>();
  // Groups whose `created` is being told: they have no member yet, and live until the first one has come or has turned away.
  readonly #newborn = new Set<ConnectionGroup>();
  #size = 0;
  // Leaves that are being told.
  #telling = 0;

  constructor(host: MembershipsHost) {
    this.#host = host;
  }

  get clock(): Clock {
    return this.#host.clock;
  }

  get logger(): Logger {
    return this.#host.logger;
  }

  /** Groups in this process, over all namespaces. */
  get size(): number {
    return this.#size;
  }

  /** True while somebody's `leave` is being told. */
  get isTellingLeave(): boolean {
    return this.#telling > 0;
  }

  get(namespace: string, name: string): ConnectionGroup | undefined {
    return this.#namespaces.get(namespace)?.get(name);
  }

  /** The groups of a namespace by name, also such as have no member yet. A live view. */
  of(namespace: string): ReadonlyMap<string, ConnectionGroup> | undefined {
    return this.#namespaces.get(namespace);
  }

  /** The groups at this moment; a list of its own. */
  list(namespace?: string): ConnectionGroup[] {
    if (namespace !== undefined) return [...(this.#namespaces.get(namespace)?.values() ?? [])];
    return [...this.#namespaces.values()].flatMap((groups) => [...groups.values()]);
  }

  /** See {@link Connection.setGroup}. */
  setPrimary(connection: Connection, name: string | null): boolean {
    const previous = connection.getGroup();
    if (name === null) {
      if (previous !== null) this.#leave(connection, previous);
      return true;
    }
    checkName(name);
    // Inside a `leave` listener the slot is free already, though the leaver is still a member.
    if (previous?.name === name) return !previous.$isLeaving(connection);
    if (!connection.$open) return false;
    const joined = connection.groups.get(name);
    let next = joined;
    if (next === undefined) {
      const verdict = this.#ask(connection, name, "join");
      if (verdict instanceof Promise) throw new GroupcastError("use_join");
      const entry = verdict === true ? this.#mayEnter(connection, name, previous) : verdict;
      if (!(entry instanceof ConnectionGroup)) {
        this.#tellRefused(connection, name, entry);
        return false;
      }
      next = entry;
    }
    if (previous !== null) {
      this.#leave(connection, previous);
      // A listener may have closed it, moved it elsewhere, or left `next`: the later word counts.
      const now = connection.getGroup();
      if (!connection.$open || (now !== null && now !== previous)) return now?.name === name;
      if (joined !== undefined && connection.groups.get(name) !== joined) return false;
    }
    const present = connection.groups.get(name);
    if (present === undefined) return this.#enter(connection, next, true) !== undefined;
    connection.$makePrimary(present);
    return true;
  }

  /** See {@link Connection.join}. */
  join(connection: Connection, name: string): Promise<ConnectionGroup> {
    return quiet(this.#join(connection, name));
  }

  /** See {@link Connection.leave}. */
  leave(connection: Connection, name: string): boolean {
    const group = connection.groups.get(name);
    return group !== undefined && this.#leave(connection, group);
  }

  /** Takes a connection in, unless its socket is gone. */
  adopt(connection: Connection): void {
    connection.$belongTo(this);
    if (!connection.closed) this.#host.came(connection);
  }

  /** Another manager has taken it in; it is in no groups. */
  release(connection: Connection): void {
    this.#host.went(connection);
  }

  /** See {@link Connection.user}. */
  renamed(connection: Connection, previous: string | null): void {
    this.#host.renamed(connection, previous);
  }

  /** Its socket is gone: it leaves everything, each with its events, the longest membership first. */
  leaveAll(connection: Connection): void {
    this.#host.went(connection);
    for (const group of [...connection.groups.values()]) this.#leave(connection, group);
  }

  /** Asks `authorize`: true, or why not. A throw refuses and goes to the manager's `error`. Promises are only returned if it made one. */
  #ask(connection: Connection, name: string, action: Action): true | No | Promise<true | No> {
    try {
      const verdict = this.#host.authorize(connection, name, action);
      if (!isPromiseLike(verdict)) return judge(verdict);
      return quiet(Promise.resolve(verdict).then(judge, (thrown: unknown) => this.#broken(thrown)));
    } catch (thrown) {
      return this.#broken(thrown);
    }
  }

  /** May this connection publish to this group? Resolves or throws `forbidden`; synchronous if `authorize` is. */
  mayPublish(connection: Connection, name: string): undefined | Promise<void> {
    const decide = (verdict: true | No): undefined => {
      if (verdict === true) return undefined;
      this.#host.refused({ connection, name, action: "publish", reason: verdict.reason });
      throw new GroupcastError("forbidden", verdict.reason);
    };
    const verdict = this.#ask(connection, name, "publish");
    return verdict instanceof Promise ? quiet(verdict.then(decide)) : decide(verdict);
  }

  async #join(connection: Connection, name: string): Promise<ConnectionGroup> {
    checkName(name);
    let group = connection.groups.get(name);
    let isNew = false;
    if (group === undefined) {
      if (!connection.$open) throw new GroupcastError("closed", `connection ${connection.id} is closed`);
      const asked = this.#ask(connection, name, "join");
      const verdict = asked instanceof Promise ? await asked : asked;
      // While the answer was awaited it may have joined by another way.
      const entry = connection.groups.get(name) ?? (verdict === true ? this.#mayEnter(connection, name, null) : verdict);
      if (!(entry instanceof ConnectionGroup)) {
        this.#tellRefused(connection, name, entry);
        throw new GroupcastError(entry.code, entry.reason);
      }
      isNew = !connection.groups.has(name);
      group = connection.groups.get(name) ?? this.#enter(connection, entry);
      if (group === undefined) throw new GroupcastError("closed", `connection ${connection.id} was closed while it joined`);
    }
    try {
      // A group that was heard before the channel went down is not heard now.
      const { joinWithinMs } = this.#host;
      const up = this.#host.up(joinWithinMs);
      const heard = group.$isHeard && up === undefined ? undefined : Promise.all([group.ready, up]);
      if (heard !== undefined) await within(this.clock, joinWithinMs, heard, () => new GroupcastError("unavailable"));
    } catch (error) {
      // What setGroup has claimed meanwhile stays: that needs no channel.
      if (isNew && connection.getGroup() !== group) this.#leave(connection, group);
      throw error;
    }
    if (!group.has(connection)) throw new GroupcastError("closed", `connection ${connection.id} left while it joined`);
    return group;
  }

  /** The group to enter, made if there is none yet but not born; or why not. `instead` is the group that it will leave for it. */
  #mayEnter(connection: Connection, name: string, instead: ConnectionGroup | null): ConnectionGroup | No {
    if (!connection.$open) return { code: "closed", reason: `connection ${connection.id} is closed` };
    const most = this.#host.groupsPerConnection;
    if (connection.groups.size - (instead === null ? 0 : 1) >= most) {
      return { code: "limit", reason: `a connection is in at most ${most} groups; raise groupsPerConnection or leave one` };
    }
    return this.get(connection.namespace, name) ?? this.#make(connection, name);
  }

  #make(connection: Connection, name: string): ConnectionGroup | No {
    const { namespace } = connection;
    try {
      const made = this.#host.createGroup(name, namespace, connection);
      if (made === null) return { code: "forbidden", reason: "the manager returned no group" };
      if (made instanceof ConnectionGroup && made.name === name && made.namespace === namespace && made.$isNew) return made;
      throw new GroupcastError("bad_option", `createGroup(${JSON.stringify(name)}, …) must return a new ConnectionGroup of that name`);
    } catch (thrown) {
      return this.#broken(thrown);
    }
  }

  /** Both sides, and the events. Undefined: a listener has closed it, or has taken the primary slot for another group. */
  #enter(connection: Connection, candidate: ConnectionGroup, primary = false): ConnectionGroup | undefined {
    // A listener may have let somebody in meanwhile, or emptied the group: what is there now counts.
    let group = this.get(connection.namespace, candidate.name);
    if (group === undefined) {
      const made = candidate.$isNew ? candidate : this.#make(connection, candidate.name);
      if (!(made instanceof ConnectionGroup)) {
        this.#tellRefused(connection, candidate.name, made);
        return undefined;
      }
      group = made;
      this.#newborn.add(group);
      this.#birth(group);
      this.#newborn.delete(group);
    }
    const present = connection.groups.get(group.name);
    const taken = primary && !this.#isFree(connection);
    if (!connection.$open || present !== undefined || taken) {
      if (group.size === 0) this.#death(group);
      if (primary && !taken && present !== undefined) connection.$makePrimary(present);
      return taken ? undefined : present;
    }
    group.$add(connection);
    connection.$entered(group);
    if (primary) connection.$makePrimary(group);
    this.#host.joined(group, connection);
    group.emit("join", connection);
    return group;
  }

  /** True if no group has the primary slot, or the one that has it is being left. */
  #isFree(connection: Connection): boolean {
    return connection.getGroup()?.$isLeaving(connection) ?? true;
  }

  #leave(connection: Connection, group: ConnectionGroup): boolean {
    // False: it has left already, or this is called from inside a listener of this very leave.
    if (connection.groups.get(group.name) !== group) return false;
    this.#telling++;
    const told = group.$tellLeave(connection);
    this.#telling--;
    if (!told) return false;
    group.$delete(connection);
    connection.$exited(group);
    this.#host.left(group, connection);
    if (group.size === 0 && !this.#newborn.has(group)) this.#death(group);
    return true;
  }

  #birth(group: ConnectionGroup): void {
    let groups = this.#namespaces.get(group.namespace);
    if (groups === undefined) this.#namespaces.set(group.namespace, (groups = new Map()));
    groups.set(group.name, group);
    this.#size++;
    group.$begin(this.#host);
    this.#host.hear(group).then(
      () => group.$heard(),
      (thrown: unknown) => {
        const error = asError(thrown);
        group.$deaf(error);
        // A manager that was stopped hears nothing, and everybody knows.
        if (!(error instanceof GroupcastError && error.code === "closed")) this.#host.failed(error);
      },
    );
    this.#host.created(group);
  }

  #death(group: ConnectionGroup): void {
    if (!group.$alive) return;
    const groups = this.#namespaces.get(group.namespace);
    groups?.delete(group.name);
    if (groups?.size === 0) this.#namespaces.delete(group.namespace);
    this.#size--;
    this.#host.unhear(group);
    group.$end();
    this.#host.destroyed(group);
  }

  #broken(thrown: unknown): No {
    this.#host.failed(asError(thrown));
    return { code: "forbidden", reason: "the manager's check failed" };
  }

  #tellRefused(connection: Connection, name: string, no: No): void {
    if (no.code !== "closed") this.#host.refused({ connection, name, action: "join", reason: no.reason });
  }
}

function judge(verdict: Verdict): true | No {
  if (verdict === true) return true;
  return { code: "forbidden", reason: typeof verdict === "string" ? verdict : "not allowed" };
}
