// Carries a connection over a WHATWG WebSocket: a browser's, Node's own (≥ 22), Deno's. Must not know connections or groups.
import { asError, GroupcastError } from "../base/errors.ts";
import { CLOSE } from "../wire/close-codes.ts";
import { BacklogWatch } from "./backlog-watch.ts";
import type { Batch, Carrier, CarrierEvents, SocketLike } from "./socket.ts";
import { CLOSED, OPEN, sendOn } from "./socket.ts";

type WebSocketLike = SocketLike & Required<Pick<SocketLike, "addEventListener">> & { binaryType?: string };

export class WebSocketCarrier implements Carrier {
  readonly #socket: WebSocketLike;
  readonly #events: CarrierEvents;
  // The standard gives a WebSocket neither ping nor terminate.
  readonly ping: undefined;
  readonly #watch: BacklogWatch;
  #closed = false;

  constructor(socket: WebSocketLike, events: CarrierEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#watch = new BacklogWatch(socket, events);
    // Blobs can only be read asynchronously, which would break the order of messages.
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => events.opened());
    socket.addEventListener("message", ({ data }: { data: string | ArrayBuffer | Uint8Array }) => {
      if (typeof data === "string") events.message(data, false);
      else events.message(data instanceof Uint8Array ? data : new Uint8Array(data), true);
    });
    socket.addEventListener("error", (event: { error?: unknown; message?: string }) =>
      events.error(event.error instanceof Error ? event.error : new GroupcastError("internal", event.message || "the socket failed")),
    );
    socket.addEventListener("close", ({ code, reason }: { code?: number; reason?: string }) => this.#end(code ?? 1006, reason ?? ""));
  }

  get open(): boolean {
    return this.#socket.readyState === OPEN;
  }

  get queuedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  get takenBytes(): number {
    return 0;
  }

  write(batch: Batch): boolean {
    for (const payload of batch.payloads) sendOn(this.#socket, payload);
    return this.#watch.look();
  }

  close(code: number, reason: string): void {
    try {
      this.#socket.close(codeForScript(code), reason);
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
    // A silent peer would keep such a socket in its closing handshake for ever: for us it ends here.
    if (this.#socket.readyState !== CLOSED) this.#end(1006, "");
  }

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

/** The standard lets scripts close with 1000 and 3000-4999 only. 1012 (come back) becomes 4001, which says the same; the rest 1000. */
function codeForScript(code: number): number {
  if (code === CLOSE.normal || code >= 3000) return code;
  return code === CLOSE.restart ? CLOSE.drained : CLOSE.normal;
}
