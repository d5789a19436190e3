// Puts the messages of each topic into the order of the stream that they come from, however they overtook each other on the way: every
// message names the one before it on its topic. Must not know NATS.
import type { Cancel, Clock } from "../base/clock.ts";

/** A hole has this long to close by itself, ms; then what is missing is fetched. Messages overtake each other by less. */
const FETCH_AFTER_MS = 30;
/** What could not be fetched is asked for again after this, ms: it may have been asked of somebody who is behind. */
const FETCH_AGAIN_AFTER_MS = 250;
/** A hole that is open after this is passed over, ms. */
const GIVE_UP_AFTER_MS = 1_000;
/** Fetches under way at a time. */
const FETCHES_MAX = 16;
/** Bytes of messages that wait for others, of all topics. */
const HELD_BYTES_MAX = 8 * 1024 * 1024;
/** What a message that waits costs beside its bytes. */
const HELD_EXTRA_BYTES = 256;

/** A message and its place: sequences only grow, and one stands for one message of the stream. */
interface Placed {
  readonly sequence: number;
  /** The sequence of the message before it on its topic; 0: the stream has none any more. */
  readonly previous: number;
  readonly data: Uint8Array;
}

/** Whom the order asks and tells. */
export interface OrderHost {
  /** The next message of a topic. May close the line. Must not throw. */
  deliver(topic: string, data: Uint8Array): void;
  /** The first message of a topic in the stream from this sequence on; undefined: it has none. */
  fetch(topic: string, sequence: number): Promise<{ readonly sequence: number; readonly data: Uint8Array } | undefined>;
  /** Messages of a topic are missing for good. */
  lost(topic: string): void;
  /** A message was left out that is not newer than what its topic has had: it was late, or the stream has begun anew. */
  stale(topic: string): void;
}

/** The place of a line that has not begun: nothing is the next. */
const UNKNOWN = -1;

/** One topic. Everything but its name is for {@link Order} alone. */
export class Line {
  readonly topic: string;
  /** Up to this sequence everything has been delivered, or is not to be. */
  last = UNKNOWN;
  /** What waits for something before it, by sequence. */
  readonly held: Placed[] = [];
  heldBytes = 0;
  /** The last of what was dropped because too much waited before the line began. */
  dropped = UNKNOWN;
  /** When the hole in front of what is held was noticed, and behind which message it is. */
  openSinceMs = 0;
  openBehind = UNKNOWN;
  fetchAtMs = 0;
  isFetching = false;
  isClosed = false;

  constructor(topic: string) {
    this.topic = topic;
  }
}

/** All lines of one link. */
export class Order {
  readonly #clock: Clock;
  readonly #host: OrderHost;
  /** Lines with a hole. */
  readonly #open = new Set<Line>();
  #heldBytes = 0;
  #fetches = 0;
  #newest = 0;
  #cancelTick: Cancel | undefined;

  constructor(clock: Clock, host: OrderHost) {
    this.#clock = clock;
    this.#host = host;
  }

  /** The highest sequence that any line has come to. */
  get newest(): number {
    return this.#newest;
  }

  /** A message has come. */
  take(line: Line, sequence: number, previous: number, data: Uint8Array): void {
    if (sequence > line.last && previous <= line.last && line.held.length === 0) return this.#deliver(line, sequence, data);
    if (line.isClosed) return;
    if (sequence <= line.last) return this.#host.stale(line.topic);
    // Copied: it may be a small part of a large chunk.
    this.#hold(line, { sequence, previous, data: data.slice() });
    if (line.last !== UNKNOWN) this.#release(line);
  }

  /**
   * Begins a line behind `sequence`: what has come up to there is left out, what has come after it is delivered. False: something after
   * it was dropped already; it can begin further on.
   */
  begin(line: Line, sequence: number): boolean {
    if (sequence < line.dropped) return false;
    line.last = sequence;
    this.#newest = Math.max(this.#newest, sequence);
    this.#release(line);
    return true;
  }

  /** Nothing of a line is delivered any more. */
  close(line: Line): void {
    line.isClosed = true;
    line.last = Number.POSITIVE_INFINITY;
    this.#drop(line);
  }

  /** Nothing more comes: what waits is delivered, in order, without what it waits for. */
  end(): void {
    for (const line of this.#open) this.#pass(line);
    this.#cancelTick?.();
  }

  #deliver(line: Line, sequence: number, data: Uint8Array): void {
    line.last = sequence;
    if (sequence > this.#newest) this.#newest = sequence;
    this.#host.deliver(line.topic, data);
  }

  #hold(line: Line, placed: Placed): void {
    let index = line.held.length;
    while (index > 0 && (line.held[index - 1]?.sequence ?? 0) >= placed.sequence) index--;
    if (line.held[index]?.sequence === placed.sequence) return; // fetched, and come after all
    line.held.splice(index, 0, placed);
    const bytes = placed.data.length + HELD_EXTRA_BYTES;
    line.heldBytes += bytes;
    this.#heldBytes += bytes;
    if (this.#heldBytes > HELD_BYTES_MAX) this.#makeRoom(line);
  }

  /** Delivers what is the next by now. */
  #release(line: Line): void {
    for (let first = line.held[0]; first !== undefined && !line.isClosed; first = line.held[0]) {
      if (first.sequence > line.last && first.previous > line.last) break;
      line.held.shift();
      const bytes = first.data.length + HELD_EXTRA_BYTES;
      line.heldBytes -= bytes;
      this.#heldBytes -= bytes;
      if (first.sequence > line.last) this.#deliver(line, first.sequence, first.data);
    }
    if (line.held.length === 0) this.#open.delete(line);
    else if (line.openBehind !== line.last || !this.#open.has(line)) this.#opened(line);
  }

  #opened(line: Line): void {
    line.openBehind = line.last;
    line.openSinceMs = this.#clock.now();
    line.fetchAtMs = line.openSinceMs + FETCH_AFTER_MS;
    this.#open.add(line);
    this.#cancelTick ??= this.#clock.after(FETCH_AFTER_MS, this.#tick);
  }

  readonly #tick = (): void => {
    this.#cancelTick = undefined;
    const now = this.#clock.now();
    for (const line of [...this.#open]) {
      if (now - line.openSinceMs >= GIVE_UP_AFTER_MS) {
        this.#host.lost(line.topic);
        this.#passFirst(line);
      } else if (now >= line.fetchAtMs) this.#fetch(line);
    }
    if (this.#open.size > 0) this.#cancelTick = this.#clock.after(FETCH_AFTER_MS, this.#tick);
  };

  #fetch(line: Line): void {
    if (line.isFetching || this.#fetches >= FETCHES_MAX) return;
    line.isFetching = true;
    this.#fetches++;
    void this.#host
      .fetch(line.topic, line.last + 1)
      .catch(() => undefined) // there is another time, and the end of all of them
      .then((found) => {
        line.isFetching = false;
        this.#fetches--;
        if (!line.isClosed && this.#open.has(line)) this.#fetched(line, found);
      });
  }

  #fetched(line: Line, found: { readonly sequence: number; readonly data: Uint8Array } | undefined): void {
    const next = line.held[0]?.sequence ?? 0;
    if (found === undefined || found.sequence >= next || found.sequence <= line.last) {
      line.fetchAtMs = this.#clock.now() + FETCH_AGAIN_AFTER_MS;
      return;
    }
    this.#deliver(line, found.sequence, found.data);
    this.#release(line);
    if (this.#open.has(line)) this.#fetch(line);
  }

  /** Delivers what is held behind the first hole. */
  #passFirst(line: Line): void {
    line.last = Math.max(line.last, line.held[0]?.previous ?? 0);
    this.#release(line);
  }

  /** Delivers everything that is held. */
  #pass(line: Line): void {
    while (line.held.length > 0 && !line.isClosed) this.#passFirst(line);
  }

  #makeRoom(line: Line): void {
    if (line.last === UNKNOWN) {
      line.dropped = line.held.at(-1)?.sequence ?? UNKNOWN;
      return this.#drop(line);
    }
    this.#host.lost(line.topic);
    this.#pass(line);
  }

  #drop(line: Line): void {
    this.#heldBytes -= line.heldBytes;
    line.heldBytes = 0;
    line.held.length = 0;
    this.#open.delete(line);
  }
}
