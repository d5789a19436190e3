// Who is in which group: the only editor of both sides of a membership, and the teller of join, leave, created and destroyed.
// "c in group" and "group in c.groups" are one fact. Must not know channels: hearing a group is a port.
import type { Clock } from "../base/clock.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { quiet, within } from "../base/promises.ts";
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
  /** Begins to hear a group; resolves when it does. */
  hear(group: ConnectionGroup): Promise<void>;
  /** Ends it. */
  unhear(group: ConnectionGroup): void;
  /** The number of members in this process has changed. */
  counted(group: ConnectionGroup): void;
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
  #size = 0;

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

  get(namespace: string, name: string): ConnectionGroup | undefined {
    return this.#namespaces.get(namespace)?.get(name);
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
    if (previous?.name === name) return true;
    if (!connection.open) return false;
    let next = connection.groups.get(name);
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
      // A `leave` listener may have closed it or moved it elsewhere: the later word counts.
      if (!connection.open || connection.getGroup() !== null) return connection.getGroup()?.name === name;
    }
    const entered = connection.groups.get(name) ?? this.#enter(connection, next);
    if (entered === undefined || !connection.groups.has(name)) return false;
    connection.makePrimary(entered);
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

  /** Its socket is gone: it leaves everything, each with its events, the longest membership first. */
  leaveAll(connection: Connection): void {
    for (const group of [...connection.groups.values()]) this.#leave(connection, group);
  }

  /** Asks `authorize`: true, or why not. A throw refuses and goes to the manager's `error`. Promises are only returned if it made one. */
  #ask(connection: Connection, name: string, action: Action): true | No | Promise<true | No> {
    try {
      const verdict = this.#host.authorize(connection, name, action);
      if (!(verdict instanceof Promise)) return judge(verdict);
      return quiet(verdict.then(judge, (thrown: unknown) => this.#broken(thrown)));
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
    const isNew = group === undefined;
    if (group === undefined) {
      if (!connection.open) throw new GroupcastError("closed", `connection ${connection.id} is closed`);
      const asked = this.#ask(connection, name, "join");
      const verdict = asked instanceof Promise ? await asked : asked;
      // While the answer was awaited it may have joined by another way.
      const entry = connection.groups.get(name) ?? (verdict === true ? this.#mayEnter(connection, name, null) : verdict);
      if (!(entry instanceof ConnectionGroup)) {
        this.#tellRefused(connection, name, entry);
        throw new GroupcastError(entry.code, entry.reason);
      }
      group = connection.groups.get(name) ?? this.#enter(connection, entry);
      if (group === undefined) throw new GroupcastError("closed", `connection ${connection.id} was closed while it joined`);
    }
    try {
      await within(this.clock, this.#host.joinWithinMs, group.ready, () => new GroupcastError("unavailable"));
    } catch (error) {
      if (isNew && connection.groups.get(name) === group) this.#leave(connection, group);
      throw error;
    }
    return group;
  }

  /** The group to enter, made if there is none yet but not born; or why not. `instead` is the group that it will leave for it. */
  #mayEnter(connection: Connection, name: string, instead: ConnectionGroup | null): ConnectionGroup | No {
    if (!connection.open) return { code: "closed", reason: `connection ${connection.id} is closed` };
    const most = this.#host.groupsPerConnection;
    if (connection.groups.size - (instead === null ? 0 : 1) >= most) {
      return { code: "limit", reason: `a connection is in at most ${most} groups; raise groupsPerConnection or leave one` };
    }
    const present = this.get(connection.namespace, name);
    if (present !== undefined) return present;
    try {
      const made = this.#host.createGroup(name, connection.namespace, connection);
      return made ?? { code: "forbidden", reason: "the manager returned no group" };
    } catch (thrown) {
      return this.#broken(thrown);
    }
  }

  /** Both sides, and the events. Undefined: a listener of `created` closed the connection. */
  #enter(connection: Connection, candidate: ConnectionGroup): ConnectionGroup | undefined {
    // A listener may have let somebody in meanwhile, or emptied the group: what is there now counts.
    let group = this.get(connection.namespace, candidate.name);
    if (group === undefined) {
      group = candidate;
      this.#birth(group);
    }
    if (!connection.open || connection.groups.has(group.name)) {
      if (group.size === 0) this.#death(group);
      return connection.groups.get(group.name);
    }
    group.add(connection);
    connection.entered(group);
    this.#host.counted(group);
    group.emit("join", connection);
    return group;
  }

  #leave(connection: Connection, group: ConnectionGroup): boolean {
    // False: this is called from inside a listener of this very leave.
    if (!group.tellLeave(connection)) return false;
    group.delete(connection);
    connection.exited(group);
    this.#host.counted(group);
    if (group.size === 0) this.#death(group);
    return true;
  }

  #birth(group: ConnectionGroup): void {
    let groups = this.#namespaces.get(group.namespace);
    if (groups === undefined) this.#namespaces.set(group.namespace, (groups = new Map()));
    groups.set(group.name, group);
    this.#size++;
    group.begin(this.#host);
    this.#host.hear(group).then(
      () => group.heard(),
      (error: unknown) => this.#host.failed(asError(error)),
    );
    this.#host.created(group);
  }

  #death(group: ConnectionGroup): void {
    if (!group.alive) return;
    const groups = this.#namespaces.get(group.namespace);
    groups?.delete(group.name);
    if (groups?.size === 0) this.#namespaces.delete(group.namespace);
    this.#size--;
    this.#host.unhear(group);
    group.end();
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
