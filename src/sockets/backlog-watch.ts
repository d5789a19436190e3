// Tells when a socket's backlog is gone, for sockets that have no event for it: looks now and then, only while there is a backlog.
import { systemClock } from "../base/clock.ts";
import type { CarrierEvents, SocketLike } from "./socket.ts";
import { OPEN } from "./socket.ts";

/** Below this, bytes on their way are no backlog: such sockets count every byte until a thread of their own has sent it. */
const BACKLOG_BYTES = 64 * 1024; // the high-water mark of Node's net.Socket since Node 22
const LOOK_EVERY_MS = 50;

export class BacklogWatch {
  readonly #socket: SocketLike;
  readonly #events: CarrierEvents;
  #watching = false;

  constructor(socket: SocketLike, events: CarrierEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  /** True: there is a backlog, and `$drained` will be told when it is gone. */
  look(): boolean {
    if (!this.#watching && this.#socket.bufferedAmount > BACKLOG_BYTES) {
      this.#watching = true;
      systemClock.after(LOOK_EVERY_MS, this.#again);
    }
    return this.#watching;
  }

  readonly #again = (): void => {
    if (this.#socket.readyState !== OPEN) return;
    if (this.#socket.bufferedAmount > 0) {
      systemClock.after(LOOK_EVERY_MS, this.#again);
      return;
    }
    this.#watching = false;
    this.#events.$drained();
  };
}
