// Picks the carrier that fits a socket's shape.
import { GroupcastError } from "../base/errors.ts";
import { type NodeSocket, NodeSocketCarrier } from "./node-socket.ts";
import { isServerSocket, ServerSocketCarrier } from "./server-socket.ts";
import type { Carrier, CarrierEvents, SocketLike } from "./socket.ts";
import { WebSocketCarrier } from "./web-socket.ts";

/** @throws GroupcastError `bad_option`: neither `on` nor `addEventListener`, or no `send` or `close`. */
export function carry(socket: SocketLike, events: CarrierEvents): Carrier {
  if (typeof socket?.send === "function" && typeof socket.close === "function") {
    // `ws` has both families of listeners; the emitter tells more (pong) and makes no event objects.
    if (typeof socket.on === "function") {
      const emitter = socket as NodeSocket;
      return isServerSocket(emitter) ? new ServerSocketCarrier(emitter, events) : new NodeSocketCarrier(emitter, events);
    }
    if (typeof socket.addEventListener === "function")
      return new WebSocketCarrier(socket as ConstructorParameters<typeof WebSocketCarrier>[0], events);
  }
  throw new GroupcastError("bad_option", "a socket has send, close and either on or addEventListener");
}
