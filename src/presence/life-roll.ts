// Sees to it that nobody is waited for who is dead: says so of those who take part. Must not know what is decided then.
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";

/** How often it is looked whether all who take part are alive. */
export const LOOK_EVERY_MS = 5_000;
/** Who is missed so often is gone: longer than a node that has just come may be unknown. */
export const MISSED_MAX = 3;
/** Who is not the first in the list waits so long, and by chance up to as long again, before it says that somebody is gone. */
export const GONE_AFTER_MS = 1_000;

export interface RollHost {
  readonly clock: Clock;
  readonly random: Random;
  /** Nonce and node of all who take part, in their order, and this process' own nonce; undefined: they are not known. */
  all(): { readonly participants: ReadonlyMap<string, string>; readonly nonce: string } | undefined;
  /** All nodes that are alive, this one included; undefined: they are not known. */
  alive(): ReadonlySet<string> | undefined;
  sayGone(nonce: string): void;
}

export class LifeRoll {
  readonly #host: RollHost;
  /** How often each that takes part was not alive when looked for. */
  #missed = new Map<string, number>();
  /** Who takes part and is dead, as far as is known here. */
  readonly #dead = new Set<string>();
  #isWaiting = false;

  constructor(host: RollHost) {
    this.#host = host;
  }

  /** A node has died or stopped. */
  bury(node: string): void {
    for (const [nonce, its] of this.#host.all()?.participants ?? []) if (its === node) this.#dead.add(nonce);
    this.#speak();
  }

  /** To be called every {@link LOOK_EVERY_MS}: whoever was never heard of, or has died unseen, is missed. */
  look(): void {
    const missed = new Map<string, number>();
    const alive = this.#host.alive();
    for (const [nonce, node] of (alive === undefined ? undefined : this.#host.all()?.participants) ?? []) {
      if (alive?.has(node) === true) continue;
      const times = (this.#missed.get(nonce) ?? 0) + 1;
      missed.set(nonce, times);
      if (times >= MISSED_MAX) this.#dead.add(nonce);
    }
    this.#missed = missed;
    this.#speak();
  }

  /** The first of the living says it; the others do if it does not. */
  #speak(): void {
    const all = this.#host.all();
    for (const nonce of this.#dead) if (all?.participants.has(nonce) !== true) this.#dead.delete(nonce);
    if (all === undefined || this.#dead.size === 0) return;
    const first = [...all.participants.keys()].find((nonce) => !this.#dead.has(nonce));
    if (first === all.nonce) this.#sayAll();
    else if (!this.#isWaiting) this.#speakLater();
  }

  #speakLater(): void {
    const { clock, random } = this.#host;
    this.#isWaiting = true;
    clock.after(GONE_AFTER_MS * (1 + random.unit()), () => {
      this.#isWaiting = false;
      this.#sayAll();
    });
  }

  #sayAll(): void {
    const all = this.#host.all();
    for (const nonce of this.#dead) if (all?.participants.has(nonce) === true) this.#host.sayGone(nonce);
  }
}
