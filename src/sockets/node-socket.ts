// Carries a connection over a socket with Node's emitter shape: a `ws` client, and what looks like `ws`. server-socket.ts carries
// those of a server. Must not know connections or groups.
import { asError } from "../base/errors.ts";
import { concat } from "../wire/frames.ts";
import type { CarrierEvents, SocketLike } from "./socket.ts";
import { SocketCarrier } from "./socket-carrier.ts";

export type NodeSocket = SocketLike & Required<Pick<SocketLike, "on">>;

/** A message as `ws` gives it; what looks like `ws` may give a string. */
export type NodeMessage = Uint8Array | ArrayBuffer | readonly Uint8Array[] | string;

export class NodeSocketCarrier extends SocketCarrier<NodeSocket> {
  constructor(socket: NodeSocket, events: CarrierEvents) {
    super(socket, events);
    socket.on("open", () => events.$opened());
    socket.on("message", (data: NodeMessage, isBinary?: boolean) => tellMessage(events, data, isBinary));
    socket.on("pong", () => events.$pong());
    socket.on("error", (error: unknown) => events.$failed(asError(error)));
    socket.on("close", (code: number | undefined, reason: unknown) => this.end(code ?? 1006, readReason(reason)));
  }
}

const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

export function tellMessage(events: CarrierEvents, data: NodeMessage, isBinary: boolean | undefined): void {
  if (typeof data === "string") return events.$message(data, false);
  const bytes = data instanceof Uint8Array ? data : data instanceof ArrayBuffer ? new Uint8Array(data) : joined(data);
  if (isBinary === false) events.$message(fromUtf8.decode(bytes), false);
  else events.$message(bytes, true);
}

function joined(fragments: readonly Uint8Array[]): Uint8Array {
  return concat(
    fragments,
    fragments.reduce((total, fragment) => total + fragment.length, 0),
  );
}

export function readReason(reason: unknown): string {
  if (typeof reason === "string") return reason;
  return reason instanceof Uint8Array ? fromUtf8.decode(reason) : "";
}
