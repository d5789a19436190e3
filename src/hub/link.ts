// One socket between a process and the hub, the same at both ends: cuts what comes into frames, gathers what goes out, notices
// silence and backlog. Must not know what the frames say.
import type { Socket } from "node:net";
import { asError, GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred } from "../base/promises.ts";
import type { Gathering, Turn } from "../base/turn.ts";
import { concat } from "../wire/frames.ts";
import { FRAME_BYTES_MAX, PING } from "./frames.ts";
import { Splitter } from "./splitter.ts";

/** Bytes that the kernel has not taken and that have waited longer than a turn: with more a link is behind. */
export const WAITING_BYTES_MAX = 8 * 1024 * 1024;
/** All that may wait, this turn's output too; with more a link is cut. Room for all topics of a link at their longest. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Each side pings this often, ms; ... */
export const PING_EVERY_MS = 1_000;
/** ... and takes the other for dead after this many pings of its own without a byte from it: within 3 s. */
const SILENT_PINGS_MAX = 3;
/** Output that is written before the turn ends; larger writes gain nothing and hold memory longer. */
const WRITE_BYTES_EARLY = 256 * 1024;

/** Whom a link tells. */
export interface LinkEvents {
  /** A whole frame. If it throws, the link is cut with that error. */
  frame(frame: Buffer): void;
  /** The kernel has taken everything. Told often. */
  drained(): void;
  /** More than the limit has waited longer than a turn. */
  behind(): void;
  /** Told once, as soon as it is known; no frame comes after it. */
  ended(reason: Error): void;
}

export class Link implements Gathering {
  readonly #socket: Socket;
  readonly #turn: Turn;
  readonly #waitingBytesMax: number;
  readonly #events: LinkEvents;
  readonly #splitter: Splitter;
  readonly #gone: Deferred<void> = deferred();
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #writtenThisTurn = 0;
  #inTurn = false;
  #flushingSoon = false;
  #silentPings = 0;
  #isPaused = false;
  #ended = false;

  constructor(socket: Socket, turn: Turn, events: LinkEvents, waitingBytesMax: number = WAITING_BYTES_MAX) {
    this.#socket = socket;
    this.#turn = turn;
    this.#waitingBytesMax = waitingBytesMax;
    this.#events = events;
    this.#splitter = new Splitter((frame) => events.frame(frame));
    let error: Error | undefined;
    socket.on("drain", () => events.drained());
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (thrown: Error) => void (error = thrown));
    socket.on("close", () => {
      this.#end(error ?? new GroupcastError("unavailable", "the other side closed it"));
      this.#gone.resolve();
    });
  }

  /** Resolves when nothing of the socket is left. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** Bytes that the kernel has not taken, this turn's output included. */
  get queuedBytes(): number {
    return this.#socket.writableLength + this.#bytes;
  }

  /** Bytes that the kernel has taken so far; grows by a write at a time. */
  get takenBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  /** True: it is behind, or near its end; nothing that can be refused should be added. */
  get isFull(): boolean {
    return this.#isBehind || this.queuedBytes > QUEUE_BYTES_MAX - FRAME_BYTES_MAX;
  }

  /** The other side has proved itself: its frames may be as long as a record. */
  trust(): void {
    this.#splitter.bytesMax = FRAME_BYTES_MAX;
  }

  /** Adds to what is written at the end of the turn, in one write. The bytes must not be changed any more. */
  push(part: Uint8Array): void {
    if (this.#ended) return;
    if (!this.#inTurn) {
      this.#inTurn = true;
      this.#turn.add(this);
    }
    // A large part goes alone: one more write costs less than to copy it.
    if (part.length >= WRITE_BYTES_EARLY) this.#write();
    this.#parts.push(part);
    this.#bytes += part.length;
    if (this.#bytes >= WRITE_BYTES_EARLY) this.#write();
  }

  /** Writes what has gathered as soon as the code that runs now is done, instead of at the end of the turn. */
  flushSoon(): void {
    if (this.#flushingSoon) return;
    this.#flushingSoon = true;
    queueMicrotask(() => {
      this.#flushingSoon = false;
      this.#write();
    });
  }

  /** The end of a turn. */
  flush(): void {
    this.#inTurn = false;
    if (this.#ended) return;
    if (this.#isBehind) this.#events.behind();
    this.#write();
    this.#writtenThisTurn = 0;
    if (this.#socket.writableLength === 0) this.#events.drained();
  }

  /** Called every {@link PING_EVERY_MS}. Counts own pings, not time: a process that was stopped for a while cuts nobody for that. */
  tick(): void {
    if (!this.#isPaused) this.#silentPings++;
    if (this.#silentPings >= SILENT_PINGS_MAX) this.cut(new GroupcastError("unavailable", "nothing was heard from it for 3 s"));
    else this.push(PING);
  }

  /** Reads nothing from now on, but for what has been read already: up to two chunks. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#silentPings = 0; // what it said meanwhile comes only now
    this.#socket.resume();
  }

  /** Ends it at once; what has not been written is lost. */
  cut(reason: Error): void {
    this.#socket.destroy();
    this.#end(reason);
  }

  /** Ends it once everything has been written. Nothing that comes is read any more. */
  finish(reason: Error): void {
    this.#write();
    this.#end(reason);
    this.#socket.destroySoon();
  }

  #read(chunk: Buffer): void {
    this.#silentPings = 0;
    try {
      this.#splitter.read(chunk);
    } catch (thrown) {
      this.cut(asError(thrown));
    }
  }

  #write(): void {
    if (this.#bytes === 0 || this.#ended) return;
    const bytes = this.#bytes;
    const batch = concat(this.#parts, bytes);
    this.#parts = [];
    this.#bytes = 0;
    this.#writtenThisTurn += bytes;
    this.#socket.write(batch);
    if (this.#socket.writableLength > QUEUE_BYTES_MAX) this.cut(tooSlow(QUEUE_BYTES_MAX));
  }

  get #isBehind(): boolean {
    return this.#socket.writableLength - this.#writtenThisTurn > this.#waitingBytesMax;
  }

  #end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#splitter.end();
    this.#parts = [];
    this.#bytes = 0;
    this.#events.ended(reason);
  }
}

export function tooSlow(bytes: number): GroupcastError {
  return new GroupcastError("limit", `it reads too slowly: over ${bytes} bytes waited for it`);
}
