// The end of an event-loop turn: what gathered during it goes out once. Shared by the channel and all groups of a manager. Must not
// know what gathers.
import { BatchDelay } from "./batch-delay.ts";
import { Buffers } from "./buffers.ts";
import type { Cancel, Clock } from "./clock.ts";

/** Something that gathers during a turn. `flush` never throws, and does nothing when nothing has gathered. */
export interface Gathering {
  flush(): void;
}

export class Turn {
  /** Room for what gathers. */
  readonly buffers = new Buffers();
  readonly #clock: Clock;
  readonly #delay: BatchDelay;
  #first = new Set<Gathering>();
  #gatherings = new Set<Gathering>();
  #isEnding = false;
  // While what has gathered waits for more.
  #cancelWait: Cancel | undefined;
  #isHurried = false;

  /** `batchDelayMs`: what {@link add} gathers may wait so long for more while the process is busy; see {@link BatchDelay}. */
  constructor(clock: Clock, batchDelayMs = 0) {
    this.#clock = clock;
    this.#delay = new BatchDelay(clock, batchDelayMs);
  }

  /** Has `gathering` flushed at the end of this turn, before everything of {@link add}: what that sets gathering is of this turn, too. */
  addFirst(gathering: Gathering): void {
    this.#first.add(gathering);
    this.#endSoon();
  }

  /** Has `gathering` flushed at the end of this turn, or of a later one if waiting pays; once. */
  add(gathering: Gathering): void {
    this.#gatherings.add(gathering);
    if (this.#cancelWait === undefined) this.#endSoon();
  }

  /** Something that waits has grown: waiting pays. */
  grew(): void {
    this.#delay.grew();
  }

  /** Something has grown so large that waiting pays no more: everything goes at the end of this turn. */
  hurry(): void {
    this.#isHurried = true;
    if (this.#cancelWait !== undefined) this.#endSoon();
  }

  #endSoon(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#clock.turnEnd(this.#end);
  }

  readonly #end = (): void => {
    const first = this.#first;
    if (first.size > 0) {
      this.#first = new Set(); // what a flush sets going gathers for the next turn
      for (const gathering of first) gathering.flush();
    }
    this.#isEnding = false;
    if (this.#first.size > 0) this.#endSoon();
    if (this.#isHurried) return this.#flush();
    if (this.#gatherings.size === 0 || this.#cancelWait !== undefined) return;
    const waitMs = this.#delay.next();
    if (waitMs === 0) this.#flush();
    else this.#cancelWait = this.#clock.after(waitMs, this.#flush);
  };

  readonly #flush = (): void => {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    this.#isHurried = false;
    const gatherings = this.#gatherings;
    this.#gatherings = new Set();
    this.#delay.begin();
    for (const gathering of gatherings) gathering.flush();
    this.#delay.end();
  };
}
