// A worker's leave to close connections: each one is asked of the primary, which deals them out over all workers.
import { type Deferred, deferred } from "../base/promises.ts";
import type { Slots } from "../groups/pace.ts";
import { report } from "./messages.ts";

export class RemoteSlots implements Slots {
  #waiting: Deferred<void> | undefined;
  #granted = 0;
  #open = false;

  take(left: number): Promise<void> {
    if (this.#open) return Promise.resolve();
    if (this.#granted > 0) {
      this.#granted--;
      return Promise.resolve();
    }
    if (this.#waiting === undefined) {
      this.#waiting = deferred();
      // Behind the word that the last leave was used.
      setImmediate(() => report({ did: "ask", left }));
    }
    return this.#waiting.promise;
  }

  /** The primary gives leave for `count`. */
  granted(count: number): void {
    this.#granted = count - 1;
    this.#waiting?.resolve();
    this.#waiting = undefined;
    // Whoever waited closes as many before this turn ends. The primary counts the closes at this moment, not when it gave leave.
    setImmediate(() => report({ did: "use" }));
  }

  /** From now on nobody is asked: the rest goes at once. */
  open(): void {
    this.#open = true;
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}
