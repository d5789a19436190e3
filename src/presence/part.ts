// All that is known of one other node: its connections and their groups, kept up by the rows that it sends. Must not know how they come.
import { Order } from "./order.ts";
import { Crowd, type Member, Register } from "./roll.ts";
import { type ChangedRow, type HereRow, isHere, type Row } from "./rows.ts";

/** One node, as pages and counts ask it: another one, or this one. */
export interface NodeView {
  readonly node: string;
  /** Members of a group. */
  count(namespace: string, group: string): number;
  /** True for a connection that is open there. */
  has(namespace: string, id: string): boolean;
  /** Members of a group with a serial above this, in order. */
  membersAfter(namespace: string, group: string, serial: number | undefined): Iterable<Member>;
  /** Users of a group above this one, in order, each with its connections in the group. */
  usersAfter(namespace: string, group: string, user: string | undefined): Iterable<readonly [user: string, connections: number]>;
  /** Groups of a namespace with a name above this one, in order, each with its members. */
  groupsAfter(namespace: string, name: string | undefined): Iterable<readonly [name: string, members: number]>;
  /** How many connections a user has. */
  countOfUser(namespace: string, user: string): number;
  /** Connections of a user with a serial above this, in order. */
  ofUserAfter(namespace: string, user: string, serial: number | undefined): Iterable<Member>;
}

/** Whoever is told of groups that have got their first member on a node (`had`: false), or lost their last. */
export type Turnover = (namespace: string, group: string, had: boolean) => void;

const NOTHING: readonly never[] = [];
const NO_GROUPS: readonly RemoteGroup[] = [];

export class Part implements NodeView {
  readonly node: string;
  readonly #connections = new Map<number, Remote>();
  readonly #spaces = new Map<string, Space>();

  constructor(node: string) {
    this.node = node;
  }

  /** Connections. */
  get size(): number {
    return this.#connections.size;
  }

  count(namespace: string, group: string): number {
    return this.#crowd(namespace, group)?.size ?? 0;
  }

  has(namespace: string, id: string): boolean {
    return this.#spaces.get(namespace)?.register.has(id) ?? false;
  }

  membersAfter(namespace: string, group: string, serial: number | undefined): Iterable<Member> {
    return this.#crowd(namespace, group)?.roll.after(serial) ?? NOTHING;
  }

  usersAfter(namespace: string, group: string, user: string | undefined): Iterable<readonly [string, number]> {
    return this.#crowd(namespace, group)?.roll.usersAfter(user) ?? NOTHING;
  }

  *groupsAfter(namespace: string, name: string | undefined): Generator<readonly [string, number], void, undefined> {
    const space = this.#spaces.get(namespace);
    if (space === undefined) return;
    for (const group of space.names.after(name)) yield [group, space.groups.get(group)?.size ?? 0];
  }

  countOfUser(namespace: string, user: string): number {
    return this.#spaces.get(namespace)?.register.ofUser(user)?.size ?? 0;
  }

  ofUserAfter(namespace: string, user: string, serial: number | undefined): Iterable<Member> {
    return this.#spaces.get(namespace)?.register.ofUser(user)?.roll.after(serial) ?? NOTHING;
  }

  /** Every group with a member. */
  *occupied(): Generator<{ readonly namespace: string; readonly name: string }, void, undefined> {
    for (const [namespace, { groups }] of this.#spaces) for (const name of groups.keys()) yield { namespace, name };
  }

  /**
   * Takes in rows in their order; those above the serial `upTo` are left out. False: they do not fit to what is known, so something was
   * missed; part of them is taken in then.
   */
  apply(rows: readonly Row[], upTo: number, turnover: Turnover): boolean {
    for (const row of rows) {
      const serial = typeof row === "number" ? row : row[0];
      if (serial <= upTo && !this.#apply(row, this.#connections.get(serial), turnover)) return false;
    }
    return true;
  }

  #apply(row: Row, remote: Remote | undefined, turnover: Turnover): boolean {
    if (typeof row !== "number" && isHere(row)) return remote === undefined && this.#came(row, turnover);
    if (remote === undefined) return false;
    if (typeof row !== "number") return this.#changed(remote, row, turnover);
    this.#went(remote, turnover);
    return true;
  }

  #came([serial, namespace, id, user, groups]: HereRow, turnover: Turnover): boolean {
    let space = this.#spaces.get(namespace);
    if (space === undefined) this.#spaces.set(namespace, (space = new Space(namespace)));
    const remote = new Remote(serial, id, user, space);
    space.size++;
    space.register.add(remote);
    this.#connections.set(serial, remote);
    return remote.join(groups, turnover);
  }

  #changed(remote: Remote, [, joined, left, user]: ChangedRow, turnover: Turnover): boolean {
    if (user !== undefined) remote.rename(user);
    return remote.leave(left, turnover) && remote.join(joined, turnover);
  }

  #went(remote: Remote, turnover: Turnover): void {
    const { space } = remote;
    remote.leaveAll(turnover);
    space.register.delete(remote);
    this.#connections.delete(remote.$serial);
    if (--space.size === 0) this.#spaces.delete(space.namespace);
  }

  #crowd(namespace: string, group: string): Crowd<Remote> | undefined {
    return this.#spaces.get(namespace)?.groups.get(group);
  }
}

/** What a node has of a namespace. */
class Space {
  readonly namespace: string;
  readonly register = new Register<Remote>();
  readonly groups = new Map<string, RemoteGroup>();
  readonly names = new Order<string, string>(this.groups, (name) => name);
  /** Connections. */
  size = 0;

  constructor(namespace: string) {
    this.namespace = namespace;
  }
}

/** The members of a group on a node. */
class RemoteGroup extends Crowd<Remote> {
  readonly name: string;

  constructor(name: string) {
    super();
    this.name = name;
  }
}

/** A connection on another node. */
class Remote implements Member {
  readonly $serial: number;
  readonly id: string;
  readonly space: Space;
  user: string | null;
  #groups = NO_GROUPS;

  constructor(serial: number, id: string, user: string | null, space: Space) {
    this.$serial = serial;
    this.id = id;
    this.user = user;
    this.space = space;
  }

  /** False: it is in one of them already. */
  join(names: readonly string[], turnover: Turnover): boolean {
    const joined = names.map((name) => this.#enter(name, turnover));
    if (joined.includes(undefined)) return false;
    this.#groups = this.#groups.concat(joined as RemoteGroup[]); // not a spread: that leaves room for 16 more
    return true;
  }

  /** False: it is not in one of them. */
  leave(names: readonly string[], turnover: Turnover): boolean {
    if (names.length === 0) return true;
    const left = new Set(names.map((name) => this.space.groups.get(name)));
    this.#groups = this.#groups.filter((group) => !left.has(group));
    return [...left].every((group) => group !== undefined && this.#exit(group, turnover));
  }

  leaveAll(turnover: Turnover): void {
    for (const group of this.#groups) this.#exit(group, turnover);
  }

  rename(user: string | null): void {
    const previous = this.user;
    if (user === previous) return;
    this.user = user;
    for (const group of this.#groups) group.renamed(this, previous);
    this.space.register.renamed(this, previous);
  }

  /** Undefined: it is in it already. */
  #enter(name: string, turnover: Turnover): RemoteGroup | undefined {
    const { namespace, groups, names } = this.space;
    let group = groups.get(name);
    if (group === undefined) {
      groups.set(name, (group = new RemoteGroup(name)));
      names.added(name);
      turnover(namespace, name, false);
    }
    return group.add(this) ? group : undefined;
  }

  #exit(group: RemoteGroup, turnover: Turnover): boolean {
    if (!group.delete(this)) return false;
    if (group.size > 0) return true;
    const { namespace, groups, names } = this.space;
    groups.delete(group.name);
    names.removed();
    turnover(namespace, group.name, true);
    return true;
  }
}
