import { describe, expect, it } from "vitest";
import { ConnectionGroup, type GroupImplementation, GroupcastError, type Verdict } from "../../../src/index.ts";
import { codeOf, Process, settle } from "../fakes.ts";

describe("authorize", () => {
  it("is asked with the connection, the name and what is to be done", async () => {
    const asked: unknown[] = [];
    const here = new Process({ authorize: (connection, name, action) => (asked.push([connection.id, name, action]), true) });
    const { connection } = here.connect("a");
    connection.setGroup("x");
    await connection.join("y");
    expect(asked).toEqual([
      ["a", "x", "join"],
      ["a", "y", "join"],
    ]);
  });

  it.each<[what: string, authorize: () => unknown, reason: string, errors: number]>([
    ["false", () => false, "not allowed", 0],
    ["a reason", () => "members only", "members only", 0],
    ["an empty reason", () => "", "", 0],
    [
      "a throw",
      () => {
        throw new Error("the database is gone");
      },
      "the manager's check failed",
      1,
    ],
    ["nothing", () => undefined, "not allowed", 0],
    ["something that is merely true-ish", () => 1, "not allowed", 0],
  ])("refuses with %s: nothing changes, and nothing but refused is told", async (_, authorize, reason, errors) => {
    let strict = false;
    const here = new Process({ authorize: () => (strict ? (authorize() as Verdict) : true) });
    const { connection } = here.connect("a");
    connection.setGroup("x");
    const group = connection.getGroup();
    const seen: unknown[] = [];
    here.groups.on("refused", (refused) => void seen.push(refused));
    here.told.length = 0;
    strict = true;
    expect(connection.setGroup("y")).toBe(false);
    await expect(connection.join("z")).rejects.toMatchObject({ code: "forbidden", retry: false });
    expect(here.told).toEqual([`refused a y: ${reason}`, `refused a z: ${reason}`]);
    expect(seen).toEqual([
      { connection, name: "y", action: "join", reason },
      { connection, name: "z", action: "join", reason },
    ]);
    expect([connection.getGroup(), group?.has(connection), [...connection.groups.keys()], here.groups.size]).toEqual([
      group,
      true,
      ["x"],
      1,
    ]);
    expect(here.errors).toHaveLength(errors * 2);
  });

  it("gives refused an object that nobody can change", () => {
    const here = new Process({ authorize: () => false });
    const seen: object[] = [];
    here.groups.on("refused", (refused) => void seen.push(refused));
    here.connect("a").connection.setGroup("x");
    expect(seen.every((refused) => Object.isFrozen(refused))).toBe(true);
    expect(seen).toHaveLength(1);
  });

  it("tells join why it is refused, in the error's text", async () => {
    const here = new Process({ authorize: () => "members only" });
    await expect(here.connect("a").connection.join("x")).rejects.toThrow("members only");
  });

  it("may be asynchronous: setGroup throws use_join with nothing changed, and join works", async () => {
    const here = new Process({ authorize: async (_, name) => name !== "no" });
    const { connection } = here.connect("a");
    expect(codeOf(() => connection.setGroup("x"))).toBe("use_join");
    expect([connection.groups.size, here.groups.size, here.told]).toEqual([0, 0, []]);
    const group = await connection.join("x");
    expect(group.has(connection)).toBe(true);
    await expect(connection.join("no")).rejects.toMatchObject({ code: "forbidden" });
    // What it is in already needs no asking.
    expect(connection.setGroup("x")).toBe(true);
    expect(here.told).toEqual(["created x", "join a x", "refused a no: not allowed"]);
  });

  it("may reject: that refuses, and goes to error, also when setGroup has thrown already", async () => {
    const here = new Process({ authorize: () => Promise.reject(new Error("the database is gone")) });
    const { connection } = here.connect("a");
    expect(codeOf(() => connection.setGroup("x"))).toBe("use_join");
    await expect(connection.join("x")).rejects.toMatchObject({ code: "forbidden" });
    await settle();
    expect(here.errors.map((error) => error.message)).toEqual(["the database is gone", "the database is gone"]);
  });

  it("may return any promise-like", async () => {
    class Later {
      // oxlint-disable-next-line unicorn/no-thenable
      then(resolve: (verdict: Verdict) => void): void {
        resolve(true);
      }
    }
    const thenable = new Later() as unknown as Promise<Verdict>;
    const here = new Process({ authorize: () => thenable });
    const { connection } = here.connect("a");
    expect(codeOf(() => connection.setGroup("x"))).toBe("use_join");
    expect((await connection.join("x")).size).toBe(1);
  });

  it("lets nobody in who has closed while the answer was awaited, and tells nothing", async () => {
    let answer: (verdict: Verdict) => void = () => {};
    const here = new Process({ authorize: () => new Promise<Verdict>((resolve) => (answer = resolve)) });
    const { connection, socket } = here.connect("a");
    const joined = connection.join("x");
    socket.hangUp();
    answer(true);
    await expect(joined).rejects.toMatchObject({ code: "closed" });
    expect([here.told, here.groups.size, connection.groups.size]).toEqual([[], 0, 0]);
  });

  it("that is asked twice at the same time for one group lets the connection in once", async () => {
    const here = new Process({ authorize: async () => true });
    const { connection } = here.connect("a");
    const [one, other] = await Promise.all([connection.join("x"), connection.join("x")]);
    expect(one).toBe(other);
    expect([one.size, here.told]).toEqual([1, ["created x", "join a x"]]);
  });
});

describe("implementation", () => {
  const made = (createGroup: GroupImplementation["createGroup"]) => new Process({ implementation: { createGroup } });

  it("may bring groups of its own class, made once for each life of a name", () => {
    class Room extends ConnectionGroup {
      readonly topic = `about ${this.name}`;
    }
    const calls: unknown[] = [];
    const here = made((name, namespace, connection) => {
      calls.push([name, namespace, connection.id]);
      return new Room(name, namespace);
    });
    const [a, b] = [here.connect("a").connection, here.connect("b").connection];
    a.setGroup("x");
    b.setGroup("x");
    const room = here.groups.get("x");
    expect(room).toBeInstanceOf(Room);
    expect((room as Room).topic).toBe("about x");
    expect(a.getGroup()).toBe(room);
    expect(calls).toEqual([["x", "default", "a"]]);
    a.setGroup(null);
    b.setGroup(null);
    a.setGroup("x");
    expect(here.groups.get("x")).not.toBe(room);
    expect(calls).toHaveLength(2);
  });

  it("refuses by returning no group: nothing changes, and nothing but refused is told", async () => {
    const here = made((name, namespace) => (name === "y" ? null : new ConnectionGroup(name, namespace)));
    const { connection } = here.connect("a");
    connection.setGroup("x");
    expect(connection.setGroup("y")).toBe(false);
    await expect(connection.join("y")).rejects.toMatchObject({ code: "forbidden" });
    expect([connection.getGroupName(), here.groups.size]).toEqual(["x", 1]);
    expect(here.told.slice(2)).toEqual(["refused a y: the manager returned no group", "refused a y: the manager returned no group"]);
    expect(here.errors).toEqual([]);
  });

  it("is asked for a group only if the connection may have it", async () => {
    let calls = 0;
    const here = new Process({
      authorize: () => false,
      implementation: { createGroup: (name, namespace) => (calls++, new ConnectionGroup(name, namespace)) },
    });
    here.connect("a").connection.setGroup("x");
    expect(calls).toBe(0);
  });

  it.each<[what: string, createGroup: () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("no room");
      },
    ],
    ["returns a group of another name", () => new ConnectionGroup("another", "default")],
    ["returns a group of another namespace", () => new ConnectionGroup("y", "another")],
    ["returns what is no group", () => ({ name: "y", namespace: "default" })],
  ])("that %s refuses, and its fault goes to error", async (_, createGroup) => {
    const here = made((name, namespace) => (name === "y" ? (createGroup() as ConnectionGroup) : new ConnectionGroup(name, namespace)));
    const { connection } = here.connect("a");
    connection.setGroup("x");
    expect(connection.setGroup("y")).toBe(false);
    await expect(connection.join("y")).rejects.toMatchObject({ code: "forbidden" });
    expect([connection.getGroupName(), [...connection.groups.keys()], here.groups.size]).toEqual(["x", ["x"], 1]);
    expect(here.errors).toHaveLength(2);
    expect(here.told.filter((line) => line.startsWith("refused a y"))).toHaveLength(2);
  });

  it("that hands out a group twice refuses: a group made again is a new object", () => {
    const only = new ConnectionGroup("x", "default");
    const here = made(() => only);
    const { connection } = here.connect("a");
    expect(connection.setGroup("x")).toBe(true);
    connection.setGroup(null);
    expect(connection.setGroup("x")).toBe(false);
    expect(here.errors).toHaveLength(1);
    expect(here.groups.size).toBe(0);
  });
});

describe("the limit of groups of one connection", () => {
  it("is 128, and is told as limit and refused", async () => {
    const here = new Process();
    const { connection } = here.connect("a");
    for (let group = 0; group < 128; group++) await connection.join(`g${group}`);
    here.told.length = 0;
    const error: unknown = await connection.join("one too many").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(GroupcastError);
    expect(error).toMatchObject({ code: "limit" });
    expect(connection.setGroup("one too many")).toBe(false);
    expect(connection.groups.size).toBe(128);
    expect(here.told).toEqual([
      expect.stringMatching(/^refused a one too many: .*128/),
      expect.stringMatching(/^refused a one too many: /),
    ]);
    // What it is in already, and a move of the primary slot, are not one more.
    await connection.join("g5");
    expect(connection.setGroup("g5")).toBe(true);
    expect(connection.setGroup("moved")).toBe(true);
    expect(connection.groups.size).toBe(128);
    connection.leave("g7");
    await connection.join("room again");
  });

  it("is an option", async () => {
    const here = new Process({ groupsPerConnection: 1 });
    const { connection } = here.connect("a");
    connection.setGroup("x");
    expect(connection.setGroup("y")).toBe(true);
    await expect(connection.join("z")).rejects.toMatchObject({ code: "limit" });
  });
});
