// Chance, as a port, so that a simulation can replay it.

/** Where ids and jitter come from. */
export interface Random {
  /** A fresh id: 128 random bits as 32 hexadecimal digits. */
  id(): string;
  /** A number from 0 (included) to 1 (excluded). */
  unit(): number;
}

const ID_BYTES = 16;
const DIGITS = new TextEncoder().encode("0123456789abcdef");

/** The machine's own chance; ids come from its cryptographic generator. Asking that costs 10 µs, so it is asked for `ids` of them at once. */
export class SystemRandom implements Random {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #used: number;

  constructor(ids: number) {
    this.#bytes = new Uint8Array(ids * ID_BYTES);
    this.#used = this.#bytes.length;
  }

  id(): string {
    if (this.#used === this.#bytes.length) {
      crypto.getRandomValues(this.#bytes);
      this.#used = 0;
    }
    const codes: number[] = [];
    for (const end = this.#used + ID_BYTES; this.#used < end; this.#used++) {
      const byte = this.#bytes[this.#used] ?? 0;
      codes.push(DIGITS[byte >> 4] ?? 0, DIGITS[byte & 15] ?? 0);
    }
    return String.fromCharCode(...codes); // in one piece: joined from digits it would be 31 objects until somebody looks at it
  }

  unit(): number {
    return Math.random();
  }
}

/** For who needs an id now and then. */
export const systemRandom: Random = Object.freeze({
  id: (): string => new SystemRandom(1).id(),
  unit: (): number => Math.random(),
});
