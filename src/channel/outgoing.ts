// What one topic has gathered and nobody has got yet. Must not know adapters.
import type { Buffers } from "../base/buffers.ts";
import type { Cancel } from "../base/clock.ts";
import { type Deferred, deferred } from "../base/promises.ts";
import { Gather, type Message, type MessageRecord } from "../wire/record.ts";
import type { Receipt } from "./adapter.ts";

export class Outgoing {
  readonly topic: string;
  /** Ends the wait for a channel that is down. */
  cancel: Cancel | undefined;
  readonly #buffers: Buffers | undefined;
  readonly #gathers: Gather[] = [];
  #last: Gather;
  #accepted: Deferred<Receipt> | undefined;
  #fullBytes = 0;

  /** `buffers`: where room comes from; undefined: it has to wait, so it takes no more room than it needs. */
  constructor(topic: string, buffers: Buffers | undefined) {
    this.topic = topic;
    this.#buffers = buffers;
    this.#last = this.#next();
  }

  /** Settles when everything in it was accepted, or was not. Quiet. To be asked for before it is sent. */
  get accepted(): Promise<Receipt> {
    this.#accepted ??= deferred();
    return this.#accepted.promise;
  }

  /** True if somebody has asked. */
  get isAwaited(): boolean {
    return this.#accepted !== undefined;
  }

  accept(receipt: Receipt): void {
    this.#accepted?.resolve(receipt);
  }

  refuse(error: unknown): void {
    this.#accepted?.reject(error);
  }

  /** Bytes of its records; at most so many. */
  get bytes(): number {
    return this.#fullBytes + this.#last.bytes;
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

  /** Hands over its records in order: several only if it had to wait, each as long as a record may be. What `publish` leaves free is used again. */
  send(publish: (record: MessageRecord) => { readonly accepted: Promise<Receipt>; readonly isFree: boolean }): Promise<Receipt>[] {
    return this.#gathers.map((gather) => {
      const { accepted, isFree } = publish(gather.record());
      gather.release(isFree);
      return accepted;
    });
  }

  #open(): Gather {
    if (this.#last.isFull) {
      this.#fullBytes += this.#last.bytes;
      this.#last = this.#next();
    }
    return this.#last;
  }

  #next(): Gather {
    const gather = new Gather(this.#buffers);
    this.#gathers.push(gather);
    return gather;
  }
}
