// Words from node to node, over the topic of each node's replies: told, or asked and answered. Must not know what they mean.
import type { Clock } from "../base/clock.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import { WaitingLine } from "../base/waiting-line.ts";
import type { Receipt } from "../channel/adapter.ts";
import type { Channel } from "../channel/channel.ts";
import { encodeTopic } from "../channel/topics.ts";
import type { Message, MessageRecord } from "../wire/record.ts";
import { type Letter, readLetter, type Words, writeFailure, writeLetter } from "./letter.ts";

export type { Words } from "./letter.ts";

/** An answer has this long, ms: as long as a channel may be down before it is `unavailable`. */
export const ANSWER_WITHIN_MS = 5_000;
/** Questions that may be unanswered at a time. */
const ASKS_MAX = 10_000;
const GONE = "that process was gone before it answered";
const LATE = "that process has not answered in time";

export interface PostOptions {
  readonly channel: Channel;
  readonly clock: Clock;
  /** This process' id: nobody else has it. */
  readonly node: string;
  /** Told what a listener or an answer has thrown. */
  readonly failed: (error: Error) => void;
}

type Listener = (words: Words, from: string) => void;
type Answer = (words: Words, from: string, data: Uint8Array | undefined) => Words | Promise<Words>;
type Asked = { readonly node: string; readonly answer: Deferred<Words> };

/**
 * Words from node to node. Whatever one node says to another arrives in the order of the calls. What comes from outside and is no
 * letter is left out: whoever asked ends by its deadline.
 */
export class Post {
  readonly node: string;
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #failed: (error: Error) => void;
  readonly #line: WaitingLine;
  readonly #listeners = new Map<string, Listener>();
  readonly #answers = new Map<string, Answer>();
  readonly #asked = new Map<number, Asked>();
  #lastAsk = 0;
  #ready: Promise<void> | undefined;

  constructor({ channel, clock, node, failed }: PostOptions) {
    this.node = node;
    this.#channel = channel;
    this.#clock = clock;
    this.#failed = failed;
    // An answer that comes before it can be heard would be lost; and what the channel has not got yet was certainly not sent.
    this.#line = new WaitingLine(clock, () => this.#ready ?? channel.up);
  }

  /** Begins to hear its own topic; to be called once, when the channel is started. */
  start(): void {
    const { ready } = this.#channel.hear(topicOf(this.node), (record) => this.#receive(record));
    if (ready === undefined) return;
    this.#ready = ready;
    ready.then(
      () => (this.#ready = undefined),
      () => {}, // for good: whoever asks is told why
    );
  }

  /** Undefined: its own topic is heard. */
  get ready(): Promise<void> | undefined {
    return this.#ready;
  }

  /** Has `listener` told what others tell under `verb`. One for each verb; what it throws goes to `failed`. */
  hear(verb: string, listener: Listener): void {
    this.#listeners.set(verb, listener);
  }

  /**
   * Has `answer` answer what others ask under `verb`. One for each verb; called in the order of their asking. A GroupcastError that it
   * throws reaches the asker with its code, anything else as `internal`, and goes to `failed`. Data that came with the words is a
   * view, good until `answer` returns.
   */
  serve(verb: string, answer: Answer): void {
    this.#answers.set(verb, answer);
  }

  /**
   * Tells `node` something. Resolves when the channel has accepted it. Rejects with `unavailable`: nothing was sent, the channel has
   * been down for 5 s or too much waits; `unknown_outcome`; `too_large`; `closed`.
   */
  tell(node: string, verb: string, words: Words): Promise<void> {
    const { promise, resolve, reject } = deferred();
    try {
      this.#send(node, writeLetter({ from: this.node, verb, words }), resolve, reject);
    } catch (thrown) {
      reject(thrown);
    }
    return promise;
  }

  /**
   * Asks `node` something; resolves with its answer. `data` goes along as it is.
   *
   * Rejects with `unavailable`: nothing was sent, because the channel is down or nobody is there; `unknown_outcome`: no answer in time;
   * `limit`: 10,000 questions are unanswered; `too_large`; `closed`; or the code that the answer has thrown, `unknown_command` if
   * there is none to the verb.
   */
  ask(node: string, verb: string, words: Words, withinMs: number = ANSWER_WITHIN_MS, data?: Uint8Array): Promise<Words> {
    if (this.#asked.size >= ASKS_MAX) return refused(new GroupcastError("limit", `${ASKS_MAX} questions are unanswered`));
    const ask = ++this.#lastAsk;
    const asked: Asked = { node, answer: deferred() };
    let message: Message;
    try {
      message = writeLetter({ from: this.node, verb, words, ask }, data);
    } catch (thrown) {
      return refused(asError(thrown));
    }
    this.#asked.set(ask, asked);
    this.#line.enter({
      bytes: message.frame.length,
      withinMs,
      go: () => {
        this.#publish(node, message).then(({ receivers }) => {
          if (receivers === 0) asked.answer.reject(new GroupcastError("unavailable", "that process is not there"));
        }, asked.answer.reject);
      },
      refuse: asked.answer.reject,
    });
    // While it waits in the line, that one's timer comes first.
    const cancel = this.#clock.after(withinMs, () => asked.answer.reject(new GroupcastError("unknown_outcome", LATE)));
    const forget = (): void => {
      cancel();
      this.#asked.delete(ask);
    };
    asked.answer.promise.then(forget, forget);
    return asked.answer.promise;
  }

  /** That node is gone: what it has not answered ends, with `unknown_outcome`. */
  abandon(node: string): void {
    for (const asked of this.#asked.values()) if (asked.node === node) asked.answer.reject(new GroupcastError("unknown_outcome", GONE));
  }

  /** Ends what is unanswered, with `unknown_outcome`, and what waits or comes later, with `closed`. The channel is stopped next. */
  stop(): void {
    this.#line.close(new GroupcastError("closed", "the channel is stopped"));
    for (const { answer } of this.#asked.values()) answer.reject(new GroupcastError("unknown_outcome"));
  }

  #send(node: string, message: Message, sent: () => void, refuse: (error: unknown) => void): void {
    const go = (): void => void this.#publish(node, message).then(sent, refuse);
    this.#line.enter({ bytes: message.frame.length, withinMs: DEFAULTS.unavailableAfterMs, go, refuse });
  }

  #publish(node: string, message: Message): Promise<Receipt> {
    return this.#channel.publish(topicOf(node), message);
  }

  #receive(record: MessageRecord): void {
    for (const { kind, frame } of record.messages()) {
      const letter = kind === "control" ? readLetter(frame) : undefined;
      if (letter !== undefined) this.#read(letter);
    }
  }

  #read(letter: Letter): void {
    if (letter.is !== "told") {
      const asked = this.#asked.get(letter.ask);
      if (asked?.node !== letter.from) return; // it was late, or nobody's
      if (letter.is === "failed") asked.answer.reject(letter.error);
      else asked.answer.resolve(letter.words);
      return;
    }
    if (letter.ask !== undefined) return void this.#answer(letter.from, letter.ask, letter);
    try {
      this.#listeners.get(letter.verb)?.(letter.words, letter.from);
    } catch (thrown) {
      this.#failed(asError(thrown));
    }
  }

  // Never rejects. Up to its first `await` it runs within the call, so that questions are answered in their order.
  async #answer(from: string, ask: number, { verb, words, data }: Letter & { readonly is: "told" }): Promise<void> {
    let message: Message;
    try {
      const answer = this.#answers.get(verb);
      if (answer === undefined) throw new GroupcastError("unknown_command", `nobody answers to ${JSON.stringify(verb.slice(0, 40))}`);
      message = writeLetter({ from: this.node, answer: ask, words: await answer(words, from, data) });
    } catch (thrown) {
      if (!(thrown instanceof GroupcastError)) this.#failed(asError(thrown));
      message = writeFailure(this.node, ask, thrown instanceof GroupcastError ? thrown : new GroupcastError("internal"));
    }
    this.#send(from, message, ignore, ignore); // the asker ends by its deadline
  }
}

const ignore = (): void => {};

function refused(error: Error): Promise<never> {
  return quiet(Promise.reject(error));
}

function topicOf(node: string): string {
  return encodeTopic({ kind: "replies", node });
}
