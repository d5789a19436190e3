// Frames of clients: heads, lengths and masks, against the plainest way to say the same.
import { describe, expect, it } from "vitest";
import { clientHeadBytes, payloadBytes, unmask } from "../../../src/wire/unmask.ts";
import { fc } from "../generate.ts";

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

describe("a head", () => {
  it.each<[what: string, head: number[], bytes: number, payload: number]>([
    ["nothing", [0x81, 0x80, 1, 2, 3, 4], 6, 0],
    ["125 bytes", [0x81, 0xfd, 1, 2, 3, 4], 6, 125],
    ["126 bytes", [0x81, 0xfe, 0, 126, 1, 2, 3, 4], 8, 126],
    ["5 bytes, said in two", [0x81, 0xfe, 0, 5, 1, 2, 3, 4], 8, 5],
    ["65,535 bytes", [0x81, 0xfe, 0xff, 0xff, 1, 2, 3, 4], 8, 65_535],
    ["65,536 bytes", [0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], 14, 65_536],
    ["7 bytes, said in eight", [0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4], 14, 7],
    ["4 GiB and 1 byte", [0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4], 14, 2 ** 32 + 1],
    ["more than any number is exact for", [0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4], 14, 2 ** 64],
    ["nothing, without a mask", [0x81, 0x00], 2, 0],
    ["126 bytes, without a mask", [0x81, 0x7e, 0, 126], 4, 126],
    ["65,536 bytes, without a mask", [0x81, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], 10, 65_536],
  ])("says %s, and is read only when it is all there", (_what, head, bytes, payload) => {
    const before = [9, 9, 9];
    const whole = viewOf(Uint8Array.from([...before, ...head]));
    expect(clientHeadBytes(whole, before.length)).toBe(bytes);
    expect(payloadBytes(whole, before.length)).toBe(payload);
    for (let there = 0; there < bytes; there++) {
      expect(clientHeadBytes(viewOf(Uint8Array.from([...before, ...head.slice(0, there)])), before.length)).toBe(0);
    }
  });
});

describe("a mask", () => {
  const payload = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40, max: 0x7f }));

  it("comes off in place at any offset, leaves the bytes around alone, and tells ASCII from all else", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        payload,
        fc.nat(9),
        fc.nat(9),
        fc.nat(9),
        (mask, plain, outside, before, after) => {
          const masked = plain.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
          const buffer = new Uint8Array(outside + before + 4 + plain.length + after).fill(0xa5);
          const bytes = buffer.subarray(outside); // a chunk need not begin where its memory does
          bytes.set(mask, before);
          bytes.set(masked, before + 4);
          const expected = Uint8Array.from(buffer);
          expected.set(plain, outside + before + 4);
          const isAscii = unmask(viewOf(bytes), before + 4, before + 4 + plain.length);
          expect(isAscii).toBe(plain.every((byte) => byte < 0x80));
          expect(buffer).toEqual(expected);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("goes back on when it is taken off twice", () => {
    const bytes = Uint8Array.from([1, 2, 3, 4, ...new TextEncoder().encode("grüße ins Netz")]);
    const before = Uint8Array.from(bytes);
    expect(unmask(viewOf(bytes), 4, bytes.length)).toBe(false);
    expect(bytes).not.toEqual(before);
    unmask(viewOf(bytes), 4, bytes.length);
    expect(bytes).toEqual(before);
  });

  it.each(Array.from({ length: 11 }, (_, at) => at))("finds the one byte that is not ASCII at place %i of 11", (place) => {
    const bytes = new Uint8Array(4 + 11).fill(0x7f);
    bytes[4 + place] = 0xff;
    expect(unmask(viewOf(bytes.map((byte, at) => (at < 4 ? 0 : byte))), 4, 15)).toBe(false);
  });
});
