// What carrying a connection is on every socket, whatever its listeners look like: messages one by one, closing, and an end that is
// told once. node-socket.ts, server-socket.ts and web-socket.ts add what theirs can do. Must not know connections or groups.
import { asError } from "../base/errors.ts";
import { BacklogWatch } from "./backlog-watch.ts";
import { type Batch, type Carrier, type CarrierEvents, CLOSED, OPEN, type Outcome, sendOn, type SocketLike } from "./socket.ts";

export class SocketCarrier<Socket extends SocketLike> implements Carrier {
  readonly socket: Socket;
  readonly events: CarrierEvents;
  // Made with the first message: a server's sockets need none.
  #watch: BacklogWatch | undefined;
  #ended = false;

  constructor(socket: Socket, events: CarrierEvents) {
    this.socket = socket;
    this.events = events;
  }

  get open(): boolean {
    return this.socket.readyState === OPEN;
  }

  get queuedBytes(): number {
    return this.socket.bufferedAmount;
  }

  get takenBytes(): number {
    return 0;
  }

  writeNow(_frames: Uint8Array): Outcome {
    return "refused";
  }

  seal(): void {}

  write(batch: Batch): boolean {
    if (!this.open) return false;
    for (const payload of batch.payloads) sendOn(this.socket, payload);
    this.#watch ??= new BacklogWatch(this.socket, this.events);
    return this.#watch.look();
  }

  close(code: number, reason: string): void {
    try {
      this.socket.close(code, reason);
    } catch (error) {
      this.events.$failed(asError(error));
      this.terminate();
    }
  }

  terminate(): void {
    try {
      if (this.socket.terminate !== undefined) return this.socket.terminate();
      this.socket.close();
    } catch (error) {
      this.events.$failed(asError(error));
    }
    // A silent peer would keep a socket that cannot be cut in its closing handshake for ever: for us it ends here.
    if (this.socket.readyState !== CLOSED) this.end(1006, "");
  }

  ping(): boolean {
    if (typeof this.socket.ping !== "function") return false;
    try {
      if (this.open) this.socket.ping();
    } catch (error) {
      this.events.$failed(asError(error));
    }
    return true;
  }

  pause(): void {
    this.socket.pause?.();
  }

  resume(): void {
    this.socket.resume?.();
  }

  /** Tells `$closed`, once. */
  end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.events.$closed(code, reason);
  }
}
