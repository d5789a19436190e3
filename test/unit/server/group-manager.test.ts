import { describe, expect, it } from "vitest";
import { Channel } from "../../../src/channel/channel.ts";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { ConnectionGroup, GroupManager, memoryChannel } from "../../../src/index.ts";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { codeOf, NoteLogger, Process, settle, stateOf, StepAdapter, StepBus, stepProcess, texts } from "../fakes.ts";
import { MessageRecord } from "../../../src/wire/record.ts";

describe("a manager", () => {
  it("works without any option, in this process alone", async () => {
    const groups = new GroupManager();
    expect([groups.size, groups.isUp, groups.get("x"), [...groups.groups()]]).toEqual([0, true, undefined, []]);
    expect(await groups.publish("x", "nobody hears")).toEqual({ position: null });
    expect(await groups.count("x")).toBe(0);
  });

  it("takes memory, or a channel of its own; anything else throws bad_option", () => {
    expect(new GroupManager({ channel: "memory" }).isUp).toBe(true);
    const channel = memoryChannel();
    expect(new GroupManager({ channel }).isUp).toBe(true);
    expect(codeOf(() => new GroupManager({ channel }))).toBe("bad_option");
    for (const other of ["nonsense://x", "", "Memory", 7, {}]) {
      expect(codeOf(() => new GroupManager({ channel: other as string }))).toBe("bad_option");
    }
  });

  it("shows its groups, by name and namespace, at this moment: safe to walk while they come and go", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    for (const name of ["x", "y", "z"]) void connection.join(name);
    const walked: string[] = [];
    for (const group of here.groups.groups()) {
      walked.push(group.name);
      connection.leave(group.name);
      void connection.join(`${group.name}'`);
    }
    expect(walked).toEqual(["x", "y", "z"]);
    expect([...here.groups.groups()].map(({ name }) => name)).toEqual(["x'", "y'", "z'"]);
    expect(here.groups.size).toBe(3);
    expect([...here.groups.groups("another")]).toEqual([]);
  });
});

describe("publishing", () => {
  it("reaches the members of a group in every process, and needs none here", async () => {
    const bus = new MemoryBus();
    const [here, there] = [new Process({ channel: memoryChannel({ bus }) }), new Process({ channel: memoryChannel({ bus }) })];
    const [a, other] = [there.connect("a"), there.connect("b", undefined, "other")];
    a.connection.setGroup("x");
    other.connection.setGroup("x");
    expect(await here.groups.publish("x", "text")).toEqual({ position: null });
    await here.groups.publish("x", new Uint8Array([7]));
    await here.groups.publish("x", "elsewhere", { namespace: "other" });
    there.clock.endTurn();
    expect([texts(a.socket.sent), texts(other.socket.sent)]).toEqual([["text", "bytes 07"], ["elsewhere"]]);
    expect(here.groups.size).toBe(0);
  });

  it("rejects what it cannot send or address, and nobody gets anything", async () => {
    const here = new Process();
    const a = here.connect("a");
    a.connection.setGroup("x");
    const publish = (name: unknown, payload: unknown, options = {}) => here.groups.publish(name as string, payload as string, options);
    for (const name of ["", "a\nb", 7, null, "x".repeat(201)])
      await expect(publish(name, "hi")).rejects.toMatchObject({ code: "bad_group" });
    for (const payload of [7, null, undefined, {}, [], true]) {
      await expect(publish("x", payload)).rejects.toMatchObject({ code: "bad_option" });
      expect(codeOf(() => here.groups.get("x")?.write(payload as string))).toBe("bad_option");
      await expect(here.groups.get("x")?.publish(payload as string)).rejects.toMatchObject({ code: "bad_option" });
    }
    await expect(publish("x", "hi", { namespace: "" })).rejects.toMatchObject({ code: "bad_group" });
    await expect(publish("x", "hi", { key: "k" })).rejects.toMatchObject({ code: "no_history" });
    await expect(publish("x", "x".repeat(1_000_000))).rejects.toMatchObject({ code: "too_large" });
    expect(codeOf(() => here.groups.get("x")?.write("x".repeat(1_000_000)))).toBe("too_large");
    here.clock.advance();
    expect(a.socket.sent).toEqual([]);
    expect(here.errors).toEqual([]);
  });

  it("takes messages of up to 960 KiB, whole", async () => {
    const here = new Process();
    const a = here.connect("a");
    a.connection.setGroup("x");
    await here.groups.publish("x", "x".repeat(960 * 1024 - 10));
    here.clock.advance();
    expect(String(a.socket.sent[0])).toHaveLength(960 * 1024 - 10);
  });

  it("sends __proto__ and 0 where they belong", async () => {
    const here = new Process();
    const a = here.connect("a");
    await a.connection.join("__proto__");
    await here.groups.publish("__proto__", "hi");
    await here.groups.publish("0", "not here");
    here.clock.advance();
    expect(a.socket.sent).toEqual(["hi"]);
    expect(await here.groups.count("__proto__")).toBe(1);
  });

  it("is over for a group that is destroyed: write returns false, publish rejects with closed", async () => {
    const here = new Process();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    const group = here.groups.get("x");
    connection.setGroup(null);
    expect([group?.write("late"), group?.writeAll("late")]).toEqual([false, false]);
    await expect(group?.publish("late")).rejects.toMatchObject({ code: "closed" });
    await group?.closeAll();
    const never = new ConnectionGroup("x", "default");
    expect([never.write("hi"), never.size, [...never], never.has(connection)]).toEqual([false, 0, [], false]);
    await expect(never.publish("hi")).rejects.toMatchObject({ code: "closed" });
  });
});

describe("counting", () => {
  it("adds up the members in all processes, and follows them", async () => {
    const bus = new MemoryBus();
    const [here, there] = [new Process({ channel: memoryChannel({ bus }) }), new Process({ channel: memoryChannel({ bus }) })];
    const [a, b, c] = [here.connect("a"), there.connect("b"), there.connect("c")];
    for (const { connection } of [a, b, c]) connection.setGroup("x");
    expect([await here.groups.count("x"), await there.groups.count("x"), await here.groups.count("x", "other")]).toEqual([3, 3, 0]);
    b.socket.hangUp();
    there.clock.advance(50);
    expect(await here.groups.count("x")).toBe(2);
    c.connection.setGroup("y");
    there.clock.advance(50);
    expect([await here.groups.count("x"), await here.groups.count("y")]).toEqual([1, 1]);
    await there.groups.stop();
    expect(await here.groups.count("y")).toBe(0);
  });

  it("rejects with bad_group for what is no name", async () => {
    const { groups } = new Process();
    await expect(groups.count("")).rejects.toMatchObject({ code: "bad_group" });
    await expect(groups.count("x", "")).rejects.toMatchObject({ code: "bad_group" });
    void groups.count("");
  });
});

describe("a channel that goes down and comes back", () => {
  it("is told as degraded and restored, once each, with how long it was down", async () => {
    const here = stepProcess();
    const told: unknown[] = [];
    here.groups.on("degraded", (state) => void told.push(["degraded", state]));
    here.groups.on("restored", (state) => void told.push(["restored", state]));
    expect(here.groups.isUp).toBe(false);
    here.adapter.up();
    expect(here.groups.isUp).toBe(true);
    expect(told).toEqual([]); // it was never there before
    await here.clock.advanceAsync(1_000);
    here.adapter.down();
    await here.clock.advanceAsync(1_500);
    here.adapter.down(); // an attempt to come back has failed
    expect(here.groups.isUp).toBe(false);
    await here.clock.advanceAsync(1_000);
    here.adapter.up();
    const degraded = ["degraded", { reason: expect.objectContaining({ message: "the link is cut" }) }];
    expect(told[0]).toEqual(degraded);
    expect(told.at(-1)).toEqual(["restored", { downMs: 2_500 }]);
    expect(told.filter((line) => (line as unknown[])[0] === "restored")).toHaveLength(1);
  });

  it("rejects publish with unavailable within 5 s, tells a write's failure as error, and closes nobody", async () => {
    const here = stepProcess();
    const { connection, socket } = here.connect("a");
    connection.setGroup("x");
    const errors: string[] = [];
    here.groups.get("x")?.on("error", (error) => void errors.push((error as Error & { code: string }).code));
    const published = [here.groups.publish("x", "1"), here.groups.get("x")?.publish("2"), here.pool.broadcastMessage("default", "3")];
    expect(here.groups.get("x")?.write("4")).toBe(true);
    await here.clock.advanceAsync(5_001);
    expect(await Promise.all(published.map((one) => stateOf(one ?? Promise.resolve())))).toEqual([
      "unavailable",
      "unavailable",
      "unavailable",
    ]);
    expect(errors).toEqual(["unavailable"]);
    expect([connection.closed, socket.sent]).toEqual([false, []]);
  });

  it("keeps members through it, and brings them what was published meanwhile in order", async () => {
    const bus = new StepBus();
    const [here, there] = [stepProcess(bus), stepProcess(bus)];
    here.adapter.up();
    there.adapter.up();
    const a = there.connect("a");
    await a.connection.join("x");
    here.adapter.down();
    const published = [here.groups.publish("x", "1"), here.groups.publish("x", "2")];
    await here.clock.advanceAsync(3_000);
    here.adapter.up();
    const last = here.groups.publish("x", "3");
    await here.clock.advanceAsync();
    await there.clock.advanceAsync();
    expect(await Promise.all([...published, last].map(stateOf))).toEqual(["done", "done", "done"]);
    expect(texts(a.socket.sent)).toEqual(["1", "2", "3"]);
  });
});

describe("a process without a member of a group", () => {
  it("never hears of its messages, and stops hearing with the last member", async () => {
    const here = stepProcess();
    here.adapter.up();
    const topic = encodeTopic({ kind: "group", namespace: "default", name: "x" });
    expect(here.adapter.hears(topic)).toBe(false);
    const [a, b] = [here.connect("a").connection, here.connect("b").connection];
    await Promise.all([a.join("x"), b.join("x")]);
    a.leave("x");
    expect(here.adapter.hears(topic)).toBe(true);
    b.leave("x");
    expect(here.adapter.hears(topic)).toBe(false);
    a.setGroup("x");
    a.setGroup(null);
    a.setGroup("x");
    await settle();
    expect(here.adapter.hears(topic)).toBe(true);
  });
});

describe("a broken record from another process", () => {
  it("is told as error, and what comes after it arrives", async () => {
    const here = stepProcess();
    here.adapter.up();
    const a = here.connect("a");
    await a.connection.join("x");
    const topic = encodeTopic({ kind: "group", namespace: "default", name: "x" });
    const good = MessageRecord.of([{ kind: "string", except: ["b"], frame: new Uint8Array([0x81, 1, 0x61]) }]).bytes;
    const bad = Uint8Array.from(good);
    bad[64] = 0x7b; // the except list is no JSON any more
    here.adapter.events.receive(topic, MessageRecord.read(bad));
    here.adapter.events.receive(topic, MessageRecord.read(good));
    here.clock.endTurn();
    expect(here.errors).toMatchObject([{ code: "internal" }]);
    expect(a.socket.sent).toEqual(["a"]);
  });
});

describe("closeAll of a manager", () => {
  it("closes the members of all groups in this process, once each, with reason and code in either order", async () => {
    for (const [args, code, reason] of [
      [[], 1000, ""],
      [["bye", 4000], 4000, "bye"],
      [[4000, "bye"], 4000, "bye"],
      [[{ reason: "bye", code: 4000 }], 4000, "bye"],
    ] as const) {
      const bus = new MemoryBus();
      const [here, there] = [new Process({ channel: memoryChannel({ bus }) }), new Process({ channel: memoryChannel({ bus }) })];
      const [a, b, outside, far] = [here.connect("a"), here.connect("b", undefined, "other"), here.connect("c"), there.connect("d")];
      for (const { connection } of [a, b, far]) {
        await connection.join("x");
        await connection.join("y");
      }
      await here.groups.closeAll(...(args as unknown as [string]));
      for (const { socket } of [a, b]) expect(socket.closeSent).toEqual({ code, reason });
      for (const { socket } of [outside, far]) expect(socket.closeSent).toBeUndefined();
      expect(here.groups.size).toBe(0);
    }
  });

  it("resolves when they are gone, after 5 s at the most", async () => {
    const here = new Process();
    const { connection, socket } = here.connect("a");
    connection.setGroup("x");
    socket.answersClose = false;
    const closed = here.groups.closeAll();
    await here.clock.advanceAsync(4_999);
    expect(await stateOf(closed)).toBe("pending");
    await here.clock.advanceAsync(1);
    expect([await stateOf(closed), here.clock.timers]).toEqual(["done", 0]);
  });

  it("throws bad_option for a code that may not be sent, and closes nobody", () => {
    const here = new Process();
    const { connection, socket } = here.connect("a");
    connection.setGroup("x");
    for (const args of [[1005], [1, "x"], ["a", "b"], [1, 2]]) {
      expect(codeOf(() => here.groups.closeAll(...(args as [number])))).toBe("bad_option");
      expect(codeOf(() => connection.getGroup()?.closeAll(...(args as [number])))).toBe("bad_option");
    }
    expect(socket.closeSent).toBeUndefined();
  });
});

describe("stopping a manager", () => {
  it("leaves the channel: publishing rejects with closed, connections and groups stay", async () => {
    const bus = new MemoryBus();
    for (const here of [new Process({ channel: memoryChannel({ bus }) }), stepProcess()]) {
      if ("adapter" in here) (here as ReturnType<typeof stepProcess>).adapter.up();
      const { connection, socket } = here.connect("a");
      await connection.join("x");
      await here.groups.stop();
      expect(await stateOf(here.groups.publish("x", "late"))).toBe("closed");
      expect(await stateOf(here.pool.broadcastMessage("default", "late"))).toBe("closed");
      expect([connection.closed, here.groups.get("x")?.size, here.groups.isUp]).toEqual([false, 1, here.groups.isUp]);
      expect(connection.send("direct")).toBe(true);
      socket.hangUp();
      expect(here.groups.size).toBe(0);
    }
  });
});

describe("errors that nobody hears", () => {
  it("are logged by the manager's logger, with the group's name", async () => {
    const logger = new NoteLogger();
    const clock = new FakeClock();
    const channel = new Channel(new StepAdapter(), { clock });
    const here = new Process({ clock, channel, logger });
    here.groups.on("created", (group) =>
      group.on("join", () => {
        throw new Error("bad listener");
      }),
    );
    here.connect("a").connection.setGroup("x");
    expect(logger.lines).toMatchObject([{ level: "error", facts: { group: "x", namespace: "default" } }]);
    const lonely = new GroupManager({ logger, authorize: () => Promise.reject(new Error("no database")) });
    lonely.adopt(here.connect("b").connection);
    await here.pool
      .getConnection("default", "b")
      ?.join("x")
      .catch(() => {});
    expect(logger.lines.at(-1)).toMatchObject({ level: "error", text: "no database" });
  });
});
