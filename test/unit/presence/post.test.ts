import { describe, expect, it } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { Channel } from "../../../src/channel/channel.ts";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { memoryChannel } from "../../../src/channel/memory-channel.ts";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { Turn } from "../../../src/base/turn.ts";
import { LETTER_BYTES_MAX } from "../../../src/presence/letter.ts";
import { Post, type Words } from "../../../src/presence/post.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { settle, stateOf, StepAdapter, StepBus } from "../fakes.ts";

type Node = { post: Post; clock: FakeClock; channel: Channel; errors: Error[] };

function nodeOn(channel: Channel, name: string, clock: FakeClock): Node {
  const errors: Error[] = [];
  const ignore = (): void => {};
  channel.start({ up: ignore, down: ignore, failed: (error) => void errors.push(error) }, new Turn(clock));
  const post = new Post({ channel, clock, node: name, failed: (error) => void errors.push(error) });
  post.start();
  return { post, clock, channel, errors };
}

function node(bus: MemoryBus, name: string): Node {
  const clock = new FakeClock();
  return nodeOn(memoryChannel({ bus, clock }), name, clock);
}

function stepNode(bus: StepBus, name: string): Node & { adapter: StepAdapter } {
  const clock = new FakeClock();
  const adapter = new StepAdapter(bus);
  return { ...nodeOn(new Channel(adapter, { clock }), name, clock), adapter };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "done",
    (error: unknown) => (error instanceof GroupcastError ? error.code : String(error)),
  );
}

describe("words from node to node", () => {
  it("reach the node that they are for, with who said them, and nobody else", async () => {
    const bus = new MemoryBus();
    const [a, b, c] = ["a", "b", "c"].map((name) => node(bus, name)) as [Node, Node, Node];
    const heard: unknown[] = [];
    for (const { post } of [a, b, c]) post.hear("hello", (words, from) => void heard.push([post.node, from, words]));
    await a.post.tell("b", "hello", { n: 1 });
    await c.post.tell("a", "hello", { n: 2 });
    await b.post.tell("a", "unheard of", {});
    expect(heard).toEqual([
      ["b", "a", { n: 1 }],
      ["a", "c", { n: 2 }],
    ]);
  });

  it("are answered, each question by its own answer, with data that goes along as it is", async () => {
    const bus = new MemoryBus();
    const [a, b] = [node(bus, "a"), node(bus, "b")];
    b.post.serve("twice", async ({ n }) => ({ n: 2 * Number(n) }));
    b.post.serve("what", (_, from, data) => ({ from, data: [...(data ?? [])] }));
    const answers = await Promise.all([1, 2, 3].map((n) => a.post.ask("b", "twice", { n })));
    expect(answers).toEqual([{ n: 2 }, { n: 4 }, { n: 6 }]);
    expect(await a.post.ask("b", "what", {}, 5_000, new Uint8Array(0))).toEqual({ from: "a", data: [] });
    expect(await a.post.ask("b", "what", {}, 5_000, new Uint8Array([0, 255]))).toEqual({ from: "a", data: [0, 255] });
    expect([a.clock.timers, b.clock.timers]).toEqual([0, 0]);
  });

  it("fail with the code that the answer has thrown; what is no error of ours is internal, and told where it happened", async () => {
    const bus = new MemoryBus();
    const [a, b] = [node(bus, "a"), node(bus, "b")];
    b.post.serve("no", () => {
      throw new GroupcastError("forbidden", "not you");
    });
    b.post.serve("later no", () => Promise.reject(new GroupcastError("limit")));
    b.post.serve("oops", () => {
      throw new Error("secret");
    });
    b.post.hear("told oops", () => {
      throw new Error("told");
    });
    await expect(a.post.ask("b", "no", {})).rejects.toMatchObject({ code: "forbidden", message: "not you" });
    expect(await codeOf(a.post.ask("b", "later no", {}))).toBe("limit");
    await expect(a.post.ask("b", "oops", {})).rejects.toMatchObject({ code: "internal", message: expect.not.stringContaining("secret") });
    expect(await codeOf(a.post.ask("b", "unheard of", {}))).toBe("unknown_command");
    await a.post.tell("b", "told oops", {});
    expect(b.errors.map(({ message }) => message)).toEqual(["secret", "told"]);
    expect(a.errors).toEqual([]);
  });

  it("end with unknown_outcome when no answer comes in time, and an answer that comes late harms nobody", async () => {
    const bus = new MemoryBus();
    const [a, b] = [node(bus, "a"), node(bus, "b")];
    let answer: (words: Words) => void = () => {};
    b.post.serve("slow", () => new Promise((resolve) => (answer = resolve)));
    const [usual, short] = [a.post.ask("b", "slow", {}), a.post.ask("b", "slow", {}, 100)];
    await a.clock.advanceAsync(99);
    expect(await stateOf(short)).toBe("pending");
    await a.clock.advanceAsync(1);
    expect(await stateOf(short)).toBe("unknown_outcome");
    await a.clock.advanceAsync(4_899);
    expect(await stateOf(usual)).toBe("pending");
    await a.clock.advanceAsync(1);
    expect(await stateOf(usual)).toBe("unknown_outcome");
    answer({});
    await settle();
    expect([a.clock.timers, a.errors]).toEqual([0, []]);
  });

  it("to a node that is not there end at once if the channel can tell, else by their deadline", async () => {
    const bus = new MemoryBus();
    expect(await codeOf(node(bus, "a").post.ask("nobody", "x", {}))).toBe("unavailable");

    const b = stepNode(new StepBus(), "b");
    b.adapter.up();
    b.adapter.publish = () => Promise.resolve({ receivers: undefined });
    await b.clock.advanceAsync();
    const asked = b.post.ask("nobody", "x", {});
    await b.clock.advanceAsync(4_999);
    expect(await stateOf(asked)).toBe("pending");
    await b.clock.advanceAsync(1);
    expect(await stateOf(asked)).toBe("unknown_outcome");
  });

  it("wait for the channel up to their deadline and are then unavailable; nothing goes later; whoever has waited goes in its order", async () => {
    const bus = new StepBus();
    const [a, b] = [stepNode(bus, "a"), stepNode(bus, "b")];
    b.adapter.up();
    const heard: unknown[] = [];
    b.post.hear("n", ({ n }) => void heard.push(n));
    b.post.serve("n", ({ n }) => {
      heard.push(n);
      return {};
    });
    const early = [a.post.ask("b", "n", { n: 0 }, 1_000), a.post.tell("b", "n", { n: 1 }), a.post.ask("b", "n", { n: 2 })];
    expect(a.post.ready).toBeDefined();
    await a.clock.advanceAsync(1_000);
    expect(await Promise.all(early.map(stateOf))).toEqual(["unavailable", "pending", "pending"]);
    a.adapter.up();
    await settle();
    early.push(a.post.ask("b", "n", { n: 3 }), a.post.tell("b", "n", { n: 4 }));
    for (let turns = 0; turns < 4; turns++) for (const { clock } of [a, b]) await clock.advanceAsync();
    expect(heard).toEqual([1, 2, 3, 4]);
    expect(await Promise.all(early.map(stateOf))).toEqual(["unavailable", "done", "done", "done", "done"]);
    expect(a.post.ready).toBeUndefined();
    expect(a.clock.timers).toBe(0);
  });

  it("are bounded in number and size", async () => {
    const bus = new MemoryBus();
    const [a, b] = [node(bus, "a"), node(bus, "b")];
    b.post.serve("never", () => new Promise(() => {}));
    b.post.serve("much", () => ({ text: "x".repeat(LETTER_BYTES_MAX) }));
    expect(await codeOf(a.post.tell("b", "x", { text: "x".repeat(LETTER_BYTES_MAX) }))).toBe("too_large");
    expect(await codeOf(a.post.ask("b", "x", {}, 5_000, new Uint8Array(LETTER_BYTES_MAX)))).toBe("too_large");
    expect(await codeOf(a.post.ask("b", "much", {}))).toBe("too_large");
    const all = Array.from({ length: 10_000 }, () => a.post.ask("b", "never", {}));
    expect(await codeOf(a.post.ask("b", "never", {}))).toBe("limit");
    a.post.stop();
    expect(new Set(await Promise.all(all.map(codeOf)))).toEqual(new Set(["unknown_outcome"]));
    expect(a.clock.timers).toBe(0);
  });

  it("that wait when it is stopped, or come later, are closed", async () => {
    const a = stepNode(new StepBus(), "a");
    const all = [a.post.ask("b", "x", {}), a.post.tell("b", "x", {})];
    a.post.stop();
    all.push(a.post.ask("b", "x", {}));
    expect(await Promise.all(all.map(codeOf))).toEqual(["closed", "closed", "closed"]);
    expect(a.clock.timers).toBe(0);
  });
});

describe("what comes to a node and is no letter", () => {
  const topic = encodeTopic({ kind: "replies", node: "a" });

  it.each<string | Uint8Array>([
    "",
    "nonsense",
    "null",
    "[]",
    "{}",
    '{"from":"b"}',
    '{"from":"b","verb":"x"}',
    '{"from":"b","verb":"x","words":[]}',
    '{"from":"b","verb":"x","words":null}',
    '{"from":"b","verb":7,"words":{}}',
    '{"from":7,"verb":"x","words":{}}',
    '{"from":"","verb":"x","words":{}}',
    '{"from":"b\\u0000c","verb":"x","words":{}}',
    '{"from":"b","verb":"x","words":{},"ask":"1"}',
    '{"from":"c","answer":1,"words":{}}',
    '{"from":"b","answer":2,"words":{}}',
    '{"from":"b","answer":1,"words":7}',
    '{"from":"b","answer":1,"error":7,"text":""}',
    '{"from":"b","answer":1,"error":"limit"}',
    '{"do":"close","id":1,"code":1000,"reason":"","replyTo":"r"}',
    new Uint8Array(0),
    new Uint8Array([0, 0, 0]),
    new Uint8Array([255, 255, 255, 255, 123, 125]),
    new Uint8Array([0, 0, 0, 1, 123]),
  ])("%s: is left out, throws nothing, and answers nobody", async (text) => {
    const bus = new MemoryBus();
    const [a, b, stranger] = [node(bus, "a"), node(bus, "b"), node(bus, "s")];
    b.post.serve("never", () => new Promise(() => {}));
    const heard: unknown[] = [];
    a.post.hear("x", (words) => void heard.push(words));
    a.post.serve("x", (words) => {
      heard.push(words);
      return {};
    });
    const asked = a.post.ask("b", "never", {});
    for (const kind of ["control", "string"] as const)
      await stranger.channel.publish(topic, { kind, frame: encodeFrame(text), except: [] });
    await settle();
    expect(await stateOf(asked)).toBe("pending");
    expect([heard, a.errors]).toEqual([[], []]);
  });

  it("an error of a code that does not exist here is internal", async () => {
    const bus = new MemoryBus();
    const [a, b] = [node(bus, "a"), node(bus, "b")];
    b.post.serve("never", () => new Promise(() => {}));
    const asked = a.post.ask("b", "never", {});
    const frame = encodeFrame('{"from":"b","answer":1,"error":"toString","text":"x"}');
    await b.channel.publish(topic, { kind: "control", frame, except: [] });
    expect(await codeOf(asked)).toBe("internal");
  });

  it("is left out of a record that has letters, too", async () => {
    const bus = new MemoryBus();
    const a = node(bus, "a");
    const heard: unknown[] = [];
    a.post.hear("x", ({ n }) => void heard.push(n));
    const control = (text: string) => ({ kind: "control", frame: encodeFrame(text), except: [] }) as const;
    const texts = ['{"from":"b","verb":"x","words":{"n":1}}', "nonsense", '{"from":"b","verb":"x","words":{"n":2}}'];
    const other = node(bus, "b");
    bus.publish(topic, MessageRecord.of(texts.map(control)));
    expect([heard, other.errors]).toEqual([[1, 2], []]);
  });
});
