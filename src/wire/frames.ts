// WebSocket frames as a server writes them (RFC 6455 §5.2): whole, unmasked, uncompressed. Encodes one, and reads our own back.
// Must not know sockets. Frames from clients are the WebSocket engine's to read.

export const TEXT = 0x1;
export const BINARY = 0x2;

/** What a frame can carry; text keeps its type, so that both ends agree on the opcode. */
export type Payload = string | Uint8Array;

const FIN = 0x80;
const MASKED = 0x80;
const utf8 = new TextEncoder();
// A byte order mark at the start of a message is part of the message.
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** One message as one finished frame. Done once per message and process, however many members it has. */
export function encodeFrame(payload: Payload): Uint8Array {
  const opcode = typeof payload === "string" ? TEXT : BINARY;
  const bytes = typeof payload === "string" ? utf8.encode(payload) : payload;
  const frame = new Uint8Array(headBytes(bytes.length) + bytes.length);
  frame.set(bytes, writeHead(frame, 0, opcode, bytes.length));
  return frame;
}

/** Bytes in the head of a frame with so many bytes of payload. */
export function headBytes(length: number): number {
  return length < 126 ? 2 : length < 0x1_0000 ? 4 : 10;
}

/** The same by what the head's second byte announces, without its mask bit: a length below 126, or that 2 or 8 bytes of it follow. */
export function announcedHeadBytes(short: number): number {
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}

/** Writes a frame's head at `at`; returns where its payload begins. */
export function writeHead(into: Uint8Array, at: number, opcode: number, length: number): number {
  into[at] = FIN | opcode;
  if (length < 126) {
    into[at + 1] = length;
    return at + 2;
  }
  if (length < 0x1_0000) {
    into[at + 1] = 126;
    into[at + 2] = length >>> 8;
    into[at + 3] = length & 0xff;
    return at + 4;
  }
  into[at + 1] = 127;
  new DataView(into.buffer, into.byteOffset + at).setBigUint64(2, BigInt(length));
  return at + 10;
}

/** The length of the frame that begins at `at`, head included. */
export function frameLength(frames: Uint8Array, at: number): number {
  const short = frames[at + 1] ?? 0;
  if (short < 126) return 2 + short;
  const view = new DataView(frames.buffer, frames.byteOffset);
  return short === 126 ? 4 + view.getUint16(at + 2) : 10 + Number(view.getBigUint64(at + 2));
}

/** True if a frame that begins at `at` has a head of ours: whole, unmasked, uncompressed, text or bytes. Any other a client may break off at. */
export function isOwnHead(frames: Uint8Array, at: number): boolean {
  const first = frames[at];
  return (first === (FIN | TEXT) || first === (FIN | BINARY)) && (frames[at + 1] ?? MASKED) < MASKED;
}

/** The messages inside a run of our own frames, in order; bytes are views, not copies. For sockets that take no frames. */
export function readPayloads(frames: Uint8Array): Payload[] {
  const payloads: Payload[] = [];
  for (let at = 0; at < frames.length;) {
    const end = at + frameLength(frames, at);
    const bytes = frames.subarray(at + announcedHeadBytes(frames[at + 1] ?? 0), end);
    payloads.push(((frames[at] ?? 0) & 0x0f) === TEXT ? fromUtf8.decode(bytes) : bytes);
    at = end;
  }
  return payloads;
}

/**
 * Several runs of bytes as one. A single run is handed on uncopied, unless it is a small piece of a large buffer: in the backlog of
 * a slow peer it would keep all of that in memory.
 */
export function concat(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && only.length * 4 >= only.buffer.byteLength) return only;
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
