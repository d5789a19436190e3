// Chance, as a port, so that a simulation can replay it.

/** Where ids and jitter come from. */
export interface Random {
  /** A fresh id: 128 random bits as 32 hexadecimal digits. */
  id(): string;
  /** A number from 0 (included) to 1 (excluded). */
  unit(): number;
}

const ID_BYTES = 16;
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

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
    let id = "";
    for (const end = this.#used + ID_BYTES; this.#used < end; this.#used++) id += HEX[this.#bytes[this.#used] ?? 0];
    return id;
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
