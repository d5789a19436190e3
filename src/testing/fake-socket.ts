// A socket of the shape of `ws` without a network: shows what was sent, and plays the peer. Must not know connections.
import type { SocketLike } from "../sockets/socket.ts";
import { type Payload, readPayloads } from "../wire/frames.ts";

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
/** Above this a stream asks for a `drain`: the high-water mark of Node's net.Socket since Node 22. */
const HIGH_WATER_BYTES = 64 * 1024;

export interface FakeSocketOptions {
  /** True: it is not open before {@link FakeSocket.open}. Default false. */
  readonly connecting?: boolean;
  /**
   * True: as a `ws` socket on a server, it has a stream that takes finished frames and tells of `drain`. Default false: every
   * message comes through `send`, as with a `ws` client.
   */
  readonly stream?: boolean;
}

/**
 * A fake WebSocket. `sent` shows the messages, whichever way they came.
 *
 * The peer behind it answers pings in the same call, and a close frame in a microtask (as any network, after `close` has returned),
 * unless told not to.
 */
export class FakeSocket implements SocketLike {
  readyState: number;
  /** Bytes that wait for the kernel. Set it, or let {@link stall} make it grow. */
  bufferedAmount = 0;
  /** Every message that was sent: text as a string, bytes as a Uint8Array. */
  readonly sent: Payload[] = [];
  /** How often it was written to: on a stream, messages that go together are one write. */
  writes = 0;
  /** Pings that were sent. */
  pings = 0;
  /** True between `pause` and `resume`. */
  paused = false;
  /** The first close frame that was sent; undefined: none. */
  closeSent: { readonly code: number; readonly reason: string } | undefined;
  /** False: the peer does not answer pings. */
  answersPing = true;
  /** False: the peer does not answer a close frame; {@link finishClose} does it by hand. */
  answersClose = true;
  /** Thrown by every send from now on; undefined: none. */
  sendError: Error | undefined;
  readonly #listeners = new Listeners(this);
  readonly #stream: FakeStream | undefined;
  #stalled = false;

  constructor({ connecting = false, stream = false }: FakeSocketOptions = {}) {
    this.readyState = connecting ? CONNECTING : OPEN;
    if (!stream) return;
    this.#stream = new FakeStream(this);
    // The names that `ws` gives them; a carrier looks for them there.
    Object.assign(this, { _isServer: true, _socket: this.#stream });
  }

  // What the connection calls.

  /** As `ws`: `open`, `message(bytes, isBinary)`, `pong`, `error`, `close(code, reason)`. */
  on(event: string, listener: (...args: never[]) => void): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Shows up in {@link sent}; throws {@link sendError}, if there is one. */
  send(data: string | Uint8Array): void {
    this.#take(typeof data === "string" ? Buffer.byteLength(data) : data.length);
    this.sent.push(data);
  }

  /** @internal What was written to the stream. */
  sendFrames(frames: Uint8Array): void {
    this.#take(frames.length);
    this.sent.push(...readPayloads(frames));
  }

  /** Sends a close frame, once; see {@link answersClose}. */
  close(code = 1005, reason = ""): void {
    if (this.readyState >= CLOSING) return;
    this.readyState = CLOSING;
    this.closeSent = { code, reason };
    if (this.answersClose) queueMicrotask(() => this.finishClose());
  }

  /** Cuts the socket: `close` with 1006 follows in a microtask. */
  terminate(): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSING;
    queueMicrotask(() => this.hangUp(1006));
  }

  /** Counts; see {@link answersPing}. */
  ping(): void {
    this.pings++;
    if (this.answersPing && this.readyState === OPEN) this.#listeners.tell("pong", Buffer.alloc(0));
  }

  /** Shows up in {@link paused}; what the peer sends still comes. */
  pause(): void {
    this.paused = true;
  }

  /** Ends a pause. */
  resume(): void {
    this.paused = false;
  }

  // What the peer does.

  /** Opens a socket that is `connecting`. */
  open(): void {
    this.readyState = OPEN;
    this.#listeners.tell("open");
  }

  /** The peer sends a message. */
  receive(data: string | Uint8Array): void {
    const isBinary = typeof data !== "string";
    this.#listeners.tell("message", Buffer.from(data as Uint8Array), isBinary);
  }

  /** The peer sends a pong. */
  pong(): void {
    this.#listeners.tell("pong", Buffer.alloc(0));
  }

  /** The peer answers our close frame. Does nothing if none was sent, or the socket is closed. */
  finishClose(): void {
    if (this.closeSent !== undefined) this.hangUp(this.closeSent.code, this.closeSent.reason);
  }

  /** The socket is gone. 1006: without a close frame. Told once. */
  hangUp(code = 1006, reason = ""): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#listeners.tell("close", code, Buffer.from(reason));
  }

  /** The socket fails, and is gone. */
  fail(error = new Error("the socket failed")): void {
    this.#listeners.tell("error", error);
    this.hangUp();
  }

  /** The peer stops reading: what is sent from now on stays in `bufferedAmount`. */
  stall(): void {
    this.#stalled = true;
  }

  /** The peer has read everything. */
  flow(): void {
    this.#stalled = false;
    this.bufferedAmount = 0;
    this.#stream?.drained();
  }

  #take(bytes: number): void {
    if (this.sendError !== undefined) throw this.sendError;
    this.writes++;
    if (this.#stalled) this.bufferedAmount += bytes;
  }
}

/** The stream below a fake socket: as much of net.Socket as a carrier uses. */
class FakeStream {
  readonly #listeners = new Listeners(this);
  readonly #socket: FakeSocket;

  constructor(socket: FakeSocket) {
    this.#socket = socket;
  }

  on(event: string, listener: (...args: never[]) => void): this {
    this.#listeners.add(event, listener);
    return this;
  }

  once(event: string, listener: (...args: never[]) => void): this {
    this.#listeners.add(event, listener, true);
    return this;
  }

  drained(): void {
    this.#listeners.tell("drain");
  }

  get writableLength(): number {
    return this.#socket.bufferedAmount;
  }

  get writableNeedDrain(): boolean {
    return this.#socket.bufferedAmount > HIGH_WATER_BYTES;
  }

  write(bytes: Uint8Array): boolean {
    this.#socket.sendFrames(bytes);
    return !this.writableNeedDrain;
  }
}

/** As Node's emitters: a listener is called with what it listens to as `this`. */
class Listeners {
  readonly #of: object;
  readonly #listeners = new Map<string, { readonly listener: (...args: never[]) => void; readonly once: boolean }[]>();

  constructor(of: object) {
    this.#of = of;
  }

  add(event: string, listener: (...args: never[]) => void, once = false): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), { listener, once }]);
  }

  tell(event: string, ...args: unknown[]): void {
    const listeners = this.#listeners.get(event) ?? [];
    this.#listeners.set(
      event,
      listeners.filter(({ once }) => !once),
    );
    for (const { listener } of listeners) Reflect.apply(listener, this.#of, args);
  }
}
