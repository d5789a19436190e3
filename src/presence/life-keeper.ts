// What the leader does: sees which groups have members anywhere, and has it said. Must not know who leads, or how it is said.
import type { Cancel, Clock } from "../base/clock.ts";
import type { GroupKey } from "./life-state.ts";

/** Statements that may be on their way at a time; what else is to be said waits. */
export const SAYING_MAX = 1_000;
/** A timer that is so late was slept over: the process was stopped, and what has come meanwhile may not be read yet. */
export const SLEPT_MS = 1_000;
/** What could not be said or judged is tried again after this. */
export const RETRY_MS = 250;

export interface KeeperHost {
  readonly clock: Clock;
  /** A group is without members for so long before it is vacated. */
  readonly vacatedAfterMs: number;
  /** True if a member is known, here or elsewhere. */
  isOccupied(key: GroupKey): boolean;
  /** Every group with a member, here or elsewhere; some may come twice. */
  occupied(): Iterable<GroupKey>;
  /** False: there may be members that are not known. */
  isWhole(): boolean;
  /** Says that a group's life begins, or that this one ends. Rejects if it was not said; else {@link LifeKeeper.heard} follows. */
  say(key: GroupKey, life: string | undefined): Promise<unknown>;
}

/** One time of leading. */
export class LifeKeeper {
  readonly #host: KeeperHost;
  readonly #open: ReadonlyMap<GroupKey, string>;
  readonly #dirty: Set<GroupKey>;
  readonly #saying = new Set<GroupKey>();
  // When each is to be vacated. All wait equally long, so the first is the earliest.
  readonly #lingering = new Map<GroupKey, number>();
  #isLooking = false;
  #isOver = false;
  #timer: { readonly dueMs: number; readonly cancel: Cancel } | undefined;

  /** `open`: the groups that have a life; it changes as what is said is heard. */
  constructor(host: KeeperHost, open: ReadonlyMap<GroupKey, string>) {
    this.#host = host;
    this.#open = open;
    this.#dirty = new Set([...open.keys(), ...host.occupied()]);
    this.#lookSoon();
  }

  /** The members of a group have come or gone, or its life has begun or ended. */
  changed(key: GroupKey): void {
    this.#dirty.add(key);
    this.#lookSoon();
  }

  /** What was said of a group has come back; false: and has changed nothing. */
  heard(key: GroupKey, hasChanged: boolean): void {
    this.#saying.delete(key);
    if (hasChanged) this.changed(key);
    else this.#later(key);
  }

  /** Somebody else leads, or nobody knows. */
  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  #lookSoon(): void {
    if (this.#isLooking || this.#isOver) return;
    this.#isLooking = true;
    this.#host.clock.turnEnd(() => {
      this.#isLooking = false;
      if (!this.#isOver) this.#look();
    });
  }

  #look(): void {
    this.#notice();
    for (const key of this.#dirty) {
      if (this.#isFull) return; // on with it when something is heard
      this.#dirty.delete(key);
      this.#judge(key);
    }
    this.#vacate();
  }

  get #isFull(): boolean {
    return this.#isOver || this.#saying.size >= SAYING_MAX;
  }

  #judge(key: GroupKey): void {
    if (this.#saying.has(key)) return; // it is looked at again when that is heard
    const isOccupied = this.#host.isOccupied(key);
    if (isOccupied === this.#open.has(key)) this.#lingering.delete(key);
    else if (isOccupied) this.#say(key, undefined);
    else if (!this.#lingering.has(key)) this.#lingering.set(key, this.#host.clock.now() + this.#host.vacatedAfterMs);
  }

  #vacate(): void {
    const now = this.#host.clock.now();
    for (const [key, dueMs] of this.#lingering) {
      if (dueMs > now) return this.#wakeAt(dueMs);
      if (this.#isFull) return;
      if (!this.#host.isWhole()) return this.#wakeAt(now + RETRY_MS);
      this.#lingering.delete(key);
      const life = this.#open.get(key);
      if (life !== undefined && !this.#host.isOccupied(key)) this.#say(key, life);
    }
  }

  #wakeAt(dueMs: number): void {
    if (this.#timer !== undefined && this.#timer.dueMs <= dueMs) return;
    this.#timer?.cancel();
    const { clock } = this.#host;
    const cancel = clock.after(dueMs - clock.now(), () => {
      this.#notice();
      this.#timer = undefined; // also if it came a little too early, as timers may
      this.#look();
    });
    this.#timer = { dueMs, cancel };
  }

  /** After a sleep all wait anew. What has come may be read before the timer runs. */
  #notice(): void {
    const now = this.#host.clock.now();
    if (this.#timer === undefined || this.#timer.dueMs > now) return;
    const lateMs = now - this.#timer.dueMs;
    this.#timer.cancel();
    this.#timer = undefined;
    if (lateMs <= SLEPT_MS) return;
    for (const key of [...this.#lingering.keys()]) this.#lingering.set(key, now + this.#host.vacatedAfterMs);
  }

  #say(key: GroupKey, life: string | undefined): void {
    this.#saying.add(key);
    this.#host.say(key, life).catch(() => {
      this.#saying.delete(key);
      this.#later(key);
    });
  }

  #later(key: GroupKey): void {
    if (!this.#isOver) this.#host.clock.after(RETRY_MS, () => this.changed(key));
  }
}
