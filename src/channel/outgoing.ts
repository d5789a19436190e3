// What one topic has gathered and nobody has got yet. Must not know adapters.
import type { Cancel } from "../base/clock.ts";
import { type Deferred, deferred } from "../base/promises.ts";
import { Gather, type Message, type MessageRecord } from "../wire/record.ts";
import type { Receipt } from "./adapter.ts";

export class Outgoing {
  readonly topic: string;
  /** Settles when everything in it was accepted, or was not. Quiet. */
  readonly accepted: Deferred<Receipt> = deferred();
  /** Ends the wait for a channel that is down. */
  cancel: Cancel | undefined;
  readonly #gathers: Gather[] = [];
  #last: Gather;
  #fullBytes = 0;

  /** `likelyBytes`: what its frames are likely to need. */
  constructor(topic: string, likelyBytes: number) {
    this.topic = topic;
    this.#last = this.#next(likelyBytes);
  }

  /** Bytes of its records; at most so many. */
  get bytes(): number {
    return this.#fullBytes + this.#last.bytes;
  }

  /** Bytes of its frames; of the last of its records, if there are several. */
  get frameBytes(): number {
    return this.#last.frameBytes;
  }

  /** True once it is worth a record: it need not wait for the end of the turn. */
  get isFull(): boolean {
    return this.#last.isFull;
  }

  add(message: Message): void {
    this.#open().add(message);
  }

  /** A text message: UTF-8 bytes of `source` from `from` to `to`, copied. */
  addText(source: Uint8Array, from: number, to: number): void {
    this.#open().addText(source, from, to);
  }

  /** Several only if it had to wait: each as long as a record may be. */
  records(): MessageRecord[] {
    return this.#gathers.map((gather) => gather.record());
  }

  #open(): Gather {
    if (this.#last.isFull) {
      this.#fullBytes += this.#last.bytes;
      this.#last = this.#next();
    }
    return this.#last;
  }

  #next(likelyBytes = 0): Gather {
    const gather = new Gather(likelyBytes);
    this.#gathers.push(gather);
    return gather;
  }
}
