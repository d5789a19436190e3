// What a worker process does about the channel of its manager: says in the log when it goes and comes, and does not start with one that is
// set up wrong. Must not know what the channel is made of.
import { type Clock, systemClock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { deferred, within } from "../base/promises.ts";
import { maskUrl } from "../channel/broker-url.ts";
import type { GroupManager } from "../server/group-manager.ts";
import { CannotStart } from "./cannot-start.ts";

/** A start waits so long for a broker that does not even refuse, ms; then it goes on without. */
const WORD_WITHIN_MS = 5_000;

export class ChannelWatch {
  readonly #groups: GroupManager;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #given: string;
  readonly #down = deferred();
  #isStarting = true;

  /** `channel`: as it was given, as far as it was a text. To be made together with the manager: what it was told before is lost. */
  constructor(groups: GroupManager, channel: unknown, logger: Logger, clock: Clock = systemClock) {
    this.#groups = groups;
    this.#clock = clock;
    this.#logger = logger;
    this.#given = typeof channel === "string" ? ` ${maskUrl(channel)}` : "";
    groups.on("degraded", ({ reason }) => {
      if (this.#isStarting && isForGood(reason)) return this.#down.reject(this.#refusal(reason));
      logger.warn({ code: codeOf(reason) }, `the channel${this.#given} is down: ${reason.message}`);
      this.#down.resolve();
    });
    groups.on("restored", ({ downMs }) => logger.warn({ downMs: Math.round(downMs) }, `the channel${this.#given} is up`));
  }

  /**
   * Resolves when the channel works, or it is known that it does not yet: later it may. After 5 s at the most.
   *
   * Rejects with {@link CannotStart}: it will not work until somebody changes a setting.
   */
  async firstWord(): Promise<void> {
    const up = this.#groups.$up;
    const silent = new Error("silent");
    try {
      if (up !== undefined) await within(this.#clock, WORD_WITHIN_MS, Promise.race([up, this.#down.promise]), () => silent);
    } catch (thrown) {
      if (thrown !== silent) throw thrown;
      this.#logger.warn(
        {},
        `the channel${this.#given} has not answered within ${WORD_WITHIN_MS / 1_000} s: going on without it until it does`,
      );
    } finally {
      this.#isStarting = false;
    }
  }

  #refusal(reason: Error): CannotStart {
    return new CannotStart(
      { kind: "setting", text: `the channel${this.#given} cannot be used: ${reason.message}`, port: 0 },
      { cause: reason },
    );
  }
}

function isForGood(reason: Error): boolean {
  return reason instanceof GroupcastError && !reason.retry;
}

// Not the error itself: where in our code an outage was noticed is of no use to anybody, and what lies beneath may hold a secret.
function codeOf(reason: Error): string | undefined {
  return reason instanceof GroupcastError ? reason.code : undefined;
}
