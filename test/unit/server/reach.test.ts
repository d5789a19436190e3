import { describe, expect, it } from "vitest";
import { deferred } from "../../../src/base/promises.ts";
import { Turn } from "../../../src/base/turn.ts";
import { Channel } from "../../../src/channel/channel.ts";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { memoryChannel } from "../../../src/channel/memory-channel.ts";
import { PUBLISH_BYTES_MAX } from "../../../src/groups/message.ts";
import { Connection, GroupManager, type GroupManagerOptions } from "../../../src/index.ts";
import { Post } from "../../../src/presence/post.ts";
import { Reach } from "../../../src/server/reach.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import type { Payload } from "../../../src/wire/frames.ts";
import { stateOf, StepAdapter, StepBus, StreamSocket, texts } from "../fakes.ts";

/** Who is where, as all nodes of a world believe. */
class Belief {
  readonly where = new Map<string, string>();
  isWhole = true;
  loading: Promise<void> | undefined;
}

/** One process: its connections, and its way to those of the others. Groups are of a manager of its own. */
class Node {
  readonly name: string;
  readonly clock: FakeClock;
  readonly channel: Channel;
  readonly post: Post;
  readonly reach: Reach;
  readonly groups: GroupManager;
  readonly errors: Error[] = [];
  readonly connections = new Map<string, Connection>();
  /** Tells that a node is gone. */
  gone: (node: string) => void = () => {};
  readonly #belief: Belief;

  constructor(name: string, belief: Belief, make: (clock: FakeClock) => Channel, options: GroupManagerOptions = {}) {
    this.name = name;
    this.#belief = belief;
    const clock = (this.clock = new FakeClock());
    this.channel = make(clock);
    const failed = (error: Error): void => void this.errors.push(error);
    this.channel.start({ up: () => {}, down: () => {}, failed }, new Turn(clock));
    this.post = new Post({ channel: this.channel, clock, node: name, failed });
    this.groups = new GroupManager({ ...options, clock });
    const index = {
      get isWhole() {
        return belief.isWhole;
      },
      find: (namespace: string, id: string) => {
        const node = belief.where.get(`${namespace}/${id}`);
        return node === undefined || node === name ? undefined : { node };
      },
      count: () => 0,
      nodes: () => [],
      nodesWith: () => [],
      occupiedGroups: () => [],
    };
    const find = (namespace: string, id: string): Connection | undefined => this.connections.get(`${namespace}/${id}`);
    const onNodeGone = (listener: (node: string) => void): (() => void) => {
      this.gone = listener;
      return () => {};
    };
    const presence = { index, load: () => belief.loading, onNodeGone };
    this.reach = new Reach({ clock, post: this.post, presence, find });
    this.post.start();
  }

  connect(id: string, namespace = "default"): { connection: Connection; socket: StreamSocket } {
    const socket = new StreamSocket();
    const connection = new Connection(id, namespace, socket);
    this.groups.adopt(connection);
    const key = `${namespace}/${id}`;
    this.connections.set(key, connection);
    this.#belief.where.set(key, this.name);
    connection.on("close", () => {
      this.connections.delete(key);
      this.#belief.where.delete(key);
    });
    return { connection, socket };
  }
}

type World = { a: Node; b: Node; belief: Belief; pass: (ms?: number) => Promise<void> };

function world(options: GroupManagerOptions = {}): World {
  const bus = new MemoryBus();
  const belief = new Belief();
  const [a, b] = ["a", "b"].map((name) => new Node(name, belief, (clock) => memoryChannel({ bus, clock }), options)) as [Node, Node];
  return { a, b, belief, pass: passer(a, b) };
}

/** Both machines' clocks, and as often as a request needs to go there and back. */
function passer(...nodes: Node[]): (ms?: number) => Promise<void> {
  const turns = async (): Promise<void> => {
    for (let times = 0; times < 6; times++) for (const { clock } of nodes) await clock.advanceAsync();
  };
  return async (ms = 0) => {
    await turns();
    await Promise.all(nodes.map(({ clock }) => clock.advanceAsync(ms)));
    await turns();
  };
}

describe("a message to one connection", () => {
  it("reaches it in the process that has it, as text or as bytes, and nobody else", async () => {
    const { a, b } = world();
    const c = b.connect("c");
    const others = [b.connect("d"), a.connect("e"), b.connect("c", "other")];
    const bytes = new Uint8Array([0, 255, 1]);
    const sent = ["text", "", "\uFEFFgrüße 👋", bytes, new Uint8Array(0)].map((data) => a.reach.send("default", "c", data));
    expect(await Promise.all(sent)).toEqual(["done", "done", "done", "done", "done"]);
    expect(texts(c.socket.sent)).toEqual(["text", "", "\uFEFFgrüße 👋", "bytes 00ff01", "bytes "]);
    expect(others.flatMap(({ socket }) => socket.sent)).toEqual([]);
    expect([a.clock.timers, a.errors, b.errors]).toEqual([0, [], []]);
  });

  it("does not travel if the connection is here", async () => {
    const { a, belief } = world();
    const c = a.connect("c");
    belief.loading = new Promise(() => {});
    const records: string[] = [];
    a.channel.publish = (topic) => Promise.reject(new Error(String(records.push(topic))));
    expect(await a.reach.send("default", "c", "x")).toBe("done");
    expect(await a.reach.join("default", "c", "room")).toBe("done");
    expect(await a.reach.leave("default", "c", "room")).toBe("done");
    const closed = a.reach.close("default", "c", { code: 4000, reason: "bye" });
    expect(c.socket.closeSent).toEqual({ code: 4000, reason: "bye" }); // within the call
    expect(await closed).toBe("done");
    expect([texts(c.socket.sent), records]).toEqual([["x"], []]);
  });

  it("arrives in the order of the calls, also of those that waited for the index", async () => {
    const { a, b, belief, pass } = world();
    const c = b.connect("c");
    const loaded = deferred();
    belief.loading = loaded.promise;
    const sent: Promise<unknown>[] = [];
    const send = (from: number, to: number): void => {
      for (let n = from; n < to; n++) sent.push(a.reach.send("default", "c", String(n)));
    };
    const bytes = new TextEncoder().encode("-");
    sent.push(a.reach.send("default", "c", bytes));
    bytes.fill(0); // it is the caller's again
    send(0, 300);
    await pass();
    expect(c.socket.sent).toEqual([]);
    belief.loading = undefined;
    loaded.resolve();
    send(300, 600); // before those who waited have heard of it
    await Promise.resolve();
    send(600, 800);
    await pass();
    send(800, 1_000);
    expect(new Set(await Promise.all(sent))).toEqual(new Set(["done"]));
    expect(texts(c.socket.sent)).toEqual(["bytes 2d", ...Array.from({ length: 1_000 }, (_, n) => String(n))]);
  });

  it("has every outcome that it may have", async () => {
    const { a, b, belief } = world();
    const c = b.connect("c");
    expect(await a.reach.send("default", "nobody", "x")).toBe("unknown_connection");
    expect(await a.reach.send("other", "c", "x")).toBe("unknown_connection");
    belief.isWhole = false;
    expect(await a.reach.send("default", "nobody", "x")).toBe("unknown_outcome");
    expect(await a.reach.send("default", "c", "x")).toBe("done");
    belief.where.set("default/ghost", "b"); // it has gone, and the word of it is on its way
    expect(await a.reach.send("default", "ghost", "x")).toBe("unknown_connection");
    belief.where.set("default/lost", "nowhere");
    expect(await stateOf(a.reach.send("default", "lost", "x"))).toBe("unavailable");
    expect(await stateOf(a.reach.send("default", "c", 7 as unknown as Payload))).toBe("bad_option");
    expect(await stateOf(a.reach.send("default", "c", "x".repeat(PUBLISH_BYTES_MAX + 1)))).toBe("too_large");
    expect(await a.reach.send("default", "c", "é".repeat(PUBLISH_BYTES_MAX / 2))).toBe("done");
    expect(await a.reach.send("default", "c", new Uint8Array(PUBLISH_BYTES_MAX))).toBe("done");
    c.socket.stall();
    for (let turn = 0; turn < 4; turn++) {
      c.connection.send(new Uint8Array(600_000));
      b.clock.endTurn();
    }
    expect(await stateOf(a.reach.send("default", "c", "one more"))).toBe("limit");
    expect(c.connection.closed).toBe(false);
    expect([a.errors, b.errors]).toEqual([[], []]);
  });
});

/** Two processes on a bus that hands over nothing within the call; whose clock stands still hangs, and answers nobody. */
function stepWorld(options: GroupManagerOptions = {}): World & { adapters: StepAdapter[]; bus: StepBus } {
  const bus = new StepBus();
  const belief = new Belief();
  const adapters = [new StepAdapter(bus), new StepAdapter(bus)];
  const [a, b] = adapters.map((adapter, n) => {
    const node = new Node(n === 0 ? "a" : "b", belief, (clock) => new Channel(adapter, { clock }), options);
    adapter.up();
    return node;
  }) as [Node, Node];
  return { a, b, belief, pass: passer(a, b), adapters, bus };
}

type Ask = (reach: Reach) => Promise<unknown>;
const ASKS: [what: string, ask: Ask][] = [
  ["send", (reach) => reach.send("default", "c", "x")],
  ["close", (reach) => reach.close("default", "c", { code: 4000, reason: "bye" })],
  ["join", (reach) => reach.join("default", "c", "room")],
  ["leave", (reach) => reach.leave("default", "c", "room")],
];

describe.each(ASKS)("a request to another process: %s", (_, ask) => {
  it("has an unknown outcome when that process hangs for 5 s, and not before", async () => {
    const { a, b, pass } = stepWorld();
    b.connect("c");
    await pass();
    const asked = ask(a.reach);
    await a.clock.advanceAsync(4_999);
    expect(await stateOf(asked)).toBe("pending");
    await a.clock.advanceAsync(1);
    expect(await asked).toBe("unknown_outcome");
    expect(a.clock.timers).toBe(0);
    await pass(); // what it says afterwards harms nobody
    expect(a.errors).toEqual([]);
  });

  it("has an unknown outcome as soon as that process is gone", async () => {
    const { a, b, pass } = stepWorld();
    b.connect("c");
    await pass();
    const asked = ask(a.reach);
    await a.clock.advanceAsync();
    a.gone("somebody else");
    expect(await stateOf(asked)).toBe("pending");
    a.gone("b");
    expect(await asked).toBe("unknown_outcome");
    expect(a.clock.timers).toBe(0);
  });

  it("is unavailable when the channel is down for 5 s, and does not happen later", async () => {
    const { a, b, pass, adapters } = stepWorld();
    const c = b.connect("c");
    await pass();
    adapters[0]?.down();
    const asked = ask(a.reach);
    await a.clock.advanceAsync(4_999);
    expect(await stateOf(asked)).toBe("pending");
    await a.clock.advanceAsync(1);
    expect(await stateOf(asked)).toBe("unavailable");
    adapters[0]?.up();
    await pass();
    expect([c.socket.sent, c.socket.closeSent, c.connection.groups.size]).toEqual([[], undefined, 0]);
  });

  it("ends in 5 s in all, though the index takes its time", async () => {
    const { a, b, belief, pass } = stepWorld();
    b.connect("c");
    await pass();
    const loaded = deferred();
    belief.loading = loaded.promise;
    const asked = ask(a.reach);
    await a.clock.advanceAsync(1_000);
    belief.loading = undefined;
    loaded.resolve();
    await a.clock.advanceAsync(3_999);
    expect(await stateOf(asked)).toBe("pending");
    await a.clock.advanceAsync(1);
    expect(await asked).toBe("unknown_outcome");
  });

  it("happens here if the connection has come here while the index was waited for", async () => {
    const { a, belief, pass, bus } = stepWorld();
    const loaded = deferred();
    belief.loading = loaded.promise;
    const asked = ask(a.reach);
    a.connect("c");
    belief.loading = undefined;
    loaded.resolve();
    await pass();
    expect(await asked).toBe("done");
    expect(bus.accepted).toEqual([]);
  });
});

describe("a close of one connection", () => {
  it("resolves when it is gone in the process that has it", async () => {
    const { a, b, pass } = world();
    const c = b.connect("c");
    c.socket.answersClose = false;
    const closed = a.reach.close("default", "c", { code: 4000, reason: "bye" });
    await pass(1_000);
    expect(c.socket.closeSent).toEqual({ code: 4000, reason: "bye" });
    expect(await stateOf(closed)).toBe("pending");
    c.socket.finishClose();
    expect(await closed).toBe("done");
    expect(await a.reach.close("default", "c", { code: 4000, reason: "bye" })).toBe("unknown_connection");
  });

  it("is done within 5 s, though the peer does not answer its close frame", async () => {
    const { a, b, pass } = world();
    const c = b.connect("c");
    c.socket.answersClose = false;
    const closed = a.reach.close("default", "c", { code: 4000, reason: "bye" });
    await pass(4_999);
    expect(await stateOf(closed)).toBe("done");
    expect([await closed, c.connection.closed]).toEqual(["done", true]);
  });

  it("comes after what was sent to it before", async () => {
    const { a, b } = world();
    const c = b.connect("c");
    const all = [a.reach.send("default", "c", "last words"), a.reach.close("default", "c", { code: 4000, reason: "" })];
    expect(await Promise.all(all)).toEqual(["done", "done"]);
    expect([texts(c.socket.sent), c.connection.closed]).toEqual([["last words"], true]);
  });
});

describe("a group that a connection is put into and out of", () => {
  it("has it as a member when it resolves, in its own namespace, and no more after the other", async () => {
    const { a, b, pass } = world();
    const [c, d] = [b.connect("c"), b.connect("c", "other")];
    expect(await a.reach.join("default", "c", "room")).toBe("done");
    expect([[...c.connection.groups.keys()], d.connection.groups.size]).toEqual([["room"], 0]);
    expect(await a.reach.join("default", "c", "room")).toBe("done"); // twice changes nothing
    expect(await a.reach.leave("other", "c", "room")).toBe("done");
    expect(c.connection.groups.size).toBe(1);
    expect(await a.reach.leave("default", "c", "room")).toBe("done");
    expect(c.connection.groups.size).toBe(0);
    await pass();
  });

  it("asks authorize there, and passes its refusal and every other one on", async () => {
    const asked: string[] = [];
    const { a, b } = world({
      groupsPerConnection: 1,
      authorize: async (connection, name, action) => {
        asked.push(`${connection.id} ${name} ${action}`);
        return name.startsWith("no") ? "not you" : true;
      },
    });
    const c = b.connect("c");
    await expect(a.reach.join("default", "c", "no")).rejects.toMatchObject({ code: "forbidden", message: "not you" });
    expect(asked).toEqual(["c no join"]);
    expect(await a.reach.join("default", "c", "one")).toBe("done");
    expect(await stateOf(a.reach.join("default", "c", "two"))).toBe("limit");
    expect(await stateOf(a.reach.join("default", "c", "\n"))).toBe("bad_group");
    expect(await stateOf(a.reach.leave("default", "c", ""))).toBe("bad_group");
    const late = a.reach.join("default", "c", "one more");
    await c.connection.close();
    expect(await stateOf(late)).toMatch(/^(closed|limit)$/);
    expect([a.errors, b.errors]).toEqual([[], []]);
  });

  it("has an unknown outcome if authorize never answers, here or there", async () => {
    const { a, b, pass } = world({ authorize: () => new Promise(() => {}) });
    a.connect("here");
    b.connect("there");
    const joined = ["here", "there"].map((id) => a.reach.join("default", id, "room"));
    await pass(4_999);
    expect(await Promise.all(joined.map(stateOf))).toEqual(["pending", "pending"]);
    await pass(1);
    expect(await Promise.all(joined)).toEqual(["unknown_outcome", "unknown_outcome"]);
    expect(a.clock.timers).toBe(0);
  });
});

describe("what another process asks and what it answers", () => {
  it("is checked: whatever it says, nothing happens and nothing is thrown", async () => {
    const { a, b } = world();
    const c = a.connect("c");
    const target = { namespace: "default", id: "c" };
    const asked: [verb: string, words: Record<string, unknown>, outcome: string][] = [
      ["send", {}, "unknown_connection"],
      ["send", { namespace: "default", id: ["c"] }, "unknown_connection"],
      ["send", { namespace: 7, id: "c" }, "unknown_connection"],
      ["close", { ...target, code: 1005 }, "bad_option"],
      ["close", { ...target, code: "4000" }, "bad_option"],
      ["close", { ...target, reason: {} }, "bad_option"],
      ["join", target, "bad_group"],
      ["join", { ...target, name: 7 }, "bad_group"],
      ["leave", { ...target, name: "" }, "bad_group"],
    ];
    for (const [verb, words, outcome] of asked) {
      const answer = await b.post.ask("a", verb, words).catch((error: { code: string }) => ({ outcome: error.code }));
      expect([verb, words, answer["outcome"]]).toEqual([verb, words, outcome]);
    }
    expect([c.socket.sent, c.socket.closeSent, c.connection.groups.size, a.errors]).toEqual([[], undefined, 0, []]);
  });

  it("an answer that is none of the outcomes is no outcome", async () => {
    const { a, belief } = world();
    belief.where.set("default/c", "b");
    const b = new Post({ channel: a.channel, clock: a.clock, node: "b2", failed: () => {} });
    b.start();
    belief.where.set("default/c", "b2");
    for (const answer of [{}, { outcome: 7 }, { outcome: "unknown_outcome" }, { outcome: "toString" }]) {
      b.serve("send", () => answer);
      expect(await a.reach.send("default", "c", "x")).toBe("unknown_outcome");
    }
  });
});
