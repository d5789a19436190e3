// The connections of one node that have something in common (a group, a user, a namespace), in the order in which pages show them.
// Must not know where they come from.
import { Order, type Source } from "./order.ts";

/** A connection as presence knows it. */
export interface Member {
  /** @internal Its number among all that its node ever had; 0: none yet. */
  readonly $serial: number;
  readonly id: string;
  readonly user: string | null;
}

/** How a set of connections is walked; what comes and goes in the set is told. It costs nothing until somebody walks it. */
export class Roll<T extends Member> {
  readonly #members: Source<T>;
  #order: Order<T, number> | undefined;
  #users: Users | undefined;

  constructor(members: Source<T>) {
    this.#members = members;
  }

  added(member: T): void {
    this.#order?.added(member);
    this.#users?.add(member.user);
  }

  removed(member: T): void {
    this.#order?.removed();
    this.#users?.delete(member.user);
  }

  renamed(member: T, previous: string | null): void {
    this.#users?.delete(previous);
    this.#users?.add(member.user);
  }

  /** Those with a serial above `serial`, in order; undefined: all. */
  after(serial: number | undefined): Iterable<T> {
    this.#order ??= new Order(this.#members, (member) => member.$serial);
    return this.#order.after(serial);
  }

  /** Their users above `user`, in order, each with its number of connections among them; undefined: all. */
  usersAfter(user: string | undefined): Iterable<readonly [user: string, connections: number]> {
    if (this.#users === undefined) {
      this.#users = new Users();
      for (const member of this.#members.keys()) this.#users.add(member.user);
    }
    return this.#users.after(user);
  }
}

class Users {
  readonly #connections = new Map<string, number>();
  readonly #order = new Order<string, string>(this.#connections, (user) => user);

  add(user: string | null): void {
    if (user === null) return;
    const before = this.#connections.get(user) ?? 0;
    this.#connections.set(user, before + 1);
    if (before === 0) this.#order.added(user);
  }

  delete(user: string | null): void {
    if (user === null) return;
    const left = (this.#connections.get(user) ?? 0) - 1;
    if (left > 0) this.#connections.set(user, left);
    else if (this.#connections.delete(user)) this.#order.removed();
  }

  *after(user: string | undefined): Generator<readonly [string, number], void, undefined> {
    for (const name of this.#order.after(user)) yield [name, this.#connections.get(name) ?? 0];
  }
}

/** A set of connections with its roll, if one has been asked for. */
export class Crowd<T extends Member> {
  readonly #members = new Set<T>();
  #roll: Roll<T> | undefined;

  get size(): number {
    return this.#members.size;
  }

  get members(): ReadonlySet<T> {
    return this.#members;
  }

  get roll(): Roll<T> {
    this.#roll ??= new Roll(this.#members);
    return this.#roll;
  }

  /** False: it is in it already. */
  add(member: T): boolean {
    const before = this.#members.size;
    if (this.#members.add(member).size === before) return false;
    this.#roll?.added(member);
    return true;
  }

  /** False: it is not in it. */
  delete(member: T): boolean {
    if (!this.#members.delete(member)) return false;
    this.#roll?.removed(member);
    return true;
  }

  /** One of them had another user before. */
  renamed(member: T, previous: string | null): void {
    this.#roll?.renamed(member, previous);
  }
}

/** The connections of one namespace of one node, by id and by user. */
export class Register<T extends Member> {
  readonly #ids = new Map<string, T>();
  // Made when somebody asks for a user.
  #users: Map<string, Crowd<T>> | undefined;

  get size(): number {
    return this.#ids.size;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** The connections of a user. */
  ofUser(user: string): Crowd<T> | undefined {
    if (this.#users === undefined) {
      this.#users = new Map();
      for (const member of this.#ids.values()) this.#enter(this.#users, member);
    }
    return this.#users.get(user);
  }

  /** Of two with one id, the later one counts. */
  add(member: T): void {
    const old = this.#ids.get(member.id);
    if (old !== undefined) this.#exit(old, old.user);
    this.#ids.set(member.id, member);
    if (this.#users !== undefined) this.#enter(this.#users, member);
  }

  delete(member: T): void {
    if (this.#ids.get(member.id) !== member) return;
    this.#ids.delete(member.id);
    this.#exit(member, member.user);
  }

  renamed(member: T, previous: string | null): void {
    if (this.#users === undefined || this.#ids.get(member.id) !== member) return;
    this.#exit(member, previous);
    this.#enter(this.#users, member);
  }

  #enter(users: Map<string, Crowd<T>>, member: T): void {
    if (member.user === null) return;
    let crowd = users.get(member.user);
    if (crowd === undefined) users.set(member.user, (crowd = new Crowd()));
    crowd.add(member);
  }

  #exit(member: T, user: string | null): void {
    const crowd = user === null ? undefined : this.#users?.get(user);
    if (user === null || crowd === undefined) return;
    crowd.delete(member);
    if (crowd.size === 0) this.#users?.delete(user);
  }
}
