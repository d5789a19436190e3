import { describe, expect, it, vi } from "vitest";
import { CLOSE, Connection, GroupManager, WebSocketConnection } from "../../../src/index.ts";
import { FakeClock, FakeSocket } from "../../../src/testing/index.ts";
import { codeOf, NoteLogger, settle, stateOf, StreamSocket, texts, WebFake } from "../fakes.ts";

/** A connection on a fake clock, and what it told. */
function connect<S extends FakeSocket | WebFake = FakeSocket>(given?: S) {
  const socket = (given ?? new FakeSocket()) as S;
  const clock = new FakeClock();
  const logger = new NoteLogger();
  const groups = new GroupManager({ clock, logger });
  const connection = new Connection("1", "default", socket);
  groups.adopt(connection);
  const told: string[] = [];
  connection.on("message", (data, isBinary) => void told.push(`message ${texts([data])[0]} ${isBinary}`));
  connection.on("text", (text) => void told.push(`text ${text}`));
  connection.on("binary", (bytes) => void told.push(`binary ${texts([bytes])[0]}`));
  connection.on("close", (code, reason) => void told.push(`close ${code} ${reason}`));
  connection.on("error", (error) => void told.push(`error ${error.message}`));
  return { connection, socket, clock, groups, told, logger };
}

describe("a connection made by hand", () => {
  it("keeps its id, its namespace, and what the application puts into data", () => {
    const connection = new Connection("7", "tenant", new FakeSocket());
    expect([connection.id, connection.namespace, connection.closed, connection.data]).toEqual(["7", "tenant", false, undefined]);
    connection.data = { user: "x" };
    expect(connection.data).toEqual({ user: "x" });
    expect([connection.getGroup(), connection.getGroupName(), connection.groups.size, connection.bufferedAmount]).toEqual([
      null,
      null,
      0,
      0,
    ]);
  });

  it("refuses what is no id, no namespace, or no socket", () => {
    const make =
      (id: unknown, namespace: unknown, socket: unknown = new FakeSocket()) =>
      () =>
        new Connection(id as string, namespace as string, socket as FakeSocket);
    expect(codeOf(make("", "default"))).toBe("bad_option");
    expect(codeOf(make(7, "default"))).toBe("bad_option");
    expect(codeOf(make("7", ""))).toBe("bad_group");
    expect(codeOf(make("7", "a\nb"))).toBe("bad_group");
    expect(codeOf(make("7", undefined))).toBe("bad_group");
    expect(codeOf(make("7", "default", {}))).toBe("bad_option");
    expect(codeOf(make("7", "default", null))).toBe("bad_option");
  });

  it("has no manager: setGroup and join throw no_manager, leave finds nothing", async () => {
    const connection = new Connection("7", "default", new FakeSocket());
    expect(codeOf(() => connection.setGroup("x"))).toBe("no_manager");
    expect(codeOf(() => connection.setGroup(null))).toBe("no_manager");
    await expect((async () => connection.join("x"))()).rejects.toMatchObject({ code: "no_manager" });
    expect(connection.leave("x")).toBe(false);
  });

  it("gets a manager with adopt, and cannot change it while it is in groups", () => {
    const connection = new Connection("7", "default", new FakeSocket());
    const [one, other] = [new GroupManager(), new GroupManager()];
    one.adopt(connection);
    one.adopt(connection);
    expect(connection.setGroup("x")).toBe(true);
    one.adopt(connection);
    expect(codeOf(() => other.adopt(connection))).toBe("bad_option");
    connection.setGroup(null);
    other.adopt(connection);
    connection.setGroup("x");
    expect([one.size, other.size]).toEqual([0, 1]);
  });

  it("is also called WebSocketConnection, and may be subclassed", () => {
    expect(WebSocketConnection).toBe(Connection);
    class User extends Connection {
      readonly name = `user ${this.id}`;
    }
    const user = new User("7", "default", new FakeSocket());
    expect(user.name).toBe("user 7");
    expect(user.send("x")).toBe(true);
  });

  it("tells whose it is of its end, once each, and nobody whose it is no more", () => {
    const socket = new FakeSocket();
    const connection = new Connection("7", "default", socket);
    const told: string[] = [];
    const [one, two, three] = ["one", "two", "three"].map((name) => ({ closed: () => void told.push(name) }));
    if (one === undefined || two === undefined || three === undefined) throw new Error("three are three");
    for (const owner of [one, two, three]) connection.$ownedBy(owner);
    connection.$disownedBy(two);
    connection.on("close", () => void told.push("close"));
    socket.hangUp();
    expect(told).toEqual(["one", "three", "close"]);
  });

  it("leaves every ordinary name to subclasses: what its socket tells it comes by other ways", () => {
    const called: string[] = [];
    class User extends Connection {
      opened = (): void => void called.push("opened");
      message = (): void => void called.push("message");
      pong = (): void => void called.push("pong");
      drained = (): void => void called.push("drained");
      failed = (): void => void called.push("failed");
      ended = (): void => void called.push("ended");
    }
    for (const stream of [false, true]) {
      const socket = new FakeSocket({ stream });
      const user = new User("7", "default", socket);
      const heard: string[] = [];
      user.on("text", (text) => heard.push(text));
      user.on("error", ({ message }) => heard.push(message));
      user.on("close", (code) => heard.push(String(code)));
      socket.receive("text");
      socket.pong();
      socket.flow();
      socket.fail(new Error("reset"));
      expect(heard).toEqual(["text", "reset", "1006"]);
    }
    expect(called).toEqual([]);
  });

  it("may wrap a socket in any state", async () => {
    for (const [readyState, closed, sends] of [
      [0, false, false],
      [1, false, true],
      [2, false, false],
      [3, true, false],
    ] as const) {
      const socket = new FakeSocket();
      socket.readyState = readyState;
      const connection = new Connection("7", "default", socket);
      expect([connection.closed, connection.send("x")]).toEqual([closed, sends]);
      if (readyState === 3) await connection.close();
    }
  });

  it("begins to send when its socket opens, in both families", () => {
    const node = new FakeSocket({ connecting: true });
    const web = new WebFake();
    web.readyState = 0;
    for (const socket of [node, web]) {
      const connection = new Connection("7", "default", socket);
      expect(connection.send("early")).toBe(false);
      socket.open();
      expect(connection.send("now")).toBe(true);
      expect(socket.sent).toEqual(["now"]);
    }
  });
});

describe("sending", () => {
  it("sends text as text and bytes as bytes, with send, write, writeBinary and sendJson", () => {
    const { connection, socket } = connect();
    expect(connection.send("text")).toBe(true);
    expect(connection.send(new Uint8Array([1]))).toBe(true);
    expect(connection.send(Buffer.from([2]))).toBe(true);
    expect(connection.write("")).toBe(true);
    expect(connection.writeBinary(new Uint8Array(0))).toBe(true);
    expect(connection.sendJson({ a: [1, null] })).toBe(true);
    expect(connection.sendJson("text")).toBe(true);
    expect(connection.sendJson(null)).toBe(true);
    expect(texts(socket.sent)).toEqual(["text", "bytes 01", "bytes 02", "", "bytes ", '{"a":[1,null]}', '"text"', "null"]);
  });

  it.each([[undefined], [null], [7], [true], [{}], [["a"]], [new ArrayBuffer(1)], [Object("text")]])(
    "throws bad_option for %j",
    (value) => {
      const { connection, socket } = connect();
      expect(codeOf(() => connection.send(value as string))).toBe("bad_option");
      expect(codeOf(() => connection.write(value as string))).toBe("bad_option");
      expect(codeOf(() => connection.writeBinary(value as Uint8Array))).toBe("bad_option");
      expect(socket.sent).toEqual([]);
    },
  );

  it("throws bad_option for bytes in write, text in writeBinary, and what has no JSON text in sendJson", () => {
    const { connection, socket } = connect();
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(codeOf(() => connection.write(new Uint8Array(1) as unknown as string))).toBe("bad_option");
    expect(codeOf(() => connection.writeBinary("text" as unknown as Uint8Array))).toBe("bad_option");
    for (const value of [undefined, () => {}, Symbol("s"), cycle, 1n]) expect(codeOf(() => connection.sendJson(value))).toBe("bad_option");
    expect(socket.sent).toEqual([]);
  });

  it("returns false for a socket that is closing or closed, and throws nothing", async () => {
    const { connection, socket } = connect();
    const closed = connection.close();
    expect([connection.send("x"), connection.write("x"), connection.writeBinary(new Uint8Array(1)), connection.sendJson(1)]).toEqual([
      false,
      false,
      false,
      false,
    ]);
    await closed;
    expect(connection.send("x")).toBe(false);
    expect(socket.sent).toEqual([]);
  });

  it("returns false, tells the error and ends the connection if the socket throws", async () => {
    for (const socket of [new FakeSocket(), new StreamSocket(), new WebFake()]) {
      const { connection, told } = connect(socket);
      socket.sendError = new Error("broken pipe");
      expect(connection.send("x")).toBe(false);
      await settle();
      expect(told).toEqual(["error broken pipe", "close 1006 "]);
      expect(connection.closed).toBe(true);
    }
  });

  it("shows the bytes that the kernel has not taken", () => {
    const { connection, socket } = connect();
    socket.bufferedAmount = 12_345;
    expect(connection.bufferedAmount).toBe(12_345);
  });
});

describe("receiving", () => {
  it("tells message first, then text or binary", () => {
    const { socket, told } = connect();
    socket.receive("hello");
    socket.receive(new Uint8Array([1, 2]));
    expect(told).toEqual(["message hello false", "text hello", "message bytes 0102 true", "binary bytes 0102"]);
  });

  it("keeps what follows from a listener that throws, and tells its error", () => {
    const { connection, socket, told } = connect();
    connection.on("text", () => {
      throw new Error("bad listener");
    });
    socket.receive("one");
    socket.receive("two");
    expect(told).toEqual(["message one false", "text one", "error bad listener", "message two false", "text two", "error bad listener"]);
    expect(connection.closed).toBe(false);
  });

  it("logs an error that nobody hears, with its connection, in the manager's log", () => {
    const logger = new NoteLogger();
    const socket = new FakeSocket();
    const connection = new Connection("7", "default", socket);
    new GroupManager({ logger }).adopt(connection);
    connection.on("text", () => {
      throw new Error("bad listener");
    });
    socket.receive("one");
    expect(logger.lines).toMatchObject([{ level: "error", facts: { connection: "7", namespace: "default" } }]);
    const console_ = vi.spyOn(console, "error").mockImplementation(() => {});
    const lonely = new FakeSocket();
    void new Connection("8", "default", lonely);
    lonely.fail(new Error("reset"));
    expect(console_).toHaveBeenCalledOnce();
    console_.mockRestore();
  });

  it("tells nothing after close: close is told once, last", async () => {
    const web = new WebFake();
    web.answersClose = false;
    const { connection, told } = connect(web);
    connection.terminate();
    web.tell("message", { data: "late" });
    web.tell("error", { message: "late" });
    web.end(1000, "late");
    await settle();
    expect(told).toEqual(["close 1006 "]);
  });
});

describe("closing", () => {
  it("closes with code 1000 and no reason, or with what it is given in either order", async () => {
    for (const [args, code, reason] of [
      [[], 1000, ""],
      [[4000], 4000, ""],
      [["bye"], 1000, "bye"],
      [[4000, "bye"], 4000, "bye"],
      [["bye", 4000], 4000, "bye"],
      [[{ code: 4000, reason: "bye" }], 4000, "bye"],
      [[4000, "€".repeat(100)], 4000, "€".repeat(41)],
    ] as const) {
      const { connection, socket, told } = connect();
      await connection.close(...(args as unknown as [number]));
      expect(socket.closeSent).toEqual({ code, reason });
      expect(told).toEqual([`close ${code} ${reason}`]);
    }
  });

  it("throws bad_option for a code that may not be sent, before any effect", () => {
    const { connection, socket } = connect();
    for (const code of [0, 999, 1005, 1006, 2999, 5000, NaN, 1000.5]) expect(codeOf(() => connection.close(code, "x"))).toBe("bad_option");
    expect(codeOf(() => connection.close(1000, 1000))).toBe("bad_option");
    expect(codeOf(() => connection.close("a", "b"))).toBe("bad_option");
    expect(socket.readyState).toBe(1);
    expect(connection.send("still there")).toBe(true);
  });

  it("resolves when the socket is gone, not before", async () => {
    const { connection, socket } = connect();
    socket.answersClose = false;
    const closed = connection.close();
    expect(await stateOf(closed)).toBe("pending");
    expect(connection.closed).toBe(false);
    socket.finishClose();
    expect(connection.closed).toBe(true);
    expect(await stateOf(closed)).toBe("done");
  });

  it("is the same however often it is called: the first call's code counts, and all resolve", async () => {
    const { connection, socket, told, clock } = connect();
    const all = [connection.close(4001, "first"), connection.close(4002, "second"), connection.close()];
    await Promise.all(all);
    await connection.close(4003);
    expect(socket.closeSent).toEqual({ code: 4001, reason: "first" });
    expect(told).toEqual(["close 4001 first"]);
    expect(clock.timers).toBe(0);
  });

  it("comes after everything that was sent before, what waits for the end of the turn included", async () => {
    const { connection, socket, groups, clock } = connect();
    connection.setGroup("x");
    groups.get("x")?.write("group");
    connection.send("direct");
    groups.get("x")?.write("last");
    const sentBefore = () => texts(socket.sent);
    const closed = connection.close(4000);
    expect(sentBefore()).toEqual(["group", "direct", "last"]);
    clock.advance();
    await closed;
    expect(sentBefore()).toEqual(["group", "direct", "last"]);
  });

  it("cuts a peer that does not answer after 5 s, and then tells why this side closed", async () => {
    for (const socket of [new FakeSocket(), new WebFake()]) {
      const { connection, clock, told } = connect(socket);
      socket.answersClose = false;
      const closed = connection.close(4000, "bye");
      await clock.advanceAsync(4_999);
      expect(await stateOf(closed)).toBe("pending");
      await clock.advanceAsync(1);
      expect(await stateOf(closed)).toBe("done");
      expect(connection.closed).toBe(true);
      expect(told).toEqual(["close 4000 bye"]);
      expect(clock.timers).toBe(0);
    }
  });

  it("leaves no timer behind when the peer answers", async () => {
    const { connection, clock } = connect();
    await connection.close();
    expect(clock.timers).toBe(0);
  });

  it("tells the peer's own code when the peer closes", () => {
    const { connection, socket, told } = connect();
    socket.hangUp(4321, "leaving");
    expect(told).toEqual(["close 4321 leaving"]);
    expect(connection.closed).toBe(true);
  });

  it("has left its groups when close is told, each with its leave", () => {
    const { connection, socket, groups } = connect();
    const log: string[] = [];
    groups.on("created", (group) => group.on("leave", () => void log.push(`leave ${group.name}`)));
    connection.setGroup("x");
    void connection.join("y");
    connection.on("close", () => void log.push(`close ${connection.groups.size} ${connection.getGroupName()} ${groups.size}`));
    socket.hangUp();
    expect(log).toEqual(["leave x", "leave y", "close 0 null 0"]);
  });

  it("on a closed connection resolves at once, also for one that was never open", async () => {
    const { connection, socket } = connect();
    socket.hangUp();
    await connection.close();
    await connection.close(4000);
    const dead = new FakeSocket();
    dead.readyState = 3;
    await new Connection("7", "default", dead).close();
  });

  it("keeps the first code when a listener closes while it is on its way", async () => {
    const socket = new StreamSocket();
    const { connection, groups } = connect(socket);
    connection.setGroup("x");
    connection.on("slow", () => void connection.close(4001, "too slow"));
    groups.get("x")?.write("x".repeat(100_000));
    socket.stall();
    const told = new Promise((resolve) => connection.on("close", (code, reason) => resolve([code, reason])));
    socket.answersClose = false;
    const closed = connection.close(4000, "bye");
    expect(socket.closeSent).toEqual({ code: 4001, reason: "too slow" });
    socket.hangUp(1006);
    await closed;
    expect(await told).toEqual([4001, "too slow"]);
  });

  it("uses codes that a script may send on a WHATWG socket: 1012 becomes 4001", async () => {
    const socket = new WebFake();
    const { connection } = connect(socket);
    await connection.close(CLOSE.restart, "moving");
    expect(socket.closes).toEqual([[4001, "moving"]]);
  });
});

describe("terminating", () => {
  it("ends the socket at once, without a closing handshake", async () => {
    for (const socket of [new FakeSocket(), new WebFake()]) {
      if (socket instanceof WebFake) socket.answersClose = false;
      const { connection, told } = connect(socket);
      connection.terminate();
      expect(connection.send("late")).toBe(false);
      await settle();
      expect(told).toEqual(["close 1006 "]);
      connection.terminate();
      await connection.close();
      expect(told).toHaveLength(1);
    }
  });

  it("resolves a close that waits", async () => {
    const { connection, socket, clock } = connect();
    socket.answersClose = false;
    const closed = connection.close(4000);
    connection.terminate();
    await closed;
    expect(clock.timers).toBe(0);
  });

  it("ends by itself when a socket that was cut says nothing of it", async () => {
    const clock = new FakeClock();
    const groups = new GroupManager({ clock });
    const socket = new FakeSocket();
    socket.terminate = () => {};
    const connection = new Connection("mute", "default", socket);
    groups.adopt(connection);
    const closes: number[] = [];
    connection.on("close", (code) => closes.push(code));
    connection.terminate();
    await clock.advanceAsync(999);
    expect(connection.closed).toBe(false);
    await clock.advanceAsync(1);
    expect([connection.closed, closes]).toEqual([true, [1006]]);
    socket.hangUp();
    expect(closes).toEqual([1006]);
  });
});
