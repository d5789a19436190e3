// One connection that is watched: it answers in time, or it ends; and it ends once. Must not know what it is for.
import type { Cancel, Clock } from "../base/clock.ts";
import { type Deferred, deferred } from "../base/promises.ts";
import { CONNECT_WITHIN_MS, type Wire, type WireEvents } from "./wire.ts";

/** A link is pinged this often, ms; ... */
export const PING_EVERY_MS = 1_000;
/** ... and is taken for dead after this many pings of its own without anything from the server: within 4 s. */
const SILENT_PINGS_MAX = 3;

export interface LinkEvents {
  message(name: Buffer, bytes: Buffer): void;
  /** Told once. */
  ended(reason: unknown): void;
}

export class Link {
  readonly #wire: Wire;
  readonly #events: LinkEvents;
  readonly #ready: Deferred<void> = deferred();
  readonly #cancelDeadline: Cancel;
  #silentPings = 0;
  #isReady = false;
  #hasEnded = false;

  constructor(dial: (events: WireEvents) => Wire, clock: Clock, events: LinkEvents) {
    this.#events = events;
    this.#wire = dial({
      ready: () => this.#begin(),
      message: (name, bytes) => {
        this.#silentPings = 0;
        if (!this.#hasEnded) events.message(name, bytes);
      },
      ended: (reason) => this.cut(reason),
    });
    this.#cancelDeadline = clock.after(CONNECT_WITHIN_MS, () => this.cut(new Error(`no answer within ${CONNECT_WITHIN_MS / 1000} s`)));
  }

  /** Resolves when it can be used. Rejects with the reason for its end. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves when nothing of its socket is left, after its end. */
  get gone(): Promise<void> {
    return this.#wire.gone;
  }

  // As on the wire. Every answer is a sign of life: a ping may have much before it, and so may be answered late.

  publish(name: string, bytes: Buffer): Promise<unknown> {
    return this.#wire.publish(name, bytes);
  }

  subscribe(names: readonly string[]): Promise<unknown> {
    return this.#wire.subscribe(names).then(this.isAlive);
  }

  unsubscribe(names: readonly string[]): Promise<unknown> {
    return this.#wire.unsubscribe(names).then(this.isAlive);
  }

  ask(...words: readonly string[]): Promise<unknown> {
    return this.#wire.ask(...words);
  }

  /** Called every {@link PING_EVERY_MS}. Counts own pings, not time: a process that was stopped for a while cuts nobody for that. */
  tick(): void {
    if (!this.#isReady) return;
    if (this.#silentPings++ >= SILENT_PINGS_MAX) return this.cut(new Error(`nothing was heard from it for ${SILENT_PINGS_MAX} s`));
    // A refusal is a sign of life, too.
    this.#wire.ask("PING").then(this.isAlive, this.isAlive);
  }

  /** Ends it at once; what is under way on it rejects. */
  cut(reason: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#isReady = false;
    this.#cancelDeadline();
    this.#ready.reject(reason);
    this.#events.ended(reason);
    this.#wire.destroy();
  }

  /** Ends it without a word to anybody: nothing is under way on it. */
  retire(): void {
    this.#hasEnded = true;
    this.#isReady = false;
    this.#wire.destroy();
  }

  #begin(): void {
    if (this.#hasEnded) return;
    this.#cancelDeadline();
    this.#isReady = true;
    this.#ready.resolve();
  }

  /** It has answered something. To be told of {@link publish} by whoever waits for its answer: there are too many for a promise more. */
  readonly isAlive = (): void => {
    this.#silentPings = 0;
  };
}
