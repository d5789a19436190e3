// What all who take part agree on: which groups have a life, and who leads. It changes by statements alone, in the order of their
// topic, so it is the same for everybody at the same place of that order. Must not know how statements travel.
import { lifeId, PAST_MAX, readLifeId, type Statement } from "./life-words.ts";

/** The most that take part at a time; more are not answered. */
export const PARTICIPANTS_MAX = 10_000;
/** The most groups with a life at a time. */
export const OPEN_MAX = 1_000_000;

/** A group's namespace and name in one. */
export type GroupKey = string;

/** What a statement has changed. */
export interface Change {
  readonly event: "occupied" | "vacated";
  readonly key: GroupKey;
  readonly life: string;
}

export class LifeState {
  /** The nonce of the `lead` that it all began with. */
  readonly epoch: string;
  /** Who takes part: nonce to node, the leader first. */
  readonly participants: Map<string, string>;
  /** The life of each group that has one. */
  readonly open: Map<GroupKey, string>;
  /** Epochs that it comes from, and the number of the last life in each. */
  readonly past: ReadonlyMap<string, number>;
  #last: number;

  constructor(
    epoch: string,
    last: number,
    past: ReadonlyMap<string, number>,
    participants: Map<string, string>,
    open: Map<GroupKey, string>,
  ) {
    this.epoch = epoch;
    this.#last = last;
    this.past = past;
    this.participants = participants;
    this.open = open;
  }

  /** The number of the last life of this epoch. */
  get last(): number {
    return this.#last;
  }

  /** The nonce of who leads; undefined: nobody is left. */
  get leader(): string | undefined {
    return this.participants.keys().next().value;
  }

  /** How many come before that one; undefined: it takes no part. */
  rankOf(nonce: string): number | undefined {
    const rank = [...this.participants.keys()].indexOf(nonce);
    return rank < 0 ? undefined : rank;
  }

  /** Undefined: no life has begun or ended by it. `lead` is not for here: it ends all of this. */
  apply(statement: Exclude<Statement, { readonly say: "lead" }>): Change | undefined {
    switch (statement.say) {
      case "sync":
        for (const [nonce, node] of this.participants) if (node === statement.node) this.participants.delete(nonce);
        if (this.participants.size < PARTICIPANTS_MAX) this.participants.set(statement.nonce, statement.node);
        return undefined;
      case "gone":
        this.participants.delete(statement.nonce);
        return undefined;
      case "occupied":
        return statement.by === this.leader ? this.#begin(keyOf(statement), statement.life) : undefined;
      case "vacated":
        return statement.by === this.leader ? this.#end(keyOf(statement), statement.life) : undefined;
      case "over":
        return this.#end(keyOf(statement), statement.life);
    }
  }

  #begin(key: GroupKey, life: string): Change | undefined {
    const number = readLifeId(life)?.number ?? 0;
    if (this.open.has(key) || this.open.size >= OPEN_MAX || number <= this.#last || life !== lifeId(this.epoch, number)) return undefined;
    this.#last = number;
    this.open.set(key, life);
    return { event: "occupied", key, life };
  }

  #end(key: GroupKey, life: string): Change | undefined {
    if (this.open.get(key) !== life) return undefined;
    this.open.delete(key);
    return { event: "vacated", key, life };
  }
}

/**
 * The parts of history that a process has been through, over all epochs. Lives of an epoch begin in the order of their numbers, so one
 * that it has been past and that is not open has ended.
 */
export class Witnessed {
  readonly #epochs = new Map<string, number>();

  note(epoch: string, last: number): void {
    const before = this.#epochs.get(epoch) ?? 0;
    this.#epochs.delete(epoch); // the latest is the last to be forgotten
    this.#epochs.set(epoch, Math.max(before, last));
    const [oldest] = this.#epochs.keys();
    if (this.#epochs.size > PAST_MAX && oldest !== undefined) this.#epochs.delete(oldest);
  }

  /** True if it has been there when that life began, or later. */
  isPast(life: string): boolean {
    const read = readLifeId(life);
    return read !== undefined && read.number <= (this.#epochs.get(read.epoch) ?? 0);
  }

  /** Epoch and number of the last life in it, the latest epoch last. */
  entries(): Map<string, number> {
    return new Map(this.#epochs);
  }
}

export function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): GroupKey {
  return `${namespace}\0${name}`; // names have no control characters
}

export function groupOf(key: GroupKey): { readonly namespace: string; readonly name: string } {
  const at = key.indexOf("\0");
  return { namespace: key.slice(0, at), name: key.slice(at + 1) };
}
