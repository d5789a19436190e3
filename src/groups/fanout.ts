// A set of connections that get the same messages, and what has gathered for them in this turn. Knows connections and frames;
// must not know names, events or channels. Groups and the pool's namespaces are built on it.
import { Buffers } from "../base/buffers.ts";
import { Batch, type Carrier } from "../sockets/socket.ts";
import { concat } from "../wire/frames.ts";
import type { Connection, Trouble } from "./connection.ts";
import type { Gathering, Turn } from "../base/turn.ts";

/** Pending bytes that are written before the turn ends. A send costs about 4 µs, the bytes 0.02 µs per hundred: larger writes gain nothing, and hold memory longer. */
export const PENDING_BYTES_EARLY = 256 * 1024;

/** Pending bytes with which waiting for more pays no longer: to copy so many takes a third of the time of a send. */
const PENDING_BYTES_ENOUGH = 8 * 1024;

/** So many may leave before the set of members is made anew, and a sixteenth of them besides: 16 small steps for each leaver. */
const LEAVERS_MIN = 64;

/**
 * Order: every member gets the messages in the order of `push` and `pushExcept`. What changes who should see a message
 * flushes first, so a joiner never gets what was pushed before it came, nor does a leaver miss it.
 */
export class Fanout implements Gathering {
  readonly #turn: Turn;
  readonly #catchUp: (() => void) | undefined;
  #members = new Set<Connection>();
  #leavers = 0;
  // The members as a list that stays as it is while it is walked; made anew after a change.
  #list: readonly Connection[] | undefined;
  // What carries each of them; for the walk itself, which then touches no connection.
  #carriers: readonly Carrier[] | undefined;
  // What is pending: in parts if it is much, else copied, for nobody else's buffer is held until the end of the turn.
  #parts: Uint8Array[] | undefined;
  #buffer: Uint8Array | undefined;
  #bytes = 0;
  // What deliveries have left to tell: at the end of the turn, as telling runs listeners, which must not happen in the midst of a join.
  #troubled: [Connection, Trouble][] = [];

  /** `catchUp` pushes what is on its way already and can be here within the turn: it comes before whatever changes now. */
  constructor(turn: Turn, catchUp?: () => void) {
    this.#turn = turn;
    this.#catchUp = catchUp;
  }

  get size(): number {
    return this.#members.size;
  }

  has(connection: Connection): boolean {
    return this.#members.has(connection);
  }

  add(connection: Connection): void {
    this.#catchUp?.();
    this.#writePending();
    this.#members.add(connection);
    this.#list = this.#carriers = undefined;
  }

  delete(connection: Connection): void {
    this.#catchUp?.();
    this.#writePending();
    this.#members.delete(connection);
    this.#list = this.#carriers = undefined;
    // A Set keeps a place for those who have left, and who comes and goes again and again makes a long way to its own.
    if (++this.#leavers <= LEAVERS_MIN + this.#members.size / 16) return;
    this.#leavers = 0;
    this.#members = new Set(this.#members);
  }

  /** Who is a member now. A list of its own: it does not change while it is walked. */
  list(): readonly Connection[] {
    this.#list ??= [...this.#members];
    return this.#list;
  }

  /** Adds finished frames for every member; they are written at the end of the turn, or soon if the process is busy. Runs no listener. */
  push(frames: Uint8Array): void {
    if (this.#members.size === 0) return;
    if (this.#bytes === 0) this.#turn.add(this);
    else this.#turn.grew();
    this.#keep(frames);
    this.#bytes += frames.length;
    if (this.#bytes >= PENDING_BYTES_EARLY) this.#writePending();
    else if (this.#bytes >= PENDING_BYTES_ENOUGH) this.#turn.hurry();
  }

  /** Writes a frame, at once and after everything pending, to every member whose id is not in `except`. Runs no listener. */
  pushExcept(frame: Uint8Array, except: readonly string[]): void {
    this.#writePending();
    const without = new Set(except);
    const batch = new Batch(concat([frame], frame.length)); // it may be a small piece of a large record
    for (const member of this.list()) if (!without.has(member.id)) this.#note(member, member.$deliver(batch));
  }

  /** Writes what is pending: one write per member. Runs listeners of those that are slow. */
  flush(): void {
    this.#catchUp?.();
    this.#writePending();
    this.#tellTroubles();
  }

  #keep(frames: Uint8Array): void {
    const bytes = this.#bytes + frames.length;
    if (this.#parts !== undefined || bytes > Buffers.BYTES_MAX) {
      if (this.#buffer !== undefined) this.#turn.buffers.lose(this.#buffer);
      this.#parts ??= this.#bytes === 0 ? [] : [this.#take()];
      // Long ones stay what they are; the others may lie in memory that is used again.
      this.#parts.push(frames.length > Buffers.BYTES_MAX ? frames : frames.slice());
      return;
    }
    const { buffers } = this.#turn;
    const held = this.#buffer;
    if (held === undefined || held.length < bytes) {
      this.#buffer = buffers.take(bytes);
      if (held !== undefined) {
        this.#buffer.set(held.subarray(0, this.#bytes));
        buffers.give(held);
      }
    }
    this.#buffer?.set(frames, this.#bytes);
  }

  /** What the buffer holds; it belongs to whoever has asked. */
  #take(): Uint8Array {
    const taken = this.#buffer?.subarray(0, this.#bytes) ?? new Uint8Array(0);
    this.#buffer = undefined;
    return taken;
  }

  #writePending(): void {
    if (this.#bytes === 0) return;
    const room = this.#buffer;
    const frames = this.#parts === undefined ? this.#take() : concat(this.#parts, this.#bytes);
    this.#parts = undefined;
    this.#bytes = 0;
    const members = this.list();
    const carriers = (this.#carriers ??= members.map((member) => member.$carrier));
    let isFree = room !== undefined;
    let kept: Batch | undefined;
    for (let at = 0; at < carriers.length; at++) {
      const outcome = carriers[at]?.writeNow(frames);
      if (outcome === "done") continue;
      const member = members[at];
      if (member === undefined) continue;
      if (outcome === "underway") {
        isFree = false;
        this.#note(member, member.$fellBehind(frames.length));
      } else {
        // May stay in somebody's queue, so it is no part of a room that is used again.
        kept ??= new Batch(room === undefined ? frames : frames.slice());
        this.#note(member, member.$deliver(kept));
      }
    }
    if (isFree && room !== undefined) this.#turn.buffers.give(room);
    else if (room !== undefined) this.#turn.buffers.lose(room);
  }

  #note(member: Connection, trouble: Trouble | undefined): void {
    if (trouble === undefined) return;
    if (trouble.kind !== "slow") member.$doom();
    if (this.#troubled.push([member, trouble]) === 1) this.#turn.add(this);
  }

  // After the write: listeners may join and leave, and everybody who was a member has got the message.
  #tellTroubles(): void {
    if (this.#troubled.length === 0) return;
    const troubled = this.#troubled;
    this.#troubled = [];
    for (const [member, trouble] of troubled) member.$settle(trouble);
  }
}
