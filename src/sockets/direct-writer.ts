// Writes below a stream of Node, straight to its handle: a tenth less CPU for small messages. That is no public API. So it is only done
// where everything is as expected, and whatever is left over is the stream's affair. Must not know WebSockets.
import type { Outcome } from "./socket.ts";

/** A net.Socket, as far as we use it; what begins with `_` is Node's own and may be missing or look different. */
export interface Stream {
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  readonly bytesWritten?: number;
  readonly destroyed?: boolean;
  readonly server?: Server | null;
  readonly _handle?: Handle | null;
  write(bytes: Uint8Array): boolean;
  once(event: "drain", listener: () => void): unknown;
  destroy?(error: Error): unknown;
}

type Server = { [WRITER]?: DirectWriter };

/** Node's own side of a socket. */
export interface Handle {
  /** 0, or a negative number of the system's errors: nothing was written then. */
  writeBuffer: (this: Handle, request: WriteRequest, bytes: Uint8Array) => number;
}

/** Node's side of one write. The kernel mostly takes everything at once; then it has not been used, and may be given again. */
interface WriteRequest {
  getAsyncId(): number;
  oncomplete?: (status: number) => void;
  buffer?: Uint8Array;
}

const WRITER: unique symbol = Symbol("groupcast: writes to the sockets of this server");

/** A write that fails shows nothing, nor does a corked stream. Where so many have shown nothing, there is nothing to see. */
const LOOKS_MAX = 8;

/** The id of a request that has not been used. */
const UNUSED = -1;

/** Who has a write underway. */
export interface Writing {
  /** The kernel has taken it: 0; or the system's error. */
  finished(status: number): void;
}

/** Writes to the sockets of one server, which keeps it: what it has learned and its spare request serve all of them. */
export class DirectWriter {
  #Request: (new () => WriteRequest) | undefined;
  #spare: WriteRequest | undefined;
  #looksLeft = LOOKS_MAX;

  /** The one for this stream; undefined: it is not a plain TCP or Unix socket of a server. */
  static for({ server, _handle: handle }: Stream): DirectWriter | undefined {
    const kind = handle?.constructor.name;
    if ((kind !== "TCP" && kind !== "Pipe") || typeof server !== "object" || server === null) return undefined;
    server[WRITER] ??= new DirectWriter();
    return server[WRITER];
  }

  /** Writes to the handle of a stream that has nothing of ours left to write; one that is closed refuses. */
  write(handle: Handle, bytes: Uint8Array, who: Writing): Outcome {
    if (this.#Request === undefined) return "refused";
    const request = (this.#spare ??= new this.#Request());
    if (handle.writeBuffer(request, bytes) !== 0) {
      this.#spare = undefined;
      return "refused";
    }
    if (request.getAsyncId() === UNUSED) return "done";
    this.#spare = undefined;
    request.buffer = bytes; // kept until it is written
    request.oncomplete = (status) => who.finished(status);
    return "underway";
  }

  /** Writes by the stream; at first it looks on, to learn how Node makes requests. */
  writeByStream(stream: Stream, bytes: Uint8Array): void {
    const { _handle: handle } = stream;
    if (this.#looksLeft === 0 || handle === null || handle === undefined) {
      stream.write(bytes);
      return;
    }
    this.#looksLeft--;
    const { writeBuffer } = handle;
    const seen: WriteRequest[] = [];
    handle.writeBuffer = (request, written) => {
      const status = writeBuffer.call(handle, request, written);
      if (status === 0) seen.push(request);
      return status;
    };
    try {
      stream.write(bytes);
    } finally {
      Reflect.deleteProperty(handle, "writeBuffer"); // it was its class's
    }
    const [request] = seen;
    if (request === undefined) return;
    this.#Request = seen.length === 1 ? requestClass(request, stream.writableLength === 0) : undefined;
    this.#looksLeft = 0;
  }
}

/** The class of `request`, if its objects tell whether they were used; `taken`: the kernel took all of this one's bytes. */
function requestClass(request: WriteRequest, taken: boolean): (new () => WriteRequest) | undefined {
  const Request = request.constructor as new () => WriteRequest;
  if (Request.name !== "WriteWrap" || typeof request.getAsyncId !== "function") return undefined;
  if ((request.getAsyncId() === UNUSED) !== taken || new Request().getAsyncId() !== UNUSED) return undefined;
  return Request;
}
