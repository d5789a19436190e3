// Room for bytes that are used and given back within a turn, over and over: memory that is still in the processor's caches, and no work
// for the garbage collector. Must not know what is written into it.

/** Room for a turn's messages of one group, mostly; and for those of a busy one. More is made when it is needed, and not kept. */
const SIZES: readonly [number, number] = [4 * 1024, 16 * 1024];
/** Bytes that are kept for later, and that are out at a time: a turn of two thousand small groups. */
const BYTES_MAX = 8 * 1024 * 1024;

export class Buffers {
  readonly #kept: readonly Uint8Array[][] = SIZES.map(() => []);
  #keptBytes = 0;
  #outBytes = 0;

  /** Room for at least so many bytes, with anything in it. Whoever takes it owns it, until it is given back or said to be lost. */
  take(bytes: number): Uint8Array {
    const index = bytes <= SIZES[0] ? 0 : 1;
    const size = SIZES[index];
    // More at a time would be no small things any more: those need no more room than they fill.
    if (bytes > size || this.#outBytes + size > BYTES_MAX) return new Uint8Array(bytes);
    this.#outBytes += size;
    const kept = this.#kept[index]?.pop();
    if (kept === undefined) return new Uint8Array(size);
    this.#keptBytes -= size;
    return kept;
  }

  /** What was taken is used no more, by nobody: its bytes may change at any time from now on. */
  give(room: Uint8Array): void {
    const index = indexOf(room);
    if (index < 0) return;
    this.lose(room);
    if (this.#keptBytes + room.length > BYTES_MAX) return;
    this.#keptBytes += room.length;
    this.#kept[index]?.push(room);
  }

  /** What was taken stays with somebody. */
  lose(room: Uint8Array): void {
    if (indexOf(room) >= 0) this.#outBytes = Math.max(0, this.#outBytes - room.length);
  }

  /** The longest room that is worth giving back. */
  static readonly BYTES_MAX = SIZES[1];
}

function indexOf(room: Uint8Array): number {
  return SIZES.indexOf(room.length);
}
