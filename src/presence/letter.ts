// What one node writes to another: words as JSON, and data beside them as it is. Must not know who reads it, or what the words mean.
import { ERRORS, type ErrorCode, GroupcastError } from "../base/errors.ts";
import { encodeFrame, readPayloads } from "../wire/frames.ts";
import { checkName } from "../wire/names.ts";
import type { Message } from "../wire/record.ts";

/** What nodes say to each other: JSON. Whoever reads it checks it. */
export type Words = Readonly<Record<string, unknown>>;

/** Bytes in one letter: what every channel can carry (NATS' default `max_payload` is 1 MiB), less what a record adds to it. */
export const LETTER_BYTES_MAX = 1024 * 1024 - 16 * 1024;

/** Characters of an error's text that travel. */
const TEXT_LENGTH_MAX = 1_000;

/** A letter as it is read: its sender's claims are of the right type, and no more is known of them. */
export type Letter = { readonly from: string } & (
  | {
      readonly is: "told";
      readonly verb: string;
      readonly words: Words;
      readonly ask: number | undefined;
      readonly data: Uint8Array | undefined;
    }
  | { readonly is: "answered"; readonly ask: number; readonly words: Words }
  | { readonly is: "failed"; readonly ask: number; readonly error: GroupcastError }
);

type Written =
  | { readonly from: string; readonly verb: string; readonly words: Words; readonly ask?: number }
  | { readonly from: string; readonly answer: number; readonly words: Words }
  | { readonly from: string; readonly answer: number; readonly error: ErrorCode; readonly text: string };

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

/** @throws GroupcastError `too_large` */
export function writeLetter(written: Written, data?: Uint8Array): Message {
  const text = JSON.stringify(written);
  const frame = encodeFrame(data === undefined ? text : beside(utf8.encode(text), data));
  if (frame.length > LETTER_BYTES_MAX) {
    throw new GroupcastError("too_large", `words to another process have at most ${LETTER_BYTES_MAX} bytes, not ${frame.length}`);
  }
  return { kind: "control", frame, except: [] };
}

export function writeFailure(from: string, answer: number, { code, message }: GroupcastError): Message {
  return writeLetter({ from, answer, error: code, text: message.slice(0, TEXT_LENGTH_MAX) });
}

/** The letter in a frame of another process; undefined: there is none. Data is a view. */
export function readLetter(frame: Uint8Array): Letter | undefined {
  try {
    const [payload] = readPayloads(frame);
    if (payload === undefined) return undefined;
    if (typeof payload === "string") return check(JSON.parse(payload), undefined);
    const length = new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(0);
    if (4 + length > payload.length) return undefined;
    return check(JSON.parse(fromUtf8.decode(payload.subarray(4, 4 + length))), payload.subarray(4 + length));
  } catch {
    return undefined;
  }
}

/** The words' length, the words, the data. */
function beside(words: Uint8Array, data: Uint8Array): Uint8Array {
  const both = new Uint8Array(4 + words.length + data.length);
  new DataView(both.buffer).setUint32(0, words.length);
  both.set(words, 4);
  both.set(data, 4 + words.length);
  return both;
}

function check(read: unknown, data: Uint8Array | undefined): Letter | undefined {
  if (!isWords(read)) return undefined;
  const { verb, words, ask, answer, error, text } = read;
  const from = checkName(read["from"]); // it becomes a part of a topic
  if (typeof answer === "number") {
    if (isWords(words)) return { is: "answered", from, ask: answer, words };
    if (typeof error !== "string" || typeof text !== "string") return undefined;
    const code = Object.hasOwn(ERRORS, error) ? (error as ErrorCode) : "internal";
    return { is: "failed", from, ask: answer, error: new GroupcastError(code, text) };
  }
  if (typeof verb !== "string" || !isWords(words) || (ask !== undefined && typeof ask !== "number")) return undefined;
  return { is: "told", from, verb, words, ask, data };
}

function isWords(value: unknown): value is Words {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
