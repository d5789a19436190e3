// How connections, and what changes about them, are written for other nodes, and the check of what comes from there. Must not know who
// sends it, or who keeps it.
import { isName } from "../wire/names.ts";
import type { Member } from "./roll.ts";

/** A connection of this process, as presence tells the others of it. */
export interface Present extends Member {
  /** Given by presence. */
  $serial: number;
  readonly namespace: string;
  /** Its groups, by name. */
  readonly groups: ReadonlyMap<string, unknown>;
}

/** A connection that is here, with everything about it. */
export type HereRow = readonly [serial: number, namespace: string, id: string, user: string | null, groups: readonly string[]];
/** What has changed about one that was: groups that it has joined, and left; its user only if that has changed. */
export type ChangedRow = readonly [serial: number, joined: readonly string[], left: readonly string[], user?: string | null];
/** A number: that connection is gone. */
export type Row = number | HereRow | ChangedRow;

/** Characters of rows that travel together: with what JSON and UTF-8 add about 200 KB, and in no case more than a channel carries. */
const LETTER_LENGTH = 100_000;
/** Characters of names in one row. */
const PIECE_LENGTH = 50_000;
/** Characters of a row, and of a name, besides themselves. */
const ROW_LENGTH = 24;
const NAME_LENGTH = 3;
const NONE: readonly string[] = Object.freeze([]);

/** Gathers rows into letters that every channel carries. */
export class Rows {
  /** At least one. */
  readonly letters: Row[][] = [[]];
  #length = 0;

  /** True once there is enough for a letter. */
  get isFull(): boolean {
    return this.letters.length > 1 || this.#length >= LETTER_LENGTH;
  }

  get isEmpty(): boolean {
    return this.letters[0]?.length === 0;
  }

  here(present: Present): void {
    const { $serial, namespace, id, user, groups } = present;
    const [first = NONE, ...more] = pieces(groups.keys());
    this.#push([$serial, namespace, id, user, first], namespace.length + id.length + (user?.length ?? 0) + lengthOf(first));
    for (const piece of more) this.#push([$serial, piece, NONE], lengthOf(piece));
  }

  /** `user`: undefined if it is the same. */
  changed(serial: number, joined: Iterable<string>, left: Iterable<string>, user?: string | null): void {
    const [joinedFirst = NONE, ...joinedMore] = pieces(joined);
    const [leftFirst = NONE, ...leftMore] = pieces(left);
    const length = lengthOf(joinedFirst) + lengthOf(leftFirst) + (user?.length ?? 0);
    this.#push(user === undefined ? [serial, joinedFirst, leftFirst] : [serial, joinedFirst, leftFirst, user], length);
    for (const piece of joinedMore) this.#push([serial, piece, NONE], lengthOf(piece));
    for (const piece of leftMore) this.#push([serial, NONE, piece], lengthOf(piece));
  }

  gone(serial: number): void {
    this.#push(serial, 0);
  }

  #push(row: Row, length: number): void {
    if (this.#length >= LETTER_LENGTH) {
      this.letters.push([]);
      this.#length = 0;
    }
    this.letters.at(-1)?.push(row);
    this.#length += ROW_LENGTH + length;
  }
}

/** In rows of a bearable length: a connection may be in very many groups. */
function pieces(names: Iterable<string>): string[][] {
  const all: string[][] = [];
  let length = Infinity;
  for (const name of names) {
    if (length >= PIECE_LENGTH) {
      all.push([]);
      length = 0;
    }
    all.at(-1)?.push(name);
    length += NAME_LENGTH + name.length;
  }
  return all;
}

function lengthOf(names: readonly string[]): number {
  return names.reduce((length, name) => length + NAME_LENGTH + name.length, 0);
}

/** True for rows that {@link Rows} may have made: what comes over a broker is not trusted. */
export function areRows(value: unknown): value is readonly Row[] {
  return Array.isArray(value) && value.every(isRow);
}

/** Of two kinds of rows. */
export function isHere(row: HereRow | ChangedRow): row is HereRow {
  return typeof row[1] === "string";
}

function isRow(value: unknown): value is Row {
  if (typeof value === "number") return isSerial(value);
  if (!Array.isArray(value) || !isSerial(value[0])) return false;
  const [, first, second, third, fourth] = value as unknown[];
  if (value.length === 5) return areNames([first, second]) && isUser(third) && areNames(fourth);
  return areNames(first) && areNames(second) && (value.length === 3 || (value.length === 4 && isUser(third)));
}

function isSerial(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function isUser(value: unknown): value is string | null {
  return value === null || isName(value);
}

function areNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isName);
}
