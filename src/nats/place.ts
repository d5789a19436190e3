// Reads where in the stream a republished message has its place. Trusts nothing: anybody may have sent it.
import type { NatsMessage } from "./client.ts";

const SEQUENCE = "Nats-Sequence";
const LAST_SEQUENCE = "Nats-Last-Sequence";
const SEQUENCE_LABEL = labelOf(SEQUENCE);
const LAST_SEQUENCE_LABEL = labelOf(LAST_SEQUENCE);
/** So many digits are a safe integer in any case. */
const DIGITS_MAX = 15;
/** The longest line between the two: a time stamp. */
const LINE_BYTES_MAX = 80;

const [CR, LF, ZERO, NINE] = [13, 10, 48, 57];

/**
 * One reader for all messages of a link, since it makes no object for each.
 *
 * The server writes both numbers at the end of the headers, right before the message; they are read there, from the back, and the headers
 * are parsed only if they look otherwise.
 */
export class PlaceReader {
  /** The message's own place in the stream; set by {@link read}. */
  sequence = 0;
  /** The place of the message before it on its subject; 0: the stream no longer has one. */
  previous = 0;
  // Many messages lie in one chunk of what was read.
  #buffer: ArrayBufferLike | undefined;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** False: it is not from a stream. `data` is the message's own, asked for once. */
  read(message: NatsMessage, data: Uint8Array): boolean {
    return this.#readBackwards(data) || this.#readHeaders(message);
  }

  #readBackwards(data: Uint8Array): boolean {
    if (this.#buffer !== data.buffer) {
      this.#buffer = data.buffer;
      this.#bytes = new Uint8Array(data.buffer);
    }
    this.#at = data.byteOffset;
    if (!this.#stepLineEnd() || !this.#stepLineEnd()) return false;
    const previous = this.#stepField(LAST_SEQUENCE_LABEL);
    if (previous < 0) return false;
    let sequence = this.#stepField(SEQUENCE_LABEL);
    // Servers from 2.10 on say in between when it was stored.
    if (sequence < 0 && this.#stepLine()) sequence = this.#stepField(SEQUENCE_LABEL);
    this.sequence = sequence;
    this.previous = previous;
    return sequence > previous;
  }

  #stepLineEnd(): boolean {
    this.#at -= 2;
    return this.#at >= 0 && this.#bytes[this.#at] === CR && this.#bytes[this.#at + 1] === LF;
  }

  /** The number of the field that ends here, and over the end of the line before it; -1: it is another one. */
  #stepField(label: Uint8Array): number {
    const number = this.#stepNumber();
    return number >= 0 && this.#stepLabel(label) && this.#stepLineEnd() ? number : -1;
  }

  /** The number that ends here; -1: none does. */
  #stepNumber(): number {
    let number = 0;
    let unit = 1;
    const end = this.#at;
    for (; end - this.#at < DIGITS_MAX; this.#at--) {
      const byte = this.#bytes[this.#at - 1] ?? 0;
      if (byte < ZERO || byte > NINE) break;
      number += (byte - ZERO) * unit;
      unit *= 10;
    }
    return this.#at === end ? -1 : number;
  }

  #stepLabel(label: Uint8Array): boolean {
    const start = this.#at - label.length;
    if (start < 0) return false;
    for (let index = 0; index < label.length; index++) if (this.#bytes[start + index] !== label[index]) return false;
    this.#at = start;
    return true;
  }

  /** Over what is left of a line, and the end of the line before it. */
  #stepLine(): boolean {
    for (const end = this.#at; this.#at > 1 && end - this.#at < LINE_BYTES_MAX; this.#at--) {
      if (this.#bytes[this.#at - 1] === LF) return this.#stepLineEnd();
    }
    return false;
  }

  #readHeaders(message: NatsMessage): boolean {
    const { headers } = message;
    if (headers === undefined) return false;
    this.sequence = toNumber(headers.get(SEQUENCE));
    this.previous = toNumber(headers.get(LAST_SEQUENCE));
    return this.previous >= 0 && this.sequence > this.previous;
  }
}

function toNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : -1;
}

function labelOf(name: string): Uint8Array {
  return new TextEncoder().encode(`${name}: `);
}
