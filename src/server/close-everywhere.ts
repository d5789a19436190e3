// Closes the members of a group in every process: asks on the group's own topic, so that it comes after everything written
// before, and waits for each process' answer. Knows the channel; who the members are is a port.
import type { Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet, within } from "../base/promises.ts";
import type { Channel } from "../channel/channel.ts";
import { encodeTopic } from "../channel/topics.ts";
import { CLOSE, type Goodbye, readCloseArguments } from "../wire/close-codes.ts";
import { encodeFrame, readPayloads } from "../wire/frames.ts";
import type { Message, MessageRecord } from "../wire/record.ts";

/** After this, `closeAll` resolves whether everybody has answered or not: as long as a peer has to answer its close frame. */
export const CLOSE_ALL_WITHIN_MS = 5_000;

type Control =
  | { readonly do: "close"; readonly id: number; readonly code: number; readonly reason: string; readonly replyTo: string }
  | { readonly do: "closed"; readonly id: number };

type Waiting = { answers: number; needed: number; readonly done: Deferred<void> };

export class CloseEverywhere {
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #replyTo: string;
  readonly #waiting = new Map<number, Waiting>();
  #replies: Promise<void> | undefined;
  #lastId = 0;

  constructor(channel: Channel, clock: Clock, node: string) {
    this.#channel = channel;
    this.#clock = clock;
    this.#replyTo = encodeTopic({ kind: "replies", node });
  }

  /** Resolves when every process has confirmed, at most after 5 s. Rejects if the channel did not take the request. */
  async ask(topic: string, goodbye: Goodbye): Promise<void> {
    const until = this.#clock.now() + CLOSE_ALL_WITHIN_MS;
    const leftMs = (): number => Math.max(0, until - this.#clock.now());
    const late = (): GroupcastError => new GroupcastError("unavailable");
    this.#replies ??= this.#channel.hear(this.#replyTo, (record) => this.#answered(record)).ready ?? Promise.resolve();
    await within(this.#clock, leftMs(), this.#replies, late);
    const id = ++this.#lastId;
    const waiting: Waiting = { answers: 0, needed: Infinity, done: deferred() };
    this.#waiting.set(id, waiting);
    const cancel = this.#clock.after(leftMs(), () => waiting.done.resolve());
    try {
      const control: Control = { do: "close", id, ...goodbye, replyTo: this.#replyTo };
      const { receivers } = await within(this.#clock, leftMs(), this.#channel.publish(topic, message(control)), late);
      waiting.needed = receivers ?? Infinity; // a channel that cannot tell leaves it to the time
      this.#check(waiting);
      await waiting.done.promise;
    } finally {
      cancel();
      this.#waiting.delete(id);
    }
  }

  /** Acts on a control message of a group; `close` closes this process' members and resolves when they are gone. */
  obey(frame: Uint8Array, close: (goodbye: Goodbye) => Promise<void>): void {
    const control = readControl(frame);
    if (control?.do !== "close") return;
    const answer: Control = { do: "closed", id: control.id };
    // Quiet: the channel may be gone by then, and nobody but the asker would mind.
    const closed = close({ code: control.code, reason: control.reason });
    void quiet(closed.then(() => this.#channel.publish(control.replyTo, message(answer))));
  }

  #answered(record: MessageRecord): void {
    for (const { kind, frame } of record.messages()) {
      const control = kind === "control" ? readControl(frame) : undefined;
      const waiting = control?.do === "closed" ? this.#waiting.get(control.id) : undefined;
      if (waiting === undefined) continue;
      waiting.answers++;
      this.#check(waiting);
    }
  }

  #check(waiting: Waiting): void {
    if (waiting.answers >= waiting.needed) waiting.done.resolve();
  }
}

function message(control: Control): Message {
  return { kind: "control", frame: encodeFrame(JSON.stringify(control)), except: [] };
}

// What comes over a broker is not trusted.
function readControl(frame: Uint8Array): Control | undefined {
  try {
    const [text] = readPayloads(frame);
    const { do: verb, id, code, reason, replyTo } = JSON.parse(String(text)) as Record<string, unknown>;
    if (typeof id !== "number") return undefined;
    if (verb === "closed") return { do: verb, id };
    if (verb !== "close" || typeof code !== "number" || typeof reason !== "string" || typeof replyTo !== "string") return undefined;
    return { do: verb, id, ...readCloseArguments([code, reason], CLOSE.normal), replyTo };
  } catch {
    return undefined;
  }
}
