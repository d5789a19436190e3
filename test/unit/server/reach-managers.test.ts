import { describe, expect, it } from "vitest";
import type { Receipt } from "../../../src/channel/adapter.ts";
import { Channel } from "../../../src/channel/channel.ts";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { Connection, ConnectionsPool, type GroupManagerOptions, memoryChannel } from "../../../src/index.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import type { MessageRecord } from "../../../src/wire/record.ts";
import { Process, stateOf, StepAdapter, StepBus, StreamSocket, texts } from "../fakes.ts";

/** Processes on one bus and one clock; it knows who is where once they have had a second. */
function processes(count: number, options: GroupManagerOptions = {}): { all: Process[]; clock: FakeClock } {
  const bus = new MemoryBus();
  const clock = new FakeClock();
  return { clock, all: Array.from({ length: count }, () => new Process({ ...options, clock, channel: memoryChannel({ bus, clock }) })) };
}

/** What it comes to, as time passes. */
async function after<T>(clock: FakeClock, promise: Promise<T>, withinMs = 2_000): Promise<T> {
  let isSettled = false;
  const settled = (): void => void (isSettled = true);
  promise.then(settled, settled);
  await clock.advanceAsync();
  for (let ms = 0; ms < withinMs && !isSettled; ms += 10) await clock.advanceAsync(10);
  expect(isSettled).toBe(true);
  return promise;
}

describe("a manager and its pools among others", () => {
  it("reach a connection by its id from everywhere, and only in its namespace", async () => {
    const { all, clock } = processes(3);
    const [here, there, elsewhere] = all as [Process, Process, Process];
    const a = there.connect("a");
    const b = elsewhere.connect("a", undefined, "other");
    expect(await after(clock, here.pool.send("default", "a", "hello"))).toBe("done");
    expect(await after(clock, elsewhere.pool.send("default", "a", new Uint8Array([1])))).toBe("done");
    expect(await after(clock, there.pool.send("other", "a", "to the other"))).toBe("done");
    expect(await after(clock, here.pool.send("third", "a", "to nobody"))).toBe("unknown_connection");
    expect([texts(a.socket.sent), texts(b.socket.sent)]).toEqual([["hello", "bytes 01"], ["to the other"]]);

    expect(await after(clock, here.groups.addTo("room", "a"))).toBe("done");
    expect(await after(clock, here.groups.addTo("room", "a", { namespace: "other" }))).toBe("done");
    expect([a, b].map(({ connection }) => connection.groups.has("room"))).toEqual([true, true]);
    expect(await after(clock, here.groups.removeFrom("room", "a", { namespace: "other" }))).toBe("done");
    expect([a, b].map(({ connection }) => connection.groups.has("room"))).toEqual([true, false]);
    expect(await after(clock, here.groups.addTo("room", "nobody"))).toBe("unknown_connection");
    expect(await after(clock, here.groups.removeFrom("room", "nobody"))).toBe("unknown_connection");
    expect(await stateOf(here.groups.addTo("", "a"))).toBe("bad_group");
    expect(await stateOf(here.groups.removeFrom("\n", "a"))).toBe("bad_group");

    expect(await after(clock, here.pool.close("default", "a", "bye", 4000))).toBe("done"); // either order
    expect(a.socket.closeSent).toEqual({ code: 4000, reason: "bye" });
    expect(b.connection.closed).toBe(false);
    expect(await after(clock, here.pool.close("other", "a", { code: 4001 }))).toBe("done");
    expect(b.socket.closeSent).toEqual({ code: 4001, reason: "" });
    expect(() => here.pool.close("default", "a", 1005)).toThrow("1005");
    await clock.advanceAsync(1_000);
    expect(await after(clock, here.pool.send("default", "a", "late"))).toBe("unknown_connection");
    expect(all.flatMap(({ errors }) => errors)).toEqual([]);
  });

  it("reach a connection in whichever pool of a manager it is, here or elsewhere", async () => {
    const { all, clock } = processes(2);
    const [here, there] = all as [Process, Process];
    const socket = new StreamSocket();
    const connection = new Connection("a", "default", socket);
    const second = new ConnectionsPool({ groups: there.groups });
    second.newConnection(connection);
    there.connect("b");
    expect(await there.pool.send("default", "a", "from the first pool")).toBe("done");
    expect(await after(clock, here.pool.send("default", "a", "from afar"))).toBe("done");
    expect(await second.send("default", "b", "x")).toBe("done");
    expect(texts(socket.sent)).toEqual(["from the first pool", "from afar"]);
    second.removeConnection(connection);
    expect(await after(clock, here.pool.send("default", "a", "x"))).toBe("unknown_connection");
  });

  it("ask nobody for what is here, and a pool without a manager knows only itself", async () => {
    const { all } = processes(2);
    const [here] = all as [Process];
    const { socket, connection } = here.connect("a");
    expect(await here.pool.send("default", "a", "x")).toBe("done"); // time stands still
    expect(await here.groups.addTo("room", "a")).toBe("done");
    expect(connection.groups.has("room")).toBe(true);
    expect(await here.groups.removeFrom("room", "a")).toBe("done");
    const alone = new ConnectionsPool();
    expect([await alone.send("default", "a", "x"), await alone.close("default", "a")]).toEqual([
      "unknown_connection",
      "unknown_connection",
    ]);
    alone.newConnection(new Connection("a", "default", new StreamSocket()));
    expect([await alone.send("default", "a", "x"), await alone.close("default", "a")]).toEqual(["done", "done"]);
    expect(texts(socket.sent)).toEqual(["x"]);
  });

  it("know no connection of a process that has stopped", async () => {
    const { all, clock } = processes(2);
    const [here, there] = all as [Process, Process];
    there.connect("a");
    expect(await after(clock, here.pool.send("default", "a", "x"))).toBe("done");
    await after(clock, there.groups.stop());
    await clock.advanceAsync(1_000);
    expect(await after(clock, here.pool.send("default", "a", "x"))).toBe("unknown_connection");
  });

  it("reject with closed once they have stopped, but for what is here", async () => {
    const { all, clock } = processes(2);
    const [here, there] = all as [Process, Process];
    here.connect("a");
    there.connect("b");
    expect(await after(clock, here.pool.send("default", "b", "x"))).toBe("done");
    await after(clock, here.groups.stop());
    expect(await stateOf(after(clock, here.pool.send("default", "b", "x")))).toBe("closed");
    expect(await after(clock, here.pool.send("default", "nobody", "x"))).toBe("unknown_outcome");
    expect(await here.pool.send("default", "a", "x")).toBe("done");
    expect(await stateOf(after(clock, here.groups.disconnect("room")))).toBe("closed");
  });
});

/** A channel that cannot tell whom it has reached. */
class SilentAdapter extends StepAdapter {
  override async publish(topic: string, record: MessageRecord): Promise<Receipt> {
    await super.publish(topic, record);
    return { receivers: undefined };
  }
}

describe("on a channel that cannot tell whom it has reached", () => {
  it("closing a group everywhere takes no longer than its members do", async () => {
    const bus = new StepBus();
    const clock = new FakeClock();
    const all = [0, 1, 2].map(() => {
      const adapter = new SilentAdapter(bus);
      const process = new Process({ clock, channel: new Channel(adapter, { clock }) });
      adapter.up();
      return process;
    });
    const [here, there, elsewhere] = all as [Process, Process, Process];
    for (const round of ["first", "second"]) {
      const members = [here.connect(`a ${round}`), there.connect(`b ${round}`), there.connect(`c ${round}`)];
      for (const { connection } of members) await after(clock, connection.join("x"));
      await clock.advanceAsync(1_000);
      expect(await after(clock, elsewhere.groups.disconnect("x", { except: [] }), 1_500)).toEqual({ outcome: "done", closed: 3 });
      expect(members.map(({ connection }) => connection.closed)).toEqual([true, true, true]);
      expect(await after(clock, elsewhere.groups.disconnect("x"), 1_500)).toEqual({ outcome: "done", closed: 0 });
      const again = [here.connect(`d ${round}`), there.connect(`e ${round}`)];
      for (const { connection } of again) await after(clock, connection.join("x"));
      await clock.advanceAsync(1_000);
      await after(clock, here.groups.get("x")?.closeAll() ?? Promise.reject(new Error("no group")), 1_500);
      expect(again.map(({ connection }) => connection.closed)).toEqual([true, true]);
    }
    expect(all.flatMap(({ errors }) => errors)).toEqual([]);
  });
});
