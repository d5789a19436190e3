// Cuts a stream of bytes into frames. Must not know what is in them.
import { broken, STRANGER_FRAME_BYTES_MAX } from "./frames.ts";

const LENGTH_BYTES = 4;
/** A frame that comes in pieces gets this much room at once, and twice as much each time that it is full: nearly all records fit. */
const ROOM_BYTES = 1024 * 1024;

/**
 * Hands on each frame, its length included, as soon as it is whole. A frame that lies in one chunk is a view of it; one that
 * comes in pieces is put together, in room that grows with what has really come.
 */
export class Splitter {
  /** What a frame may announce. May be raised inside `take`. */
  bytesMax = STRANGER_FRAME_BYTES_MAX;
  readonly #take: (frame: Buffer) => void;
  #piece: Buffer | undefined;
  #have = 0;
  #ended = false;

  constructor(take: (frame: Buffer) => void) {
    this.#take = take;
  }

  /** No frame is handed on any more. May be called inside `take`. */
  end(): void {
    this.#ended = true;
    this.#piece = undefined;
  }

  /**
   * The chunk must not be changed or used again by the caller.
   *
   * @throws GroupcastError `internal`: a length that is not allowed; known before anything is allocated for it.
   */
  read(chunk: Buffer): void {
    let at = this.#piece === undefined ? 0 : this.#complete(this.#piece, chunk);
    while (!this.#ended && at < chunk.length) {
      const end = chunk.length - at < LENGTH_BYTES ? Infinity : at + this.#frameBytes(chunk, at);
      if (end > chunk.length) {
        this.#keep(chunk.subarray(at));
        return;
      }
      this.#take(chunk.subarray(at, end));
      at = end;
    }
  }

  #frameBytes(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length === 0 || length > this.bytesMax) throw broken("its length is not allowed");
    return LENGTH_BYTES + length;
  }

  #keep(rest: Buffer): void {
    const whole = rest.length < LENGTH_BYTES ? LENGTH_BYTES : this.#frameBytes(rest, 0);
    this.#piece = Buffer.allocUnsafe(Math.min(whole, Math.max(ROOM_BYTES, 2 * rest.length)));
    this.#have = rest.copy(this.#piece);
  }

  /** Adds to the frame that is incomplete. Returns where in the chunk the next one begins. */
  #complete(piece: Buffer, chunk: Buffer): number {
    let at = 0;
    if (this.#have < LENGTH_BYTES) {
      at = chunk.copy(piece, this.#have, 0, LENGTH_BYTES - this.#have);
      this.#have += at;
      if (this.#have < LENGTH_BYTES) return at;
    }
    const whole = this.#frameBytes(piece, 0);
    const end = Math.min(at + whole - this.#have, chunk.length);
    const room = this.#makeRoom(piece, this.#have + end - at, whole);
    this.#have += chunk.copy(room, this.#have, at, end);
    if (this.#have === whole) {
      this.#piece = undefined;
      this.#have = 0;
      this.#take(room);
    }
    return end;
  }

  #makeRoom(piece: Buffer, needed: number, whole: number): Buffer {
    if (needed <= piece.length) return piece;
    const room = Buffer.allocUnsafe(Math.min(whole, Math.max(ROOM_BYTES, needed, 2 * piece.length)));
    piece.copy(room, 0, 0, this.#have);
    this.#piece = room;
    return room;
  }
}
