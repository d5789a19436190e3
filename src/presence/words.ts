// What processes say to all others of themselves, and the check of what they hear. Must not know what follows from it.
import { encodeFrame, readPayloads } from "../wire/frames.ts";
import { isName } from "../wire/names.ts";
import type { Message } from "../wire/record.ts";
import { areRows, type Row } from "./rows.ts";

/**
 * Who speaks. `node` is a process' id; `incarnation` goes up each time that the others may have given it up, so that nothing it said before
 * counts any more. `version` counts the records of its changes, over all incarnations: equal versions, equal connections.
 */
type From = { readonly node: string; readonly incarnation: number };

/** On the topic `presence`, which every process hears. */
export type Word =
  /** I have begun, or my link is back. */
  | (From & { readonly do: "hello"; readonly version: number })
  /** I keep an index: tell me of your changes for the next 30 s. With `ask`: and say at once that you are there. */
  | (From & { readonly do: "want"; readonly ask?: string | undefined })
  /** I leave for good. */
  | (From & { readonly do: "bye" })
  /** That process is dead; without an incarnation: whichever it was in. */
  | { readonly do: "dead"; readonly node: string; readonly incarnation?: number | undefined };

/** On the topic `changes`, which those hear who keep an index: what has led from the version before to this one; without rows a sign of life. */
export type News = From & {
  readonly version: number;
  readonly rows?: readonly Row[] | undefined;
  readonly to?: readonly string[] | undefined;
};

/** By letter, to one node: your connections with a serial above `after`, please; and the nodes that you know of. */
export type Want = { readonly incarnation: number; readonly after: number; readonly nodes: boolean };

/**
 * By letter, the answer: its connections with a serial above `after`, up to `next` (null: that is all), as of this version. If it is more than
 * one letter carries, `piece` counts them and all but the last have `more`.
 */
export type Share = {
  readonly incarnation: number;
  readonly version: number;
  readonly after: number;
  readonly piece: number;
  readonly rows: readonly Row[];
  readonly more: boolean;
  readonly next: number | null;
  readonly nodes?: readonly string[] | undefined;
};

type Fields = Readonly<Record<string, unknown>>;

/** Characters of what names a question. */
const ASK_LENGTH_MAX = 64;

/** A message that only groupcast itself reads. */
export function toMessage(word: Word | News): Message {
  return { kind: "control", frame: encodeFrame(JSON.stringify(word)), except: [] };
}

/** Undefined: it is none; one of a later version, perhaps. */
export function readWord(frame: Uint8Array): Word | undefined {
  const fields = readFields(frame);
  if (fields === undefined) return undefined;
  const { do: verb, node, incarnation, version, ask } = fields;
  if (!isName(node)) return undefined;
  if (verb === "dead" && (incarnation === undefined || isCount(incarnation))) return { do: verb, node, incarnation };
  if (!isCount(incarnation)) return undefined;
  if (verb === "hello" && isCount(version)) return { do: verb, node, incarnation, version };
  if (verb === "want" && (ask === undefined || isAsk(ask))) return { do: verb, node, incarnation, ask };
  return verb === "bye" ? { do: verb, node, incarnation } : undefined;
}

/** The same for {@link News}. */
export function readNews(frame: Uint8Array): News | undefined {
  const fields = readFields(frame);
  if (fields === undefined) return undefined;
  const { node, incarnation, version, rows, to } = fields;
  if (!isName(node) || !isCount(incarnation) || !isCount(version)) return undefined;
  if (rows !== undefined && !areRows(rows)) return undefined;
  if (to !== undefined && !(Array.isArray(to) && to.every(isAsk))) return undefined;
  return { node, incarnation, version, rows, to };
}

export function readWant({ incarnation, after, nodes }: Fields): Want | undefined {
  return isCount(incarnation) && isCount(after) ? { incarnation, after, nodes: nodes === true } : undefined;
}

export function readShare({ incarnation, version, after, piece, rows, more, next, nodes }: Fields): Share | undefined {
  if (!isCount(incarnation) || !isCount(version) || !isCount(after) || !isCount(piece) || !areRows(rows)) return undefined;
  if (next !== null && !isCount(next)) return undefined;
  if (nodes !== undefined && !(Array.isArray(nodes) && nodes.every(isName))) return undefined;
  return { incarnation, version, after, piece, rows, more: more === true, next, nodes };
}

function readFields(frame: Uint8Array): Fields | undefined {
  try {
    const [text] = readPayloads(frame);
    const fields: unknown = JSON.parse(String(text));
    return typeof fields === "object" && fields !== null ? (fields as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAsk(value: unknown): value is string {
  return typeof value === "string" && value.length <= ASK_LENGTH_MAX;
}
