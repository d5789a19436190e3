// Carries a connection over a socket with Node's emitter shape: `ws`, and what looks like it. Must not know connections or groups.
import { asError } from "../base/errors.ts";
import { concat } from "../wire/frames.ts";
import { BacklogWatch } from "./backlog-watch.ts";
import type { Batch, Carrier, CarrierEvents, SocketLike } from "./socket.ts";
import { CLOSED, OPEN, sendOn } from "./socket.ts";

/** The stream below a `ws` server socket, as far as we use it: all of it public API of Node's net.Socket. */
interface Stream {
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  readonly bytesWritten?: number;
  write(bytes: Uint8Array): boolean;
  on(event: "drain", listener: () => void): unknown;
}

type NodeSocket = SocketLike & Required<Pick<SocketLike, "on">>;

export class NodeSocketCarrier implements Carrier {
  readonly #socket: NodeSocket;
  readonly #events: CarrierEvents;
  // Finished frames go straight to the stream. Undefined where that cannot be: client sockets must mask, other runtimes have none.
  readonly #stream: Stream | undefined;
  readonly #watch: BacklogWatch;
  readonly ping: (() => void) | undefined;
  #closed = false;

  constructor(socket: NodeSocket, events: CarrierEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#stream = streamOf(socket);
    this.#watch = new BacklogWatch(socket, events);
    this.ping = typeof socket.ping === "function" ? this.#ping : undefined;
    this.#stream?.on("drain", () => events.drained());
    socket.on("open", () => events.opened());
    socket.on("message", (data: Uint8Array | ArrayBuffer | Uint8Array[] | string, isBinary?: boolean) =>
      events.message(...readMessage(data, isBinary)),
    );
    socket.on("pong", () => events.pong());
    socket.on("error", (error: unknown) => events.error(asError(error)));
    socket.on("close", (code: number | undefined, reason: unknown) => this.#end(code ?? 1006, readReason(reason)));
  }

  get open(): boolean {
    return this.#socket.readyState === OPEN;
  }

  get queuedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  get takenBytes(): number {
    return this.#stream?.bytesWritten === undefined ? 0 : this.#stream.bytesWritten - this.#stream.writableLength;
  }

  write(batch: Batch): boolean {
    const stream = this.#stream;
    if (stream === undefined) {
      for (const payload of batch.payloads) sendOn(this.#socket, payload);
      return this.#watch.look();
    }
    stream.write(batch.frames);
    return stream.writableNeedDrain && stream.writableLength > 0;
  }

  close(code: number, reason: string): void {
    try {
      this.#socket.close(code, reason);
    } catch (error) {
      this.#events.error(asError(error));
      this.terminate();
    }
  }

  terminate(): void {
    try {
      if (this.#socket.terminate !== undefined) return this.#socket.terminate();
      this.#socket.close();
    } catch (error) {
      this.#events.error(asError(error));
    }
    // A silent peer would keep a socket that cannot be cut in its closing handshake for ever: for us it ends here.
    if (this.#socket.readyState !== CLOSED) this.#end(1006, "");
  }

  readonly #ping = (): void => {
    try {
      if (this.open) this.#socket.ping?.();
    } catch (error) {
      this.#events.error(asError(error));
    }
  };

  pause(): void {
    this.#socket.pause?.();
  }

  resume(): void {
    this.#socket.resume?.();
  }

  #end(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.closed(code, reason);
  }
}

/** The stream of a `ws` socket on a server under Node. `ws` keeps it under a private name, so its shape is checked before use. */
function streamOf(socket: SocketLike): Stream | undefined {
  const { _socket: stream, _isServer: isServer } = socket as { _socket?: Partial<Stream> | null; _isServer?: boolean };
  const usable =
    isServer === true &&
    typeof stream?.write === "function" &&
    typeof stream.on === "function" &&
    typeof stream.writableLength === "number" &&
    typeof stream.writableNeedDrain === "boolean";
  return usable ? (stream as Stream) : undefined;
}

const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

function readMessage(
  data: Uint8Array | ArrayBuffer | readonly Uint8Array[] | string,
  isBinary: boolean | undefined,
): [data: string | Uint8Array, isBinary: boolean] {
  if (typeof data === "string") return [data, false];
  const bytes = data instanceof Uint8Array ? data : data instanceof ArrayBuffer ? new Uint8Array(data) : joined(data);
  return isBinary === false ? [fromUtf8.decode(bytes), false] : [bytes, true];
}

function joined(fragments: readonly Uint8Array[]): Uint8Array {
  return concat(
    fragments,
    fragments.reduce((total, fragment) => total + fragment.length, 0),
  );
}

function readReason(reason: unknown): string {
  if (typeof reason === "string") return reason;
  return reason instanceof Uint8Array ? fromUtf8.decode(reason) : "";
}
