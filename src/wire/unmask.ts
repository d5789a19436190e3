// The frames of a client (RFC 6455 §5.2), read and unmasked where they lie: how long a head and a payload are, and what the mask hides.
// Must not know sockets, nor what becomes of a frame. Frames of a server are frames.ts.
import { announcedHeadBytes } from "./frames.ts";

/** The first byte of a whole text message: FIN, no extension, text. */
export const WHOLE_TEXT = 0x81;
/** The second byte of a frame with a mask is at least this. */
export const MASKED = 0x80;

const MASK_BYTES = 4;
/** The highest bit of each of four bytes: none is set in ASCII. */
const NOT_ASCII = 0x80808080;

/** Bytes of the head of the frame that begins at `at`, its mask included; 0: they are not all there. */
export function clientHeadBytes(view: DataView, at: number): number {
  const there = view.byteLength - at;
  if (there < 2) return 0;
  const second = view.getUint8(at + 1);
  const bytes = announcedHeadBytes(second & 0x7f) + (second < MASKED ? 0 : MASK_BYTES);
  return bytes <= there ? bytes : 0;
}

/** Bytes of the payload that the frame at `at` announces; its head is all there. Above 2 ** 53 it is not exact. */
export function payloadBytes(view: DataView, at: number): number {
  const short = view.getUint8(at + 1) & 0x7f;
  if (short < 126) return short;
  return short === 126 ? view.getUint16(at + 2) : view.getUint32(at + 2) * 2 ** 32 + view.getUint32(at + 6);
}

/**
 * Takes the mask, which is the four bytes before `from`, off the payload from `from` to `to`, in place. Twice is as good as not at all.
 *
 * Returns true if the payload is ASCII now, and so is valid UTF-8. Four bytes at a time: half the price of one by one.
 */
export function unmask(view: DataView, from: number, to: number): boolean {
  const mask = view.getInt32(from - MASK_BYTES, true);
  let seen = 0;
  let at = from;
  for (; at <= to - 4; at += 4) {
    const word = view.getInt32(at, true) ^ mask;
    seen |= word;
    view.setInt32(at, word, true);
  }
  for (let rest = mask; at < to; at++, rest >>>= 8) {
    const byte = view.getUint8(at) ^ (rest & 0xff);
    seen |= byte;
    view.setUint8(at, byte);
  }
  return (seen & NOT_ASCII) === 0;
}
