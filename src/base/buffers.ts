// Room for bytes that are used and given back within a turn, over and over: memory that is still in the processor's caches, and no work
// for the garbage collector. Must not know what is written into it.

/** Room for a turn's messages of one group, mostly; and for those of a busy one. More is made when it is needed, and not kept. */
const SIZES = [4 * 1024, 16 * 1024] as const;
/** Bytes that are kept for later: a turn of a thousand small groups. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024;

export class Buffers {
  readonly #kept: readonly Uint8Array[][] = SIZES.map(() => []);
  #keptBytes = 0;

  /** Room for at least so many bytes, with anything in it. Whoever takes it owns it, and may give it back or not. */
  take(bytes: number): Uint8Array {
    for (const [index, size] of SIZES.entries()) {
      if (bytes > size) continue;
      const kept = this.#kept[index]?.pop();
      if (kept === undefined) return new Uint8Array(size);
      this.#keptBytes -= size;
      return kept;
    }
    return new Uint8Array(bytes);
  }

  /** What was taken is used no more, by nobody: its bytes may change at any time from now on. */
  give(room: Uint8Array): void {
    const index = SIZES.indexOf(room.length as (typeof SIZES)[number]);
    if (index < 0 || this.#keptBytes + room.length > KEPT_BYTES_MAX) return;
    this.#keptBytes += room.length;
    this.#kept[index]?.push(room);
  }

  /** The longest room that is worth giving back. */
  static readonly BYTES_MAX = SIZES[1];
}
