// A set of connections that get the same messages, and what has gathered for them in this turn. Knows connections and frames;
// must not know names, events or channels. Groups and the pool's namespaces are built on it.
import { Batch } from "../sockets/socket.ts";
import type { Connection, Trouble } from "./connection.ts";
import type { Gathering, Turn } from "./turn.ts";

/** Pending bytes that are written before the turn ends. Larger writes gain nothing and hold memory longer (design §6). */
export const PENDING_BYTES_EARLY = 256 * 1024;

/**
 * Order: every member gets the messages in the order of `push` and `pushExcept`. What changes who should see a message
 * flushes first, so a joiner never gets what was pushed before it came, nor does a leaver miss it.
 */
export class Fanout implements Gathering {
  readonly #turn: Turn;
  readonly #members = new Set<Connection>();
  // The members as a list that stays as it is while it is walked; made anew after a change.
  #list: readonly Connection[] | undefined;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(turn: Turn) {
    this.#turn = turn;
  }

  get size(): number {
    return this.#members.size;
  }

  has(connection: Connection): boolean {
    return this.#members.has(connection);
  }

  add(connection: Connection): void {
    this.flush();
    this.#members.add(connection);
    this.#list = undefined;
  }

  delete(connection: Connection): void {
    this.flush();
    this.#members.delete(connection);
    this.#list = undefined;
  }

  /** Who is a member now. A list of its own: it does not change while it is walked. */
  list(): readonly Connection[] {
    this.#list ??= [...this.#members];
    return this.#list;
  }

  /** Adds finished frames for every member; they are written at the end of the turn. */
  push(frames: Uint8Array): void {
    if (this.#members.size === 0) return;
    if (this.#parts.length === 0) this.#turn.add(this);
    this.#parts.push(frames);
    this.#bytes += frames.length;
    if (this.#bytes >= PENDING_BYTES_EARLY) this.flush();
  }

  /** Writes a frame, at once and after everything pending, to every member whose id is not in `except`. */
  pushExcept(frame: Uint8Array, except: readonly string[]): void {
    this.flush();
    const without = new Set(except);
    this.#write(
      new Batch(frame),
      this.list().filter((member) => !without.has(member.id)),
    );
  }

  /** Writes what is pending: one write per member. */
  flush(): void {
    if (this.#parts.length === 0) return;
    const batch = Batch.join(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    this.#write(batch, this.list());
  }

  #write(batch: Batch, members: readonly Connection[]): void {
    let troubled: [Connection, Trouble][] | undefined;
    for (const member of members) {
      const trouble = member.deliver(batch);
      if (trouble !== undefined) (troubled ??= []).push([member, trouble]);
    }
    // Only now: listeners may join and leave, and everybody who was a member has got the message.
    for (const [member, trouble] of troubled ?? []) member.settle(trouble);
  }
}
