import { fc } from "../generate.ts";
import { afterEach, describe, expect, it, vi } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { FRAME_BYTES_MAX, STRANGER_FRAME_BYTES_MAX } from "../../../src/hub/frames.ts";
import { Splitter } from "../../../src/hub/splitter.ts";

/** A frame with so many bytes after its length. */
function frame(length: number, fill = length & 0xff): Buffer {
  const bytes = Buffer.alloc(4 + length, fill);
  bytes.writeUInt32BE(length);
  return bytes;
}

function head(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

/** The same bytes in pieces, cut at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...ends].map((from, index) => Buffer.from(bytes.subarray(from, ends[index] ?? bytes.length)));
}

function collect(bytesMax = FRAME_BYTES_MAX): { splitter: Splitter; taken: Buffer[] } {
  const taken: Buffer[] = [];
  const splitter = new Splitter((whole) => void taken.push(whole));
  splitter.bytesMax = bytesMax;
  return { splitter, taken };
}

afterEach(() => void vi.restoreAllMocks());

describe("the splitter", () => {
  it("hands on the same frames however the stream is cut", () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 60_000, max: 300_000 })), { maxLength: 6 });
    fc.assert(
      fc.property(lengths, fc.array(fc.nat(), { maxLength: 30 }), (given, places) => {
        const frames = given.map((length) => frame(length));
        const { splitter, taken } = collect();
        for (const chunk of cut(Buffer.concat(frames), places)) splitter.read(chunk);
        expect(taken.length).toBe(frames.length);
        taken.forEach((whole, index) => expect(Buffer.compare(whole, frames[index] ?? Buffer.alloc(0))).toBe(0));
      }),
      { numRuns: 200 },
    );
  });

  it("hands on the same frames byte by byte", () => {
    const frames = [frame(1), frame(5), frame(300)];
    const { splitter, taken } = collect();
    for (const byte of Buffer.concat(frames)) splitter.read(Buffer.of(byte));
    expect(Buffer.concat(taken)).toEqual(Buffer.concat(frames));
  });

  it("hands on a frame that lies in one chunk without copying it", () => {
    const chunk = Buffer.concat([frame(8), frame(9)]);
    const { splitter, taken } = collect();
    splitter.read(chunk);
    expect(taken.map(({ buffer, byteOffset }) => [buffer === chunk.buffer, byteOffset - chunk.byteOffset])).toEqual([
      [true, 0],
      [true, 12],
    ]);
  });

  it("refuses a length that is not allowed before anything is allocated, wherever the stream is cut", () => {
    const allocated = [vi.spyOn(Buffer, "allocUnsafe"), vi.spyOn(Buffer, "alloc"), vi.spyOn(Buffer, "from"), vi.spyOn(Buffer, "concat")];
    for (const length of [0, STRANGER_FRAME_BYTES_MAX + 1, 2 ** 31, 2 ** 32 - 1]) {
      for (const at of [0, 1, 2, 3, 4]) {
        const whole = head(length);
        const { splitter, taken } = collect(STRANGER_FRAME_BYTES_MAX);
        for (const spy of allocated) spy.mockClear();
        expect(() => {
          splitter.read(whole.subarray(0, at));
          splitter.read(whole.subarray(at));
        }).toThrow(GroupcastError);
        expect(taken).toEqual([]);
        const [pieces, ...others] = allocated;
        for (const [bytes] of pieces?.mock.calls ?? []) expect(bytes).toBeLessThanOrEqual(4);
        for (const spy of others) expect(spy).not.toHaveBeenCalled();
      }
    }
  });

  it("makes room for what has come, not for what is announced", () => {
    const { splitter } = collect();
    const allocUnsafe = vi.spyOn(Buffer, "allocUnsafe");
    splitter.read(frame(FRAME_BYTES_MAX).subarray(0, 10));
    expect(allocUnsafe.mock.calls.every(([bytes]) => bytes <= 1024 * 1024)).toBe(true);
    expect(allocUnsafe).toHaveBeenCalled();
  });

  it("survives any garbage: it hands on frames of allowed lengths, or throws", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 12 }), (chunks) => {
        const { splitter, taken } = collect(STRANGER_FRAME_BYTES_MAX);
        try {
          for (const chunk of chunks) splitter.read(Buffer.from(chunk));
        } catch (error) {
          expect(error).toBeInstanceOf(GroupcastError);
        }
        for (const whole of taken) expect(whole.readUInt32BE(0)).toBe(whole.length - 4);
      }),
      { numRuns: 500 },
    );
  });

  it("obeys a limit that is raised by the frame before", () => {
    const taken: number[] = [];
    const splitter = new Splitter((whole) => {
      taken.push(whole.length);
      splitter.bytesMax = FRAME_BYTES_MAX;
    });
    expect(() => splitter.read(frame(2000))).toThrow(GroupcastError);
    splitter.read(Buffer.concat([frame(10), frame(2000)]));
    expect(taken).toEqual([14, 2004]);
  });

  it("hands on nothing more once it is ended, not even what has come already", () => {
    const taken: number[] = [];
    const splitter = new Splitter((whole) => {
      taken.push(whole.length);
      splitter.end();
    });
    splitter.read(Buffer.concat([frame(10), frame(11)]));
    splitter.read(frame(12));
    expect(taken).toEqual([14]);
  });
});
