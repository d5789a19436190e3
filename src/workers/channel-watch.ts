// What a worker process does about the channel of its manager: says in the log when it goes and comes, and does not start with one that is
// set up wrong. Must not know what the channel is made of.
import { type Clock, systemClock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { deferred, within } from "../base/promises.ts";
import { maskUrl } from "../channel/broker-url.ts";
import type { GroupManager } from "../server/group-manager.ts";
import { CannotStart } from "./cannot-start.ts";

/**
 * A start waits so long for a channel that says nothing, ms; then it goes on without. Those of ours find out within 3 s; before that their
 * client has to be loaded, which takes seconds on a machine that is busy starting many processes.
 */
const WORD_WITHIN_MS = 15_000;
/** A start waits so long for a broker that is not there, ms: it may be starting at the same moment. */
const BROKER_WITHIN_MS = 2_000;

export class ChannelWatch {
  readonly #groups: GroupManager;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #given: string;
  readonly #word = deferred();
  readonly #refusal = deferred<never>();
  #isStarting = true;

  /** `channel`: as it was given, as far as it was a text. To be made together with the manager: what it was told before is lost. */
  constructor(groups: GroupManager, channel: unknown, logger: Logger, clock: Clock = systemClock) {
    this.#groups = groups;
    this.#clock = clock;
    this.#logger = logger;
    this.#given = typeof channel === "string" ? ` ${maskUrl(channel)}` : "";
    groups.on("degraded", ({ reason }) => this.#down(reason));
    groups.on("restored", ({ downMs }) => logger.warn({ downMs: Math.round(downMs) }, `the channel${this.#given} is up`));
  }

  /**
   * Resolves when the channel works, or it is known that it does not yet: later it may. After 2 s if its broker is not there, 15 s if
   * nothing is known.
   *
   * Rejects with {@link CannotStart}: it will not work until somebody changes a setting.
   */
  async firstWord(): Promise<void> {
    const up = this.#groups.$up;
    if (up !== undefined) {
      const isTold = await this.#within(WORD_WITHIN_MS, Promise.race([up, this.#word.promise]));
      if (isTold) await this.#within(BROKER_WITHIN_MS, up);
      else {
        const seconds = WORD_WITHIN_MS / 1_000;
        this.#logger.warn({}, `the channel${this.#given} has not answered within ${seconds} s: going on without it until it does`);
      }
    }
    this.#isStarting = false;
  }

  /** False: it was not settled in time. Rejects as {@link firstWord}. */
  #within(ms: number, promise: Promise<void>): Promise<boolean> {
    const late = new Error("late");
    return within(this.#clock, ms, Promise.race([promise, this.#refusal.promise]), () => late).then(
      () => true,
      (thrown: unknown) => {
        if (thrown !== late) throw thrown;
        return false;
      },
    );
  }

  #down(reason: Error): void {
    if (this.#isStarting && isForGood(reason)) {
      const text = `the channel${this.#given} cannot be used: ${reason.message}`;
      return this.#refusal.reject(new CannotStart({ kind: "setting", text, port: 0 }, { cause: reason }));
    }
    this.#logger.warn({ code: codeOf(reason) }, `the channel${this.#given} is down: ${reason.message}`);
    this.#word.resolve();
  }
}

function isForGood(reason: Error): boolean {
  return reason instanceof GroupcastError && !reason.retry;
}

// Not the error itself: where in our code an outage was noticed is of no use to anybody, and what lies beneath may hold a secret.
function codeOf(reason: Error): string | undefined {
  return reason instanceof GroupcastError ? reason.code : undefined;
}
