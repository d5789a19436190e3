// One connection to NATS from where it works to where it does not, whoever made it. Must not know what it is used for.
import type { Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet, within } from "../base/promises.ts";
import type { NatsConnectionLike, NatsStatus, PermissionViolation } from "./client.ts";
import { toTrouble } from "./trouble.ts";

/** A connection that works. */
export interface Link {
  readonly connection: NatsConnectionLike;
  /** Where it leads, for people. */
  readonly place: string;
  /** True: nobody else uses it, and {@link end} closes it. */
  readonly isOurs: boolean;
  /** Gives it up. Resolves when nothing of it is left, if it is ours. Never rejects. */
  end(): Promise<void>;
}

/** Whom a link tells. */
export interface LinkEvents {
  /** It works no more. Told once at most. */
  gone(reason: GroupcastError): void;
  /** NATS does not let us publish to a subject, or hear it. */
  denied(denial: Denial): void;
}

export interface Denial {
  readonly operation: "publish" | "subscription";
  readonly subject: string;
  readonly error: GroupcastError;
}

/** Where links come from, one after the other. */
export interface Source {
  /** The next. Rejects if it cannot be had at this moment, with `unauthorized` or `bad_option` if not before something is changed. */
  open(events: LinkEvents): Promise<Link>;
  /** No more are wanted: what is being opened rejects soon. */
  stop(): void;
}

/** A connection that a user made has this long to answer, ms, before it counts as not working. */
const ANSWER_WITHIN_MS = 5_000;

/** Hears what a connection says of itself, until `heard` returns false or it is closed. */
export async function hearStatus(connection: NatsConnectionLike, heard: (status: NatsStatus) => boolean): Promise<void> {
  for await (const status of connection.status()) if (!heard(status)) return;
}

/** What an `error` of a connection says, if it is that something is not allowed. */
export function denialOf(error: Error | undefined, place: string): Denial | undefined {
  if (error?.name !== "PermissionViolationError") return undefined;
  const { operation, subject } = error as PermissionViolation;
  return { operation, subject, error: new GroupcastError("forbidden", `NATS at ${place}: ${error.message}`, { cause: error }) };
}

/**
 * The links of a connection that a user made and keeps: it reconnects as its own options say, and each time that it has done so, that is a
 * link. It is never closed.
 */
export class GivenSource implements Source {
  readonly #connection: NatsConnectionLike;
  readonly #clock: Clock;
  #isWatched = false;
  #isStopped = false;
  #events: LinkEvents | undefined;
  /** Undefined: as far as is known it works. */
  #back: Deferred<void> | undefined;

  constructor(connection: NatsConnectionLike, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  async open(events: LinkEvents): Promise<Link> {
    const connection = this.#connection;
    if (connection.isClosed()) throw new GroupcastError("unavailable", "the NATS connection that was given is closed for good");
    this.#watch();
    await this.#back?.promise;
    const late = (): Error => new GroupcastError("unavailable", `NATS has not answered within ${ANSWER_WITHIN_MS / 1000} s`);
    await within(this.#clock, ANSWER_WITHIN_MS, connection.flush(), late);
    this.#events = events;
    return {
      connection,
      place: connection.getServer(),
      isOurs: false,
      end: () => {
        this.#events = undefined;
        return Promise.resolve();
      },
    };
  }

  stop(): void {
    this.#isStopped = true;
    this.#back?.reject(new GroupcastError("closed"));
  }

  #watch(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    void quiet(hearStatus(this.#connection, (status) => this.#hear(status)));
  }

  #hear(status: NatsStatus): boolean {
    if (this.#isStopped) return false;
    switch (status.type) {
      case "disconnect":
      case "staleConnection":
      case "forceReconnect":
      case "close":
        this.#back ??= deferred();
        if (status.type === "close") this.#back.reject(new GroupcastError("unavailable", "the NATS connection that was given was closed"));
        this.#events?.gone(new GroupcastError("unavailable", `the NATS connection that was given: ${status.type}`));
        this.#events = undefined;
        return true;
      case "reconnect":
        this.#back?.resolve();
        this.#back = undefined;
        return true;
      case "error": {
        const denial = denialOf(status.error, this.#connection.getServer());
        if (denial !== undefined) this.#events?.denied(denial);
        return true;
      }
      default:
        return true;
    }
  }
}

/** A link on a connection of ours, which does not reconnect by itself: another one is made instead. */
export function ownLink(connection: NatsConnectionLike, place: string, events: LinkEvents): Link {
  let isGone = false;
  let last: Error | undefined;
  const gone = (why: unknown): void => {
    if (isGone) return;
    isGone = true;
    events.gone(toTrouble(why, `the link to NATS at ${place}`));
    // What waits to be written would otherwise keep a server that reads nothing connected, and us with it.
    void quiet(connection.close());
  };
  const heard = (status: NatsStatus): boolean => {
    if (status.type === "disconnect") gone(last ?? new Error("the other side closed it"));
    if (status.type === "staleConnection") gone(new Error("nothing was heard from it for several seconds"));
    if (status.type !== "error") return true;
    const denial = denialOf(status.error, place);
    if (denial === undefined) last = status.error;
    else if (!isGone) events.denied(denial);
    return true;
  };
  void quiet(hearStatus(connection, heard));
  void connection.closed().then((why) => gone(why ?? last ?? new Error("it was closed")));
  return {
    connection,
    place,
    isOurs: true,
    async end() {
      isGone = true;
      await quiet(connection.close()).catch(() => {});
    },
  };
}
