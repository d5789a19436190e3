// This process among the others: its own connections and groups as pages ask every node. Keeps nothing of its own but the order in which
// somebody walks them. Knows groups; must not know other processes.
import type { Connection } from "../groups/connection.ts";
import type { ConnectionGroup } from "../groups/group.ts";
import type { Memberships } from "../groups/memberships.ts";
import { Order, type Source } from "../presence/order.ts";
import type { NodeView } from "../presence/part.ts";
import { type Member, Register, Roll } from "../presence/roll.ts";

const NOTHING: readonly never[] = [];

export class OwnNode implements NodeView {
  readonly node: string;
  readonly #memberships: Memberships;
  readonly #present: ReadonlySet<Connection>;
  // Made when somebody asks, and gone with what they are of.
  readonly #rolls = new Map<ConnectionGroup, Roll<Connection>>();
  readonly #names = new WeakMap<ReadonlyMap<string, ConnectionGroup>, Order<string, string>>();
  #registers: Map<string, Register<Connection>> | undefined;

  /** `present`: the connections of this process. */
  constructor(node: string, memberships: Memberships, present: ReadonlySet<Connection>) {
    this.node = node;
    this.#memberships = memberships;
    this.#present = present;
  }

  count(namespace: string, group: string): number {
    return this.#memberships.get(namespace, group)?.size ?? 0;
  }

  has(namespace: string, id: string): boolean {
    return this.#register(namespace)?.has(id) ?? false;
  }

  membersAfter(namespace: string, group: string, serial: number | undefined): Iterable<Member> {
    return this.#roll(namespace, group)?.after(serial) ?? NOTHING;
  }

  usersAfter(namespace: string, group: string, user: string | undefined): Iterable<readonly [string, number]> {
    return this.#roll(namespace, group)?.usersAfter(user) ?? NOTHING;
  }

  *groupsAfter(namespace: string, name: string | undefined): Generator<readonly [string, number], void, undefined> {
    const groups = this.#memberships.of(namespace);
    if (groups === undefined) return;
    let names = this.#names.get(groups);
    if (names === undefined) this.#names.set(groups, (names = new Order<string, string>(groups, (name) => name)));
    for (const group of names.after(name)) {
      const members = groups.get(group)?.size ?? 0;
      if (members > 0) yield [group, members]; // a group that is about to have its first member is none yet
    }
  }

  countOfUser(namespace: string, user: string): number {
    return this.#register(namespace)?.ofUser(user)?.size ?? 0;
  }

  ofUserAfter(namespace: string, user: string, serial: number | undefined): Iterable<Member> {
    return this.#register(namespace)?.ofUser(user)?.roll.after(serial) ?? NOTHING;
  }

  // What happens, as memberships tell it.

  came(connection: Connection): void {
    if (this.#registers !== undefined) enter(this.#registers, connection);
  }

  went(connection: Connection): void {
    const register = this.#registers?.get(connection.namespace);
    register?.delete(connection);
    if (register?.size === 0) this.#registers?.delete(connection.namespace);
  }

  renamed(connection: Connection, previous: string | null): void {
    if (this.#rolls.size > 0) for (const group of connection.groups.values()) this.#rolls.get(group)?.renamed(connection, previous);
    this.#registers?.get(connection.namespace)?.renamed(connection, previous);
  }

  joined(group: ConnectionGroup, connection: Connection): void {
    if (this.#rolls.size > 0) this.#rolls.get(group)?.added(connection);
  }

  left(group: ConnectionGroup, connection: Connection): void {
    if (this.#rolls.size > 0) this.#rolls.get(group)?.removed(connection);
  }

  created(group: ConnectionGroup): void {
    const groups = this.#memberships.of(group.namespace);
    if (groups !== undefined) this.#names.get(groups)?.added(group.name);
  }

  destroyed(group: ConnectionGroup): void {
    this.#rolls.delete(group);
    const groups = this.#memberships.of(group.namespace);
    if (groups !== undefined) this.#names.get(groups)?.removed();
  }

  #roll(namespace: string, name: string): Roll<Connection> | undefined {
    const group = this.#memberships.get(namespace, name);
    if (group === undefined || group.size === 0) return undefined;
    let roll = this.#rolls.get(group);
    if (roll === undefined) this.#rolls.set(group, (roll = new Roll(sourceOf(group))));
    return roll;
  }

  #register(namespace: string): Register<Connection> | undefined {
    if (this.#registers === undefined) {
      this.#registers = new Map();
      for (const connection of this.#present) enter(this.#registers, connection);
    }
    return this.#registers.get(namespace);
  }
}

function enter(registers: Map<string, Register<Connection>>, connection: Connection): void {
  let register = registers.get(connection.namespace);
  if (register === undefined) registers.set(connection.namespace, (register = new Register()));
  register.add(connection);
}

function sourceOf(group: ConnectionGroup): Source<Connection> {
  return {
    get size() {
      return group.size;
    },
    has: (member) => group.has(member),
    keys: () => group,
  };
}
