// A fast lane in front of the receiver of a `ws` server socket: whole text messages are read here, all else is left to `ws`, unchanged
// and in order. The only file that knows the inside of `ws`; must not know what messages mean.
/* oxlint-disable no-underscore-dangle, typescript/unbound-method -- the names are those that `ws` gives; `this` is always told */
import { isUtf8 } from "node:buffer";
import { Writable } from "node:stream";
import type { WebSocket } from "ws";
import { concat } from "../wire/frames.ts";
import { clientHeadBytes, MASKED, payloadBytes, unmask, WHOLE_TEXT } from "../wire/unmask.ts";

/** Who hears the messages that the lane has read. */
export interface Hearer {
  /** A whole text message as its UTF-8 bytes, which are valid: a view that is good during this call only. Must not throw. */
  $hear(bytes: Uint8Array): void;
}

/** What a receiver waits for; the same numbers as in ws/lib/receiver.js. It knows two more, for what {@link isKnown} keeps out. */
const GET_INFO = 0;
const GET_PAYLOAD_LENGTH_16 = 1;
const GET_PAYLOAD_LENGTH_64 = 2;
const GET_MASK = 3;

/** What `ws` itself calls: the `write` of its receiver is an ordinary Writable's. */
const WRITE: (this: Writable, chunk: Uint8Array) => boolean = Writable.prototype.write;

const LANE: unique symbol = Symbol("groupcast: lane");

/** The receiver of a `ws` server socket, as far as it is used here. */
interface Receiver extends Writable {
  readonly _state: number;
  /** Bytes that it has and that do not suffice for its state. */
  readonly _bufferedBytes: number;
  readonly _payloadLength: number;
  /** The opcode of the message whose fragments are arriving; 0: none. */
  readonly _fragmented: number;
  readonly _errored: boolean;
  readonly _maxPayload: number;
  readonly _maxBufferedChunks: number;
  readonly _allowSynchronousEvents: boolean;
  readonly _isServer: boolean;
  readonly _extensions: object;
  [LANE]?: Lane;
}

/**
 * Has whole text messages of `socket` told to `hearer` instead of being emitted as `message`, for as long as `message` has one
 * listener: with another, all of them hear everything. To be called before the socket has been read.
 *
 * What arrives, in which order, and how it ends is the same with and without. Returns false, and changes nothing, if the socket is not
 * as expected: of another version of `ws`, compressed, or with listeners that are called later.
 */
export function openLane(socket: WebSocket, hearer: Hearer): boolean {
  const { _receiver: receiver } = socket as unknown as { readonly _receiver?: Partial<Receiver> | null };
  if (!isKnown(receiver) || socket.listenerCount("message") !== 1) return false;
  receiver[LANE] = new Lane(receiver, socket, hearer);
  receiver.write = takeLane;
  return true;
}

function isKnown(receiver: Partial<Receiver> | null | undefined): receiver is Receiver {
  return (
    receiver instanceof Writable &&
    receiver.write === WRITE &&
    receiver.writableLength === 0 &&
    receiver._state === GET_INFO &&
    receiver._bufferedBytes === 0 &&
    receiver._payloadLength === 0 &&
    receiver._fragmented === 0 &&
    receiver._errored === false &&
    typeof receiver._maxPayload === "number" &&
    typeof receiver._maxBufferedChunks === "number" &&
    // The lane holds back one chunk at the most; where `ws` may hold none it would be missed in the count.
    receiver._maxBufferedChunks !== 1 &&
    receiver._allowSynchronousEvents === true &&
    receiver._isServer === true &&
    typeof receiver._extensions === "object" &&
    Object.keys(receiver._extensions).length === 0
  );
}

/** Stands in for `write` of a receiver, which `ws` calls with all that its socket gives. */
function takeLane(this: Receiver, chunk: Uint8Array): boolean {
  return this[LANE]?.take(chunk) ?? false;
}

class Lane {
  readonly #receiver: Receiver;
  readonly #socket: WebSocket;
  readonly #hearer: Hearer;
  // The beginning of a message for the lane, head complete; and the bytes that it still lacks.
  #tail: Uint8Array | undefined;
  #lacking = 0;
  #busy = false;
  // A hearer has thrown, though it must not: as with `ws`, whose write never ends then, no more is read.
  #isBroken = false;
  // What arrives while a chunk is being read: a listener may make its socket speak.
  #waiting: Uint8Array[] | undefined;

  constructor(receiver: Receiver, socket: WebSocket, hearer: Hearer) {
    this.#receiver = receiver;
    this.#socket = socket;
    this.#hearer = hearer;
  }

  /** Takes what the socket has read. False, as from a Writable: the socket is to be paused until the receiver's `drain`. */
  take(chunk: Uint8Array): boolean {
    if (this.#busy) {
      (this.#waiting ??= []).push(chunk);
      return true;
    }
    if (this.#isBroken) return false;
    if (this.#over) return this.#leave(chunk);
    this.#busy = true;
    try {
      let isReady = this.#read(chunk);
      for (let next = this.#waiting?.shift(); next !== undefined; next = this.#waiting?.shift()) isReady = this.#read(next) && isReady;
      return isReady;
    } catch (thrown) {
      this.#isBroken = true;
      throw thrown;
    } finally {
      this.#waiting = undefined;
      this.#busy = false;
    }
  }

  /** Nothing is read after an error or a close frame. */
  get #over(): boolean {
    return this.#receiver._errored || this.#receiver.writableEnded;
  }

  #leave(bytes: Uint8Array): boolean {
    return WRITE.call(this.#receiver, bytes);
  }

  // Neither `pause`, `close` nor `terminate` keeps `ws` from reading on in a chunk that it has begun.
  #read(chunk: Uint8Array): boolean {
    let isReady = true;
    let at = 0;
    if (this.#tail !== undefined) {
      at = this.#lacking <= chunk.length ? this.#lacking : 0;
      isReady = this.#readTail(this.#tail, chunk.subarray(0, at));
    }
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    while (at < chunk.length && !this.#over) {
      let end = at + owed(this.#receiver);
      if (end === at) {
        const head = clientHeadBytes(view, at);
        const from = at + head;
        end = head === 0 ? chunk.length : from + payloadBytes(view, at);
        if (head !== 0 && this.#isOurs(view, at, end - from)) {
          if (end > chunk.length) {
            this.#tail = concat([chunk.subarray(at)], chunk.length - at);
            this.#lacking = end - chunk.length;
            return isReady;
          }
          if (this.#tell(chunk, view, from, end)) {
            at = end;
            continue;
          }
        }
      }
      isReady = this.#leave(chunk.subarray(at, end)) && isReady;
      at = end;
    }
    return isReady;
  }

  /** With `rest` it is a message; without, `ws` gets what there is, and counts the chunks that make up the rest. */
  #readTail(tail: Uint8Array, rest: Uint8Array): boolean {
    this.#tail = undefined;
    if (rest.length === 0) return this.#leave(tail);
    const frame = concat([tail, rest], tail.length + rest.length);
    const view = new DataView(frame.buffer);
    const head = clientHeadBytes(view, 0);
    if (this.#isOurs(view, 0, frame.length - head) && this.#tell(frame, view, head, frame.length)) return true;
    return this.#leave(frame);
  }

  #isOurs(view: DataView, at: number, bytes: number): boolean {
    return (
      view.getUint8(at) === WHOLE_TEXT &&
      view.getUint8(at + 1) >= MASKED &&
      bytes <= this.#receiver._maxPayload &&
      this.#receiver._fragmented === 0 &&
      this.#socket.listenerCount("message") === 1
    );
  }

  /** False: it is no UTF-8, and as it was. */
  #tell(frame: Uint8Array, view: DataView, from: number, to: number): boolean {
    const isAscii = unmask(view, from, to);
    const bytes = frame.subarray(from, to);
    if (!isAscii && !isUtf8(bytes)) {
      unmask(view, from, to);
      return false;
    }
    this.#hearer.$hear(bytes);
    return true;
  }
}

/** Bytes that `ws` needs for the next step in a frame that it has begun; 0: it has begun none. */
function owed({ _state: state, _bufferedBytes: had, _payloadLength: payload }: Receiver): number {
  switch (state) {
    case GET_INFO:
      return had === 0 ? 0 : 2 - had;
    case GET_PAYLOAD_LENGTH_16:
      return 2 - had;
    case GET_PAYLOAD_LENGTH_64:
      return 8 - had;
    case GET_MASK:
      return 4 + payload - had;
    default:
      return payload - had;
  }
}
