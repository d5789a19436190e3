import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import {
  encodeAccepted,
  encodeSubscribe,
  encodeSubscribed,
  encodeTopicHead,
  encodeUnsubscribe,
  encodeWill,
  FRAME,
  NO_WILL,
  PING,
  readReceivers,
  readSubscribe,
  readUnsubscribe,
  readWill,
  refOf,
  TOPIC_BYTES_MAX,
  topicEnd,
  topicOf,
  turnIntoMessage,
  typeOf,
} from "../../../src/hub/frames.ts";

const topic = fc.string({ unit: "binary", maxLength: 120 });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const asHubReads = (name: string): string => Buffer.from(name).toString("latin1");

/** What a splitter would check. */
function expectWhole(frame: Buffer, type: number): void {
  expect(frame.readUInt32BE(0)).toBe(frame.length - 4);
  expect(typeOf(frame)).toBe(type);
}

describe("a frame", () => {
  it("of topics says the same to the hub as to whoever wrote it", () => {
    fc.assert(
      fc.property(u32, fc.array(topic, { maxLength: 20 }), (ref, topics) => {
        const subscribe = encodeSubscribe(ref, topics);
        expectWhole(subscribe, FRAME.subscribe);
        expect(refOf(subscribe)).toBe(ref);
        expect(readSubscribe(subscribe)).toEqual(topics.map(asHubReads));
        const unsubscribe = encodeUnsubscribe(topics);
        expectWhole(unsubscribe, FRAME.unsubscribe);
        expect(readUnsubscribe(unsubscribe)).toEqual(topics.map(asHubReads));
      }),
    );
  });

  it("of a will becomes the message that it asks for", () => {
    fc.assert(
      fc.property(topic, fc.uint8Array({ maxLength: 300 }), (name, record) => {
        const will = encodeWill(name, record);
        expectWhole(will, FRAME.will);
        const message = readWill(will) ?? PING;
        expectWhole(message, FRAME.message);
        const end = topicEnd(message);
        expect([topicOf(message, end, "utf8"), [...message.subarray(end)]]).toEqual([name, [...record]]);
      }),
    );
    expectWhole(NO_WILL, FRAME.will);
    expect(readWill(NO_WILL)).toBeUndefined();
  });

  it("that is published becomes the message by its type byte alone", () => {
    fc.assert(
      fc.property(u32, topic, fc.uint8Array({ maxLength: 300 }), (ref, name, record) => {
        const published = Buffer.concat([encodeTopicHead(FRAME.publish, ref, name, record.length), record]);
        expectWhole(published, FRAME.publish);
        const message = Buffer.from(published);
        turnIntoMessage(message);
        expectWhole(message, FRAME.message);
        expect([...message.keys()].filter((at) => message[at] !== published[at])).toEqual([4]);
        expect(refOf(message)).toBe(ref);
        expect(topicOf(message, topicEnd(message), "utf8")).toBe(name);
        expect(topicOf(message, topicEnd(message), "latin1")).toBe(asHubReads(name));
        expect([...message.subarray(topicEnd(message))]).toEqual([...record]);
      }),
    );
  });

  it("that answers carries its ref and its number", () => {
    fc.assert(
      fc.property(u32, u32, (ref, receivers) => {
        const accepted = encodeAccepted(ref, receivers);
        expectWhole(accepted, FRAME.accepted);
        expect([refOf(accepted), readReceivers(accepted)]).toEqual([ref, receivers]);
        expectWhole(encodeSubscribed(ref), FRAME.subscribed);
        expect(refOf(encodeSubscribed(ref))).toBe(ref);
      }),
    );
    expectWhole(PING, FRAME.ping);
  });

  it("that is cut short anywhere throws, and is never read beyond its end", () => {
    const around = Buffer.alloc(400, 0x41);
    const readers: [Buffer, (frame: Buffer) => unknown][] = [
      [encodeSubscribe(7, ["first", "second"]), readSubscribe],
      [encodeUnsubscribe(["first", "second"]), readUnsubscribe],
      [encodeTopicHead(FRAME.publish, 7, "first", 0), topicEnd],
      [encodeAccepted(7, 1), readReceivers],
    ];
    for (const [frame, read] of readers) {
      const at = 100;
      frame.copy(around, at);
      const whole = read(around.subarray(at, at + frame.length));
      for (let length = 5; length < frame.length; length++) {
        let seen: unknown = "thrown";
        try {
          seen = read(around.subarray(at, at + length));
        } catch {
          continue;
        }
        // A list that ends behind one of its topics is a list.
        expect(Array.isArray(seen) && seen.length < (whole as unknown[]).length, `${typeOf(frame)} cut at ${length}`).toBe(true);
      }
    }
  });

  it("with a topic over the limit throws", () => {
    const long = "x".repeat(TOPIC_BYTES_MAX + 1);
    expect(() => readSubscribe(encodeSubscribe(1, [long]))).toThrow("limit");
    expect(() => topicEnd(encodeTopicHead(FRAME.publish, 1, long, 0))).toThrow("limit");
    expect(topicEnd(encodeTopicHead(FRAME.publish, 1, long.slice(1), 0))).toBe(11 + TOPIC_BYTES_MAX);
  });
});
