// The primary's side of a drain: deals leave to close out to the workers, so that the rate holds over all of them together.
// Knows time and who asks; must not know processes.
import type { Cancel, Clock } from "../base/clock.ts";
import { Pace } from "../groups/pace.ts";

/** A worker that asks. */
export interface Asker {
  /** So many connections may be closed now. */
  grant(count: number): void;
}

/**
 * A close this much later than its leave is counted a second time, at its own moment: a busy worker would else carry it into a second
 * that has its full number already. A fraction of the slack that {@link Pace} keeps beyond a second, and more than a turn takes.
 */
const LATE_MS = 25;
/** Leave that has not been used by then is counted again, and again, until it is: its close may still come at any moment. */
const COUNT_AGAIN_MS = 500;

type Grant = { at: number; readonly count: number };

export class Dealer {
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #asking = new Map<Asker, number>(); // how many connections each has left
  readonly #granted = new Map<Asker, Grant>(); // leave that is not used yet
  #cancel: Cancel | undefined;

  /** @throws GroupcastError `bad_option`: a rate that is not above 0. */
  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#pace = new Pace(clock, perSecond);
  }

  /** `asker` wants to close some of `left`. It asks again when it has used its leave. */
  ask(asker: Asker, left: number): void {
    this.#asking.set(asker, left);
    this.#deal();
  }

  /** `asker` has closed those that it had leave for. */
  used(asker: Asker): void {
    const grant = this.#granted.get(asker);
    if (grant === undefined) return;
    this.#granted.delete(asker);
    if (this.#clock.now() - grant.at > LATE_MS) this.#count(grant);
  }

  /** `asker` is gone: nothing of it is waited for. */
  gone(asker: Asker): void {
    this.#asking.delete(asker);
    this.#granted.delete(asker);
  }

  #deal(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#countAgain();
    const counts = new Map<Asker, number>();
    for (let asker = this.#next(); asker !== undefined; asker = this.#next()) {
      const waitMs = this.#pace.waitMs();
      if (waitMs > 0) {
        this.#cancel = this.#clock.after(waitMs, () => this.#deal());
        break;
      }
      this.#pace.takeNow();
      this.#asking.set(asker, (this.#asking.get(asker) ?? 0) - 1);
      counts.set(asker, (counts.get(asker) ?? 0) + 1);
    }
    // At high rates one message brings leave for several: as many as have come due since the last.
    for (const [asker, count] of counts) {
      this.#asking.delete(asker);
      this.#granted.set(asker, { at: this.#clock.now(), count });
      asker.grant(count);
    }
  }

  // Who has most left goes first, so that all end at about the same time.
  #next(): Asker | undefined {
    let next: Asker | undefined;
    let most = 0;
    for (const [asker, left] of this.#asking) {
      if (left <= most) continue;
      next = asker;
      most = left;
    }
    return next;
  }

  #countAgain(): void {
    const now = this.#clock.now();
    for (const grant of this.#granted.values()) {
      if (now - grant.at < COUNT_AGAIN_MS) continue;
      grant.at = now;
      this.#count(grant);
    }
  }

  #count({ count }: Grant): void {
    for (let counted = 0; counted < count; counted++) this.#pace.takeNow();
  }
}
