import { describe, expect, it } from "vitest";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { type Connection, memoryChannel } from "../../../src/index.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { Process, settle, stateOf, StepBus, stepProcess, type StreamSocket, texts } from "../fakes.ts";

type World = {
  here: Process;
  there: Process;
  a: { connection: Connection; socket: StreamSocket };
  b: { connection: Connection; socket: StreamSocket };
  c: { connection: Connection; socket: StreamSocket };
  pass: (ms?: number) => Promise<void>;
};

/** a here, b and c there, all in x; c also in y. */
async function world(kind: string): Promise<World> {
  const bus = new MemoryBus();
  const steps = new StepBus();
  const [here, there] = [0, 1].map(() => (kind === "memory" ? new Process({ channel: memoryChannel({ bus }) }) : stepProcess(steps)));
  if (here === undefined || there === undefined) throw new Error("no process");
  for (const one of [here, there]) if ("adapter" in one) (one as ReturnType<typeof stepProcess>).adapter.up();
  const [a, b, c] = [here.connect("a"), there.connect("b"), there.connect("c")];
  for (const { connection } of [a, b, c]) await connection.join("x");
  await c.connection.join("y");
  // Both machines' clocks, and as often as a message needs to go there and back.
  const pass = async (ms = 0): Promise<void> => {
    for (let times = 0; times < 6; times++) await Promise.all([here.clock.advanceAsync(), there.clock.advanceAsync()]);
    await Promise.all([here.clock.advanceAsync(ms), there.clock.advanceAsync(ms)]);
    for (let times = 0; times < 6; times++) await Promise.all([here.clock.advanceAsync(), there.clock.advanceAsync()]);
  };
  return { here, there, a, b, c, pass };
}

describe.each(["memory", "steps"])("closeAll of a group, across two processes (%s)", (kind) => {
  it("closes the members in every process, after everything that was written before, and resolves when all have confirmed", async () => {
    const { here, there, a, b, c, pass } = await world(kind);
    const group = here.groups.get("x");
    group?.write("last words");
    const closed = group?.closeAll("bye", 4000);
    await pass();
    for (const { socket, connection } of [a, b, c]) {
      expect(texts(socket.sent)).toEqual(["last words"]);
      expect(socket.closeSent).toEqual({ code: 4000, reason: "bye" });
      expect(connection.closed).toBe(true);
    }
    expect(await stateOf(closed ?? Promise.resolve())).toBe("done");
    expect([here.groups.size, there.groups.size, here.clock.timers, there.clock.timers]).toEqual([0, 0, 0, 0]);
  });

  it("waits for a member in another process that takes its time, and not for anything else", async () => {
    const { here, b, pass } = await world(kind);
    b.socket.answersClose = false;
    const closed = here.groups.get("x")?.closeAll() ?? Promise.resolve();
    await pass(3_000);
    expect(await stateOf(closed)).toBe("pending");
    b.socket.finishClose();
    await pass();
    expect(await stateOf(closed)).toBe("done");
  });

  it("resolves after 5 s in any case", async () => {
    const { here, there, b, pass } = await world(kind);
    b.socket.answersClose = false;
    // That process hangs: its clock stands still, and it confirms nothing.
    const closed = here.groups.get("x")?.closeAll() ?? Promise.resolve();
    for (let times = 0; times < 6; times++) await Promise.all([here.clock.advanceAsync(), there.clock.advanceAsync()]);
    await here.clock.advanceAsync(4_999);
    expect(await stateOf(closed)).toBe("pending");
    await here.clock.advanceAsync(1);
    expect(await stateOf(closed)).toBe("done");
    expect(here.clock.timers).toBe(0);
    await pass(10_000);
  });

  it("touches no other group, and nobody who has left", async () => {
    const { here, there, b, c, pass } = await world(kind);
    b.connection.leave("x");
    const d = there.connect("d");
    await d.connection.join("y");
    const closed = here.groups.get("x")?.closeAll() ?? Promise.resolve();
    await pass();
    await closed;
    expect([b, c, d].map(({ connection }) => connection.closed)).toEqual([false, true, false]);
  });

  it("takes its arguments in either order, with 1000 as the default code", async () => {
    for (const [args, code, reason] of [
      [[], 1000, ""],
      [[4000, "bye"], 4000, "bye"],
      [[{ code: 4001 }], 4001, ""],
    ] as const) {
      const { here, a, b, pass } = await world(kind);
      const closed = here.groups.get("x")?.closeAll(...(args as unknown as [number]));
      await pass();
      await closed;
      for (const { socket } of [a, b]) expect(socket.closeSent).toEqual({ code, reason });
    }
  });

  it("may be called from both sides at the same time, and twice", async () => {
    const { here, there, pass } = await world(kind);
    const all = [here, there, here].map(({ groups }) => groups.get("x")?.closeAll() ?? Promise.resolve());
    await pass();
    expect(await Promise.all(all.map(stateOf))).toEqual(["done", "done", "done"]);
  });

  it("harms nobody when a process leaves the channel in the midst of it", async () => {
    const { here, there, b, pass } = await world(kind);
    b.socket.answersClose = false;
    const closed = here.groups.get("x")?.closeAll() ?? Promise.resolve();
    await pass();
    await there.groups.stop();
    b.socket.finishClose(); // the answer cannot be sent any more
    await pass(5_000);
    expect(await stateOf(closed)).toBe("done");
    await settle();
  });
});

describe("closeAll while the channel is down", () => {
  it("closes the members here, and rejects with unavailable within 5 s", async () => {
    const here = stepProcess();
    const a = here.connect("a");
    a.connection.setGroup("x");
    const closed = here.groups.get("x")?.closeAll("bye", 4000) ?? Promise.resolve();
    await here.clock.advanceAsync(5_000);
    expect(await stateOf(closed)).toBe("unavailable");
    expect(a.socket.closeSent).toEqual({ code: 4000, reason: "bye" });
  });

  it("takes 5 s at the most in all, though the channel comes back late", async () => {
    const bus = new StepBus();
    const [here, there] = [stepProcess(bus), stepProcess(bus)];
    there.adapter.up();
    const [a, b] = [here.connect("a"), there.connect("b")];
    a.connection.setGroup("x");
    b.connection.setGroup("x");
    b.socket.answersClose = false;
    const closed = here.groups.get("x")?.closeAll() ?? Promise.resolve();
    await here.clock.advanceAsync(4_000);
    here.adapter.up();
    await here.clock.advanceAsync(1_001);
    expect(await stateOf(closed)).not.toBe("pending");
    expect(a.socket.closeSent).toBeDefined();
    await Promise.all([here.clock.advanceAsync(10_000), there.clock.advanceAsync(10_000)]);
  });
});

describe("closeAll of a group that is not heard yet", () => {
  it("takes 5 s at the most in all: time spent on the way to the answers counts", async () => {
    const here = stepProcess();
    const a = here.connect("a");
    a.connection.setGroup("x");
    const closed = here.groups.get("x")?.closeAll("bye", 4000) ?? Promise.resolve();
    await here.clock.advanceAsync(4_000);
    here.adapter.confirms = false;
    here.adapter.up();
    const replies = here.adapter.calls.find((call) => call.startsWith("subscribe r"))?.slice("subscribe ".length);
    expect(replies).toBeDefined();
    here.adapter.confirm(replies); // but the group's own topic is not
    await here.clock.advanceAsync(1_001);
    expect(await stateOf(closed)).toBe("unavailable");
    expect(a.socket.closeSent).toEqual({ code: 4000, reason: "bye" });
    await here.clock.advanceAsync(10_000);
  });
});

describe("what another process sends in place of a request", () => {
  const topic = encodeTopic({ kind: "group", namespace: "default", name: "x" });
  const control = (text: string): MessageRecord => MessageRecord.of([{ kind: "control", frame: encodeFrame(text), except: [] }]);

  it.each([
    "",
    "nonsense",
    "null",
    "[]",
    "{}",
    '{"do":"close"}',
    '{"do":"close","id":"1","node":"o","goodbye":{},"except":[]}',
    '{"do":"close","id":1,"node":7,"goodbye":{},"except":[]}',
    '{"do":"close","id":1,"node":"o\\u0000p","goodbye":{},"except":[]}',
    '{"do":"close","id":1,"node":"o","except":[]}',
    '{"do":"close","id":1,"node":"o","goodbye":null,"except":[]}',
    '{"do":"close","id":1,"node":"o","goodbye":[],"except":[]}',
    '{"do":"close","id":1,"node":"o","goodbye":{"code":"1000"},"except":[]}',
    '{"do":"close","id":1,"node":"o","goodbye":{"reason":7},"except":[]}',
    '{"do":"close","id":1,"node":"o","goodbye":{"code":1005},"except":[]}',
    '{"do":"close","id":1,"node":"o","goodbye":{"code":1e999},"except":[]}',
    '{"do":"close","id":1,"node":"o","goodbye":{}}',
    '{"do":"close","id":1,"node":"o","goodbye":{},"except":[7]}',
    '{"do":"explode","id":1,"node":"o","goodbye":{},"except":[]}',
  ])("%s: closes nobody, reaches nobody, and throws nothing", async (text) => {
    const here = stepProcess();
    here.adapter.up();
    const a = here.connect("a");
    await a.connection.join("x");
    expect(() => here.adapter.events.receive(topic, control(text))).not.toThrow();
    await here.clock.advanceAsync();
    expect([a.socket.sent, a.socket.closeSent, a.connection.closed]).toEqual([[], undefined, false]);
  });

  it("is obeyed if it is one", async () => {
    const here = stepProcess();
    here.adapter.up();
    const a = here.connect("a");
    await a.connection.join("x");
    here.adapter.events.receive(topic, control('{"do":"close","id":1,"node":"other","goodbye":{"code":4000,"reason":"bye"},"except":[]}'));
    await here.clock.advanceAsync();
    await here.clock.advanceAsync();
    expect(a.socket.closeSent).toEqual({ code: 4000, reason: "bye" });
    expect(here.adapter.calls.at(-1)).toBe("publish r\0other");
  });
});
