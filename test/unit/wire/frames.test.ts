import type { Writable } from "node:stream";
import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import * as ws from "ws";
import { concat, encodeFrame, frameLength, type Payload, readPayloads } from "../../../src/wire/frames.ts";

const edges = [0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 200_000];
const sizes = fc.oneof(fc.constantFrom(...edges), fc.nat(300));
const bytes = sizes.chain((length) => fc.nat(255).map((fill) => new Uint8Array(length).fill(fill)));
const wellFormed = fc.string({ unit: "binary", maxLength: 50 }).map((text) => Buffer.from(text, "utf8").toString("utf8"));
const text = fc.oneof(
  wellFormed,
  sizes.chain((length) => fc.constantFrom("a", "é", "€", "😀").map((character) => character.repeat(length))),
  wellFormed.map((rest) => `\ufeff${rest}`),
  wellFormed.map((rest) => `\0${rest}\0`),
);
const payload: fc.Arbitrary<Payload> = fc.oneof(text, bytes);
const same = (one: Payload, other: Payload): boolean =>
  typeof one === "string" || typeof other === "string" ? one === other : Buffer.compare(one, other) === 0;

// Exported by `ws`, but not by its types.
const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

/** What another implementation of RFC 6455 reads: the client side of `ws`. */
async function readWithWs(frames: Uint8Array): Promise<Payload[]> {
  const received: Payload[] = [];
  const receiver = new Receiver({ isServer: false });
  receiver.on("message", (data: Buffer, isBinary: boolean) => void received.push(isBinary ? data : data.toString("utf8")));
  await new Promise<void>((resolve, reject) => {
    receiver.on("error", reject);
    receiver.on("finish", () => resolve());
    receiver.end(frames);
  });
  return received;
}

describe("frames", () => {
  it("come back as the messages that they were made of, however many stand in one run", () => {
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 6 }), (payloads) => {
        const parts = payloads.map(encodeFrame);
        const run = concat(
          parts,
          parts.reduce((total, part) => total + part.length, 0),
        );
        const back = readPayloads(run);
        expect(back).toHaveLength(payloads.length);
        back.forEach((one, index) => expect(same(one, payloads[index] ?? "")).toBe(true));
      }),
      { numRuns: 300 },
    );
  });

  it("mean the same to another implementation", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { minLength: 1, maxLength: 4 }), async (payloads) => {
        const back = await readWithWs(Buffer.concat(payloads.map(encodeFrame)));
        expect(back).toHaveLength(payloads.length);
        back.forEach((one, index) => expect(same(one, payloads[index] ?? "")).toBe(true));
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    [0, 2],
    [125, 2],
    [126, 4],
    [65_535, 4],
    [65_536, 10],
  ])("of %i bytes have a head of %i", (length, head) => {
    const frame = encodeFrame(new Uint8Array(length));
    expect(frame).toHaveLength(head + length);
    expect(frameLength(frame, 0)).toBe(head + length);
  });

  it("are whole, unmasked and uncompressed", () => {
    expect([...encodeFrame("hi")]).toEqual([0x81, 2, 0x68, 0x69]);
    expect([...encodeFrame(new Uint8Array([1]))]).toEqual([0x82, 1, 1]);
  });

  it("keep a byte order mark, which is part of the message", () => {
    expect(readPayloads(encodeFrame("\ufefftext"))).toEqual(["\ufefftext"]);
  });

  it("send half a character as U+FFFD, so that the frame is valid", async () => {
    expect(await readWithWs(encodeFrame("a\ud83db"))).toEqual(["a\ufffdb"]);
  });

  it("carry a view into a larger buffer without its surroundings", () => {
    const view = new Uint8Array([9, 9, 1, 2, 9]).subarray(2, 4);
    expect(readPayloads(encodeFrame(view))).toEqual([new Uint8Array([1, 2])]);
    expect(readPayloads(encodeFrame(Buffer.from("ab")))).toEqual([new Uint8Array([0x61, 0x62])]);
  });

  it("are read from the middle of a larger buffer", () => {
    const frame = encodeFrame("x".repeat(70_000));
    const around = new Uint8Array(frame.length + 7);
    around.set(frame, 5);
    expect(readPayloads(around.subarray(5, 5 + frame.length))).toEqual(["x".repeat(70_000)]);
  });
});

describe("concat", () => {
  it("hands on the only run uncopied, and joins several in order", () => {
    const only = encodeFrame("only");
    expect(concat([only], only.length)).toBe(only);
    expect([...concat([new Uint8Array([1, 2]), new Uint8Array(0), new Uint8Array([3])], 3)]).toEqual([1, 2, 3]);
  });
});
