// Whether everybody has answered who was asked whether he is there. Must not know what was answered.
import type { Clock } from "../base/clock.ts";

/** Where the channel cannot tell how many have heard the question: all have answered when after the last of them nobody has for so long, ms ... */
const QUIET_MS = 250;
/** ... and after so long in any case, ms: also if nobody has, for the only other one may be busy. */
const NOISY_MS = 1_000;

/** Whoever has not answered after so long, ms, is as dead as one that was not heard of for so long. */
export const LEASE_MS = 6_000;

export class Census {
  /** What names this question. */
  readonly ask: string;
  readonly #clock: Clock;
  readonly #answered = new Set<string>();
  /** Undefined: nobody can tell. */
  #due: number | undefined;
  // Infinity: it is not known yet whether anybody has heard the question.
  #doneAt = Infinity;
  // Infinity: nobody has answered.
  #quietAt = Infinity;

  constructor(clock: Clock, ask: string) {
    this.#clock = clock;
    this.ask = ask;
  }

  /** The channel has taken the question to so many others; undefined: it cannot tell. */
  asked(others: number | undefined): void {
    const now = this.#clock.now();
    this.#due = others;
    this.#doneAt = now + (others === undefined ? NOISY_MS : LEASE_MS);
    if (this.#answered.size > 0) this.#quietAt = now + QUIET_MS;
  }

  /** That node has answered. */
  answered(node: string): void {
    if (this.#answered.has(node)) return;
    this.#answered.add(node);
    if (this.#doneAt !== Infinity) this.#quietAt = this.#clock.now() + QUIET_MS;
  }

  /** True if it takes more than the number of answers to tell that all have come. */
  get isVague(): boolean {
    return this.#due === undefined;
  }

  /** True once nobody is waited for any more. */
  get isDone(): boolean {
    const now = this.#clock.now();
    if (now >= this.#doneAt) return true;
    return this.#due === undefined ? now >= this.#quietAt : this.#answered.size >= this.#due;
  }
}
