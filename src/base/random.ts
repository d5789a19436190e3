// Chance, as a port, so that a simulation can replay it.

/** Where ids and jitter come from. */
export interface Random {
  /** A fresh id: 128 random bits as 32 hexadecimal digits. */
  id(): string;
  /** A number from 0 (included) to 1 (excluded). */
  unit(): number;
}

/** The machine's own chance; ids come from its cryptographic generator. */
export const systemRandom: Random = Object.freeze({
  id: (): string => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  unit: (): number => Math.random(),
});
