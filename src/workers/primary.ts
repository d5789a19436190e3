// Supervises the processes of one server: starts hubs before workers, replaces who ends, stops all of them in order. It is the only
// process that obeys signals. Must not know what hubs and workers do.
import type { ChildProcess } from "node:child_process";
import { type Clock, systemClock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { deferred, within } from "../base/promises.ts";
import { systemRandom } from "../base/random.ts";
import { type Asker, Dealer } from "./dealer.ts";
import { EXIT } from "./exit-codes.ts";
import type { Failure, Listening, Report } from "./messages.ts";
import { Place } from "./place.ts";
import { StopSignals } from "./stop-signals.ts";
import { Undertaker } from "./undertaker.ts";

/** Processes that play the same part: one row of the start table. */
export interface Row {
  readonly name: string;
  readonly processes: number;
  /** Makes one more process of this part. */
  readonly fork: () => ChildProcess | Promise<ChildProcess>;
  /** A process could not listen because this port was taken; true: the next one tries another. Default: false. */
  readonly moved?: ((port: number) => boolean) | undefined;
}

/** A row whose processes are all up; `isLinked`: in every one of them. */
export interface StartedRow extends Omit<Listening, "node"> {
  readonly name: string;
  readonly processes: number;
}

export interface PrimaryOptions {
  readonly hubs: readonly Row[];
  readonly workers: readonly Row[];
  readonly drainPerSecond: number;
  readonly drainDeadlineMs: number;
  readonly drainDelayMs: number;
  readonly logger: Logger;
  /** Called once, when everything is up. */
  readonly started: (rows: readonly StartedRow[]) => void;
  readonly clock?: Clock | undefined;
}

/** How it ended: an exit code and, if it is not 0, one line that says why. */
export interface Ending {
  readonly code: number;
  readonly text: string;
}

/** Before everything is up, a process that ends so often in a row is broken, and so is the start. */
const START_TRIES = 5;
/** Beyond the deadline of a drain: 5 s for the last close frames, 5 s for what a user's callbacks have begun, and some air. */
const DRAIN_GRACE_MS = 12_000;
/** A hub has nobody to wait for. */
const HUB_STOPS_WITHIN_MS = 1_000;
/** In a hurry, children have this long: all are to be gone after 2 s. */
const HURRY_MS = 1_700;

const CODES: Readonly<Record<Failure["kind"], number>> = { taken: EXIT.unavailable, setting: EXIT.setting };
const DONE: Ending = Object.freeze({ code: EXIT.done, text: "" });

export class Primary {
  readonly #options: PrimaryOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #hubs: readonly Place[];
  readonly #workers: readonly Place[];
  readonly #rows = new Map<Place, Row>();
  readonly #dealer: Dealer;
  readonly #undertaker: Undertaker;
  readonly #askers = new Map<Place, Asker>();
  readonly #stopped = deferred<Ending>();
  #phase: "starting" | "running" | "stopping" = "starting";
  #hurried = false;

  /** @throws GroupcastError `bad_option`: a drain rate that is not above 0. */
  constructor(options: PrimaryOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger;
    this.#dealer = new Dealer(this.#clock, options.drainPerSecond);
    this.#undertaker = new Undertaker(this.#clock);
    this.#hubs = options.hubs.flatMap((row) => this.#placesOf(row));
    this.#workers = options.workers.flatMap((row) => this.#placesOf(row));
  }

  /** Starts everything and obeys signals. Resolves when all processes are gone. */
  async run(): Promise<Ending> {
    const deaf = this.#obeySignals();
    try {
      this.#start().catch(this.#stopped.reject);
      return await this.#stopped.promise;
    } finally {
      deaf();
    }
  }

  async #start(): Promise<void> {
    for (const group of [this.#hubs, this.#workers]) {
      for (const place of group) await place.start();
      await Promise.all(group.map((place) => place.firstUp));
    }
    if (this.#phase !== "starting") return;
    this.#phase = "running";
    const rows = new Map<Row, StartedRow>();
    for (const place of [...this.#hubs, ...this.#workers]) {
      const row = this.#rows.get(place);
      if (row === undefined) continue;
      const { listen, url, isLinked } = await place.firstUp;
      const { name, processes } = row;
      rows.set(row, { name, processes, listen, url, isLinked: isLinked !== false && rows.get(row)?.isLinked !== false });
    }
    this.#options.started([...rows.values()]);
  }

  #placesOf(row: Row): Place[] {
    return Array.from({ length: row.processes }, (_, index) => {
      const place: Place = new Place({
        name: row.processes === 1 ? row.name : `${row.name} ${index + 1}`,
        fork: row.fork,
        clock: this.#clock,
        random: systemRandom,
        events: {
          up: (_, at) => {
            this.#logger.debug({ process: place.name }, `${place.name} is up`);
            if (at.node !== undefined) this.#undertaker.came(place, at.node);
          },
          failed: (_, failure) => this.#failed(place, failure),
          lost: (_, how, againInMs) => this.#lost(place, how, againInMs),
          said: (_, report) => this.#said(place, report),
          ended: () => {
            this.#dealer.gone(this.#askerOf(place));
            this.#undertaker.ended(place);
          },
        },
      });
      this.#rows.set(place, row);
      return place;
    });
  }

  #failed(place: Place, { kind, text, port }: Failure): void {
    const moved = kind === "taken" && this.#phase === "starting" && this.#rows.get(place)?.moved?.(port) === true;
    if (moved) return;
    // Once it runs, an address that is taken may come free again: the place tries on, with back-off.
    if (this.#phase === "starting") this.#stop({ code: CODES[kind], text });
    else if (this.#phase === "running") this.#logger.error({ process: place.name }, `${place.name}: ${text}`);
  }

  #lost(place: Place, how: string, againInMs: number): void {
    const facts = { process: place.name, how, againInMs: Math.round(againInMs) };
    this.#logger.error(facts, `${place.name} ended (${how}); the next starts in ${Math.round(againInMs)} ms`);
    if (this.#phase === "starting" && place.failures >= START_TRIES) {
      this.#stop({ code: EXIT.failure, text: `${place.name} ended ${START_TRIES} times without coming up (${how})` });
    }
  }

  #said(place: Place, report: Report): void {
    const asker = this.#askerOf(place);
    if (report.did === "ask") this.#dealer.ask(asker, report.left);
    else if (report.did === "use") this.#dealer.used(asker);
  }

  #askerOf(place: Place): Asker {
    let asker = this.#askers.get(place);
    if (asker === undefined) this.#askers.set(place, (asker = { grant: (count) => place.tell({ do: "grant", count }) }));
    return asker;
  }

  #obeySignals(): () => void {
    const meanings = new StopSignals(this.#clock);
    const stop = (signal: NodeJS.Signals): void => {
      const meaning = meanings.heard(signal);
      if (meaning === "stop") this.#logger.info({ signal }, `${signal}: draining`);
      if (meaning === "stop") this.#stop(DONE);
      if (meaning === "hurry") this.#hurry();
    };
    // Left alone, both would end the process: a closed terminal sends one, and both will mean "reload".
    const reload = (signal: NodeJS.Signals): void => this.#logger.warn({ signal }, `${signal} is ignored: there is no reload yet`);
    const heard = { SIGINT: stop, SIGTERM: stop, SIGHUP: reload, SIGUSR2: reload } as const;
    for (const [signal, hear] of Object.entries(heard)) process.on(signal, hear);
    return () => {
      for (const [signal, hear] of Object.entries(heard)) process.off(signal, hear);
    };
  }

  #stop(ending: Ending): void {
    if (this.#phase === "stopping") return;
    // Who cannot start has nobody to drain slowly.
    const paced = ending.code === EXIT.done;
    this.#phase = "stopping";
    this.#stopAll(paced).then(
      (killed) =>
        this.#stopped.resolve(
          killed === 0 || !paced ? ending : { code: EXIT.failure, text: `processes that did not stop and were killed: ${killed}` },
        ),
      this.#stopped.reject,
    );
    if (!paced) this.#hurry();
  }

  /** Workers first, then hubs: who is not closed yet still gets what is sent. Resolves with how many did not go by themselves. */
  async #stopAll(paced: boolean): Promise<number> {
    const { drainDelayMs: delayMs, drainDeadlineMs: deadlineMs } = this.#options;
    const drained = { do: "drain", delayMs, deadlineMs } as const;
    return (
      (await this.#retire(this.#workers, paced ? drained : { do: "hurry" }, delayMs + deadlineMs + DRAIN_GRACE_MS)) +
      (await this.#retire(this.#hubs, { do: "hurry" }, HUB_STOPS_WITHIN_MS))
    );
  }

  async #retire(places: readonly Place[], content: Parameters<Place["retire"]>[0], withinMs: number): Promise<number> {
    const left = new Set(places);
    const gone = places.map((place) => place.retire(content).then(() => left.delete(place)));
    let killed = 0;
    await within(this.#clock, withinMs, Promise.all(gone), () => new Error("late")).catch(async () => {
      killed = left.size;
      for (const place of left) place.kill();
      await Promise.all(gone);
    });
    return killed;
  }

  #hurry(): void {
    if (this.#hurried) return;
    this.#hurried = true;
    for (const place of this.#workers) void place.retire({ do: "hurry" });
    this.#clock.after(HURRY_MS, () => {
      for (const place of [...this.#workers, ...this.#hubs]) {
        void place.retire({ do: "hurry" });
        place.kill();
      }
    });
  }
}
