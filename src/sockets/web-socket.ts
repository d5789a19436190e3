// Carries a connection over a WHATWG WebSocket: a browser's, Node's own (≥ 22), Deno's. Must not know connections or groups.
import { GroupcastError } from "../base/errors.ts";
import { CLOSE } from "../wire/close-codes.ts";
import type { CarrierEvents, SocketLike } from "./socket.ts";
import { SocketCarrier } from "./socket-carrier.ts";

type WebSocketLike = SocketLike & Required<Pick<SocketLike, "addEventListener">> & { binaryType?: string };

export class WebSocketCarrier extends SocketCarrier<WebSocketLike> {
  constructor(socket: WebSocketLike, events: CarrierEvents) {
    super(socket, events);
    // Blobs can only be read asynchronously, which would break the order of messages.
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => events.$opened());
    socket.addEventListener("message", ({ data }: { data: string | ArrayBuffer | Uint8Array }) => {
      if (typeof data === "string") events.$message(data, false);
      else events.$message(data instanceof Uint8Array ? data : new Uint8Array(data), true);
    });
    socket.addEventListener("error", (event: { error?: unknown; message?: string }) =>
      events.$failed(event.error instanceof Error ? event.error : new GroupcastError("internal", event.message || "the socket failed")),
    );
    socket.addEventListener("close", ({ code, reason }: { code?: number; reason?: string }) => this.end(code ?? 1006, reason ?? ""));
  }

  override close(code: number, reason: string): void {
    super.close(codeForScript(code), reason);
  }
}

/** The standard lets scripts close with 1000 and 3000-4999 only. 1012 (come back) becomes 4001, which says the same; the rest 1000. */
function codeForScript(code: number): number {
  if (code === CLOSE.normal || code >= 3000) return code;
  return code === CLOSE.restart ? CLOSE.drained : CLOSE.normal;
}
