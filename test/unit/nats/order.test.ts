import { describe, expect, it } from "vitest";
import { Line, Order } from "../../../src/nats/order.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { fc } from "../generate.ts";

type Stored = { readonly sequence: number; readonly previous: number; readonly topic: string };

/** A stream of messages, what it still has, and an order that hears some of its topics. */
class World {
  readonly clock = new FakeClock();
  readonly messages: Stored[] = [];
  /** What cannot be fetched any more. */
  readonly expired = new Set<number>();
  readonly delivered: string[] = [];
  readonly lost: string[] = [];
  readonly stale: string[] = [];
  readonly fetched: string[] = [];
  readonly lines = new Map<string, Line>();
  answersFetches = true;
  /** Called with each delivery. */
  onDelivery = (_text: string): void => {};
  readonly order = new Order(this.clock, {
    deliver: (topic, data) => {
      const text = `${topic}${new DataView(data.buffer, data.byteOffset).getUint32(0)}`;
      this.delivered.push(text);
      this.onDelivery(text);
    },
    fetch: (topic, sequence) => {
      this.fetched.push(`${topic}${sequence}`);
      if (!this.answersFetches) return new Promise(() => {});
      const found = this.messages.find((one) => one.topic === topic && one.sequence >= sequence && !this.expired.has(one.sequence));
      return Promise.resolve(found === undefined ? undefined : { sequence: found.sequence, data: bytesOf(found.sequence) });
    },
    lost: (topic) => this.lost.push(topic),
    stale: (topic) => this.stale.push(topic),
  });

  store(topic: string, count = 1): void {
    for (let index = 0; index < count; index++) {
      const previous = this.messages.findLast((one) => one.topic === topic && !this.expired.has(one.sequence))?.sequence ?? 0;
      this.messages.push({ sequence: this.messages.length + 1, previous, topic });
    }
  }

  hear(topic: string): Line {
    const line = new Line(topic);
    this.lines.set(topic, line);
    return line;
  }

  /** Has this message of the stream come. */
  come(sequence: number, bytes = 4): void {
    const { topic, previous } = this.messages[sequence - 1] ?? { topic: "", previous: 0 };
    const line = this.lines.get(topic);
    if (line !== undefined) this.order.take(line, sequence, previous, bytesOf(sequence, bytes));
  }
}

function bytesOf(sequence: number, length = 4): Uint8Array {
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setUint32(0, sequence);
  return bytes;
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((first, index) => permutations(items.toSpliced(index, 1)).map((rest) => [first, ...rest]));
}

const texts = (topic: string, from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${topic}${from + index}`);

describe("the order of a stream", () => {
  it("is what is delivered, in whatever order up to six messages come, without a wait or a fetch", () => {
    const sequences = [1, 2, 3, 4, 5, 6];
    for (const arrival of permutations(sequences)) {
      const world = new World();
      world.store("a", 6);
      world.order.begin(world.hear("a"), 0);
      for (const sequence of arrival) world.come(sequence);
      expect(world.delivered, arrival.join()).toEqual(texts("a", 1, 6));
      expect([world.fetched, world.lost, world.stale]).toEqual([[], [], []]);
      world.clock.advance(10_000);
      expect(world.clock.timers).toBe(0);
    }
  });

  it("is kept within each topic, and no topic waits for another", () => {
    const world = new World();
    for (const topic of ["a", "b", "a", "b", "a", "b"]) world.store(topic);
    for (const topic of ["a", "b"]) world.order.begin(world.hear(topic), 0);
    for (const sequence of [3, 2, 4, 5, 6]) world.come(sequence);
    expect(world.delivered).toEqual(["b2", "b4", "b6"]);
    world.come(1);
    expect(world.delivered).toEqual(["b2", "b4", "b6", "a1", "a3", "a5"]);
  });

  it("leaves out what came up to the mark, and begins with the first message behind it, in whatever order and around the mark they come", () => {
    for (const arrival of permutations([1, 2, 3, 4, 5])) {
      for (let before = 0; before <= 5; before++) {
        for (const mark of [0, 2, 5]) {
          const world = new World();
          world.store("a", 5);
          const line = world.hear("a");
          arrival.slice(0, before).forEach((sequence) => world.come(sequence));
          expect(world.delivered).toEqual([]);
          expect(world.order.begin(line, mark)).toBe(true);
          arrival.slice(before).forEach((sequence) => world.come(sequence));
          expect(world.delivered, `${arrival.join()} around ${before}, mark ${mark}`).toEqual(texts("a", mark + 1, 5));
        }
      }
    }
  });

  it("delivers nothing twice, however often it comes", () => {
    const world = new World();
    world.store("a", 4);
    world.order.begin(world.hear("a"), 0);
    for (const sequence of [1, 1, 4, 4, 3, 3, 1, 2, 2, 4]) world.come(sequence);
    expect(world.delivered).toEqual(texts("a", 1, 4));
    expect(world.stale).toEqual(["a", "a", "a", "a"]);
  });

  it("takes a message whose predecessors are gone from the stream for the next one", () => {
    const world = new World();
    world.store("a", 3);
    world.order.begin(world.hear("a"), 0);
    for (const sequence of [1, 2, 3]) world.come(sequence);
    for (const sequence of [1, 2, 3]) world.expired.add(sequence);
    world.store("a");
    expect(world.messages.at(-1)?.previous).toBe(0);
    world.come(4);
    expect(world.delivered).toEqual(texts("a", 1, 4));
  });
});

describe("a hole", () => {
  it("is filled from the stream after 30 ms, message by message, and not before", async () => {
    const world = new World();
    world.store("b");
    world.store("a", 5);
    world.order.begin(world.hear("a"), 1);
    world.come(6);
    await world.clock.advanceAsync(29);
    expect([world.delivered, world.fetched]).toEqual([[], []]);
    await world.clock.advanceAsync(1);
    expect(world.delivered).toEqual(texts("a", 2, 6));
    expect(world.fetched).toEqual(["a2", "a3", "a4", "a5"]);
    expect(world.lost).toEqual([]);
    await world.clock.advanceAsync(10_000);
    expect(world.clock.timers).toBe(0);
  });

  it("that closes by itself in time is not asked for, and another one behind it gets its own time", async () => {
    const world = new World();
    world.store("a", 5);
    world.order.begin(world.hear("a"), 0);
    world.come(2);
    world.come(5);
    await world.clock.advanceAsync(20);
    world.come(1);
    expect(world.delivered).toEqual(["a1", "a2"]);
    await world.clock.advanceAsync(25);
    expect(world.fetched).toEqual([]);
    await world.clock.advanceAsync(35);
    expect(world.delivered).toEqual(texts("a", 1, 5));
  });

  it("whose messages come at last while they are being fetched is closed once", async () => {
    const world = new World();
    world.store("a", 3);
    world.order.begin(world.hear("a"), 0);
    world.come(3);
    world.clock.advance(30);
    world.come(1);
    world.come(2);
    await world.clock.advanceAsync(100);
    expect(world.delivered).toEqual(texts("a", 1, 3));
    world.come(2);
    expect(world.delivered).toEqual(texts("a", 1, 3));
  });

  it("that the stream cannot fill may close by itself for a second, then it is passed over and told", async () => {
    const world = new World();
    world.store("a", 4);
    world.order.begin(world.hear("a"), 0);
    for (const sequence of [1, 2, 3]) world.expired.add(sequence);
    world.come(4);
    await world.clock.advanceAsync(900);
    expect([world.delivered, world.lost]).toEqual([[], []]);
    expect(world.fetched.length).toBeLessThanOrEqual(4);
    await world.clock.advanceAsync(130);
    expect([world.delivered, world.lost]).toEqual([["a4"], ["a"]]);
    world.come(3);
    expect(world.delivered).toEqual(["a4"]);
    expect(world.stale).toEqual(["a"]);
  });

  it("that can be filled in part is: the rest is passed over, in order", async () => {
    const world = new World();
    world.store("a", 6);
    world.order.begin(world.hear("a"), 0);
    world.expired.add(1).add(4);
    world.come(6);
    await world.clock.advanceAsync(30);
    expect(world.delivered).toEqual(["a2", "a3", "a5", "a6"]);
  });

  it("is passed over after a second also if no fetch is ever answered", async () => {
    const world = new World();
    world.answersFetches = false;
    world.store("a", 4);
    world.order.begin(world.hear("a"), 0);
    world.come(2);
    world.come(4);
    await world.clock.advanceAsync(1_030);
    expect([world.delivered, world.lost]).toEqual([["a2"], ["a"]]);
    await world.clock.advanceAsync(1_030);
    expect([world.delivered, world.lost]).toEqual([
      ["a2", "a4"],
      ["a", "a"],
    ]);
    expect(world.fetched).toEqual(["a1"]);
  });

  it("is asked for in 16 topics at a time, however many have one", async () => {
    const world = new World();
    world.answersFetches = false;
    for (let topic = 0; topic < 40; topic++) {
      world.store(`t${topic}-`, 2);
      world.order.begin(world.hear(`t${topic}-`), 0);
      world.come(2 * topic + 2);
    }
    await world.clock.advanceAsync(500);
    expect(world.fetched.length).toBe(16);
    await world.clock.advanceAsync(600);
    expect(world.delivered.length).toBe(40);
  });
});

describe("what waits", () => {
  const MIB = 1024 * 1024;

  it("has 8 MiB; with more, the topic that needs them passes over its holes, in order, and tells it", () => {
    const world = new World();
    world.store("a", 12);
    world.order.begin(world.hear("a"), 0);
    for (const sequence of [9, 7, 5, 3, 2, 11, 12]) world.come(sequence, MIB);
    expect(world.delivered).toEqual([]);
    world.come(10, MIB);
    expect(world.delivered).toEqual(["a2", "a3", "a5", "a7", "a9", "a10", "a11", "a12"]);
    expect(world.lost).toEqual(["a"]);
    world.come(1, MIB);
    expect(world.delivered.length).toBe(8);
  });

  it("before its topic begins is dropped with more than that, and the topic begins further on", () => {
    const world = new World();
    world.store("a", 20);
    const line = world.hear("a");
    for (let sequence = 1; sequence <= 10; sequence++) world.come(sequence, MIB);
    expect(world.order.begin(line, 5)).toBe(false);
    expect(world.delivered).toEqual([]);
    expect(world.order.begin(line, 15)).toBe(true);
    world.come(16);
    expect(world.delivered).toEqual(["a16"]);
    expect(world.lost).toEqual([]);
  });

  it("never is more than that over all topics", () => {
    const world = new World();
    for (let topic = 0; topic < 20; topic++) {
      world.store(`t${topic}-`, 2);
      const line = world.hear(`t${topic}-`);
      if (topic % 2 === 0) world.order.begin(line, 0);
      world.come(2 * topic + 2, MIB);
    }
    const held = [...world.lines.values()].reduce((bytes, line) => bytes + line.heldBytes, 0);
    expect(held).toBeLessThanOrEqual(8 * MIB);
    expect(held).toBeGreaterThan(6 * MIB);
    expect(world.delivered.length).toBe(world.lost.length);
    expect(world.lost.length).toBeGreaterThan(5);
  });

  it("is a copy: what it came in may be used again", () => {
    const world = new World();
    world.store("a", 2);
    world.order.begin(world.hear("a"), 0);
    const chunk = new Uint8Array(64);
    new DataView(chunk.buffer).setUint32(8, 2);
    world.order.take(world.lines.get("a") ?? world.hear("a"), 2, 1, chunk.subarray(8, 12));
    chunk.fill(0xff);
    world.come(1);
    expect(world.delivered).toEqual(["a1", "a2"]);
  });

  it("is delivered in order when nothing more comes", () => {
    const world = new World();
    world.store("a", 6);
    world.order.begin(world.hear("a"), 0);
    world.store("b", 2);
    world.hear("b");
    for (const sequence of [5, 3, 2, 8]) world.come(sequence);
    world.order.end();
    expect(world.delivered).toEqual(["a2", "a3", "a5"]);
    expect(world.clock.timers).toBe(0);
  });

  it("is not delivered once its topic is closed, also if that is done by who hears it", () => {
    const world = new World();
    world.store("a", 5);
    const line = world.hear("a");
    world.order.begin(line, 0);
    for (const sequence of [2, 3, 4]) world.come(sequence);
    world.onDelivery = (text) => {
      if (text === "a2") world.order.close(line);
    };
    world.come(1);
    world.come(5);
    expect(world.delivered).toEqual(["a1", "a2"]);
    expect([line.heldBytes, world.stale]).toEqual([0, []]);
    world.clock.advance(5_000);
    expect(world.clock.timers).toBe(0);
  });
});

describe("any stream, any arrival", () => {
  it("is delivered in its order, nothing twice, nothing missing but what is told", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ come: fc.nat(40) }) },
      { weight: 1, arbitrary: fc.record({ passMs: fc.constantFrom(5, 30, 300) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 30 }),
        fc.nat(30),
        fc.array(step, { maxLength: 60 }),
        fc.array(fc.nat(30), { maxLength: 5 }),
        async (topics, mark, steps, expired) => {
          const world = new World();
          for (const topic of topics) world.store(topic);
          for (const sequence of expired) world.expired.add(sequence);
          for (const topic of ["a", "b"]) world.order.begin(world.hear(topic), Math.min(mark, topics.length));
          for (const one of steps) {
            if ("come" in one) world.come((one.come % topics.length) + 1);
            else await world.clock.advanceAsync(one.passMs);
          }
          // All come in the end, the last ones certainly.
          for (const { sequence } of world.messages) world.come(sequence);
          await world.clock.advanceAsync(5_000);
          for (const topic of ["a", "b"]) {
            const heard = world.delivered.filter((text) => text.startsWith(topic));
            const all = world.messages
              .filter((one) => one.topic === topic && one.sequence > mark)
              .map(({ sequence }) => `${topic}${sequence}`);
            if (!world.lost.includes(topic) && expired.length === 0) expect(heard).toEqual(all);
            else expect(heard).toEqual(all.filter((text) => heard.includes(text)));
            expect(new Set(heard).size).toBe(heard.length);
          }
          expect(world.clock.timers).toBe(0);
        },
      ),
      { numRuns: 500 },
    );
  });
});
