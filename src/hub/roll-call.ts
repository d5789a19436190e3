// After a restart of the hub: forwards nothing before those who were there are back, or a message that is acknowledged would miss
// whoever comes a moment later. Knows numbers and time only.
import type { Clock } from "../base/clock.ts";
import { deferred } from "../base/promises.ts";

/** Who is not back by then is not waited for: processes try again after a second at the most, and half as much again is patience. */
const WITHIN_MS = 1_500;

export class RollCall {
  readonly #done = deferred();
  #isDone = false;
  #missing: number;

  /** @param links how many there were; 0: nobody is waited for. */
  constructor(clock: Clock, links: number) {
    this.#missing = links;
    if (links === 0) this.#end();
    else void this.#done.promise.then(clock.after(WITHIN_MS, () => this.#end()));
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Resolves when all are back, or patience is over. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** One more has told everything that it hears. */
  present(): void {
    if (--this.#missing <= 0) this.#end();
  }

  #end(): void {
    this.#isDone = true;
    this.#done.resolve();
  }
}
