// Carries a connection over a `ws` socket of a server under Node: finished frames go straight to the stream below it. Of these there
// are thousands, so each is one object: its listeners are everybody's, and find it on the socket. Must not know connections or groups.
import { asError } from "../base/errors.ts";
import { DirectWriter, type Handle, type Stream } from "./direct-writer.ts";
import { type NodeMessage, type NodeSocket, readReason, tellMessage } from "./node-socket.ts";
import type { Batch, CarrierEvents, Outcome } from "./socket.ts";
import { OPEN } from "./socket.ts";
import { SocketCarrier } from "./socket-carrier.ts";

const CARRIER: unique symbol = Symbol("groupcast: carries this socket");

/** An open socket of a `ws` server, which nothing carries yet. `ws` keeps the stream under a private name. */
interface ServerSocket extends NodeSocket {
  readonly _socket: Stream;
  [CARRIER]?: ServerSocketCarrier;
}

/** Who listens, called by Node's emitters with the socket as `this`. */
type Listening = { readonly [CARRIER]: ServerSocketCarrier };

export class ServerSocketCarrier extends SocketCarrier<ServerSocket> {
  readonly #stream: Stream;
  readonly #direct: DirectWriter | undefined;
  // Kept here, too: in a fan-out every object that is touched on the way costs more than what is done with it.
  readonly #handle: Handle | null | undefined;
  // True: nothing of ours is on its way, so the handle may be written to.
  #isFree = false;
  #isSealed = false;
  // Bytes that were written directly and that the kernel has not taken yet: one write at most, what follows goes by the stream.
  #underwayBytes = 0;
  // True: `$drained` is owed.
  #backlog = false;

  constructor(socket: ServerSocket, events: CarrierEvents) {
    super(socket, events);
    const { _socket: stream } = socket;
    this.#stream = stream;
    this.#direct = DirectWriter.for(stream);
    ({ _handle: this.#handle } = stream);
    socket[CARRIER] = this;
    socket.on("message", onMessage);
    socket.on("pong", onPong);
    socket.on("error", onError);
    socket.on("close", onClose);
  }

  override get queuedBytes(): number {
    return this.socket.bufferedAmount + this.#underwayBytes;
  }

  override get takenBytes(): number {
    const { bytesWritten, writableLength } = this.#stream;
    return bytesWritten === undefined ? 0 : bytesWritten - writableLength - this.#underwayBytes;
  }

  // Control frames of `ws` may be overtaken, which is no harm: pings and pongs have no order, and behind its own close frame a peer hears
  // nothing. Where that has ended the stream, the handle refuses.
  override writeNow(frames: Uint8Array): Outcome {
    if (!this.#isFree || this.#direct === undefined || this.#handle === undefined || this.#handle === null) return "refused";
    const outcome = this.#direct.write(this.#handle, frames, this);
    if (outcome === "underway") {
      this.#underwayBytes = frames.length;
      this.#isFree = false;
      this.#backlog = true;
    }
    return outcome;
  }

  override write({ frames }: Batch): boolean {
    if (!this.open) return false;
    this.#isFree = !this.#isSealed && this.#underwayBytes === 0 && this.#stream.writableLength === 0;
    if (this.writeNow(frames) === "refused") this.#writeByStream(frames);
    return this.#backlog;
  }

  override close(code: number, reason: string): void {
    this.seal();
    super.close(code, reason);
  }

  override terminate(): void {
    this.seal();
    super.terminate();
  }

  override seal(): void {
    this.#isSealed = true;
    this.#isFree = false;
  }

  #writeByStream(frames: Uint8Array): void {
    this.#isFree = false; // until the next write finds that the stream has nothing left
    if (this.#direct === undefined) this.#stream.write(frames);
    else this.#direct.writeByStream(this.#stream, frames);
    if (this.#backlog || !this.#isBehind) return;
    this.#backlog = true;
    this.#catchUp();
  }

  /** What was written directly is with the kernel now; or never will be, if `status` is one of the system's errors. */
  finished(status: number): void {
    this.#underwayBytes = 0;
    if (this.#stream.destroyed === true) return;
    if (status === 0) this.#catchUp();
    else this.#stream.destroy?.(Object.assign(new Error(`write failed with error ${status}`), { errno: status, syscall: "write" }));
  }

  get #isBehind(): boolean {
    return this.#underwayBytes > 0 || (this.#stream.writableNeedDrain && this.#stream.writableLength > 0);
  }

  // Tells `$drained`, or has itself called again by what is still behind: a direct write comes before what the stream has.
  #catchUp(): void {
    if (this.#underwayBytes > 0) return;
    if (this.#isBehind) {
      this.#stream.once("drain", () => this.#catchUp());
      return;
    }
    this.#backlog = false;
    this.events.$drained();
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
