// The record: what travels between processes, one per group and turn. Ready frames, and beside them what a log needs.
// Its layout is final: the owner of a log writes epoch, offset, prev and tags into places that are already there.
//
//   header, 24 bytes   version u8 · flags u8 · count u16 · framesAt u32 · epoch 12 bytes · reserved u32
//   rows, 40 bytes     kind u8 · reserved 3 bytes · exceptBytes u32 · frameBytes u32 · reserved u32
//                      · offset f64 · prev f64 · tag u32 · prevTag u32
//   except lists       each a JSON array of connection ids, in the order of their rows
//   frames             the messages as finished plain frames, one after the other: a receiver without sessions writes them unread
//
// All numbers are big-endian.
import { GroupcastError } from "../base/errors.ts";
import { concat, frameLength, isOwnHead } from "./frames.ts";

/** What a message was before it became a frame: a session form needs to know. `control` is for groupcast itself, never for members. */
export type Kind = "string" | "json" | "bytes" | "control";

/** One message on its way: its finished frame and who shall not get it. */
export interface Message {
  readonly kind: Kind;
  readonly frame: Uint8Array;
  /** Connection ids that are left out, in every process. */
  readonly except: readonly string[];
}

/** The most messages in one record; a record also ends at {@link RECORD_BYTES_EARLY}. */
export const RECORD_MESSAGES_MAX = 65_535;
/** A record that has grown this large is sent before the turn ends: 256 KiB, like a group's pending buffer. */
export const RECORD_BYTES_EARLY = 256 * 1024;

const VERSION = 1;
/** Some message of the record has an except list or is `control`: the frames cannot be written as one run. */
const MIXED = 1;
const HEADER_BYTES = 24;
const ROW_BYTES = 40;
const KINDS: readonly Kind[] = ["string", "json", "bytes", "control"];

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

/** What a message adds to a record, its row and its except list included; at most so much. */
export function recordBytesOf(message: Message): number {
  // JSON.stringify writes a character as six bytes at the most, and two quotes and a comma around each id.
  const exceptBytes = message.except.reduce((bytes, id) => bytes + 6 * id.length + 3, 2);
  return ROW_BYTES + exceptBytes + message.frame.length;
}

/**
 * Messages of one group that travel together. Made of messages by the sender and of bytes by a receiver; the channel of a
 * single process hands on the record itself, and no byte is ever written.
 */
export class MessageRecord {
  #bytes: Uint8Array | undefined;
  readonly #messages: () => Iterable<Message>;
  /** All frames as one run, when every member gets every one of them; else null: go by {@link messages}. */
  readonly run: Uint8Array | null;
  readonly count: number;

  private constructor(count: number, run: Uint8Array | null, messages: () => Iterable<Message>, bytes?: Uint8Array) {
    this.count = count;
    this.run = run;
    this.#messages = messages;
    this.#bytes = bytes;
  }

  /** A record of these messages. The caller keeps count and size within the limits above. */
  static of(messages: readonly Message[]): MessageRecord {
    const [only] = messages;
    const run = messages.length === 1 && only !== undefined && !isMixed(only) ? only.frame : null;
    return new MessageRecord(messages.length, run, () => messages);
  }

  /**
   * Reads a record; views into the bytes, nothing copied. Bytes from a broker are not trusted: every size is checked before it is used.
   *
   * @throws GroupcastError `internal`: not a record of this version, or cut short.
   */
  static read(bytes: Uint8Array): MessageRecord {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { count, framesAt, mixed } = check(bytes, view);
    return new MessageRecord(count, mixed ? null : bytes.subarray(framesAt), () => readMessages(bytes, view, count, framesAt), bytes);
  }

  /** The record as it travels. Encoded once. */
  get bytes(): Uint8Array {
    this.#bytes ??= encode([...this.#messages()]);
    return this.#bytes;
  }

  /** The messages, in order; those of a record that was read are views into its bytes. May be walked again. */
  messages(): Iterable<Message> {
    return this.#messages();
  }
}

function isMixed(message: Message): boolean {
  return message.except.length > 0 || message.kind === "control";
}

function encode(messages: readonly Message[]): Uint8Array {
  const excepts = messages.map((message) => (message.except.length === 0 ? EMPTY : utf8.encode(JSON.stringify(message.except))));
  const framesAt = HEADER_BYTES + messages.length * ROW_BYTES + sum(excepts);
  const framesBytes = messages.reduce((total, message) => total + message.frame.length, 0);
  const table = new Uint8Array(framesAt);
  const view = new DataView(table.buffer);
  const mixed = messages.some(isMixed);
  view.setUint8(0, VERSION);
  view.setUint8(1, mixed ? MIXED : 0);
  view.setUint16(2, messages.length);
  view.setUint32(4, framesAt);
  let exceptAt = HEADER_BYTES + messages.length * ROW_BYTES;
  messages.forEach((message, index) => {
    const row = HEADER_BYTES + index * ROW_BYTES;
    const except = excepts[index] ?? EMPTY;
    view.setUint8(row, KINDS.indexOf(message.kind));
    view.setUint32(row + 4, except.length);
    view.setUint32(row + 8, message.frame.length);
    table.set(except, exceptAt);
    exceptAt += except.length;
  });
  return concat([table, ...messages.map((message) => message.frame)], framesAt + framesBytes);
}

const EMPTY = new Uint8Array(0);

function sum(parts: readonly Uint8Array[]): number {
  return parts.reduce((total, part) => total + part.length, 0);
}

function check(bytes: Uint8Array, view: DataView): { count: number; framesAt: number; mixed: boolean } {
  if (bytes.length < HEADER_BYTES || view.getUint8(0) !== VERSION) throw broken("its version");
  const count = view.getUint16(2);
  const framesAt = view.getUint32(4);
  const rowsEnd = HEADER_BYTES + count * ROW_BYTES;
  if (framesAt < rowsEnd || framesAt > bytes.length) throw broken("where its frames begin");
  const mixed = (view.getUint8(1) & MIXED) !== 0;
  let exceptBytes = 0;
  let frameBytes = 0;
  for (let row = HEADER_BYTES; row < rowsEnd; row += ROW_BYTES) {
    const kind = KINDS[view.getUint8(row)];
    if (kind === undefined) throw broken("a message's kind");
    if (!mixed && (kind === "control" || view.getUint32(row + 4) > 0)) throw broken("its flags");
    exceptBytes += view.getUint32(row + 4);
    const at = framesAt + frameBytes;
    frameBytes += view.getUint32(row + 8);
    if (at + 2 > bytes.length || framesAt + frameBytes > bytes.length) throw broken("its length");
    if (!isOwnHead(bytes, at)) throw broken("a frame's head");
    if (at + headNeeded(bytes, at) > bytes.length || at + frameLength(bytes, at) !== framesAt + frameBytes)
      throw broken("a frame's length");
  }
  if (rowsEnd + exceptBytes !== framesAt || framesAt + frameBytes !== bytes.length) throw broken("its length");
  return { count, framesAt, mixed };
}

function headNeeded(bytes: Uint8Array, at: number): number {
  const short = bytes[at + 1] ?? 0;
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}

function* readMessages(bytes: Uint8Array, view: DataView, count: number, framesAt: number): Iterable<Message> {
  let exceptAt = HEADER_BYTES + count * ROW_BYTES;
  let frameAt = framesAt;
  for (let index = 0; index < count; index++) {
    const row = HEADER_BYTES + index * ROW_BYTES;
    const exceptEnd = exceptAt + view.getUint32(row + 4);
    const frameEnd = frameAt + view.getUint32(row + 8);
    yield {
      kind: KINDS[view.getUint8(row)] ?? "bytes",
      frame: bytes.subarray(frameAt, frameEnd),
      except: exceptEnd === exceptAt ? [] : readExcept(bytes.subarray(exceptAt, exceptEnd)),
    };
    exceptAt = exceptEnd;
    frameAt = frameEnd;
  }
}

function readExcept(bytes: Uint8Array): string[] {
  try {
    const ids: unknown = JSON.parse(fromUtf8.decode(bytes));
    if (Array.isArray(ids) && ids.every((id) => typeof id === "string")) return ids;
  } catch {
    // falls through: the same answer as for any other list that is none
  }
  throw broken("an except list");
}

function broken(what: string): GroupcastError {
  return new GroupcastError("internal", `a record from another process is broken: ${what}`);
}
