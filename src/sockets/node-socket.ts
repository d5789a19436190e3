// Carries a connection over a socket with Node's emitter shape: `ws`, and what looks like it. Must not know connections or groups.
import { asError } from "../base/errors.ts";
import { concat } from "../wire/frames.ts";
import type { Batch, CarrierEvents, SocketLike } from "./socket.ts";
import { SocketCarrier } from "./socket-carrier.ts";

/** The stream below a `ws` server socket, as far as we use it: all of it public API of Node's net.Socket. */
interface Stream {
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  readonly bytesWritten?: number;
  write(bytes: Uint8Array): boolean;
  on(event: "drain", listener: () => void): unknown;
}

type NodeSocket = SocketLike & Required<Pick<SocketLike, "on">>;

export class NodeSocketCarrier extends SocketCarrier<NodeSocket> {
  // Finished frames go straight to the stream. Undefined where that cannot be: client sockets must mask, other runtimes have none.
  readonly #stream: Stream | undefined;

  constructor(socket: NodeSocket, events: CarrierEvents) {
    super(socket, events);
    this.#stream = streamOf(socket);
    this.#stream?.on("drain", () => events.drained());
    socket.on("open", () => events.opened());
    socket.on("message", (data: Uint8Array | ArrayBuffer | Uint8Array[] | string, isBinary?: boolean) =>
      events.message(...readMessage(data, isBinary)),
    );
    socket.on("pong", () => events.pong());
    socket.on("error", (error: unknown) => events.error(asError(error)));
    socket.on("close", (code: number | undefined, reason: unknown) => this.end(code ?? 1006, readReason(reason)));
  }

  override get takenBytes(): number {
    return this.#stream?.bytesWritten === undefined ? 0 : this.#stream.bytesWritten - this.#stream.writableLength;
  }

  override write(batch: Batch): boolean {
    const stream = this.#stream;
    if (stream === undefined) return super.write(batch);
    stream.write(batch.frames);
    return stream.writableNeedDrain && stream.writableLength > 0;
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
