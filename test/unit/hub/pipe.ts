// A socket whose kernel takes what the test lets it take.
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";

export class Pipe extends EventEmitter {
  readonly written: Buffer[] = [];
  bytesWritten = 0;
  writableLength = 0;
  takes = true;
  paused = false;
  destroyed = false;

  asSocket(): Socket {
    return this as unknown as Socket;
  }

  write(bytes: Uint8Array): boolean {
    this.written.push(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    this.bytesWritten += bytes.length;
    if (!this.takes) this.writableLength += bytes.length;
    return this.takes;
  }

  /** The kernel takes so much of what waits; all, if nothing is said. */
  take(bytes = this.writableLength): void {
    this.writableLength -= bytes;
    if (this.writableLength === 0) this.emit("drain");
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    queueMicrotask(() => this.emit("close"));
  }

  destroySoon(): void {
    this.destroy();
  }
}
