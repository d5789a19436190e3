// The straight way: what is published goes to those who hear, in an order for each publisher, and NATS keeps nothing.
import type { Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet, within } from "../base/promises.ts";
import type { Turn } from "../base/turn.ts";
import type { Receipt } from "../channel/adapter.ts";
import type { Link } from "./link.ts";
import { ACCEPTED, ANSWER_WITHIN_MS, type Hearing, type Road, type RoadHost, Unconfirmed } from "./road.ts";
import type { Subjects } from "./subjects.ts";
import { toTrouble } from "./trouble.ts";

/** What was published in one go and is confirmed by one answer. */
type Batch = { bytes: number; readonly subjects: string[]; readonly accepted: Deferred<Receipt> };

export interface CoreRoadOptions {
  readonly link: Link;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly turn: Turn;
}

export class CoreRoad implements Road {
  readonly #options: CoreRoadOptions;
  readonly #host: RoadHost;
  readonly #unconfirmed: Unconfirmed;
  /** Not confirmed, oldest first. */
  readonly #batches = new Set<Batch>();
  /** What gathers in the code that runs now. */
  #gathering: Batch | undefined;

  constructor(options: CoreRoadOptions, host: RoadHost) {
    this.#options = options;
    this.#host = host;
    this.#unconfirmed = new Unconfirmed(options.turn);
  }

  get isFull(): boolean {
    return this.#unconfirmed.isFull;
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  hear(topic: string): Hearing {
    return {
      take: (error, message) => {
        if (error !== null) return; // that it is not allowed is told otherwise
        if (message.headers === undefined) this.#host.deliver(topic, message.data);
        else this.#host.failed(foreign(message.subject));
      },
      begin: () => true,
      end: () => {},
    };
  }

  async mark(): Promise<number> {
    const { link, clock } = this.#options;
    const late = (): Error => new GroupcastError("unavailable", `NATS has not answered for ${ANSWER_WITHIN_MS / 1000} s`);
    try {
      await within(clock, ANSWER_WITHIN_MS, link.connection.flush(), late);
      return 0;
    } catch (thrown) {
      const trouble = toTrouble(thrown, `the link to NATS at ${link.place}`);
      this.#host.broken(trouble);
      throw trouble;
    }
  }

  publish(topic: string, bytes: Uint8Array): Promise<Receipt> {
    const { link, subjects } = this.#options;
    const subject = subjects.live(topic);
    link.connection.publish(subject, bytes);
    const batch = (this.#gathering ??= this.#begin());
    batch.bytes += bytes.length;
    batch.subjects.push(subject);
    this.#unconfirmed.sent(bytes.length);
    return batch.accepted.promise;
  }

  denied(subject: string, error: GroupcastError): void {
    for (const batch of this.#batches) if (batch.subjects.includes(subject)) batch.accepted.reject(error);
  }

  end(reason: GroupcastError): void {
    const published = reason.code === "closed" ? reason : new GroupcastError("unknown_outcome", undefined, { cause: reason });
    for (const { accepted } of this.#batches) accepted.reject(published);
    this.#batches.clear();
  }

  #begin(): Batch {
    const batch: Batch = { bytes: 0, subjects: [], accepted: deferred<Receipt>() };
    this.#batches.add(batch);
    queueMicrotask(() => {
      this.#gathering = undefined;
      void quiet(this.#confirm(batch));
    });
    return batch;
  }

  async #confirm(batch: Batch): Promise<void> {
    await this.mark();
    // What NATS had to say against it came before its answer, and is told within the turn.
    this.#options.clock.turnEnd(() => {
      if (!this.#batches.delete(batch)) return;
      this.#unconfirmed.confirmed(batch.bytes);
      batch.accepted.resolve(ACCEPTED);
    });
  }
}

function foreign(subject: string): GroupcastError {
  const text = `a message on ${subject} comes from a stream, and is left out: who publishes there lacks { core: true }, or is not groupcast`;
  return new GroupcastError("internal", text);
}
