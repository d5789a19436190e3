// Messages that gather are, byte for byte, the frames one behind the other.
import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { Buffers } from "../../../src/base/buffers.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { Gather, type Message, MessageRecord, RECORD_BYTES_EARLY, RECORD_MESSAGES_MAX } from "../../../src/wire/record.ts";

const utf8 = new TextEncoder();
const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;

/** A message, and how it comes: as a frame, or as a text somewhere in what a client has sent. */
interface Given extends Message {
  readonly asText: { readonly text: string; readonly before: number; readonly after: number } | undefined;
}

const LENGTHS = [0, 1, 125, 126, 127, 4_090, 65_535, 65_536];
const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "grapheme", maxLength: 60 }) },
  { weight: 1, arbitrary: fc.constantFrom(...LENGTHS).map((length) => "a".repeat(length)) },
  { weight: 1, arbitrary: fc.constantFrom(...LENGTHS).map((length) => "ü".repeat(length >> 1) + "-".repeat(length & 1)) },
);
const given: fc.Arbitrary<Given> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ text, before: fc.nat(80), after: fc.nat(4) }).map((asText) => ({ ...plain(asText.text), asText })) },
  {
    weight: 2,
    arbitrary: fc
      .record({
        text,
        kind: fc.constantFrom("string", "string", "json", "bytes", "control"),
        except: fc.oneof({ weight: 5, arbitrary: fc.constant([]) }, fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 3 })),
        // Frames may be views into something larger.
        margin: fc.constantFrom(0, 9),
      })
      .map(({ text: of, kind, except, margin }) => {
        const frame = encodeFrame(kind === "bytes" ? utf8.encode(of) : of);
        const around = new Uint8Array(frame.length + 2 * margin).fill(0xee);
        around.set(frame, margin);
        return { kind, except, frame: around.subarray(margin, margin + frame.length), asText: undefined };
      }),
  },
);

function plain(of: string): Message {
  return { kind: "string", frame: encodeFrame(of), except: [] };
}

function gather(all: readonly Given[]): Gather {
  const gathered = new Gather();
  for (const one of all) {
    if (one.asText === undefined) {
      gathered.add(one);
      continue;
    }
    const bytes = utf8.encode(one.asText.text);
    const source = new Uint8Array(one.asText.before + bytes.length + one.asText.after).fill(0xdd);
    source.set(bytes, one.asText.before);
    gathered.addText(source, one.asText.before, one.asText.before + bytes.length);
    source.fill(0xcc); // a view that is good during the call only
  }
  return gathered;
}

describe("messages that gather", () => {
  it("are the same record whichever way they came, in any mixture, and come back from its bytes", () => {
    fc.assert(
      fc.property(fc.array(given, { maxLength: 12 }), (all) => {
        const before = all.map(({ frame }) => Uint8Array.from(new Uint8Array(frame.buffer)));
        const record = gather(all).record();
        const frames = Buffer.concat(all.map(({ frame }) => frame));
        const isForAll = all.every(({ kind, except }) => kind !== "control" && except.length === 0);
        expect(record.count).toBe(all.length);
        expect(record.run !== null).toBe(isForAll);
        if (record.run !== null) expect(same(record.run, frames)).toBe(true);
        for (const shown of [record, MessageRecord.read(Uint8Array.from(record.bytes))]) {
          const messages = [...shown.messages()];
          expect(messages.map(({ kind, except }) => ({ kind, except }))).toEqual(all.map(({ kind, except }) => ({ kind, except })));
          expect(messages.every(({ frame }, at) => same(frame, all[at]?.frame ?? new Uint8Array(0)))).toBe(true);
          if (isForAll) expect(same(shown.run ?? new Uint8Array(0), frames)).toBe(true);
        }
        // Nothing was written into what was given, nor beside it.
        expect(all.every(({ frame }, at) => same(new Uint8Array(frame.buffer), before[at] ?? frame))).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it("are counted as they come, and never need more bytes than is said", () => {
    fc.assert(
      fc.property(fc.array(given, { maxLength: 12 }), (all) => {
        const frames = all.reduce((bytes, { frame }) => bytes + frame.length, 0);
        const gathered = gather(all);
        expect(gathered.count).toBe(all.length);
        expect(gathered.bytes).toBeGreaterThanOrEqual(frames + 40 * all.length);
        expect(gathered.record().bytes.length).toBeLessThanOrEqual(24 + gathered.bytes);
        if (all.every(({ except }) => except.length === 0)) expect(gathered.bytes).toBe(frames + 40 * all.length);
        expect(gathered.isFull).toBe(gathered.bytes >= RECORD_BYTES_EARLY);
      }),
      { numRuns: 200 },
    );
  });

  it("are full at 256 KiB, with what the record adds, and at 65,535 messages", () => {
    const source = utf8.encode("x".repeat(1_000));
    const gathered = new Gather();
    const each = 40 + 4 + source.length;
    const most = Math.ceil(RECORD_BYTES_EARLY / each);
    for (let count = 1; count <= most; count++) {
      expect(gathered.isFull).toBe(false);
      gathered.addText(source, 0, source.length);
    }
    expect(gathered.isFull).toBe(true);
    expect(gathered.record().run).toHaveLength(most * (4 + source.length));
    const many = new Gather();
    for (let count = 0; count < RECORD_MESSAGES_MAX; count++) many.addText(source, 0, 0);
    expect([many.isFull, many.record().count]).toEqual([true, RECORD_MESSAGES_MAX]);
  });

  it("are not copied if there is but one frame", () => {
    const one = plain("alone");
    const gathered = new Gather();
    gathered.add(one);
    expect(gathered.record().run).toBe(one.frame);
  });

  it("give their room back when they are released, and what gathers next lies in it", () => {
    const buffers = new Buffers();
    const gathered = new Gather(buffers);
    gathered.addText(utf8.encode("  hello  "), 2, 7);
    const { run } = gathered.record();
    expect(run).toEqual(encodeFrame("hello"));
    gathered.release(true);
    gathered.release(true);
    const next = [new Gather(buffers), new Gather(buffers)];
    for (const one of next) one.addText(utf8.encode("other"), 0, 5);
    expect(next.map((one) => one.record().run?.buffer === run?.buffer)).toEqual([true, false]);
    expect(run).toEqual(encodeFrame("other"));
  });

  it("have nothing left in that room once their record is encoded", () => {
    const gathered = new Gather(new Buffers());
    gathered.addText(utf8.encode("one"), 0, 3);
    gathered.addText(utf8.encode("two"), 0, 3);
    const record = gathered.record();
    const room = record.run;
    expect(record.isEncoded).toBe(false);
    const { bytes } = record;
    expect(record.isEncoded).toBe(true);
    room?.fill(0);
    expect([...record.messages()].map(({ frame }) => frame)).toEqual([encodeFrame("one"), encodeFrame("two")]);
    expect(record.run?.buffer).toBe(bytes.buffer);
  });

  it("make a record without messages if there are none", () => {
    const record = new Gather().record();
    expect([record.count, [...record.messages()], record.run?.length]).toEqual([0, [], 0]);
    expect(MessageRecord.read(record.bytes).count).toBe(0);
  });
});
