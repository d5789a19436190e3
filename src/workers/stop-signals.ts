// What the primary makes of SIGINT and SIGTERM: the first stops, a second one hurries. Knows time only.
import type { Clock } from "../base/clock.ts";

/** npm and terminals send the same signal twice, a moment apart; nobody who has seen the first at work presses again so soon. */
const SAME_WITHIN_MS = 500;

/** `ignored`: the same signal over again. */
export type StopMeaning = "stop" | "hurry" | "ignored";

export class StopSignals {
  readonly #clock: Clock;
  #first: { readonly signal: string; readonly at: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  heard(signal: string): StopMeaning {
    if (this.#first === undefined) {
      this.#first = { signal, at: this.#clock.now() };
      return "stop";
    }
    const same = signal === this.#first.signal && this.#clock.now() - this.#first.at < SAME_WITHIN_MS;
    return same ? "ignored" : "hurry";
  }
}
