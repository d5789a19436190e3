import { describe, expect, it } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { deferred } from "../../../src/base/promises.ts";
import { Turn } from "../../../src/base/turn.ts";
import type { Receipt } from "../../../src/channel/adapter.ts";
import { Channel } from "../../../src/channel/channel.ts";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { type Connection, type DisconnectArguments, memoryChannel } from "../../../src/index.ts";
import { Post } from "../../../src/presence/post.ts";
import { CloseEverywhere, type CloseRequest } from "../../../src/server/close-everywhere.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import type { MessageRecord } from "../../../src/wire/record.ts";
import { codeOf, Process, settle, stateOf, StepAdapter, StepBus, stepProcess, type StreamSocket, texts } from "../fakes.ts";

type Joined = { connection: Connection; socket: StreamSocket };

async function member(process: Process, id: string, namespace?: string): Promise<Joined> {
  const joined = process.connect(id, undefined, namespace);
  await joined.connection.join("x");
  return joined;
}

async function pass(...processes: Process[]): Promise<void> {
  for (let times = 0; times < 8; times++) for (const { clock } of processes) await clock.advanceAsync();
}

describe("disconnect", () => {
  const world = (): [Process, Process, Process] => {
    const bus = new MemoryBus();
    return [0, 1, 2].map(() => new Process({ channel: memoryChannel({ bus }) })) as [Process, Process, Process];
  };

  it("closes the members of a group in every process, from one that has none, and tells how many", async () => {
    const [here, there, elsewhere] = world();
    const members = [await member(there, "a"), await member(there, "b"), await member(elsewhere, "c")];
    const others = [here.connect("d"), await member(there, "e", "other")];
    void here.groups.publish("x", "last words");
    const gone = here.groups.disconnect("x", { reason: "bye", code: 4000 });
    await pass(here, there, elsewhere);
    expect(await gone).toEqual({ outcome: "done", closed: 3 });
    for (const { socket, connection } of members) {
      expect([texts(socket.sent), socket.closeSent, connection.closed]).toEqual([["last words"], { code: 4000, reason: "bye" }, true]);
    }
    expect(others.map(({ connection }) => connection.closed)).toEqual([false, false]);
    expect([here.clock.timers, there.clock.timers]).toEqual([0, 0]);
  });

  it("reaches the namespace that it is for, and leaves out who shall stay, by connection or id", async () => {
    const [here, there] = world();
    const [a, b, c, d] = await Promise.all(["a", "b", "c", "d"].map((id) => member(there, id, "other")));
    const e = await member(there, "e");
    if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error("nobody");
    const gone = here.groups.disconnect("x", { namespace: "other", except: ["a", b.connection] });
    await pass(here, there);
    expect(await gone).toEqual({ outcome: "done", closed: 2 });
    expect([a, b, c, d, e].map(({ connection }) => connection.closed)).toEqual([false, false, true, true, false]);
    expect(c.socket.closeSent).toEqual({ code: 1000, reason: "" });
    expect(await here.groups.disconnect("x", "bye", 4000, { namespace: "nowhere" })).toEqual({ outcome: "done", closed: 0 });
  });

  it.each<[DisconnectArguments, code: number, reason: string]>([
    [[], 1000, ""],
    [["bye", 4000], 4000, "bye"],
    [[4000, "bye"], 4000, "bye"],
    [[4000], 4000, ""],
    [[undefined, "bye", {}], 1000, "bye"],
    [[{ code: 4001, except: [] }], 4001, ""],
    [[4000, "bye", { except: "nobody" }], 4000, "bye"],
  ])("takes %j", async (args, code, reason) => {
    const [here, there] = world();
    const a = await member(there, "a");
    const gone = here.groups.disconnect("x", ...args);
    await pass(here, there);
    expect(await gone).toEqual({ outcome: "done", closed: 1 });
    expect(a.socket.closeSent).toEqual({ code, reason });
  });

  it("throws for arguments that are none, and nobody has been closed", async () => {
    const [here] = world();
    const a = await member(here, "a");
    const wrong = (...args: unknown[]): string => codeOf(() => here.groups.disconnect("x", ...(args as unknown as DisconnectArguments)));
    expect([wrong(1005), wrong("a", "b"), wrong({ reason: 7 }), wrong({ except: 7 }), wrong({ except: [7] })]).toEqual(
      Array.from({ length: 5 }, () => "bad_option"),
    );
    expect([wrong({ namespace: "" }), codeOf(() => here.groups.disconnect(""))]).toEqual(["bad_group", "bad_group"]);
    await pass(here);
    expect(a.connection.closed).toBe(false);
  });

  it("has an unknown outcome after 5 s if a process hangs, and counts those who are known to be gone", async () => {
    const bus = new StepBus();
    const [here, there, hung] = [stepProcess(bus), stepProcess(bus), stepProcess(bus)];
    for (const { adapter } of [here, there, hung]) adapter.up();
    const members = [await member(here, "a"), await member(there, "b"), await member(there, "c"), await member(hung, "d")];
    await pass(here, there, hung);
    const gone = here.groups.disconnect("x");
    await pass(here, there);
    expect(members.map(({ connection }) => connection.closed).slice(0, 3)).toEqual([true, true, true]);
    await here.clock.advanceAsync(4_999);
    expect(await stateOf(gone)).toBe("pending");
    await here.clock.advanceAsync(1);
    expect(await gone).toEqual({ outcome: "unknown_outcome", closed: 3 });
  });

  it("is done though peers do not answer their close frames", async () => {
    const [here, there] = world();
    const [a, b] = [await member(here, "a"), await member(there, "b")];
    for (const { socket } of [a, b]) socket.answersClose = false;
    const gone = here.groups.disconnect("x");
    await pass(here, there);
    await Promise.all([here, there].map(({ clock }) => clock.advanceAsync(4_900)));
    expect(await stateOf(gone)).toBe("done");
    expect(await gone).toEqual({ outcome: "done", closed: 2 });
  });

  it("rejects with unavailable if the channel is down, and closes who is here", async () => {
    const here = stepProcess();
    const a = here.connect("a");
    a.connection.setGroup("x");
    const gone = here.groups.disconnect("x");
    await here.clock.advanceAsync(5_000);
    expect(await stateOf(gone)).toBe("unavailable");
    expect(a.connection.closed).toBe(true);
  });

  it("has an unknown outcome if the channel goes down before it answers", async () => {
    const here = stepProcess();
    here.adapter.up();
    await pass(here);
    const answer = deferred<Receipt>();
    here.adapter.publish = () => answer.promise;
    const gone = here.groups.disconnect("x");
    await pass(here);
    answer.reject(new GroupcastError("unknown_outcome"));
    expect(await gone).toEqual({ outcome: "unknown_outcome", closed: 0 });
  });
});

/** A channel that cannot tell whom it has reached. */
class SilentAdapter extends StepAdapter {
  override async publish(topic: string, record: MessageRecord): Promise<Receipt> {
    await super.publish(topic, record);
    return { receivers: undefined };
  }
}

describe("whom a close everywhere waits for, on a channel that cannot tell whom it has reached", () => {
  const request: CloseRequest = { namespace: "default", name: "x", goodbye: { code: 1000, reason: "" }, except: [] };

  /** This process, what it believes of the others, and how they answer. */
  async function world(with_: {
    here?: Promise<number>;
    nodes?: string[];
    isWhole?: boolean;
    loaded?: Promise<void>;
    Adapter?: typeof StepAdapter;
  }) {
    const { here, nodes = [], isWhole = true, loaded, Adapter = SilentAdapter } = with_;
    const clock = new FakeClock();
    const bus = new StepBus();
    const posts = ["me", "b", "c"].map((node) => {
      const adapter = new Adapter(bus);
      const channel = new Channel(adapter, { clock });
      channel.start({ up: () => {}, down: () => {}, failed: () => {} }, new Turn(clock));
      const post = new Post({ channel, clock, node, failed: () => {} });
      post.start();
      adapter.up();
      return { post, channel };
    });
    const [me] = posts;
    if (me === undefined) throw new Error("no node");
    let isLoaded = loaded === undefined;
    void loaded?.then(() => (isLoaded = true));
    const index = {
      isWhole,
      find: () => undefined,
      count: () => 0,
      nodes: () => [],
      nodesWith: (namespace: string, name: string) => (isLoaded && `${namespace}/${name}` === "default/x" ? nodes : []),
      occupiedGroups: () => [],
    };
    let gone: (node: string) => void = () => {};
    const closing = new CloseEverywhere({
      channel: me.channel,
      clock,
      post: me.post,
      presence: {
        index,
        load: () => loaded,
        onNodeGone: (listener) => {
          gone = listener;
          return () => {};
        },
      },
      members: { has: () => here !== undefined, close: () => here ?? Promise.resolve(0) },
    });
    const topic = encodeTopic({ kind: "group", namespace: "default", name: "x" });
    for (const { channel } of posts.slice(1)) channel.hear(topic, () => {});
    if (here !== undefined)
      me.channel.hear(topic, (record) => [...record.messages()].forEach(({ frame }) => closing.obey("default", "x", frame)));
    await clock.advanceAsync();
    const answer = async (node: string, words: Record<string, unknown>): Promise<void> => {
      await Promise.all([posts.find(({ post }) => post.node === node)?.post.tell("me", "closed", words), clock.advanceAsync()]);
      await clock.advanceAsync();
    };
    return { clock, closing, answer, gone: (node: string) => gone(node) };
  }

  it("waits for the processes that are known to have members, and for this one if it has, and no longer", async () => {
    const here = deferred<number>();
    const { clock, closing, answer } = await world({ here: here.promise, nodes: ["b", "c"] });
    const asked = closing.ask(request);
    await clock.advanceAsync();
    await answer("b", { id: 1, closed: 3 });
    expect(await stateOf(asked)).toBe("pending");
    await answer("c", { id: 1, closed: 4 });
    expect(await stateOf(asked)).toBe("pending");
    here.resolve(2);
    expect(await asked).toEqual({ outcome: "done", closed: 9 });
    expect(clock.timers).toBe(0);
  });

  it("waits for nobody if nobody has members", async () => {
    const { clock, closing } = await world({});
    const asked = closing.ask(request);
    await clock.advanceAsync();
    expect(await asked).toEqual({ outcome: "done", closed: 0 });
  });

  it("learns who has members while the request is on its way, if it did not know", async () => {
    const loaded = deferred();
    const { clock, closing, answer } = await world({ nodes: ["b"], loaded: loaded.promise });
    const asked = closing.ask(request);
    await clock.advanceAsync();
    expect(await stateOf(asked)).toBe("pending");
    loaded.resolve();
    await settle();
    expect(await stateOf(asked)).toBe("pending");
    await answer("b", { id: 1, closed: 1 });
    expect(await asked).toEqual({ outcome: "done", closed: 1 });
  });

  it("leaves it to the time if a part of the index is missing", async () => {
    const { clock, closing, answer } = await world({ nodes: ["b"], isWhole: false });
    const asked = closing.ask(request);
    await clock.advanceAsync();
    await answer("b", { id: 1, closed: 1 });
    await clock.advanceAsync(4_999);
    expect(await stateOf(asked)).toBe("pending");
    await clock.advanceAsync(1);
    expect(await asked).toEqual({ outcome: "unknown_outcome", closed: 1 });
  });

  it.each([
    ["can", StepAdapter],
    ["cannot", SilentAdapter],
  ])("waits no longer for a process that is gone; also on one that %s", async (_, Adapter) => {
    const { clock, closing, answer, gone } = await world({ here: Promise.resolve(1), nodes: ["b", "c"], Adapter });
    const asked = closing.ask(request);
    await clock.advanceAsync();
    await answer("b", { id: 1, closed: 1 });
    gone("b"); // it had answered
    gone("somebody else");
    expect(await stateOf(asked)).toBe("pending");
    gone("c");
    expect(await asked).toEqual({ outcome: "unknown_outcome", closed: 2 });
    expect(clock.timers).toBe(0);
  });

  it("is not deceived by answers that are none", async () => {
    const { clock, closing, answer } = await world({ nodes: ["b"] });
    const asked = closing.ask(request);
    await clock.advanceAsync();
    for (const words of [{}, { id: 1 }, { id: "1", closed: 1 }, { id: 1, closed: "1" }, { id: 1, closed: 0.5 }, { id: 2, closed: 1 }]) {
      await answer("b", words);
    }
    await answer("c", { id: 1, closed: 1 }); // it is not waited for, but it tells
    expect(await stateOf(asked)).toBe("pending");
    await answer("b", { id: 1, closed: -5 });
    expect(await asked).toEqual({ outcome: "done", closed: 1 });
  });
});
