// What processes say of the lives of groups: to all on one topic, and to one of them by post. Everything that comes is checked here.
// Must not know who may say it.
import { encodeFrame, readPayloads } from "../wire/frames.ts";
import { checkName } from "../wire/names.ts";
import type { Message, MessageRecord } from "../wire/record.ts";
import type { Words } from "./letter.ts";

/** What is said to all. A `nonce` names one taking part of one process: a process that begins anew takes a new one. */
export type Statement =
  /** I take part from here on; tell me what is so. `attempt`: how often it has gone without an answer, at most {@link ATTEMPT_MAX}. */
  | { readonly say: "sync"; readonly node: string; readonly nonce: string; readonly attempt: number }
  /** Nobody has answered me: from here on everybody goes by me. */
  | { readonly say: "lead"; readonly nonce: string }
  /** That one takes part no longer. */
  | { readonly say: "gone"; readonly nonce: string }
  /** `by` is the nonce of who says it. */
  | ({ readonly say: "occupied" | "vacated"; readonly by: string } & LifeWords)
  /** Where I was, this life has ended already. */
  | ({ readonly say: "over" } & LifeWords);

interface LifeWords {
  readonly namespace: string;
  readonly name: string;
  readonly life: string;
}

/** What is told to somebody who has said `sync` with this nonce. */
export type Answer =
  /** I do not know either. */
  | { readonly is: "none"; readonly nonce: string }
  /** I know, and have no time: ask again. */
  | { readonly is: "busy"; readonly nonce: string }
  /** A part of what was so when that `sync` came; the last one says so. */
  | ({ readonly is: "state"; readonly nonce: string; readonly part: number; readonly isLast: boolean } & StatePart);

export interface StatePart {
  readonly epoch: string;
  /** The number of the last life of this epoch. */
  readonly last: number;
  /** Epochs that it comes from, and the number of the last life in each. */
  readonly past: readonly (readonly [epoch: string, last: number])[];
  readonly participants: readonly (readonly [nonce: string, node: string])[];
  readonly open: readonly (readonly [namespace: string, name: string, life: string])[];
}

/** With the first attempt the leader is asked, with each further one four times as many. */
export const ATTEMPT_MAX = 2;
/** Entries of either list in one part: two names of 200 bytes, escaped, and an id: 180 KB at the most. */
export const PART_ENTRIES_MAX = 200;
/** Epochs that are remembered: there is a new one only when nobody was left who knew. */
export const PAST_MAX = 64;
/** Ids of ours have 32 characters, a life's a number more. */
const ID_LENGTH_MAX = 64;
const VERB_OF_POST = "lives";

/** The verb of {@link Answer}s. */
export { VERB_OF_POST as LIVES_VERB };

export function writeStatement(statement: Statement): Message {
  return { kind: "control", frame: encodeFrame(JSON.stringify(statement)), except: [] };
}

/** The statements of a record, in order; what is none is left out. */
export function readStatements(record: MessageRecord): Statement[] {
  const statements: Statement[] = [];
  for (const { kind, frame } of record.messages()) {
    const statement = kind === "control" ? attempt(() => toStatement(JSON.parse(String(readPayloads(frame)[0])))) : undefined;
    if (statement !== undefined) statements.push(statement);
  }
  return statements;
}

/** Undefined: it is none. */
export function readAnswer(words: Words): Answer | undefined {
  return attempt(() => toAnswer(words));
}

/** A life's id: its epoch, and its number in there. */
export function lifeId(epoch: string, number: number): string {
  return `${epoch}.${number}`;
}

/** The inverse of {@link lifeId}; undefined for what it never makes. */
export function readLifeId(life: string): { readonly epoch: string; readonly number: number } | undefined {
  const dot = life.lastIndexOf(".");
  const number = Number(life.slice(dot + 1));
  if (dot < 1 || !isCount(number) || life.slice(dot + 1) !== String(number)) return undefined;
  return { epoch: life.slice(0, dot), number };
}

function toStatement(read: unknown): Statement | undefined {
  const { say, node, nonce, attempt: times, by, namespace, name, life } = read as Record<string, unknown>;
  switch (say) {
    case "sync":
      if (!isId(node) || !isId(nonce) || !isCount(times) || times > ATTEMPT_MAX) return undefined;
      return { say, node: checkName(node), nonce, attempt: times }; // a node becomes a part of a topic
    case "lead":
    case "gone":
      return isId(nonce) ? { say, nonce } : undefined;
    case "occupied":
    case "vacated":
      return isId(by) && isLife(life) ? { say, by, namespace: checkName(namespace), name: checkName(name), life } : undefined;
    case "over":
      return isLife(life) ? { say, namespace: checkName(namespace), name: checkName(name), life } : undefined;
    default:
      return undefined;
  }
}

function toAnswer({ is, nonce, part, isLast, epoch, last, past, participants, open }: Words): Answer | undefined {
  if (!isId(nonce)) return undefined;
  if (is === "none" || is === "busy") return { is, nonce };
  if (is !== "state" || !isCount(part) || typeof isLast !== "boolean" || !isId(epoch) || !isCount(last)) return undefined;
  if (!isList(past, PAST_MAX) || !isList(participants, PART_ENTRIES_MAX) || !isList(open, PART_ENTRIES_MAX)) return undefined;
  return {
    is,
    nonce,
    part,
    isLast,
    epoch,
    last,
    past: past.map((entry) => [must(entry[0], isId), must(entry[1], isCount)]),
    participants: participants.map((entry) => [must(entry[0], isId), checkName(must(entry[1], isId))]),
    open: open.map((entry) => [checkName(entry[0]), checkName(entry[1]), must(entry[2], isLife)]),
  };
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function must<T>(value: unknown, is: (value: unknown) => value is T): T {
  if (is(value)) return value;
  throw new TypeError("not what it should be");
}

function isList(value: unknown, max: number): value is readonly (readonly unknown[])[] {
  return Array.isArray(value) && value.length <= max && value.every((entry) => Array.isArray(entry));
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= ID_LENGTH_MAX;
}

function isLife(value: unknown): value is string {
  return isId(value) && readLifeId(value) !== undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
