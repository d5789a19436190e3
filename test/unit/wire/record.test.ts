import { createHash } from "node:crypto";
import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { encodeFrame, readPayloads } from "../../../src/wire/frames.ts";
import { Gather, type Message, MessageRecord } from "../../../src/wire/record.ts";

const message: fc.Arbitrary<Message> = fc
  .record({
    kind: fc.constantFrom("string", "json", "bytes", "control"),
    size: fc.oneof(fc.constantFrom(0, 125, 126, 65_535, 65_536), fc.nat(200)),
    fill: fc.nat(127),
    except: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(fc.string({ unit: "binary" }), { maxLength: 4 }) },
    ),
  })
  .map(({ kind, size, fill, except }) => {
    const bytes = new Uint8Array(size).fill(fill);
    return { kind, frame: encodeFrame(kind === "bytes" ? bytes : Buffer.from(bytes).toString("latin1")), except } as const;
  });
const messages = fc.array(message, { minLength: 1, maxLength: 8 });

const plain = (text: string, except: string[] = []): Message => ({ kind: "string", frame: encodeFrame(text), except });
// Frames as digests: comparing a hundred thousand bytes one by one takes the matcher a second.
const shown = ({ kind, frame, except }: Message) => ({ kind, frame: createHash("sha1").update(frame).digest("hex"), except });
const list = (record: MessageRecord) => [...record.messages()].map(shown);
const copyOf = (record: MessageRecord): Uint8Array => Uint8Array.from(record.bytes);

/** Everything that a receiver does with a record. */
function use(record: MessageRecord): void {
  for (const { frame } of record.messages()) readPayloads(frame);
  if (record.run !== null) readPayloads(record.run);
}

describe("a record", () => {
  it("comes back from its bytes as it was", () => {
    fc.assert(
      fc.property(messages, (given) => {
        const record = MessageRecord.of(given);
        const back = MessageRecord.read(copyOf(record));
        expect(back.count).toBe(given.length);
        expect(list(back)).toEqual(list(record));
        expect(list(back)).toEqual(given.map(shown));
        const forEverybody = given.every(({ kind, except }) => kind !== "control" && except.length === 0);
        expect(back.run !== null).toBe(forEverybody);
        if (back.run !== null) expect(Buffer.compare(back.run, Buffer.concat(given.map(({ frame }) => frame)))).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("is never longer than what has gathered is said to need", () => {
    fc.assert(
      fc.property(messages, (given) => {
        const gather = new Gather();
        for (const message of given) gather.add(message);
        expect(gather.record().bytes.length).toBeLessThanOrEqual(24 + gather.bytes);
      }),
      { numRuns: 200 },
    );
  });

  it("is read from the middle of a larger buffer, and keeps to its part", () => {
    const bytes = MessageRecord.of([plain("one"), plain("two", ["a"])]).bytes;
    const around = new Uint8Array(bytes.length + 20).fill(255);
    around.set(bytes, 7);
    expect(list(MessageRecord.read(around.subarray(7, 7 + bytes.length)))).toEqual(list(MessageRecord.read(bytes)));
  });

  it("gives its one frame as the run without copying, and none as soon as somebody is left out", () => {
    const one = plain("one");
    expect(MessageRecord.of([one]).run).toBe(one.frame);
    expect(MessageRecord.of([plain("one", ["a"])]).run).toBeNull();
    expect(MessageRecord.of([{ ...one, kind: "control" }]).run).toBeNull();
  });

  it("is encoded once", () => {
    const record = MessageRecord.of([plain("one")]);
    expect(record.bytes).toBe(record.bytes);
    const read = MessageRecord.read(record.bytes);
    expect(read.bytes).toBe(record.bytes);
  });

  it("has its numbers at fixed places: a header of 24 bytes, and 40 for each message", () => {
    const { bytes } = MessageRecord.of([plain("ab"), plain("c", ["x"])]);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    expect(view.getUint8(0)).toBe(1);
    expect(view.getUint8(1)).toBe(1); // mixed
    expect(view.getUint16(2)).toBe(2);
    expect(view.getUint32(4)).toBe(24 + 2 * 40 + '["x"]'.length);
    expect(view.getUint32(24 + 40 + 4)).toBe('["x"]'.length);
    expect(view.getUint32(24 + 8)).toBe(4);
  });
});

describe("bytes that are no record", () => {
  const refused = (bytes: Uint8Array): boolean => {
    try {
      use(MessageRecord.read(bytes));
      return false;
    } catch (error) {
      if (error instanceof GroupcastError && error.code === "internal") return true;
      throw error;
    }
  };

  it("are refused when they are cut short, wherever", () => {
    const { bytes } = MessageRecord.of([plain("one"), plain("two", ["a", "b"]), plain("x".repeat(300)), plain("y".repeat(66_000))]);
    const cuts = [...Array.from({ length: 700 }, (_, length) => length), bytes.length - 1];
    for (const length of cuts) expect(refused(bytes.subarray(0, length))).toBe(true);
    expect(refused(bytes)).toBe(false);
  });

  it("are refused when something stands behind them", () => {
    const { bytes } = MessageRecord.of([plain("one")]);
    expect(refused(Buffer.concat([bytes, Buffer.from([0])]))).toBe(true);
  });

  it("are refused when something stands between the except lists and the frames", () => {
    const { bytes } = MessageRecord.of([plain("one", ["a"])]);
    const framesAt = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4);
    const gaping = Uint8Array.from([...bytes.subarray(0, framesAt), 0x20, 0x20, ...bytes.subarray(framesAt)]);
    new DataView(gaping.buffer).setUint32(4, framesAt + 2);
    expect(refused(gaping)).toBe(true);
  });

  it.each([
    ["no bytes", new Uint8Array(0)],
    ["text", new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    ["zeros", new Uint8Array(1000)],
    ["ones", new Uint8Array(1000).fill(255)],
  ])("such as %s are refused", (_, bytes) => {
    expect(refused(bytes)).toBe(true);
  });

  it("never make more than a GroupcastError, and never show what lies beside them, whatever was changed", () => {
    const change = fc.record({ at: fc.nat(400), to: fc.nat(255) });
    fc.assert(
      fc.property(messages, fc.array(change, { minLength: 1, maxLength: 4 }), fc.option(fc.nat(400)), (given, changes, cut) => {
        const original = MessageRecord.of(
          given.map((one) => ({ ...one, frame: one.frame.length > 400 ? encodeFrame("short") : one.frame })),
        ).bytes;
        // Stands in the middle of a buffer full of a byte that is nowhere in the record.
        const around = new Uint8Array(original.length + 200).fill(0xee);
        around.set(original, 100);
        const mutated = around.subarray(100, 100 + Math.min(cut ?? Infinity, original.length));
        for (const { at, to } of changes) if (at < mutated.length) mutated[at] = to;
        let record: MessageRecord;
        try {
          record = MessageRecord.read(mutated);
          use(record);
        } catch (error) {
          expect(error).toBeInstanceOf(GroupcastError);
          return;
        }
        let frameBytes = 0;
        for (const { frame } of record.messages()) {
          expect(frame.byteOffset).toBeGreaterThanOrEqual(mutated.byteOffset);
          expect(frame.byteOffset + frame.length).toBeLessThanOrEqual(mutated.byteOffset + mutated.length);
          frameBytes += frame.length;
        }
        if (record.run !== null) expect(record.run).toHaveLength(frameBytes);
      }),
      { numRuns: 2000 },
    );
  });

  it("are refused when a frame in them is none that a server may write: a client would break off", () => {
    const { bytes } = MessageRecord.of([plain("one")]);
    const framesAt = bytes.length - encodeFrame("one").length;
    const changed = (at: number, to: number): Uint8Array => {
      const copy = Uint8Array.from(bytes);
      copy[at] = to;
      return copy;
    };
    expect(refused(changed(framesAt, 0x81))).toBe(false);
    for (const head of [0x00, 0x01, 0x80, 0x83, 0x88, 0x89, 0x8a, 0xc1, 0xa2, 0x91]) expect(refused(changed(framesAt, head))).toBe(true);
    const masked = MessageRecord.of([{ kind: "bytes", except: [], frame: new Uint8Array([0x82, 0x85, 0, 0, 0, 0, 0, 0, 0, 0]) }]).bytes;
    expect(refused(masked)).toBe(true);
  });

  it("are refused when they would show everybody what some are left out of", () => {
    const lied = Uint8Array.from(MessageRecord.of([plain("one", ["a"])]).bytes);
    lied[1] = 0;
    expect(refused(lied)).toBe(true);
    const control = Uint8Array.from(MessageRecord.of([{ ...plain("{}"), kind: "control" }]).bytes);
    control[1] = 0;
    expect(refused(control)).toBe(true);
  });

  it.each(["{}", "[1]", "null", "[", '"a"', "[[]]", "[".repeat(10_000)])("are refused when an except list is %j", (except) => {
    const frame = encodeFrame("one");
    const text = new TextEncoder().encode(except);
    const bytes = new Uint8Array(64 + text.length + frame.length);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, 1);
    view.setUint8(1, 1);
    view.setUint16(2, 1);
    view.setUint32(4, 64 + text.length);
    view.setUint32(28, text.length);
    view.setUint32(32, frame.length);
    bytes.set(text, 64);
    bytes.set(frame, 64 + text.length);
    expect(refused(bytes)).toBe(true);
  });
});
