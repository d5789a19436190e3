// What JetStream has been sent and has not answered: matches answers to questions, and notices when none come. Must not know who hears.
import type { Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred } from "../base/promises.ts";
import type { Receipt } from "../channel/adapter.ts";
import type { NatsConnectionLike, NatsMessage, NatsSubscription } from "./client.ts";
import { ACCEPTED, Deadline, type Unconfirmed } from "./road.ts";
import { toTrouble } from "./trouble.ts";

/** The code of an answer that means: the stream takes no messages of this size. */
const TOO_LARGE = 10054;
/** The status of an answer that means: no stream is there to take it. */
const NOBODY = 503;
const NOBODY_TEXT = "no JetStream stream takes what is published; nothing was sent";

/** The first letter that tells an answer that says yes, `{"stream":"…", "seq":7}`, from one that says no, `{"error":…`. */
const [YES_AT, YES] = [2, "s".charCodeAt(0)];
const [ZERO, NINE] = [48, 57];
/** So many digits are a safe integer in any case. */
const DIGITS_MAX = 15;

const EMPTY = new Uint8Array(0);
const fromUtf8 = new TextDecoder();

type Publish = { readonly subject: string; readonly bytes: number; readonly sentMs: number; readonly accepted: Deferred<Receipt> };
type Question = { readonly subject: string; readonly sentMs: number; readonly answered: Deferred<number> };

/** Whom answers are told to. */
export interface AnswersHost {
  /** The stream has something, in this place. */
  stored(sequence: number): void;
  /** The link is of no more use. */
  broken(reason: GroupcastError): void;
}

export class Answers {
  readonly #connection: NatsConnectionLike;
  readonly #clock: Clock;
  readonly #unconfirmed: Unconfirmed;
  readonly #host: AnswersHost;
  /** Where they come, up to the number of the question. */
  readonly #inbox: string;
  readonly #subscription: NatsSubscription;
  // By number, oldest first.
  readonly #publishes = new Map<number, Publish>();
  readonly #questions = new Map<number, Question>();
  #last = 0;
  readonly #deadline: Deadline;
  #end: GroupcastError | undefined;

  constructor(connection: NatsConnectionLike, inbox: string, clock: Clock, unconfirmed: Unconfirmed, host: AnswersHost) {
    this.#connection = connection;
    this.#inbox = inbox;
    this.#clock = clock;
    this.#unconfirmed = unconfirmed;
    this.#host = host;
    const broken = (reason: GroupcastError): void => host.broken(reason);
    this.#deadline = new Deadline(clock, () => this.#oldestMs(), broken);
    this.#subscription = connection.subscribe(`${inbox}*`, {
      callback: (error, message) => (error === null ? this.#take(message) : broken(toTrouble(error, "NATS sends no answers"))),
    });
  }

  /** Resolves when the stream has it. Rejects with `unavailable` or `too_large`: it has it not; else as {@link end} says. */
  publish(subject: string, data: Uint8Array): Promise<Receipt> {
    const sentMs = this.#clock.now();
    const accepted = deferred<Receipt>();
    this.#publishes.set(this.#send(subject, data), { subject, bytes: data.length, sentMs, accepted });
    this.#unconfirmed.sent(data.length);
    return accepted.promise;
  }

  /** Puts an empty message into the stream. Resolves with its sequence. */
  ask(subject: string): Promise<number> {
    const sentMs = this.#clock.now();
    const answered = deferred<number>();
    this.#questions.set(this.#send(subject, EMPTY), { subject, sentMs, answered });
    return answered.promise;
  }

  /** NATS does not take anything on this subject from us. */
  denied(subject: string, error: GroupcastError): void {
    for (const [number, publish] of this.#publishes) if (publish.subject === subject) this.#refuse(number, publish, error);
    for (const { subject: asked, answered } of this.#questions.values()) if (asked === subject) answered.reject(error);
  }

  /** Nothing more comes. Publishes are rejected with `published`, questions with `asked`. */
  end(published: GroupcastError, asked: GroupcastError): void {
    this.#end = asked;
    this.#deadline.end();
    this.#subscription.unsubscribe();
    for (const [number, publish] of this.#publishes) this.#refuse(number, publish, published);
    for (const { answered } of this.#questions.values()) answered.reject(asked);
    this.#questions.clear();
  }

  #oldestMs(): number | undefined {
    const [publish] = this.#publishes.values();
    const [question] = this.#questions.values();
    if (publish === undefined || question === undefined) return (publish ?? question)?.sentMs;
    return Math.min(publish.sentMs, question.sentMs);
  }

  #send(subject: string, data: Uint8Array): number {
    if (this.#end !== undefined) throw this.#end;
    const number = ++this.#last;
    this.#connection.publish(subject, data, { reply: this.#inbox + String(number) });
    this.#deadline.asked();
    return number;
  }

  #take(message: NatsMessage): void {
    const number = Number(message.subject.slice(this.#inbox.length));
    const publish = this.#publishes.get(number);
    const { data } = message;
    if (publish === undefined) this.#takeAnswer(number, message, data);
    else if (data[YES_AT] !== YES) this.#refuse(number, publish, readRefusal(message, data));
    else {
      this.#publishes.delete(number);
      this.#unconfirmed.confirmed(publish.bytes);
      this.#host.stored(readSequence(data));
      publish.accepted.resolve(ACCEPTED);
    }
    // Last: it ends what else waits, of which the outcome is unknown.
    if (isFromNobody(message, data)) this.#host.broken(new GroupcastError("unavailable", NOBODY_TEXT));
  }

  #takeAnswer(number: number, message: NatsMessage, data: Uint8Array): void {
    const question = this.#questions.get(number);
    if (question === undefined) return;
    this.#questions.delete(number);
    const sequence = data[YES_AT] === YES ? readSequence(data) : 0;
    if (sequence === 0) question.answered.reject(readRefusal(message, data));
    else question.answered.resolve(sequence);
  }

  #refuse(number: number, { bytes, accepted }: Publish, error: GroupcastError): void {
    this.#publishes.delete(number);
    this.#unconfirmed.confirmed(bytes);
    accepted.reject(error);
  }
}

/** True: the server says that nobody takes what was published. */
function isFromNobody(message: NatsMessage, data: Uint8Array): boolean {
  return data.length === 0 && message.headers?.code === NOBODY;
}

function readRefusal(message: NatsMessage, data: Uint8Array): GroupcastError {
  if (isFromNobody(message, data)) return new GroupcastError("unavailable", NOBODY_TEXT);
  const { code, text } = readError(data);
  return new GroupcastError(code === TOO_LARGE ? "too_large" : "unavailable", `JetStream: ${text}; nothing was sent`);
}

/** The number in front of the last brace; 0: there is none. */
function readSequence(data: Uint8Array): number {
  let number = 0;
  let unit = 1;
  for (let at = data.length - 2; data.length - at <= DIGITS_MAX + 1; at--) {
    const digit = data[at] ?? 0;
    if (digit < ZERO || digit > NINE) break;
    number += (digit - ZERO) * unit;
    unit *= 10;
  }
  return number;
}

function readError(data: Uint8Array): { readonly code: unknown; readonly text: string } {
  const { error } = readJson(data);
  const { err_code: code, description } = toObject(error);
  return { code, text: typeof description === "string" ? description : "an answer that cannot be read" };
}

function readJson(data: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return toObject(JSON.parse(fromUtf8.decode(data)));
  } catch {
    return {};
  }
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
