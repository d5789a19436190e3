// The questions that are answered for all processes together: how many, who, which groups, and where. Every answer is from the index of
// the others and from what is here, of one moment. Must not know sockets or the wire's commands.
import { GroupcastError } from "../base/errors.ts";
import type { Channel } from "../channel/channel.ts";
import type { ConnectionsPage, MemberEntry, MembersPage, NamesPage, PageOptions, UsersPage } from "../groups/pages.ts";
import type { NodeView } from "../presence/part.ts";
import type { Presence } from "../presence/presence.ts";
import type { Member } from "../presence/roll.ts";
import { checkName } from "../wire/names.ts";

/** Entries of a page, if nothing is said, and at most. */
const LIMIT = 100;
const LIMIT_MAX = 1_000;

/** Which walk a cursor belongs to. */
type Walk = "members" | "names" | "users" | "connections";
type Partial = { readonly partial?: true };
const PARTIAL: Partial = Object.freeze({ partial: true });
const WHOLE: Partial = Object.freeze({});

/** All of it rejects with `unavailable` while the channel is down, `closed` once it is stopped, and `bad_group` or `bad_option` for what is none. */
export class Directory {
  readonly #presence: Presence;
  readonly #channel: Channel;
  readonly #here: NodeView;

  constructor(presence: Presence, channel: Channel, here: NodeView) {
    this.#presence = presence;
    this.#channel = channel;
    this.#here = here;
  }

  /** Members of a group. */
  async count(namespace: string, name: string): Promise<Partial & { readonly members: number }> {
    checkPlace(namespace, name);
    await this.#load();
    return { members: this.#sum((view) => view.count(namespace, name)), ...this.#partial };
  }

  async members(namespace: string, name: string, options: PageOptions): Promise<MembersPage> {
    checkPlace(namespace, name);
    const { entries, cursor } = await this.#nodes("members", options, (view, after) => view.membersAfter(namespace, name, after));
    const members = entries.map(([node, { id, user }]): MemberEntry => ({ id, user, node }));
    return { members, count: this.#sum((view) => view.count(namespace, name)), cursor, ...this.#partial };
  }

  async names(namespace: string, options: PageOptions): Promise<NamesPage> {
    checkName(namespace, "namespace");
    const { entries, cursor } = await this.#texts("names", options, (view, after) => view.groupsAfter(namespace, after));
    return { names: entries.map(([name, members]) => ({ name, members })), cursor, ...this.#partial };
  }

  async users(namespace: string, name: string, options: PageOptions): Promise<UsersPage> {
    checkPlace(namespace, name);
    const { entries, cursor } = await this.#texts("users", options, (view, after) => view.usersAfter(namespace, name, after));
    return { users: entries.map(([user, connections]) => ({ user, connections })), cursor, ...this.#partial };
  }

  async isOnline(namespace: string, id: string): Promise<boolean> {
    checkName(namespace, "namespace");
    checkName(id, "connection id");
    await this.#load();
    return this.#views.some((view) => view.has(namespace, id));
  }

  async isUserOnline(namespace: string, user: string): Promise<boolean> {
    checkName(namespace, "namespace");
    checkName(user, "user");
    await this.#load();
    return this.#views.some((view) => view.countOfUser(namespace, user) > 0);
  }

  async connectionsOf(namespace: string, user: string, options: PageOptions): Promise<ConnectionsPage> {
    checkName(namespace, "namespace");
    checkName(user, "user");
    const { entries, cursor } = await this.#nodes("connections", options, (view, after) => view.ofUserAfter(namespace, user, after));
    const connections = entries.map(([node, { id }]) => ({ id, node }));
    return { connections, count: this.#sum((view) => view.countOfUser(namespace, user)), cursor, ...this.#partial };
  }

  /** Resolves when there is an index, and rejects if what is in it may be old. */
  async #load(): Promise<void> {
    this.#checkUp();
    await this.#presence.load();
    this.#checkUp();
  }

  #checkUp(): void {
    if (!this.#channel.isUp) throw new GroupcastError(this.#channel.isStopped ? "closed" : "unavailable");
  }

  /** All nodes, this one too, ordered by node. */
  get #views(): readonly NodeView[] {
    const { parts } = this.#presence;
    const place = parts.findIndex(({ node }) => node > this.#here.node);
    return place < 0 ? [...parts, this.#here] : [...parts.slice(0, place), this.#here, ...parts.slice(place)];
  }

  get #partial(): Partial {
    return this.#presence.index.isWhole ? WHOLE : PARTIAL;
  }

  #sum(count: (view: NodeView) => number): number {
    return this.#views.reduce((sum, view) => sum + count(view), 0);
  }

  /** A page of connections: node after node, each in the order of its serials. */
  async #nodes(
    walk: Walk,
    options: PageOptions,
    each: (view: NodeView, after: number | undefined) => Iterable<Member>,
  ): Promise<{ entries: readonly (readonly [node: string, Member])[]; cursor: string | null }> {
    const limit = checkLimit(options.limit);
    const [lastNode = "", lastSerial] = readPlace(walk, options.cursor);
    await this.#load();
    const entries: (readonly [string, Member])[] = [];
    for (const view of this.#views) {
      const { node } = view;
      if (node < lastNode) continue;
      for (const member of each(view, node === lastNode ? lastSerial : undefined)) {
        // One more than asked for: there is a next page.
        if (entries.length === limit) return { entries, cursor: toCursor(walk, ...place(entries)) };
        entries.push([node, member]);
      }
    }
    return { entries, cursor: null };
  }

  /** A page of names, each once with the sum of what the nodes have of it. */
  async #texts(
    walk: Walk,
    options: PageOptions,
    each: (view: NodeView, after: string | undefined) => Iterable<readonly [string, number]>,
  ): Promise<{ entries: readonly (readonly [string, number])[]; cursor: string | null }> {
    const limit = checkLimit(options.limit);
    const last = readText(walk, options.cursor);
    await this.#load();
    const entries: (readonly [string, number])[] = [];
    for (const entry of merge(this.#views.map((view) => each(view, last)))) {
      if (entries.length === limit) return { entries, cursor: toCursor(walk, entries.at(-1)?.[0] ?? "") };
      entries.push(entry);
    }
    return { entries, cursor: null };
  }
}

/** Ordered walks as one: what is in several of them once, with the sum of their numbers. */
function* merge(walks: readonly Iterable<readonly [string, number]>[]): Generator<readonly [string, number], void, undefined> {
  let heads = walks.flatMap((walk) => {
    const rest = walk[Symbol.iterator]();
    const first = rest.next();
    return first.done === true ? [] : [{ rest, entry: first.value }];
  });
  while (heads.length > 0) {
    let least = heads[0]?.entry[0] ?? "";
    for (const { entry } of heads) if (entry[0] < least) [least] = entry;
    let sum = 0;
    for (const head of heads) {
      if (head.entry[0] !== least) continue;
      sum += head.entry[1];
      const next = head.rest.next();
      if (next.done === true) heads = heads.filter((one) => one !== head);
      else head.entry = next.value;
    }
    yield [least, sum];
  }
}

function place(entries: readonly (readonly [node: string, Member])[]): readonly [string, number] {
  const [node, member] = entries.at(-1) ?? [];
  return [node ?? "", member?.$serial ?? 0];
}

function checkPlace(namespace: string, name: string): void {
  checkName(name);
  checkName(namespace, "namespace");
}

function checkLimit(limit: number = LIMIT): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new GroupcastError("bad_option", `limit is 1 to ${LIMIT_MAX}, not ${String(limit)}`);
}

function toCursor(walk: Walk, ...parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify([walk, ...parts])).toString("base64url");
}

function readPlace(walk: Walk, cursor: string | null | undefined): readonly [node?: string, serial?: number] {
  if (cursor === undefined || cursor === null) return [];
  const [node, serial] = readCursor(walk, cursor);
  if (typeof node === "string" && Number.isSafeInteger(serial)) return [node, serial as number];
  throw badCursor();
}

function readText(walk: Walk, cursor: string | null | undefined): string | undefined {
  if (cursor === undefined || cursor === null) return undefined;
  const [text] = readCursor(walk, cursor);
  if (typeof text === "string") return text;
  throw badCursor();
}

function readCursor(walk: Walk, cursor: string): readonly unknown[] {
  try {
    const [kind, ...parts] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as unknown[];
    if (kind === walk && toCursor(walk, ...(parts as string[])) === cursor) return parts;
  } catch {
    // no JSON, or no list
  }
  throw badCursor();
}

function badCursor(): GroupcastError {
  return new GroupcastError("bad_option", "not the cursor of a page before this one");
}
