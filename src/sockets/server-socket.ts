// Carries a connection over a `ws` socket of a server under Node: finished frames go straight to the stream below it. Of these there
// are thousands, so each is one object: its listeners are everybody's, and find it on the socket. Must not know connections or groups.
import { asError } from "../base/errors.ts";
import { type NodeMessage, type NodeSocket, readReason, tellMessage } from "./node-socket.ts";
import type { Batch, CarrierEvents } from "./socket.ts";
import { OPEN } from "./socket.ts";
import { SocketCarrier } from "./socket-carrier.ts";

const CARRIER: unique symbol = Symbol("groupcast: carries this socket");

/** The stream below a `ws` server socket, as far as we use it: all of it public API of Node's net.Socket. */
interface Stream {
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  readonly bytesWritten?: number;
  write(bytes: Uint8Array): boolean;
  once(event: "drain", listener: () => void): unknown;
}

/** An open socket of a `ws` server, which nothing carries yet. `ws` keeps the stream under a private name. */
interface ServerSocket extends NodeSocket {
  readonly _socket: Stream;
  [CARRIER]?: ServerSocketCarrier;
}

/** Who listens, called by Node's emitters with the socket as `this`. */
type Listening = { readonly [CARRIER]: ServerSocketCarrier };

export class ServerSocketCarrier extends SocketCarrier<ServerSocket> {
  readonly #stream: Stream;
  // True: there is a backlog, and the stream will tell when it is gone.
  #backlog = false;

  constructor(socket: ServerSocket, events: CarrierEvents) {
    super(socket, events);
    ({ _socket: this.#stream } = socket);
    socket[CARRIER] = this;
    socket.on("message", onMessage);
    socket.on("pong", onPong);
    socket.on("error", onError);
    socket.on("close", onClose);
  }

  override get takenBytes(): number {
    const { bytesWritten, writableLength } = this.#stream;
    return bytesWritten === undefined ? 0 : bytesWritten - writableLength;
  }

  override write(batch: Batch): boolean {
    const stream = this.#stream;
    stream.write(batch.frames);
    const backlog = stream.writableNeedDrain && stream.writableLength > 0;
    if (backlog && !this.#backlog) {
      this.#backlog = true;
      stream.once("drain", () => {
        this.#backlog = false;
        this.events.$drained();
      });
    }
    return backlog;
  }
}

function onMessage(this: Listening, data: NodeMessage, isBinary?: boolean): void {
  tellMessage(this[CARRIER].events, data, isBinary);
}

function onPong(this: Listening): void {
  this[CARRIER].events.$pong();
}

function onError(this: Listening, error: unknown): void {
  this[CARRIER].events.$failed(asError(error));
}

function onClose(this: Listening, code: number | undefined, reason: unknown): void {
  this[CARRIER].end(code ?? 1006, readReason(reason));
}

/** True for an open socket of a `ws` server under Node. Clients must mask what they send, and other runtimes have no such stream. */
export function isServerSocket(socket: NodeSocket): socket is ServerSocket {
  const { _socket: stream, _isServer: isServer } = socket as { _socket?: Partial<Stream> | null; _isServer?: boolean };
  return (
    isServer === true &&
    socket.readyState === OPEN &&
    !(CARRIER in socket) &&
    typeof stream?.write === "function" &&
    typeof stream.once === "function" &&
    typeof stream.writableLength === "number" &&
    typeof stream.writableNeedDrain === "boolean"
  );
}
