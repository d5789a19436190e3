// The end of an event-loop turn: what gathered during it is written once. Shared by all groups of a manager.
import type { Clock } from "../base/clock.ts";

/** Something that gathers during a turn. `flush` never throws, and does nothing when nothing has gathered. */
export interface Gathering {
  flush(): void;
}

export class Turn {
  readonly #clock: Clock;
  #gatherings = new Set<Gathering>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Has `gathering` flushed at the end of this turn, once. */
  add(gathering: Gathering): void {
    if (this.#gatherings.size === 0) this.#clock.turnEnd(this.#end);
    this.#gatherings.add(gathering);
  }

  readonly #end = (): void => {
    const gatherings = this.#gatherings;
    this.#gatherings = new Set(); // what a flush sets going gathers for the next turn
    for (const gathering of gatherings) gathering.flush();
  };
}
