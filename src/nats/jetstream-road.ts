// The way through a stream: JetStream keeps what is published and publishes it again to those who hear, and they put it into the stream's order.
import type { Cancel, Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import { quiet } from "../base/promises.ts";
import type { Random } from "../base/random.ts";
import type { Turn } from "../base/turn.ts";
import type { Receipt } from "../channel/adapter.ts";
import { Answers } from "./answers.ts";
import type { Link } from "./link.ts";
import { Line, Order } from "./order.ts";
import { PlaceReader } from "./place.ts";
import { type Hearing, type Road, type RoadHost, Unconfirmed } from "./road.ts";
import { Stream, type StreamSettings } from "./stream.ts";
import type { Subjects } from "./subjects.ts";
import { toTrouble } from "./trouble.ts";

/** Messages that come too late make us look whether the stream is still the same, at most this often, ms. */
const LOOK_EVERY_MS = 1_000;
/** Characters of a link's name in its subject, 4 random bits each. */
const NAME_LENGTH = 16;

export interface JetStreamRoadOptions {
  readonly link: Link;
  readonly subjects: Subjects;
  readonly settings: StreamSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly turn: Turn;
}

export class JetStreamRoad implements Road {
  readonly #options: JetStreamRoadOptions;
  readonly #host: RoadHost;
  readonly #answers: Answers;
  readonly #order: Order;
  readonly #places = new PlaceReader();
  readonly #unconfirmed: Unconfirmed;
  #stream: Stream | undefined;
  /** The highest sequence of what this process has published. */
  #newestStored = 0;
  #cancelLook: Cancel | undefined;

  constructor(options: JetStreamRoadOptions, host: RoadHost) {
    const { link, subjects, clock, random, turn } = options;
    this.#options = options;
    this.#host = host;
    this.#unconfirmed = new Unconfirmed(turn);
    const inbox = subjects.answers(random.id().slice(0, NAME_LENGTH));
    this.#answers = new Answers(link.connection, inbox, clock, this.#unconfirmed, {
      stored: (sequence) => this.#stored(sequence),
      broken: (reason) => host.broken(reason),
    });
    this.#order = new Order(clock, {
      deliver: (topic, data) => host.deliver(topic, data),
      fetch: (topic, sequence) => this.#fetch(topic, sequence),
      lost: (topic) => host.failed(new GroupcastError("internal", `messages on ${subjects.live(topic)} are lost: NATS has not sent them`)),
      stale: () => this.#look(),
    });
  }

  get isFull(): boolean {
    return this.#unconfirmed.isFull;
  }

  async open(): Promise<void> {
    const { link, subjects, settings } = this.#options;
    this.#stream = await Stream.open(link.connection, subjects, settings);
  }

  hear(topic: string): Hearing {
    const line = new Line(topic);
    const order = this.#order;
    const places = this.#places;
    return {
      take: (error, message) => {
        if (error !== null) return; // that it is not allowed is told otherwise
        const { data } = message;
        if (places.read(message, data)) order.take(line, places.sequence, places.previous, data);
        else this.#host.failed(foreign(message.subject));
      },
      begin: (mark) => order.begin(line, mark),
      end: () => order.close(line),
    };
  }

  async mark(): Promise<number> {
    const { marker, stream } = this.#options.subjects;
    const newest = Math.max(this.#order.newest, this.#newestStored); // newer ones may come before the answer
    try {
      const sequence = await this.#answers.ask(marker);
      if (sequence > newest) return sequence;
      // Everything that comes from now on would be taken for old.
      throw new GroupcastError("unavailable", `the JetStream stream ${stream} has begun anew`);
    } catch (thrown) {
      const said = toTrouble(thrown, `the JetStream stream ${stream}`);
      // A link on which nothing may be published is no link.
      const trouble = said.code === "forbidden" ? new GroupcastError("unauthorized", said.message, { cause: said }) : said;
      this.#host.broken(trouble);
      throw trouble;
    }
  }

  publish(topic: string, bytes: Uint8Array): Promise<Receipt> {
    return this.#answers.publish(this.#options.subjects.stored(topic), bytes);
  }

  denied(subject: string, error: GroupcastError): void {
    this.#answers.denied(subject, error);
  }

  end(reason: GroupcastError): void {
    this.#cancelLook?.();
    this.#order.end();
    const published = reason.code === "closed" ? reason : new GroupcastError("unknown_outcome", undefined, { cause: reason });
    this.#answers.end(published, reason);
  }

  #fetch(topic: string, sequence: number): Promise<{ readonly sequence: number; readonly data: Uint8Array } | undefined> {
    return this.#stream?.next(this.#options.subjects.stored(topic), sequence) ?? Promise.resolve(undefined);
  }

  #stored(sequence: number): void {
    if (sequence > this.#newestStored) this.#newestStored = sequence;
    else this.#look();
  }

  /** Something has come that should have come before. */
  #look(): void {
    if (this.#cancelLook !== undefined) return;
    this.#cancelLook = this.#options.clock.after(LOOK_EVERY_MS, () => (this.#cancelLook = undefined));
    void quiet(this.mark());
  }
}

function foreign(subject: string): GroupcastError {
  const text = `a message on ${subject} is not from the stream, and is left out: who publishes there has { core: true }, or is not groupcast`;
  return new GroupcastError("internal", text);
}
