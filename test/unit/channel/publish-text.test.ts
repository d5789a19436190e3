// Texts that are published without a promise for each: where they go, when, and among what else.
import { describe, expect, it } from "vitest";
import { Turn } from "../../../src/base/turn.ts";
import type { Adapter } from "../../../src/channel/adapter.ts";
import { Channel, HELD_BYTES_MAX } from "../../../src/channel/channel.ts";
import { MemoryAdapter, MemoryBus } from "../../../src/channel/memory.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { encodeFrame, readPayloads } from "../../../src/wire/frames.ts";
import { type Message, type MessageRecord, RECORD_BYTES_EARLY } from "../../../src/wire/record.ts";
import { fc } from "../generate.ts";
import { settle, stateOf, StepAdapter, StepBus } from "../fakes.ts";

const utf8 = new TextEncoder();
const message = (text: string): Message => ({ kind: "string", frame: encodeFrame(text), except: [] });
const textsOf = (record: MessageRecord): string[] => [...record.messages()].map(({ frame }) => String(readPayloads(frame)[0]));

/** A started channel, its turn, and what is heard of the topics x and y. */
function started<A extends Adapter>(adapter: A, clock = new FakeClock()) {
  const channel = new Channel(adapter, { clock });
  const turn = new Turn(clock);
  const failures: Error[] = [];
  channel.start({ up() {}, down() {}, failed: (error) => void failures.push(error) }, turn);
  const heard: string[] = [];
  const records: MessageRecord[] = [];
  const hear = (topic: string): void => {
    channel.hear(topic, (record) => {
      records.push(record);
      heard.push(...textsOf(record).map((text) => `${topic}: ${text}`));
    });
  };
  const publishText = (topic: string, text: string) => {
    const bytes = utf8.encode(`<${text}>`);
    const accepted = channel.publishText(topic, bytes, 1, bytes.length - 1);
    bytes.fill(0x21); // what it was read from is used again
    return accepted;
  };
  return { channel, turn, clock, heard, records, hear, publishText, adapter, failures };
}

const immediate = (bus = new MemoryBus(), clock = new FakeClock()) => {
  const made = started(new MemoryAdapter(bus), clock);
  for (const topic of ["x", "y"]) made.hear(topic);
  return made;
};

/** On a bus between processes, up; x and y are heard. */
async function stepped(bus = new StepBus()) {
  const made = started(new StepAdapter(bus));
  made.adapter.up();
  for (const topic of ["x", "y"]) made.hear(topic);
  await settle();
  const published = (): string[] => bus.accepted.map(({ topic, record }) => `${topic}: ${textsOf(record).join(" ")}`);
  return { ...made, bus, published };
}

describe("a text on a channel inside the process", () => {
  it("comes back at the end of the turn, before what groups have gathered goes out, as one record for each topic", () => {
    const { turn, clock, heard, records, publishText } = immediate();
    turn.add({ flush: () => void heard.push("groups") });
    for (const text of ["1", "2", "3"]) expect(publishText("x", text)).toBeInstanceOf(Promise);
    void publishText("y", "4");
    expect(heard).toEqual([]);
    clock.endTurn();
    expect(heard).toEqual(["x: 1", "x: 2", "x: 3", "y: 4", "groups"]);
    expect(records.map(({ count }) => count)).toEqual([3, 1]);
    clock.advance(100);
    expect(heard).toHaveLength(5);
  });

  it("comes back at once if it is asked for, and only what is of that topic", () => {
    const { channel, clock, heard, publishText } = immediate();
    expect(channel.isGathering).toBe(false);
    void publishText("x", "1");
    void publishText("y", "2");
    expect(channel.isGathering).toBe(true);
    channel.flush("z");
    channel.flush("x");
    channel.flush("x");
    expect(heard).toEqual(["x: 1"]);
    clock.endTurn();
    expect(heard).toEqual(["x: 1", "y: 2"]);
    expect(channel.isGathering).toBe(false);
  });

  it("keeps its place among the messages that are published to its topic", () => {
    const how = fc.record({ topic: fc.constantFrom("x", "y"), how: fc.constantFrom("text", "text", "publish", "flush", "turn") });
    fc.assert(
      fc.property(fc.array(how, { maxLength: 40 }), fc.boolean(), (calls, isOneFar) => {
        const bus = new MemoryBus();
        const { channel, clock, heard, publishText } = immediate(bus);
        const other = immediate(bus, clock);
        const sent: string[] = [];
        calls.forEach(({ topic, how: what }, call) => {
          if (what === "turn") return clock.endTurn();
          if (what === "flush") return channel.flush(topic);
          sent.push(`${topic}: ${call}`);
          if (what === "text") return void publishText(topic, String(call));
          const before = heard.length;
          void channel.publish(topic, message(String(call)));
          expect(heard.slice(before)).toContain(`${topic}: ${call}`); // within the call
        });
        clock.endTurn();
        const far = isOneFar ? other.heard : heard;
        for (const topic of ["x", "y"]) {
          expect(far.filter((one) => one.startsWith(topic))).toEqual(sent.filter((one) => one.startsWith(topic)));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("goes before the end of the turn once there are 256 KiB", () => {
    const { clock, heard, records, publishText } = immediate();
    const big = "x".repeat(100_000);
    void publishText("x", big);
    void publishText("x", big);
    expect(heard).toEqual([]);
    void publishText("x", big);
    expect(records.map(({ count }) => count)).toEqual([3]);
    void publishText("x", "rest");
    clock.endTurn();
    expect(heard.at(-1)).toBe("x: rest");
    expect(heard).toHaveLength(4);
  });

  it("is refused, and heard by nobody, when the channel is stopped; one that waits for the end of the turn goes before", async () => {
    const { channel, clock, heard, publishText } = immediate();
    const waits = publishText("x", "1");
    await channel.stop();
    expect(publishText("x", "2")).toBeUndefined();
    await clock.advanceAsync();
    expect(heard).toEqual(["x: 1"]);
    await waits;
  });
});

describe("a text on a channel between processes", () => {
  it("goes in one record with all that is published to its topic in the turn, in the order of the calls", async () => {
    const { channel, clock, published, publishText, heard } = await stepped();
    void publishText("x", "1");
    void channel.publish("x", message("2"));
    void channel.publish("y", message("3"));
    void publishText("x", "4");
    void publishText("y", "5");
    channel.flush("x"); // does nothing here: it could not come back
    expect(published()).toEqual([]);
    await clock.advanceAsync();
    expect(published()).toEqual(["x: 1 2 4", "y: 3 5"]);
    expect(heard).toEqual(["x: 1", "x: 2", "x: 4", "y: 3", "y: 5"]);
  });

  it("is accepted, or is not, together with all that goes with it, and with nothing else", async () => {
    const { channel, clock, adapter, publishText } = await stepped();
    const first = [publishText("x", "1"), publishText("x", "2"), channel.publish("x", message("3"))];
    expect(first[0]).toBe(first[1]);
    const other = publishText("y", "4");
    expect(other).not.toBe(first[0]);
    const states = (all: (Promise<unknown> | undefined)[]) => Promise.all(all.map((one) => stateOf(one ?? Promise.resolve("refused"))));
    expect(await states([...first, other])).toEqual(["pending", "pending", "pending", "pending"]);
    await clock.advanceAsync();
    expect(await states([...first, other])).toEqual(["done", "done", "done", "done"]);
    const publish = adapter.publish.bind(adapter);
    adapter.publish = (topic, record) => (topic === "x" ? Promise.reject(new Error("lost")) : publish(topic, record));
    const second = [publishText("x", "5"), channel.publish("x", message("6")), publishText("y", "7")];
    expect(second[0]).not.toBe(first[0]);
    await clock.advanceAsync();
    expect(await states(second)).toEqual(["Error: lost", "Error: lost", "done"]);
  });

  it("waits while the link is down, up to 5 s", async () => {
    const { clock, adapter, published, publishText } = await stepped();
    adapter.down();
    const waits = publishText("x", "1") ?? Promise.resolve();
    await clock.advanceAsync(4_000);
    expect(await stateOf(waits)).toBe("pending");
    adapter.up();
    await clock.advanceAsync();
    expect([await stateOf(waits), published()]).toEqual(["done", ["x: 1"]]);
    adapter.down();
    const late = publishText("x", "2") ?? Promise.resolve();
    await clock.advanceAsync(5_001);
    expect(await stateOf(late)).toBe("unavailable");
    adapter.up();
    await clock.advanceAsync();
    expect(published()).toEqual(["x: 1"]);
  });

  it("is refused while 8 MiB wait, counted over all topics and both ways to publish; there is room again when they have gone", async () => {
    const { channel, clock, adapter, publishText, bus } = await stepped();
    adapter.down();
    const big = "x".repeat(500_000);
    const each = 40 + 10 + big.length;
    const fit = Math.floor(HELD_BYTES_MAX / each);
    const held = Array.from({ length: fit }, (_, index) =>
      index % 3 === 0 ? channel.publish("x", message(big)) : publishText(index % 2 === 0 ? "x" : "y", big),
    );
    expect(held).not.toContain(undefined);
    expect(publishText("x", big)).toBeUndefined();
    expect(publishText("other", big)).toBeUndefined();
    expect(publishText("x", "small")).toBeInstanceOf(Promise);
    adapter.up();
    await clock.advanceAsync();
    expect(await Promise.all(held.map((one) => stateOf(one ?? Promise.resolve())))).toEqual(Array(fit).fill("done"));
    for (const { record } of bus.accepted) expect(record.bytes.length).toBeLessThan(RECORD_BYTES_EARLY + each + 24);
    expect(bus.accepted.reduce((count, { record }) => count + record.count, 0)).toBe(fit + 1);
    adapter.down();
    expect(publishText("x", big)).toBeInstanceOf(Promise);
  });

  it("holds little more than its bytes while the link is down, however much its topic has sent before", async () => {
    const { clock, adapter, publishText, bus } = await stepped();
    void publishText("x", "x".repeat(20_000));
    await clock.advanceAsync();
    adapter.down();
    for (const text of ["1", "2", "3"]) void publishText("y", text);
    void publishText("x", "4");
    adapter.up();
    await clock.advanceAsync();
    const held = bus.accepted.slice(1).map(({ record }) => record.run?.buffer.byteLength ?? Infinity);
    expect(held).toHaveLength(2);
    expect(Math.max(...held)).toBeLessThanOrEqual(256);
  });

  it("is not refused for what goes at the end of the turn, however much that is", async () => {
    const { clock, publishText, bus } = await stepped();
    const big = "x".repeat(250_000); // less than what goes before the end of the turn
    const count = Math.ceil(HELD_BYTES_MAX / big.length) + 2;
    for (let at = 0; at < count; at++) expect(publishText(`topic ${at}`, big)).toBeInstanceOf(Promise);
    expect(bus.accepted).toEqual([]);
    await clock.advanceAsync();
    expect(bus.accepted).toHaveLength(count);
  });

  it("is refused when the channel is stopped", async () => {
    const { channel, clock, published, publishText } = await stepped();
    const waits = publishText("x", "1") ?? Promise.resolve();
    await channel.stop();
    expect(publishText("x", "2")).toBeUndefined();
    await clock.advanceAsync();
    expect([await stateOf(waits), published()]).toEqual(["closed", []]);
  });

  it("goes though an application publishes when it hears that something has failed, in the midst of the end of a turn", async () => {
    const made = await stepped();
    const { channel, clock, adapter, published, publishText } = made;
    let again: Promise<unknown> | undefined;
    const publish = adapter.publish.bind(adapter);
    adapter.publish = (topic, record) => {
      again ??= channel.publish("y", message("again"));
      return publish(topic, record);
    };
    void publishText("x", "1");
    await clock.advanceAsync();
    expect(published()).toEqual(["x: 1", "y: again"]);
    expect(await stateOf(again ?? Promise.resolve())).toBe("done");
  });

  it("goes once though an application makes it full in the midst of the end of its turn", async () => {
    const { channel, clock, adapter, published, publishText } = await stepped();
    const publish = adapter.publish.bind(adapter);
    const full = "x".repeat(RECORD_BYTES_EARLY);
    adapter.publish = (topic, record) => {
      if (topic === "x") void channel.publish("y", message(full));
      return publish(topic, record);
    };
    void publishText("x", "1");
    void publishText("y", "2");
    await clock.advanceAsync();
    expect(published()).toEqual([`y: 2 ${full}`, "x: 1"]);
  });

  it("fails alone though an adapter throws where it should reject: what others gather in that turn and later still goes", async () => {
    const { channel, turn, clock, adapter, published, publishText } = await stepped();
    const publish = adapter.publish.bind(adapter);
    adapter.publish = (topic, record) => {
      if (topic === "x") throw new Error("lost");
      return publish(topic, record);
    };
    let flushes = 0;
    turn.add({ flush: () => void flushes++ });
    const sent = [publishText("x", "1"), channel.publish("x", message("2")), publishText("y", "3")];
    await clock.advanceAsync();
    sent.push(publishText("y", "4"));
    await clock.advanceAsync();
    const states = await Promise.all(sent.map((one) => stateOf(one ?? Promise.resolve("refused"))));
    expect(states).toEqual(["Error: lost", "Error: lost", "done", "done"]);
    expect([flushes, published()]).toEqual([1, ["y: 3", "y: 4"]]);
  });
});
