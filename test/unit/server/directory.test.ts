import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { Connection, ConnectionsPool, GroupManager, type Page } from "../../../src/index.ts";
import { FakeSocket } from "../../../src/testing/index.ts";
import { type Node, World } from "../presence/world.ts";

async function started(...names: string[]): Promise<{ world: World; nodes: Node[] }> {
  const world = new World({ delayMs: 2 });
  const nodes = names.map((name) => world.node(name, { presence: "always" }));
  await world.pass(500);
  return { world, nodes };
}

function one<T>(all: readonly T[], index: number): T {
  const item = all[index % all.length];
  if (item === undefined) throw new Error("nobody");
  return item;
}

const page = (cursor: string | null = null, rest: object = {}): Page => ({ cursor, ...rest });

describe("a page", () => {
  it("shows members with their users and processes, groups with their members, users with their connections", async () => {
    const { world, nodes } = await started("a", "b");
    const [a, b] = [one(nodes, 0), one(nodes, 1)];
    a.connect("x").user = "ann";
    b.connect("x", "y").user = "bob";
    b.connect("x").user = "ann";
    b.connect("x");
    await world.pass(200);
    for (const { groups, pool } of nodes) {
      expect(await groups.members("x")).toEqual({
        members: [
          { id: "a-1", user: "ann", node: "a" },
          { id: "b-1", user: "bob", node: "b" },
          { id: "b-2", user: "ann", node: "b" },
          { id: "b-3", user: null, node: "b" },
        ],
        count: 4,
        ...page(),
      });
      expect(await groups.names()).toEqual({ names: [{ name: "x", members: 4 }, { name: "y", members: 1 }], ...page() }); // prettier-ignore
      expect(await groups.users("x")).toEqual({ users: [{ user: "ann", connections: 2 }, { user: "bob", connections: 1 }], ...page() }); // prettier-ignore
      expect(await pool.connectionsOf("default", "ann")).toEqual({ connections: [{ id: "a-1", node: "a" }, { id: "b-2", node: "b" }], count: 2, ...page() }); // prettier-ignore
      expect(await groups.members("never")).toEqual({ members: [], count: 0, ...page() });
      expect(await groups.names({ namespace: "other" })).toEqual({ names: [], ...page() });
    }
    expect([a.groups.node, b.groups.node]).toEqual(["a", "b"]);
  });

  it("holds 100 entries, or as many as it is asked for, and says where the next one begins, which any process knows", async () => {
    const { world, nodes } = await started("a", "b");
    for (let index = 0; index < 130; index++) one(nodes, index).connect("x", `g${index}`).user = `u${index}`;
    await world.pass(300);
    const [a, b] = [one(nodes, 0), one(nodes, 1)];
    const first = await a.groups.members("x");
    expect([first.members.length, first.count]).toEqual([100, 130]);
    const second = await b.groups.members("x", { cursor: first.cursor });
    expect([second.members.length, second.count, second.cursor]).toEqual([30, 130, null]);
    expect(new Set([...first.members, ...second.members].map(({ id }) => id)).size).toBe(130);
    const names = await a.groups.names({ limit: 131 });
    expect([names.names.length, names.cursor]).toEqual([131, null]); // x besides
    expect((await b.groups.users("x", { limit: 130 })).cursor).toBeNull();
    const exact = await a.groups.members("x", { limit: 1 });
    expect(exact.members).toHaveLength(1);
    expect((await a.groups.names({ limit: 1_000, cursor: (await b.groups.names({ limit: 100 })).cursor })).names).toHaveLength(31);
  });

  it("is refused with bad_option for a limit or a cursor that is none, and with bad_group for no name", async () => {
    const { nodes } = await started("a");
    const { groups, pool } = one(nodes, 0);
    one(nodes, 0).connect("x");
    one(nodes, 0).connect("x");
    const { cursor } = await groups.members("x", { limit: 1 });
    const text = Buffer.from('["members","a",1]').toString("base64url");
    expect(cursor).toBe(text);
    const bad = [
      groups.members("x", { limit: 0 }),
      groups.members("x", { limit: 1_001 }),
      groups.members("x", { limit: 1.5 }),
      groups.members("x", { limit: "10" as unknown as number }),
      groups.members("x", { cursor: "" }),
      groups.members("x", { cursor: "nonsense" }),
      groups.members("x", { cursor: `${text}=` }),
      groups.members("x", { cursor: 7 as unknown as string }),
      groups.members("x", { cursor: Buffer.from('["members","a","1"]').toString("base64url") }),
      groups.members("x", { cursor: Buffer.from('["members","a"]').toString("base64url") }),
      groups.names({ cursor }),
      groups.users("x", { cursor }),
      pool.connectionsOf("default", "ann", { cursor }),
      pool.isOnline("default", ""),
      pool.isUserOnline("default", "\0"),
    ];
    for (const refused of bad) await expect(refused).rejects.toMatchObject({ code: "bad_option" });
    const unnamed = [groups.members(""), groups.users(""), groups.names({ namespace: "" }), pool.isOnline("", "a"), groups.count("")];
    for (const refused of unnamed) await expect(refused).rejects.toMatchObject({ code: "bad_group" });
  });

  it("after page shows everybody who is there throughout exactly once, whatever happens meanwhile, whomever one asks", async () => {
    const change = fc.record({ node: fc.nat(2), what: fc.constantFrom("come", "go", "join", "leave", "name"), who: fc.nat(1_000) });
    const step = fc.record({ limit: fc.integer({ min: 1, max: 7 }), ask: fc.nat(2), changes: fc.array(change, { maxLength: 8 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2), { maxLength: 30 }), fc.array(step, { minLength: 1, maxLength: 12 }), async (first, steps) => {
        const { world, nodes } = await started("m", "a", "z");
        for (const [index, node] of first.entries()) {
          const connection = one(nodes, node).connect("x", `g${index % 9}`);
          connection.user = `u${index % 5}`;
        }
        await world.pass(200);
        const walks = {
          members: new Walk(async (groups, options) => {
            const { members, cursor } = await groups.members("x", options);
            return { keys: members.map(({ id }) => id), cursor };
          }),
          names: new Walk(async (groups, options) => {
            const { names, cursor } = await groups.names(options);
            return { keys: names.map(({ name }) => name), cursor };
          }),
          users: new Walk(async (groups, options) => {
            const { users, cursor } = await groups.users("x", options);
            return { keys: users.map(({ user }) => user), cursor };
          }),
        };
        const present = () => ({
          members: nodes.flatMap(({ groups }) => [...(groups.get("x") ?? [])].map(({ id }) => id)),
          names: nodes.flatMap(({ groups }) => [...groups.groups()].map(({ name }) => name)),
          users: nodes.flatMap(({ groups }) => [...(groups.get("x") ?? [])].flatMap(({ user }) => user ?? [])),
        });
        for (const walk of Object.values(walks)) walk.begin();
        for (let round = 0; Object.values(walks).some(({ isOver }) => !isOver); round++) {
          const { limit, ask, changes } = one(steps, round);
          for (const name of ["members", "names", "users"] as const) {
            await walks[name].go(one(nodes, ask).groups, limit, present()[name]);
          }
          // A walk comes to its end once nothing comes any more.
          if (round < 40) for (const { node, what, who } of changes) act(one(nodes, node), what, who);
          await world.pass(200);
          for (const name of ["members", "names", "users"] as const) walks[name].stay(present()[name]);
        }
        for (const walk of Object.values(walks)) walk.check();
      }),
      { numRuns: 40 },
    );
  }, 120_000);
});

function act(node: Node, what: string, who: number): void {
  const connections = node.pool.connections();
  if (what === "come") node.connect("x", `g${who % 9}`).user = `u${who % 5}`;
  if (connections.length === 0) return;
  const connection = one(connections, who);
  if (what === "go") node.disconnect(connection);
  if (what === "join") void connection.join(who % 2 === 0 ? "x" : `g${who % 9}`);
  if (what === "leave") connection.leave(who % 2 === 0 ? "x" : `g${who % 9}`);
  if (what === "name") connection.user = who % 3 === 0 ? null : `u${who % 5}`;
}

type Ask = (groups: GroupManager, options: { limit: number; cursor: string | null }) => Promise<{ keys: string[]; cursor: string | null }>;

/** A walk, and who was there from its first page to its last. */
class Walk {
  readonly #ask: Ask;
  readonly #seen: string[] = [];
  #throughout: Set<string> | undefined;
  #cursor: string | null = null;
  isOver = false;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  begin(): void {
    this.#cursor = null;
  }

  async go(groups: GroupManager, limit: number, present: readonly string[]): Promise<void> {
    if (this.isOver) return;
    this.stay(present);
    const { keys, cursor } = await this.#ask(groups, { limit, cursor: this.#cursor });
    expect(keys.length).toBeLessThanOrEqual(limit);
    this.#seen.push(...keys);
    this.#cursor = cursor;
    this.isOver = cursor === null;
  }

  stay(present: readonly string[]): void {
    if (this.isOver) return;
    this.#throughout = new Set(this.#throughout === undefined ? present : present.filter((key) => this.#throughout?.has(key)));
  }

  check(): void {
    expect(this.#seen).toEqual([...new Set(this.#seen)]);
    for (const key of this.#throughout ?? []) expect(this.#seen).toContain(key);
  }
}

describe("who is online", () => {
  it("is known by id and by user, in every process, as they come, go and are named", async () => {
    const { world, nodes } = await started("a", "b");
    const [a, b] = [one(nodes, 0), one(nodes, 1)];
    const connection = b.connect();
    const check = async (id: boolean, ann: boolean, bob: boolean): Promise<void> => {
      await world.pass(100);
      for (const { pool } of nodes) {
        expect([
          await pool.isOnline("default", "b-1"),
          await pool.isUserOnline("default", "ann"),
          await pool.isUserOnline("default", "bob"),
          await pool.isOnline("other", "b-1"),
        ]).toEqual([id, ann, bob, false]);
      }
    };
    await check(true, false, false);
    connection.user = "ann";
    await check(true, true, false);
    const second = a.connect();
    second.user = "ann";
    connection.user = "bob";
    await check(true, true, true);
    a.disconnect(second);
    await check(true, false, true);
    connection.user = null;
    await check(true, false, false);
    b.disconnect(connection);
    await check(false, false, false);
  });

  it("is nobody whose socket was gone before he was adopted, and nobody whom another manager has taken", async () => {
    const { world, nodes } = await started("a", "b");
    const [a, b] = [one(nodes, 0), one(nodes, 1)];
    const socket = new FakeSocket();
    const late = new Connection("late", "default", socket);
    socket.hangUp();
    a.groups.adopt(late);
    const moved = new Connection("moved", "default", new FakeSocket());
    a.groups.adopt(moved); // without a pool
    a.groups.adopt(moved);
    await world.pass(100);
    for (const { pool } of nodes) {
      expect([await pool.isOnline("default", "late"), await pool.isOnline("default", "moved")]).toEqual([false, true]);
    }
    const elsewhere = new GroupManager();
    elsewhere.adopt(moved);
    await world.pass(100);
    for (const { pool } of nodes) expect(await pool.isOnline("default", "moved")).toBe(false);
    expect(await new ConnectionsPool({ groups: elsewhere }).isOnline("default", "moved")).toBe(true);
    void b;
  });

  it("is who has taken the place of another with the same id", async () => {
    const world = new World();
    const a = world.node("a", { presence: "always" });
    const b = world.node("b", { presence: "always" });
    await world.pass(200);
    const pool = new ConnectionsPool({ groups: a.groups, duplicates: "replace" });
    const sockets = [new FakeSocket(), new FakeSocket()];
    const connections = sockets.map((socket) => {
      const connection = new Connection("same", "default", socket);
      connection.user = "ann";
      pool.newConnection(connection);
      return connection;
    });
    await world.pass(200);
    for (const asker of [pool, b.pool]) {
      expect(await asker.isOnline("default", "same")).toBe(true);
      expect(await asker.connectionsOf("default", "ann")).toMatchObject({ connections: [{ id: "same", node: "a" }], count: 1 });
    }
    expect(connections.map(({ closed }) => closed)).toEqual([true, false]);
    sockets[1]?.hangUp();
    await world.pass(200);
    for (const asker of [pool, b.pool]) expect(await asker.isOnline("default", "same")).toBe(false);
  });

  it("is not for a pool without a manager to say", async () => {
    const pool = new ConnectionsPool();
    for (const answer of [pool.isOnline("default", "a"), pool.isUserOnline("default", "a"), pool.connectionsOf("default", "a")]) {
      await expect(answer).rejects.toMatchObject({ code: "no_manager" });
    }
  });
});

describe("a user", () => {
  it("is null until somebody says who it is, and a name like others", () => {
    const connection = new Connection("a", "default", new FakeSocket());
    expect(connection.user).toBeNull();
    connection.user = "Zoë 😀";
    expect(connection.user).toBe("Zoë 😀");
    for (const wrong of ["", "a\nb", "x".repeat(201), 7, undefined]) {
      expect(() => (connection.user = wrong as string)).toThrow("a user is 1 to 200 bytes");
    }
    expect(connection.user).toBe("Zoë 😀");
    connection.user = null;
    expect(connection.user).toBeNull();
  });
});

describe("a process that is alone", () => {
  it("answers from what it has, and keeps no timer", async () => {
    const groups = new GroupManager();
    const pool = new ConnectionsPool({ groups });
    const sockets = ["a", "b", "c"].map((id) => {
      const socket = new FakeSocket();
      const connection = new Connection(id, "default", socket);
      connection.user = "ann";
      pool.newConnection(connection);
      connection.setGroup("x");
      return socket;
    });
    expect(await groups.count("x")).toBe(3);
    expect((await groups.members("x")).members.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    sockets[1]?.hangUp();
    expect(await groups.members("x")).toMatchObject({ count: 2, members: [{ id: "a" }, { id: "c" }] });
    expect(await groups.users("x")).toMatchObject({ users: [{ user: "ann", connections: 2 }] });
    expect(await pool.connectionsOf("default", "ann")).toMatchObject({ count: 2 });
    expect(await groups.names()).toMatchObject({ names: [{ name: "x", members: 2 }] });
    groups.on("created", () => {
      // Before its first member a group is none.
      void groups.names().then(({ names }) => expect(names.map(({ members }) => members)).not.toContain(0));
    });
    pool.getConnection("default", "a")?.setGroup("y");
    expect((await groups.names()).names).toEqual([
      { name: "x", members: 1 },
      { name: "y", members: 1 },
    ]);
  });
});
