// Ports between a connection and whatever socket carries it. Knows no socket library; see the files beside it.
import { encodeFrame, type Payload, readPayloads } from "../wire/frames.ts";

/**
 * What a connection asks of a socket: a `ws` WebSocket, a WHATWG `WebSocket` (browser, Node ≥ 22, Deno), or anything of that shape.
 *
 * Either `on` (as Node's emitters: `message(data, isBinary)`, `close(code, reason)`, `error`, `pong`) or `addEventListener` must
 * be there. `terminate`, `ping`, `pause` and `resume` are used when they are.
 */
export interface SocketLike {
  readonly readyState: number;
  readonly bufferedAmount: number;
  // Bytes, too; but type packages differ in what they call bytes, and strings they all agree on.
  send(data: string): void;
  close(code?: number, reason?: string): void;
  terminate?(): void;
  ping?(): void;
  pause?(): void;
  resume?(): void;
  // A function; what it is called with differs between the families and from one type package to the next, so it has no type here.
  on?(event: string, listener: object): unknown;
  addEventListener?(event: string, listener: object): unknown;
}

/** Sends text or bytes as one message. Throws what the socket throws. */
export function sendOn(socket: SocketLike, payload: Payload): void {
  (socket as { send(data: Payload): void }).send(payload);
}

/** Messages that go to several sockets: finished frames, and for sockets that take no frames the messages themselves. Each made once. */
export class Batch {
  readonly frames: Uint8Array;
  #payloads: readonly Payload[] | undefined;

  constructor(frames: Uint8Array) {
    this.frames = frames;
  }

  static of(payload: Payload): Batch {
    return new Batch(encodeFrame(payload));
  }

  get payloads(): readonly Payload[] {
    this.#payloads ??= readPayloads(this.frames);
    return this.#payloads;
  }
}

/** What became of a write without a queue. `done`: the kernel has it all. `underway`: not yet. `refused`: nothing has happened. */
export type Outcome = "done" | "underway" | "refused";

/** One socket, owned by one connection. */
export interface Carrier {
  /** The socket itself. */
  readonly socket: SocketLike;
  /** True while messages can be sent. */
  readonly open: boolean;
  /** Bytes that were written and that the kernel has not taken yet. */
  readonly queuedBytes: number;
  /** Bytes that the kernel has taken so far; 0 from a socket that cannot tell. */
  readonly takenBytes: number;
  /**
   * Sends finished frames if nothing is on its way and the socket takes them, in order with {@link write}. `underway`: the socket has a
   * backlog now, and `$drained` will be told when it is gone. The short way, for fan-outs; who is refused may still be written to.
   */
  writeNow(frames: Uint8Array): Outcome;
  /** Sends in order; nothing, if it is not {@link open}. True: the socket has a backlog now, and `$drained` will be told when it is gone. May throw if the socket does. */
  write(batch: Batch): boolean;
  /** Has {@link writeNow} refuse from now on. */
  seal(): void;
  /** Begins the closing handshake. Never throws. */
  close(code: number, reason: string): void;
  /** Ends the socket at once. `$closed` follows. Never throws. */
  terminate(): void;
  /** Sends a ping. False: this socket cannot. Never throws. */
  ping(): boolean;
  /** Stops and starts reading, if this socket can. */
  pause(): void;
  resume(): void;
}

/**
 * What a carrier tells its connection. `$closed` is told once, last. A connection is these itself, not an object of closures for each;
 * so their names begin with `$`, like all that a subclass of an application must not come across.
 */
export interface CarrierEvents {
  $opened(): void;
  $message(data: string | Uint8Array, isBinary: boolean): void;
  $pong(): void;
  $drained(): void;
  $failed(error: Error): void;
  $closed(code: number, reason: string): void;
}

/** `readyState` of an open socket, the same in `ws` and in the WHATWG standard. */
export const OPEN = 1;
/** `readyState` of a closed socket. */
export const CLOSED = 3;
