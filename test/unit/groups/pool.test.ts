import { describe, expect, it } from "vitest";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { Connection, ConnectionsPool, GroupManager, memoryChannel } from "../../../src/index.ts";
import { FakeSocket } from "../../../src/testing/index.ts";
import { AbruptSocket, codeOf, Process, settle, stateOf, StreamSocket, texts } from "../fakes.ts";

const make = (id: string, namespace = "default", socket: FakeSocket = new FakeSocket()) => ({
  connection: new Connection(id, namespace, socket),
  socket,
});

describe("a pool", () => {
  it("keeps connections by namespace and id", () => {
    const pool = new ConnectionsPool();
    const [a, b, c] = [make("a"), make("b"), make("a", "other")];
    for (const { connection } of [a, b, c]) pool.newConnection(connection);
    expect(pool.size).toBe(3);
    expect(pool.getConnection("default", "a")).toBe(a.connection);
    expect(pool.getConnection("other", "a")).toBe(c.connection);
    expect(pool.getConnection("other", "b")).toBeUndefined();
    expect([...pool.connections("default")]).toEqual([a.connection, b.connection]);
    expect([...pool.connections("other")]).toEqual([c.connection]);
    expect([...pool.connections()]).toEqual([a.connection, b.connection, c.connection]);
    expect([pool.hasNamespace("default"), pool.hasNamespace("other"), pool.hasNamespace("third")]).toEqual([true, true, false]);
  });

  it("never makes a namespace by reading", async () => {
    const pool = new ConnectionsPool();
    expect(pool.getConnection("x", "a")).toBeUndefined();
    expect([...pool.connections("x")]).toEqual([]);
    expect(await pool.send("x", "a", "hi")).toBe("unknown_connection");
    await pool.broadcastMessage("x", "hi");
    await pool.closeAll("x");
    await pool.drainConnections(10, undefined, undefined, { namespace: "x" });
    expect(pool.removeConnection(make("a", "x").connection)).toBe(false);
    expect(pool.hasNamespace("x")).toBe(false);
    expect(pool.size).toBe(0);
  });

  it("takes __proto__ for an ordinary namespace and id", () => {
    const pool = new ConnectionsPool();
    const { connection } = make("__proto__", "__proto__");
    pool.newConnection(connection);
    expect(pool.getConnection("__proto__", "__proto__")).toBe(connection);
    expect([pool.hasNamespace("constructor"), pool.getConnection("__proto__", "toString")]).toEqual([false, undefined]);
  });

  it("forgets a connection whose socket is gone, whoever ended it, before its close is told", async () => {
    const pool = new ConnectionsPool();
    const ends: ((one: ReturnType<typeof make>) => unknown)[] = [
      ({ socket }) => socket.hangUp(),
      ({ connection }) => connection.close(),
      ({ connection }) => connection.terminate(),
    ];
    for (const end of ends) {
      const one = make("a");
      pool.newConnection(one.connection);
      const seen: unknown[] = [];
      one.connection.on("close", () => void seen.push(pool.getConnection("default", "a"), pool.hasNamespace("default")));
      end(one);
      await settle();
      expect(seen).toEqual([undefined, false]);
      expect(pool.size).toBe(0);
    }
  });

  it("refuses a closed or closing connection", async () => {
    const pool = new ConnectionsPool();
    const [closing, closed] = [make("a"), make("b")];
    closing.socket.answersClose = false;
    void closing.connection.close();
    closed.socket.hangUp();
    for (const { connection } of [closing, closed]) expect(codeOf(() => pool.newConnection(connection))).toBe("closed");
    expect(pool.size).toBe(0);
  });

  it("changes nothing when a connection is added twice", () => {
    const pool = new ConnectionsPool();
    const { connection } = make("a");
    pool.newConnection(connection);
    pool.newConnection(connection);
    expect([pool.size, pool.removeConnection(connection), pool.size]).toEqual([1, true, 0]);
  });

  it("gives its manager to who comes", () => {
    const groups = new GroupManager();
    const pool = new ConnectionsPool({ groups });
    const { connection } = make("a");
    pool.newConnection(connection);
    expect(connection.setGroup("x")).toBe(true);
    expect(groups.get("x")?.has(connection)).toBe(true);
  });

  it("may be walked while connections come and go", () => {
    const pool = new ConnectionsPool();
    for (const id of ["a", "b", "c"]) pool.newConnection(make(id).connection);
    const walked: string[] = [];
    for (const connection of pool.connections()) {
      walked.push(connection.id);
      pool.removeConnection(connection);
      pool.newConnection(make(`${connection.id}'`).connection);
    }
    expect(walked).toEqual(["a", "b", "c"]);
    expect(pool.connections().map(({ id }) => id)).toEqual(["a'", "b'", "c'"]);
  });
});

describe("a second connection with an id that is taken", () => {
  it("is refused, and the first one stays as it is", () => {
    const pool = new ConnectionsPool();
    const [first, second] = [make("a"), make("a")];
    pool.newConnection(first.connection);
    expect(codeOf(() => pool.newConnection(second.connection))).toBe("id_conflict");
    expect(pool.getConnection("default", "a")).toBe(first.connection);
    expect([first.socket.closeSent, second.socket.closeSent, pool.size]).toEqual([undefined, undefined, 1]);
    pool.newConnection(make("a", "other").connection);
    first.socket.hangUp();
    pool.newConnection(second.connection);
  });

  it("replaces the first one if the pool is told so: the old one is closed with 4409", async () => {
    const pool = new ConnectionsPool({ duplicates: "replace" });
    const [first, second] = [make("a"), make("a")];
    pool.newConnection(first.connection);
    pool.newConnection(second.connection);
    expect(pool.getConnection("default", "a")).toBe(second.connection);
    expect(first.socket.closeSent).toMatchObject({ code: 4409 });
    await settle();
    // The end of the old one does not take the new one away.
    expect(first.connection.closed).toBe(true);
    expect([pool.getConnection("default", "a"), pool.size]).toEqual([second.connection, 1]);
    expect(pool.removeConnection(first.connection)).toBe(false);
    expect(pool.getConnection("default", "a")).toBe(second.connection);
  });

  it("that cannot be let in for another reason replaces nobody", () => {
    const pool = new ConnectionsPool({ groups: new GroupManager(), duplicates: "replace" });
    const [first, second] = [make("a"), make("a")];
    pool.newConnection(first.connection);
    new GroupManager().adopt(second.connection);
    second.connection.setGroup("elsewhere");
    expect(codeOf(() => pool.newConnection(second.connection))).toBe("bad_option");
    expect([pool.getConnection("default", "a"), first.socket.closeSent]).toEqual([first.connection, undefined]);
  });
});

describe("removing a connection", () => {
  it("is by identity, and leaves its socket open", () => {
    const pool = new ConnectionsPool();
    const [a, stranger] = [make("a"), make("a")];
    pool.newConnection(a.connection);
    expect(pool.removeConnection(stranger.connection)).toBe(false);
    expect(pool.size).toBe(1);
    expect(pool.removeConnection(a.connection)).toBe(true);
    expect(pool.removeConnection(a.connection)).toBe(false);
    expect([a.connection.closed, a.socket.closeSent, pool.hasNamespace("default")]).toEqual([false, undefined, false]);
    pool.newConnection(stranger.connection);
    a.socket.hangUp();
    expect(pool.getConnection("default", "a")).toBe(stranger.connection);
  });

  it("calls back once, when the namespace is empty and gone", () => {
    const pool = new ConnectionsPool();
    const [a, b, other] = [make("a"), make("b"), make("a", "other")];
    for (const { connection } of [a, b, other]) pool.newConnection(connection);
    const calls: boolean[] = [];
    const called = () => void calls.push(pool.hasNamespace("default"));
    pool.removeConnection(a.connection, called);
    expect(calls).toEqual([]);
    pool.removeConnection(b.connection, called);
    expect(calls).toEqual([false]);
    pool.removeConnection(b.connection, called);
    pool.removeConnection(a.connection, called);
    expect(calls).toEqual([false]);
  });

  it("calls back once also when the connections had removed themselves, because their sockets were gone", () => {
    const pool = new ConnectionsPool();
    const people = [make("a"), make("b"), make("c")];
    for (const { connection } of people) pool.newConnection(connection);
    let calls = 0;
    // As the source document does it: in the close listener of each.
    for (const { connection } of people) connection.on("close", () => void pool.removeConnection(connection, () => void calls++));
    for (const { socket } of people) socket.hangUp();
    expect(calls).toBe(1);
    for (const { connection } of people) pool.removeConnection(connection, () => void calls++);
    expect(calls).toBe(1);
  });

  it("does not call back for a namespace that has come to life again", () => {
    const pool = new ConnectionsPool();
    const a = make("a");
    pool.newConnection(a.connection);
    a.socket.hangUp();
    pool.newConnection(make("b").connection);
    let calls = 0;
    expect(pool.removeConnection(a.connection, () => void calls++)).toBe(false);
    expect(calls).toBe(0);
  });

  it("tells error if the callback throws or rejects, and harms nothing", async () => {
    const pool = new ConnectionsPool();
    const errors: string[] = [];
    pool.on("error", (error) => void errors.push(error.message));
    const [a, b] = [make("a"), make("b", "other")];
    pool.newConnection(a.connection);
    pool.newConnection(b.connection);
    expect(
      pool.removeConnection(a.connection, () => {
        throw new Error("thrown");
      }),
    ).toBe(true);
    expect(pool.removeConnection(b.connection, () => Promise.reject(new Error("rejected")))).toBe(true);
    await settle();
    expect(errors).toEqual(["thrown", "rejected"]);
  });
});

describe("sending to one connection", () => {
  it("says what became of it", async () => {
    const pool = new ConnectionsPool();
    const { connection, socket } = make("a");
    pool.newConnection(connection);
    expect(await pool.send("default", "a", "text")).toBe("done");
    expect(await pool.send("default", "a", new Uint8Array([1]))).toBe("done");
    expect(await pool.send("default", "b", "text")).toBe("unknown_connection");
    expect(await pool.send("other", "a", "text")).toBe("unknown_connection");
    expect(texts(socket.sent)).toEqual(["text", "bytes 01"]);
    socket.answersClose = false;
    void connection.close();
    expect(await pool.send("default", "a", "late")).toBe("unknown_connection");
  });

  it("rejects with bad_option for what is neither text nor bytes", async () => {
    const pool = new ConnectionsPool();
    pool.newConnection(make("a").connection);
    await expect(pool.send("default", "a", { a: 1 } as unknown as string)).rejects.toMatchObject({ code: "bad_option" });
    void pool.send("default", "a", 7 as unknown as string); // quiet
  });

  it("rejects with limit when more than 1 MiB waits for the peer, which stays", async () => {
    const here = new Process();
    const { connection, socket } = here.connect("a");
    socket.stall();
    for (let turn = 0; turn < 4; turn++) {
      connection.send(new Uint8Array(600_000));
      here.clock.endTurn();
    }
    expect(await stateOf(here.pool.send("default", "a", "one more"))).toBe("limit");
    expect([connection.closed, socket.closeSent]).toEqual([false, undefined]);
  });
});

describe("a broadcast", () => {
  it("reaches the whole namespace of this process and no other", async () => {
    const pool = new ConnectionsPool();
    const [a, b, other] = [make("a"), make("b"), make("c", "other")];
    for (const { connection } of [a, b, other]) pool.newConnection(connection);
    await pool.broadcastMessage("default", "text");
    await pool.broadcastMessage("default", new Uint8Array([7]), a.connection);
    await settle();
    expect([a, b, other].map(({ socket }) => texts(socket.sent))).toEqual([["text"], ["text", "bytes 07"], []]);
  });

  it("comes before what is sent to one connection after it, as long as that is in the pool", () => {
    const pool = new ConnectionsPool();
    const [a, b] = [make("a"), make("b")];
    for (const { connection } of [a, b]) pool.newConnection(connection);
    void pool.broadcastMessage("default", "to all");
    a.connection.send("direct");
    expect(texts(a.socket.sent)).toEqual(["to all", "direct"]);
    pool.removeConnection(a.connection);
    void pool.broadcastMessage("default", "to the others");
    a.connection.send("outside");
    expect(texts(b.socket.sent)).toEqual(["to all"]); // and is not hurried by who is out of it
  });

  it("reaches the namespace in every process when the pool belongs to a manager", async () => {
    const bus = new MemoryBus();
    const [here, there] = [new Process({ channel: memoryChannel({ bus }) }), new Process({ channel: memoryChannel({ bus }) })];
    const [a, b, other] = [here.connect("a"), there.connect("b"), there.connect("c", undefined, "other")];
    await here.pool.broadcastMessage("default", "text");
    await there.pool.broadcastMessage("default", "again", "b");
    for (const { clock } of [here, there]) clock.endTurn();
    expect([a, b, other].map(({ socket }) => texts(socket.sent))).toEqual([["text", "again"], ["text"], []]);
    b.socket.hangUp();
    await here.pool.broadcastMessage("default", "nobody there");
    const c = there.connect("d");
    await here.pool.broadcastMessage("default", "somebody there");
    there.clock.endTurn();
    expect(texts(c.socket.sent)).toEqual(["somebody there"]);
  });

  it("fails for nobody because one member's socket throws", async () => {
    const here = new Process();
    const [a, b] = [here.connect("a"), here.connect("b")];
    a.socket.sendError = new Error("EPIPE");
    a.connection.on("error", () => {});
    expect(await stateOf(here.pool.broadcastMessage("default", "text"))).toBe("done");
    here.clock.endTurn();
    expect(b.socket.sent).toEqual(["text"]);
  });

  it("rejects with bad_option or bad_group for what it cannot send or address", async () => {
    for (const pool of [new ConnectionsPool(), new Process().pool]) {
      await expect(pool.broadcastMessage("default", { a: 1 } as unknown as string)).rejects.toMatchObject({ code: "bad_option" });
      await expect(pool.broadcastMessage("", "text")).rejects.toMatchObject({ code: "bad_group" });
      void pool.broadcastMessage("default", 7 as unknown as string); // quiet
    }
  });
});

describe("closeAll", () => {
  it("closes a namespace, or with null all of them, with code and reason in either order", async () => {
    const pool = new ConnectionsPool();
    const fresh = () => {
      const [a, b] = [make("a"), make("b", "other")];
      pool.newConnection(a.connection);
      pool.newConnection(b.connection);
      return [a, b] as const;
    };
    const [a, b] = fresh();
    await pool.closeAll("default", 4000, "bye");
    expect([a.socket.closeSent, b.socket.closeSent]).toEqual([{ code: 4000, reason: "bye" }, undefined]);
    expect([pool.hasNamespace("default"), pool.hasNamespace("other")]).toEqual([false, true]);
    await pool.closeAll(null, "bye", 4001);
    expect(b.socket.closeSent).toEqual({ code: 4001, reason: "bye" });
    expect(pool.size).toBe(0);
    const [c, d] = fresh();
    await pool.closeAll(null);
    expect([c.socket.closeSent, d.socket.closeSent]).toEqual([
      { code: 1000, reason: "" },
      { code: 1000, reason: "" },
    ]);
    const [e, f] = fresh();
    await pool.closeAll(null, { code: 4002, reason: "object" });
    expect([e.socket.closeSent, f.socket.closeSent]).toEqual([
      { code: 4002, reason: "object" },
      { code: 4002, reason: "object" },
    ]);
  });

  it("resolves when they are gone, after 5 s at the most", async () => {
    const here = new Process();
    const [quick, silent] = [here.connect("a"), here.connect("b")];
    silent.socket.answersClose = false;
    const closed = here.pool.closeAll(null);
    await here.clock.advanceAsync(4_999);
    expect([quick.connection.closed, silent.connection.closed, await stateOf(closed)]).toEqual([true, false, "pending"]);
    await here.clock.advanceAsync(1);
    expect([silent.connection.closed, await stateOf(closed), here.clock.timers]).toEqual([true, "done", 0]);
  });

  it("throws bad_option for a code that may not be sent, and closes nobody", () => {
    const pool = new ConnectionsPool();
    const { connection, socket } = make("a");
    pool.newConnection(connection);
    for (const args of [[1005], [1000, 1000], ["a", "b"], [NaN, "x"]]) {
      expect(codeOf(() => pool.closeAll(null, ...(args as [number])))).toBe("bad_option");
    }
    expect(socket.closeSent).toBeUndefined();
  });

  it("closes everybody though listeners of close remove and close others", async () => {
    const here = new Process();
    const people = ["a", "b", "c", "d"].map((id) => here.connect(id, new AbruptSocket()));
    people.forEach(({ connection }, index) => connection.on("close", () => people[(index + 1) % 4]?.connection.terminate()));
    await here.pool.closeAll(null);
    expect(people.every(({ connection }) => connection.closed)).toBe(true);
    expect(here.pool.size).toBe(0);
  });
});

describe("members", () => {
  it("keep what the pool broadcasts while they change: nobody gets what was sent before it came, or after it left", async () => {
    const here = new Process();
    const a = here.connect("a");
    await here.pool.broadcastMessage("default", "one");
    const b = here.connect("b", new StreamSocket());
    await here.pool.broadcastMessage("default", "two");
    here.pool.removeConnection(a.connection);
    await here.pool.broadcastMessage("default", "three");
    here.clock.endTurn();
    expect([texts(a.socket.sent), texts(b.socket.sent)]).toEqual([
      ["one", "two"],
      ["two", "three"],
    ]);
  });
});
