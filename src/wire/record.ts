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
import { Buffers } from "../base/buffers.ts";
import { GroupcastError } from "../base/errors.ts";
import { announcedHeadBytes, frameLength, headBytes, isOwnHead, TEXT, writeHead } from "./frames.ts";

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

const EMPTY = new Uint8Array(0);
const NO_EXCEPTS: ReadonlyMap<number, readonly string[]> = new Map();
const NO_ROWS: Rows = { kinds: undefined, frameBytes: [], excepts: NO_EXCEPTS, frames: EMPTY };

/** What the rows of a record say; the frames follow each other in `frames`. */
interface Rows {
  /** Undefined: all are strings. */
  readonly kinds: readonly Kind[] | undefined;
  readonly frameBytes: readonly number[];
  /** By index; messages without one are not in it. */
  readonly excepts: ReadonlyMap<number, readonly string[]>;
  readonly frames: Uint8Array;
}

/**
 * Messages of one group that travel together. Made of messages by the sender and of bytes by a receiver; the channel of a
 * single process hands on the record itself, and its table is never written.
 */
export class MessageRecord {
  #bytes: Uint8Array | undefined;
  #rows: Rows | undefined;
  #run: Uint8Array | null;
  readonly count: number;

  private constructor(count: number, run: Uint8Array | null, rows: Rows | undefined, bytes?: Uint8Array) {
    this.count = count;
    this.#run = run;
    this.#rows = rows;
    this.#bytes = bytes;
  }

  /** A record of these messages. The caller keeps count and size within the limits above. */
  static of(messages: readonly Message[]): MessageRecord {
    const gather = new Gather();
    for (const message of messages) gather.add(message);
    return gather.record();
  }

  /** @internal */
  static ofRows(rows: Rows, isMixed: boolean): MessageRecord {
    return new MessageRecord(rows.frameBytes.length, isMixed ? null : rows.frames, rows);
  }

  /**
   * Reads a record; views into the bytes, nothing copied. Bytes from a broker are not trusted: every size is checked before it is used.
   *
   * @throws GroupcastError `internal`: not a record of this version, or cut short.
   */
  static read(bytes: Uint8Array): MessageRecord {
    const { count, framesAt, mixed } = check(bytes, viewOf(bytes));
    return new MessageRecord(count, mixed ? null : bytes.subarray(framesAt), undefined, bytes);
  }

  /** All frames as one run, when every member gets every one of them; else null: go by {@link messages}. */
  get run(): Uint8Array | null {
    return this.#run;
  }

  /** The record as it travels. Encoded once; from then on nothing of it lies elsewhere. */
  get bytes(): Uint8Array {
    if (this.#bytes === undefined) {
      const bytes = encode(this.#rows ?? NO_ROWS);
      this.#bytes = bytes;
      if (this.#run !== null) this.#run = bytes.subarray(bytes.length - this.#run.length);
      this.#rows = undefined;
    }
    return this.#bytes;
  }

  /** @internal True if nothing of it lies outside of {@link bytes}. */
  get isEncoded(): boolean {
    return this.#rows === undefined;
  }

  /** The messages, in order; their frames are views. May be walked again. */
  messages(): Iterable<Message> {
    return this.#rows === undefined ? readMessages(this.bytes) : walk(this.#rows);
  }
}

/** The smallest buffer of its own for more than one message: while a channel is down thousands may wait. */
const BUFFER_BYTES_MIN = 256;

/** Messages of one topic that gather into a record: their frames are written one behind the other as they come. */
export class Gather {
  #kinds: Kind[] | undefined;
  readonly #frameBytes: number[] = [];
  #excepts: Map<number, readonly string[]> | undefined;
  #isMixed = false;
  #buffer: Uint8Array = EMPTY;
  #length = 0;
  #rowBytes = 0;
  readonly #buffers: Buffers | undefined;
  // True: `#buffer` was taken from there.
  #isTaken = false;

  /** `buffers`: where room comes from, if it is needed for this turn only. */
  constructor(buffers?: Buffers) {
    this.#buffers = buffers;
  }

  /** Messages in it. */
  get count(): number {
    return this.#frameBytes.length;
  }

  /** Bytes of the record that it makes; at most so many. */
  get bytes(): number {
    return this.#rowBytes + this.#length;
  }

  /** True once it is as large as a record should be. */
  get isFull(): boolean {
    return this.count >= RECORD_MESSAGES_MAX || this.bytes >= RECORD_BYTES_EARLY;
  }

  add(message: Message): void {
    const { kind, frame, except } = message;
    if (except.length > 0) (this.#excepts ??= new Map()).set(this.count, except);
    this.#isMixed ||= except.length > 0 || kind === "control";
    // A single frame is the whole run; nothing is copied.
    if (this.#length === 0) {
      this.#buffer = frame;
      this.#length = frame.length;
    } else {
      const at = this.#reserve(frame.length); // may change the buffer
      this.#buffer.set(frame, at);
    }
    if (kind !== "string") this.#kinds ??= this.#frameBytes.map(() => "string");
    this.#kinds?.push(kind);
    this.#frameBytes.push(frame.length);
    this.#rowBytes += ROW_BYTES + (except.length > 0 ? exceptBytesOf(except) : 0);
  }

  /** Adds a text message, of the UTF-8 bytes of `source` from `from` to `to`. */
  addText(source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    const bytes = headBytes(length) + length;
    const start = this.#reserve(bytes);
    const at = writeHead(this.#buffer, start, TEXT, length);
    this.#buffer.set(source.subarray(from, to), at);
    this.#kinds?.push("string");
    this.#frameBytes.push(bytes);
    this.#rowBytes += ROW_BYTES;
  }

  record(): MessageRecord {
    const frames = this.#length === this.#buffer.length ? this.#buffer : this.#buffer.subarray(0, this.#length);
    return MessageRecord.ofRows(
      { kinds: this.#kinds, frameBytes: this.#frameBytes, excepts: this.#excepts ?? NO_EXCEPTS, frames },
      this.#isMixed,
    );
  }

  /** The record is not used any more, by nobody: its frames may be overwritten. Else it stays with somebody. */
  release(isFree: boolean): void {
    if (this.#isTaken && isFree) this.#buffers?.give(this.#buffer);
    else if (this.#isTaken) this.#buffers?.lose(this.#buffer);
    this.#isTaken = false;
    this.#buffer = EMPTY;
  }

  /** Makes room at the end; returns where it begins. */
  #reserve(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const larger = this.#room(at === 0 ? bytes : 2 * this.#length);
      larger.set(this.#buffer.subarray(0, at));
      if (this.#isTaken) this.#buffers?.give(this.#buffer);
      this.#buffer = larger;
      this.#isTaken = this.#buffers !== undefined;
    }
    return at;
  }

  #room(bytes: number): Uint8Array {
    if (this.#buffers !== undefined) return this.#buffers.take(bytes);
    return new Uint8Array(this.count === 0 ? bytes : Math.max(BUFFER_BYTES_MIN, bytes));
  }
}

function exceptBytesOf(except: readonly string[]): number {
  // JSON.stringify writes a character as six bytes at the most, and two quotes and a comma around each id.
  return except.reduce((bytes, id) => bytes + 6 * id.length + 3, 2);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function encode({ kinds, frameBytes, excepts, frames }: Rows): Uint8Array {
  const lists = frameBytes.map((_, index) => {
    const except = excepts.get(index);
    return except === undefined ? EMPTY : utf8.encode(JSON.stringify(except));
  });
  let exceptAt = HEADER_BYTES + frameBytes.length * ROW_BYTES;
  const framesAt = lists.reduce((total, list) => total + list.length, exceptAt);
  const bytes = new Uint8Array(framesAt + frames.length);
  const view = viewOf(bytes);
  view.setUint8(0, VERSION);
  view.setUint8(1, excepts.size > 0 || kinds?.includes("control") === true ? MIXED : 0);
  view.setUint16(2, frameBytes.length);
  view.setUint32(4, framesAt);
  frameBytes.forEach((length, index) => {
    const row = HEADER_BYTES + index * ROW_BYTES;
    const list = lists[index] ?? EMPTY;
    view.setUint8(row, KINDS.indexOf(kinds?.[index] ?? "string"));
    view.setUint32(row + 4, list.length);
    view.setUint32(row + 8, length);
    bytes.set(list, exceptAt);
    exceptAt += list.length;
  });
  bytes.set(frames, framesAt);
  return bytes;
}

function* walk({ kinds, frameBytes, excepts, frames }: Rows): Iterable<Message> {
  let at = 0;
  for (const [index, length] of frameBytes.entries()) {
    yield { kind: kinds?.[index] ?? "string", frame: frames.subarray(at, at + length), except: excepts.get(index) ?? [] };
    at += length;
  }
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
    if (at + announcedHeadBytes(bytes[at + 1] ?? 0) > bytes.length || at + frameLength(bytes, at) !== framesAt + frameBytes)
      throw broken("a frame's length");
  }
  if (rowsEnd + exceptBytes !== framesAt || framesAt + frameBytes !== bytes.length) throw broken("its length");
  return { count, framesAt, mixed };
}

function* readMessages(bytes: Uint8Array): Iterable<Message> {
  const view = viewOf(bytes);
  const count = view.getUint16(2);
  const framesAt = view.getUint32(4);
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
