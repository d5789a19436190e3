// One place in the plan: sees to it that one process lives there, until it is retired. Must not know what the process does.
import type { ChildProcess } from "node:child_process";
import type { Cancel, Clock } from "../base/clock.ts";
import { asError } from "../base/errors.ts";
import { deferred } from "../base/promises.ts";
import type { Random } from "../base/random.ts";
import { Backoff } from "./backoff.ts";
import { type Failure, type Listening, type Order, order, readReport, type Report } from "./messages.ts";

/** A process that has not said by then that it takes connections is ended: whatever it waits for is not coming. */
const START_WITHIN_MS = 60_000;

/** What a place tells the primary. */
export interface PlaceEvents {
  /** Its process takes connections. */
  up(place: Place, at: Listening): void;
  /** Its process says why it cannot; it ends by itself. */
  failed(place: Place, failure: Failure): void;
  /** Its process has ended although it was wanted; the next starts in `againInMs`. */
  lost(place: Place, how: string, againInMs: number): void;
  /** Its process says something else. */
  said(place: Place, report: Report): void;
  /** Its process has ended, wanted or not. */
  ended(place: Place): void;
}

export interface PlaceOptions {
  /** For logs: `worker 3`. */
  readonly name: string;
  readonly fork: () => ChildProcess | Promise<ChildProcess>;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: PlaceEvents;
}

export class Place {
  readonly name: string;
  readonly #options: PlaceOptions;
  readonly #backoff: Backoff;
  readonly #firstUp = deferred<Listening>();
  readonly #gone = deferred();
  #child: ChildProcess | undefined;
  #forking = false;
  #hears = false;
  #isUp = false;
  #farewell: Order | undefined; // it is retired, and this is what its process is told
  #cancel: Cancel | undefined; // of the next start, or of the time that this one may take

  constructor(options: PlaceOptions) {
    this.name = options.name;
    this.#options = options;
    this.#backoff = new Backoff(options.random);
  }

  /** Resolves when its first process takes connections. */
  get firstUp(): Promise<Listening> {
    return this.#firstUp.promise;
  }

  /** Ends in a row of processes that did not live for long. */
  get failures(): number {
    return this.#backoff.failures;
  }

  /** Starts its process. Done when it is forked, not when it is up. */
  async start(): Promise<void> {
    if (this.#farewell !== undefined || this.#forking || this.#child !== undefined) return;
    this.#forking = true;
    const child = await this.#fork();
    this.#forking = false;
    if (child instanceof Error) this.#ended(undefined, child.message, this.#options.clock.now());
    else this.#watch(child);
  }

  /** Tells its process, if there is one. */
  tell(content: Order): void {
    if (this.#child !== undefined) order(this.#child, content);
  }

  /** Its process is told, and none follows it; may be called again with another order. Resolves when it has ended. */
  retire(content: Order): Promise<void> {
    this.#farewell = content;
    if (this.#child !== undefined && this.#hears) this.tell(content);
    else if (this.#child !== undefined) {
      this.#child.kill("SIGTERM"); // it is still loading, and has nobody to say goodbye to
    } else {
      this.#cancel?.();
      if (!this.#forking) this.#gone.resolve();
    }
    return this.#gone.promise;
  }

  /** Ends its process without a word. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  // No processes or no memory left: later there may be.
  async #fork(): Promise<ChildProcess | Error> {
    try {
      return await this.#options.fork();
    } catch (thrown) {
      return asError(thrown);
    }
  }

  #watch(child: ChildProcess): void {
    const { clock, events } = this.#options;
    const bornAt = clock.now();
    this.#child = child;
    this.#hears = false;
    this.#isUp = false;
    this.#cancel = clock.after(START_WITHIN_MS, () => this.kill());
    // A process that cannot be made at all has an `error` and no `exit`; other errors are words that came too late.
    child.on("error", (error) => {
      if (child.pid === undefined) this.#ended(child, String(error), bornAt);
    });
    child.once("exit", (code, signal) => this.#ended(child, signal === null ? `exit code ${code}` : signal, bornAt));
    child.on("message", (message) => {
      const report = readReport(message);
      if (report === undefined || this.#child !== child) return;
      if (report.did === "hear") this.#heard();
      else if (report.did === "listen") this.#up(report);
      else if (report.did === "fail") events.failed(this, report);
      else events.said(this, report);
    });
  }

  #heard(): void {
    this.#hears = true;
    if (this.#farewell !== undefined) this.tell(this.#farewell);
  }

  #up(at: Listening): void {
    if (this.#isUp) return;
    this.#isUp = true;
    this.#cancel?.();
    this.#firstUp.resolve(at);
    this.#options.events.up(this, at);
  }

  #ended(child: ChildProcess | undefined, how: string, bornAt: number): void {
    if (this.#child !== child) return;
    const { clock, events } = this.#options;
    this.#child = undefined;
    this.#isUp = false;
    this.#cancel?.();
    events.ended(this);
    if (this.#farewell !== undefined) return this.#gone.resolve();
    const againInMs = this.#backoff.ended(clock.now() - bornAt);
    this.#cancel = clock.after(againInMs, () => void this.start());
    events.lost(this, how, againInMs);
  }
}
