// A process on its way to know what has a life: it asks, gathers the answer and what comes meanwhile, and where nobody answers it begins
// with what it has. Must not know what is done with it.
import type { Cancel, Clock } from "../base/clock.ts";
import { quiet } from "../base/promises.ts";
import type { Receipt } from "../channel/adapter.ts";
import { keyOf, LifeState, OPEN_MAX, PARTICIPANTS_MAX } from "./life-state.ts";
import { type Answer, ATTEMPT_MAX, type Statement } from "./life-words.ts";

/** Who is asked has this long to begin its answer, and to go on with it. */
export const ANSWER_MS = 1_000;
/** The same at the last attempt, when many are asked. */
export const OBJECTION_MS = 500;
/** What was said has to be heard within this, or it is said anew. A channel that is up loses nothing, so it is never needed. */
const UNHEARD_MS = 5_000;
/** Statements that may come while an answer is under way. */
export const LATER_MAX = 100_000;

export interface NewcomerHost {
  readonly clock: Clock;
  readonly node: string;
  say(statement: Statement): Promise<Receipt>;
  /** Tells somebody who has just said `sync` that nothing is known here. */
  tellNone(node: string, nonce: string): void;
  /** This one has come to nothing: another shall try. */
  again(attempt: number): void;
  /** The state as it was when this one's `sync` came, and what has come since. */
  adopt(state: LifeState, later: readonly Statement[]): void;
  /** Everybody goes by this process, from now on. */
  crown(): void;
}

/** One attempt. It ends with `again`, `adopt` or `crown`, or by `stop`. */
export class Newcomer {
  readonly nonce: string;
  readonly #host: NewcomerHost;
  readonly #attempt: number;
  readonly #later: Statement[] = [];
  readonly #nones = new Set<string>();
  // To how many the `sync` was handed.
  #receivers: number | undefined;
  // True: the `sync` has come back, and what comes from now on comes after it.
  #isHeard = false;
  #isAnswered = false;
  #isLeading = false;
  #isOver = false;
  #answer: { readonly from: string; readonly state: LifeState; parts: number; isWhole: boolean } | undefined;
  #cancel: Cancel | undefined;

  constructor(host: NewcomerHost, nonce: string, attempt: number) {
    this.#host = host;
    this.nonce = nonce;
    this.#attempt = attempt;
  }

  start(): void {
    this.#wait(UNHEARD_MS);
    const said = this.#host.say({ say: "sync", node: this.#host.node, nonce: this.nonce, attempt: this.#attempt });
    const handed = said.then(({ receivers }) => {
      this.#receivers = receivers;
      this.#leadIfNobodyKnows();
    });
    void quiet(handed); // a channel that is down says so
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel?.();
  }

  hear(statement: Statement): void {
    if (statement.say === "sync" && statement.node !== this.#host.node) this.#host.tellNone(statement.node, statement.nonce);
    if (!this.#isHeard) {
      if (statement.say === "sync" && statement.nonce === this.nonce) this.#heard();
    } else if (statement.say === "lead") {
      if (statement.nonce === this.nonce) this.#end(() => this.#host.crown());
      else this.#again(0); // whoever leads now knows nothing of this one's `sync`
    } else if ((statement.say === "gone" && statement.nonce === this.nonce) || this.#later.length >= LATER_MAX) {
      this.#again(0);
    } else {
      this.#later.push(statement);
    }
  }

  answered(answer: Answer, from: string): void {
    if (answer.nonce !== this.nonce || this.#isOver) return;
    if (answer.is === "none") {
      this.#nones.add(from);
      this.#leadIfNobodyKnows();
    } else {
      this.#isAnswered = true;
      if (answer.is === "state") this.#gather(answer, from);
    }
  }

  #heard(): void {
    this.#isHeard = true;
    this.#wait(this.#attempt < ATTEMPT_MAX ? ANSWER_MS : OBJECTION_MS);
    this.#adoptIfWhole(); // the two come by different topics
    this.#leadIfNobodyKnows();
  }

  #gather(part: Answer & { readonly is: "state" }, from: string): void {
    if (part.part === 0) {
      const state = new LifeState(part.epoch, part.last, new Map(part.past), new Map(), new Map());
      this.#answer ??= { from, state, parts: 0, isWhole: false };
    }
    const answer = this.#answer;
    if (answer?.from !== from || answer.parts !== part.part || answer.isWhole) return; // others may answer, too
    const { participants, open } = answer.state;
    for (const [nonce, node] of part.participants) participants.set(nonce, node);
    for (const [namespace, name, life] of part.open) open.set(keyOf({ namespace, name }), life);
    if (participants.size > PARTICIPANTS_MAX || open.size > OPEN_MAX) return; // nobody of ours says so
    answer.parts++;
    answer.isWhole = part.isLast;
    if (this.#isHeard) this.#wait(ANSWER_MS);
    this.#adoptIfWhole();
  }

  #adoptIfWhole(): void {
    const answer = this.#answer;
    if (this.#isHeard && answer?.isWhole === true) this.#end(() => this.#host.adopt(answer.state, this.#later));
  }

  // Who is handed a `sync` and does not know says so. Who was not handed it has missed it, and will ask itself.
  #leadIfNobodyKnows(): void {
    if (this.#isHeard && this.#receivers !== undefined && this.#nones.size + 1 >= this.#receivers) this.#lead();
  }

  #lead(): void {
    if (this.#isLeading || this.#isOver) return;
    this.#isLeading = true;
    this.#wait(UNHEARD_MS);
    void this.#host.say({ say: "lead", nonce: this.nonce });
  }

  #wait(ms: number): void {
    this.#cancel?.();
    this.#cancel = this.#host.clock.after(ms, () => this.#late());
  }

  #late(): void {
    if (this.#isLeading) this.#again(0);
    else if (!this.#isHeard || this.#isAnswered) this.#again(this.#attempt);
    else if (this.#attempt < ATTEMPT_MAX) this.#again(this.#attempt + 1);
    else this.#lead();
  }

  #again(attempt: number): void {
    this.#end(() => this.#host.again(attempt));
  }

  #end(by: () => void): void {
    if (this.#isOver) return;
    this.stop();
    by();
  }
}
