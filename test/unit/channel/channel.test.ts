import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { Channel, HELD_BYTES_MAX } from "../../../src/channel/channel.ts";
import { GroupcastError } from "../../../src/base/errors.ts";
import { deferred } from "../../../src/base/promises.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { encodeFrame, readPayloads } from "../../../src/wire/frames.ts";
import { type Message, MessageRecord } from "../../../src/wire/record.ts";
import { codeOf, settle, stateOf, StepAdapter, StepBus } from "../fakes.ts";

const message = (text: string, bytes = 0): Message => ({ kind: "string", frame: encodeFrame(text.padEnd(bytes, ".")), except: [] });
const textsOf = (record: MessageRecord): string[] =>
  [...record.messages()].map(({ frame }) => String(readPayloads(frame)[0]).replaceAll(".", ""));

/** A started channel on a bus, and what it told; the link is up unless said. */
function started({ bus = new StepBus(), up = true } = {}) {
  const clock = new FakeClock();
  const adapter = new StepAdapter(bus);
  const channel = new Channel(adapter, { clock });
  const told: string[] = [];
  channel.start({
    up: () => void told.push("up"),
    down: (reason) => void told.push(`down: ${reason.message}`),
    failed: (error) => void told.push(`failed: ${error.message}`),
  });
  if (up) adapter.up();
  const heard: string[] = [];
  const hear = (topic: string) => channel.hear(topic, (record) => void heard.push(...textsOf(record)));
  const published = () => bus.accepted.map(({ topic, record }) => `${topic}: ${textsOf(record).join(" ")}`);
  return { clock, adapter, channel, told, heard, hear, published, bus };
}

describe("what is published in one turn", () => {
  it("goes as one record for each topic, at its end, in the order of the calls", async () => {
    const { clock, channel, published } = started();
    const acknowledged = ["1", "2", "3"].map((text) => channel.publish("x", message(text)));
    void channel.publish("y", message("4"));
    expect(published()).toEqual([]);
    await clock.advanceAsync();
    expect(published()).toEqual(["x: 1 2 3", "y: 4"]);
    expect(await Promise.all(acknowledged.map(stateOf))).toEqual(["done", "done", "done"]);
    void channel.publish("x", message("5"));
    await clock.advanceAsync();
    expect(published()).toEqual(["x: 1 2 3", "y: 4", "x: 5"]);
  });

  it("goes earlier as soon as it is 256 KiB, with all that a record adds to its messages", async () => {
    const { channel, published, bus } = started();
    void channel.publish("x", message("1", 200_000));
    expect(published()).toEqual([]);
    void channel.publish("x", message("2", 100_000));
    expect(published()).toEqual(["x: 1 2"]);
    const small: Message = { ...message(""), except: ["x".repeat(32)] };
    for (let count = 0; count < 10_000; count++) void channel.publish("y", small);
    const records = bus.accepted.filter(({ topic }) => topic === "y").map(({ record }) => record);
    expect(records.length).toBeGreaterThan(1);
    for (const { count, bytes } of records) {
      expect(count).toBeGreaterThan(100);
      expect(bytes.length).toBeLessThan(300_000);
    }
  });

  it("is heard by every process that hears the topic, the publisher's own included, once, and by no other", async () => {
    const bus = new StepBus();
    const [one, two, three] = [started({ bus }), started({ bus }), started({ bus })];
    await Promise.all([one.hear("x").ready, two.hear("x").ready, three.hear("y").ready]);
    void one.channel.publish("x", message("hi"));
    await one.clock.advanceAsync();
    expect([one.heard, two.heard, three.heard]).toEqual([["hi"], ["hi"], []]);
  });
});

describe("hearing", () => {
  it("subscribes once for several that hear a topic, and ends with the last of them", async () => {
    const { adapter, hear, heard, channel, clock } = started();
    const [one, two] = [hear("x"), hear("x")];
    await Promise.all([one.ready, two.ready]);
    void channel.publish("x", message("1"));
    await clock.advanceAsync();
    one.stop();
    one.stop();
    void channel.publish("x", message("2"));
    await clock.advanceAsync();
    two.stop();
    void channel.publish("x", message("3"));
    await clock.advanceAsync();
    expect(heard).toEqual(["1", "1", "2"]);
    expect(adapter.calls.filter((call) => call.includes("subscribe"))).toEqual(["subscribe x", "unsubscribe x"]);
  });

  it("is ready when the adapter says so", async () => {
    const { adapter, hear } = started();
    adapter.confirms = false;
    const { ready } = hear("x");
    expect(ready).toBeInstanceOf(Promise);
    expect(await stateOf(ready ?? Promise.resolve())).toBe("pending");
    adapter.confirm();
    expect(await stateOf(ready ?? Promise.resolve())).toBe("done");
    expect(hear("x").ready).toBeUndefined();
  });

  it("goes on for the others when one of them throws", async () => {
    const { channel, clock, heard, hear, told } = started();
    await channel.hear("x", () => {
      throw new Error("bad hearer");
    }).ready;
    await hear("x").ready;
    void channel.publish("x", message("1"));
    await clock.advanceAsync();
    expect(heard).toEqual(["1"]);
    expect(told).toEqual(["up", "failed: bad hearer"]);
  });
});

describe("a publish to a topic that this process is about to hear", () => {
  it("waits for that, so that its own members do not miss it; other topics go on", async () => {
    const { adapter, channel, clock, hear, heard, published } = started();
    adapter.confirms = false;
    hear("x");
    const waits = channel.publish("x", message("1"));
    void channel.publish("y", message("2"));
    await clock.advanceAsync();
    expect(published()).toEqual(["y: 2"]);
    void channel.publish("x", message("3"));
    await clock.advanceAsync();
    adapter.confirm();
    await clock.advanceAsync();
    expect(published()).toEqual(["y: 2", "x: 1 3"]);
    expect(heard).toEqual(["1", "3"]);
    expect(await stateOf(waits)).toBe("done");
    expect(clock.timers).toBe(0);
  });

  it("goes when it is about to hear it no longer", async () => {
    const { adapter, channel, clock, hear, published } = started();
    adapter.confirms = false;
    const hearing = hear("x");
    void channel.publish("x", message("1"));
    await clock.advanceAsync();
    hearing.stop();
    await clock.advanceAsync();
    expect(published()).toEqual(["x: 1"]);
  });

  it("is rejected with unavailable after 5 s", async () => {
    const { adapter, channel, clock, hear, published } = started();
    adapter.confirms = false;
    hear("x");
    const waits = channel.publish("x", message("1"));
    await clock.advanceAsync(4_999);
    expect(await stateOf(waits)).toBe("pending");
    await clock.advanceAsync(2);
    expect(await stateOf(waits)).toBe("unavailable");
    adapter.confirm();
    await clock.advanceAsync(10);
    expect(published()).toEqual([]);
  });

  it("goes when that has failed, and whoever wanted to hear is told", async () => {
    const { adapter, channel, clock, published } = started();
    const subscribed = deferred();
    adapter.subscribe = () => subscribed.promise;
    const { ready } = channel.hear("x", () => {});
    const waits = channel.publish("x", message("1"));
    await clock.advanceAsync();
    expect(published()).toEqual([]);
    subscribed.reject(new GroupcastError("limit"));
    expect(await stateOf(ready ?? Promise.resolve())).toBe("limit");
    await clock.advanceAsync();
    expect([published(), await stateOf(waits)]).toEqual([["x: 1"], "done"]);
  });

  it("is bounded: more than 8 MiB are refused at once", async () => {
    const { adapter, channel, clock, hear } = started();
    adapter.confirms = false;
    hear("x");
    const all = Array.from({ length: 20 }, (_, index) => channel.publish("x", message(String(index), 500_000)));
    const states = await Promise.all(all.map(stateOf));
    expect(states.filter((state) => state === "unavailable")).toHaveLength(20 - Math.floor(HELD_BYTES_MAX / 500_010));
    await clock.advanceAsync(5_001);
    expect(new Set(await Promise.all(all.map(stateOf)))).toEqual(new Set(["unavailable"]));
  });
});

describe("while the link is down", () => {
  it("what is published waits, and goes in order when it is back", async () => {
    const { adapter, channel, clock, hear, heard, published, told } = started();
    await hear("x").ready;
    adapter.down();
    expect(channel.isUp).toBe(false);
    const waits = [channel.publish("x", message("1")), channel.publish("y", message("2"))];
    await clock.advanceAsync(1_000);
    waits.push(channel.publish("x", message("3")));
    await clock.advanceAsync(3_000);
    expect(published()).toEqual([]);
    adapter.up();
    expect(channel.isUp).toBe(true);
    void channel.publish("x", message("4"));
    await clock.advanceAsync();
    expect(published()).toEqual(["x: 1 3 4", "y: 2"]);
    expect(heard).toEqual(["1", "3", "4"]);
    expect(await Promise.all(waits.map(stateOf))).toEqual(["done", "done", "done"]);
    expect(told).toEqual(["up", "down: the link is cut", "up"]);
    expect(clock.timers).toBe(0);
  });

  it("many may wait for it, each for a while, and leave nothing behind", async () => {
    const { adapter, channel, clock } = started();
    expect(channel.upWithin(5_000)).toBeUndefined();
    adapter.down();
    const short = channel.upWithin(5_000) ?? Promise.resolve();
    const long = channel.upWithin(60_000) ?? Promise.resolve();
    await clock.advanceAsync(5_000);
    expect([await stateOf(short), await stateOf(long)]).toEqual(["unavailable", "pending"]);
    expect(clock.timers).toBe(1);
    adapter.up();
    expect(await stateOf(long)).toBe("done");
    adapter.down();
    const last = channel.upWithin(5_000) ?? Promise.resolve();
    await channel.stop();
    expect([await stateOf(last), await stateOf(channel.upWithin(5_000) ?? Promise.resolve())]).toEqual(["closed", "closed"]);
    expect(clock.timers).toBe(0);
  });

  it("each publish is rejected with unavailable after 5 s at the latest, and is never sent then", async () => {
    const { adapter, channel, clock, published } = started({ up: false });
    const early = channel.publish("x", message("1"));
    await clock.advanceAsync(4_000);
    const late = channel.publish("x", message("2"));
    expect(await stateOf(early)).toBe("pending");
    await clock.advanceAsync(1_001);
    expect(await stateOf(early)).toBe("unavailable");
    await clock.advanceAsync(4_000);
    expect(await stateOf(late)).toBe("unavailable");
    await expect(early).rejects.toMatchObject({ retry: true });
    adapter.up();
    await clock.advanceAsync(10);
    expect(published()).toEqual([]);
    const next = channel.publish("x", message("3"));
    await clock.advanceAsync();
    expect(await stateOf(next)).toBe("done");
    expect(published()).toEqual(["x: 3"]);
    expect(clock.timers).toBe(0);
  });

  it("no more than 8 MiB wait: what is more is refused at once, and there is room again when they are gone", async () => {
    const { adapter, channel, clock, bus } = started({ up: false });
    const big = message("", 1_000_000);
    const held = Array.from({ length: 8 }, () => channel.publish("x", big));
    const refused = channel.publish("y", big);
    expect(await stateOf(refused)).toBe("unavailable");
    expect(await stateOf(channel.publish("y", message("small")))).toBe("pending");
    adapter.up();
    await clock.advanceAsync();
    expect(await Promise.all(held.map(stateOf))).toEqual(Array(8).fill("done"));
    // None of the records is much longer than one may be.
    for (const { record } of bus.accepted) expect(record.bytes.length).toBeLessThan(1_300_000);
    adapter.down();
    expect(await stateOf(channel.publish("y", big))).toBe("pending");
  });

  it("nothing is lost or turned round by a link that comes and goes, as long as it is back within 5 s", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom("x", "y") },
      { weight: 1, arbitrary: fc.constantFrom("down", "up") },
      { weight: 2, arbitrary: fc.constant("turn") },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { adapter, channel, clock, hear, heard } = started();
        await Promise.all([hear("x").ready, hear("y").ready]);
        const sent: string[] = [];
        let sinceDown = 0;
        for (const next of steps) {
          if (next === "up") {
            adapter.up();
            sinceDown = 0;
          } else if (next === "down") adapter.down();
          else if (next === "turn") {
            // A record that is on its way when the link goes is the adapter's to account for: here it has arrived.
            await clock.advanceAsync(sinceDown < 4_000 ? 100 : 0);
            if (!adapter.isUp) sinceDown += 100;
          } else {
            sent.push(`${next}${sent.length}`);
            void channel.publish(next, message(sent.at(-1) ?? ""));
          }
        }
        adapter.up();
        await clock.advanceAsync(10);
        for (const topic of ["x", "y"]) {
          expect(heard.filter((text) => text.startsWith(topic))).toEqual(sent.filter((text) => text.startsWith(topic)));
        }
      }),
      { numRuns: 100 },
    );
  }, 60_000);
});

describe("what the adapter answers", () => {
  it("is what the publisher gets: a rejection reaches each of the messages of the record, and no other", async () => {
    const { adapter, channel, clock } = started();
    const first = [channel.publish("x", message("1")), channel.publish("x", message("2"))];
    adapter.publish = () => Promise.reject(new GroupcastError("unknown_outcome"));
    await clock.advanceAsync();
    expect(await Promise.all(first.map(stateOf))).toEqual(["unknown_outcome", "unknown_outcome"]);
    Reflect.deleteProperty(adapter, "publish");
    const second = channel.publish("x", message("3"));
    await clock.advanceAsync();
    expect(await stateOf(second)).toBe("done");
  });

  it("tells how many adapters got the record", async () => {
    const bus = new StepBus();
    const [one, two] = [started({ bus }), started({ bus })];
    await Promise.all([one.hear("x").ready, two.hear("x").ready]);
    const receipt = one.channel.publish("x", message("1"));
    await one.clock.advanceAsync();
    expect(await receipt).toEqual({ receivers: 2 });
  });
});

describe("a last will", () => {
  it("is passed on as a record, and withdrawn", () => {
    const wills: (string | undefined)[] = [];
    const adapter = Object.assign(new StepAdapter(new StepBus()), {
      will: (topic: string, record: MessageRecord | undefined) =>
        void wills.push(topic, ...(record === undefined ? [undefined] : textsOf(record))),
    });
    const channel = new Channel(adapter, { clock: new FakeClock() });
    expect([channel.will("x", message("the will")), channel.will("x", undefined)]).toEqual([true, true]);
    expect(wills).toEqual(["x", "the will", "x", undefined]);
  });

  it("is nothing that every channel can see to", () => {
    expect(started().channel.will("x", message("the will"))).toBe(false);
  });
});

describe("a channel", () => {
  it("belongs to one manager", () => {
    const { channel } = started();
    expect(codeOf(() => channel.start({ up() {}, down() {}, failed() {} }))).toBe("bad_option");
  });

  it("that is stopped rejects what waits, and what comes later, with closed, quietly", async () => {
    const { adapter, channel, clock } = started({ up: false });
    const waits = channel.publish("x", message("1"));
    void channel.publish("y", message("2"));
    const hearing = channel.hear("x", () => {});
    await clock.advanceAsync(100);
    await channel.stop();
    expect(await stateOf(waits)).toBe("closed");
    expect(await stateOf(channel.publish("x", message("3")))).toBe("closed");
    expect([channel.isUp, clock.timers]).toEqual([false, 0]);
    expect(() => hearing.stop()).not.toThrow();
    expect(adapter.calls.at(-1)).toBe("stop");
    await settle();
  });
});
