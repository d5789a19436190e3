// What this process tells the others of its own connections, as long as somebody wants to know. Must not know the channel, or what the
// others make of it.
import type { Cancel, Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { type Present, Rows } from "./rows.ts";
import type { News, Share } from "./words.ts";

/** Who has asked wants to know for so long, ms; it asks again three times in that. */
export const WANTED_MS = 30_000;
/** While much changes a record goes no more often than this, ms: a twentieth of the second in which everybody is to know. */
export const RECORD_EVERY_MS = 50;
/** Who has nothing to tell gives a sign of life this often, ms, a tenth more or less: three in the time after which a process counts as dead. */
export const BEAT_MS = 2_000;

const TICK_MS = 500;
/** Bounds for what others may make it keep. */
const HOLDERS_MAX = 4_096;
const ASKS_MAX = 1_024;

export interface TellerOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** To everybody who keeps an index. */
  readonly publish: (news: Omit<News, "node" | "incarnation">) => void;
  /** To one of them. */
  readonly give: (node: string, share: Omit<Share, "incarnation">) => void;
}

/** What has happened to a connection since the last record, in sum. */
type Touch = { readonly groups: Map<string, boolean>; isRenamed: boolean };

/** It is new: everything about it will be told. */
const NEW: Touch = Object.freeze({ groups: new Map<string, boolean>(), isRenamed: false });

/** While nobody wants to know, a change costs a comparison. */
export class Teller<P extends Present> {
  readonly #options: TellerOptions;
  readonly #clock: Clock;
  // In the order of their serials.
  readonly #present = new Set<P>();
  #lastSerial = 0;
  // Who wants to know, and until when.
  readonly #holders = new Map<string, number>();
  #isUp = false;
  #isTelling = false;
  #version = 0;
  /** Something has changed that was not told and that the version does not show. */
  #hasSecrets = false;
  #touched = new Map<P, Touch>();
  #gone: number[] = [];
  // Whom a sign of life is due to.
  #asks: string[] = [];
  #isDue = false;
  #toldAt = -Infinity;
  #beatAfterMs = BEAT_MS;
  #cancelTick: Cancel | undefined;

  constructor(options: TellerOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /** The connections of this process, the oldest first. */
  get present(): ReadonlySet<P> {
    return this.#present;
  }

  /** True while somebody wants to know. */
  get isWanted(): boolean {
    return this.#holders.size > 0;
  }

  /** What this process' connections and groups are told as by now. */
  get version(): number {
    if (this.#hasSecrets) {
      this.#hasSecrets = false;
      this.#version++;
    }
    return this.#version;
  }

  came(present: P): void {
    if (this.#present.has(present)) return;
    present.$serial = ++this.#lastSerial;
    this.#present.add(present);
    if (!this.#isTelling) this.#hasSecrets = true;
    else this.#touch(present, NEW);
  }

  /** To be told before it leaves its groups: those need not be told then. */
  went(present: P): void {
    if (!this.#present.delete(present)) return;
    if (!this.#isTelling) {
      this.#hasSecrets = true;
      return;
    }
    const touch = this.#touched.get(present);
    this.#touched.delete(present);
    if (touch === NEW) return; // nobody has heard of it
    this.#gone.push(present.$serial);
    this.#soon();
  }

  joined(present: P, group: string): void {
    if (!this.#isTelling) this.#hasSecrets = true;
    else this.#turned(present, group, true);
  }

  left(present: P, group: string): void {
    if (!this.#isTelling) this.#hasSecrets = true;
    else this.#turned(present, group, false);
  }

  renamed(present: P): void {
    if (!this.#isTelling) {
      this.#hasSecrets = true;
      return;
    }
    const touch = this.#touchOf(present);
    if (touch !== undefined && touch !== NEW) touch.isRenamed = true;
  }

  /** That node keeps an index. */
  wantedBy(node: string): void {
    if (!this.#holders.has(node) && this.#holders.size >= HOLDERS_MAX) return;
    this.#holders.set(node, this.#clock.now() + WANTED_MS);
    this.#decide();
  }

  /** That node is gone. */
  forget(node: string): void {
    if (this.#holders.delete(node)) this.#decide();
  }

  /** Says that it is there to whoever has asked so: at once, unless many ask. */
  answer(ask: string): void {
    if (!this.#isTelling || this.#asks.length >= ASKS_MAX) return;
    this.#asks.push(ask);
    if (this.#waitMs <= 0) this.#send();
    else this.#soon();
  }

  /** Gives a node its connections above the serial `after`, as many as one letter carries. */
  share(node: string, after: number, nodes: readonly string[] | undefined): void {
    this.#send(); // what has gathered leads to the version that is given
    const rows = new Rows();
    let next: number | null = null;
    let last = after;
    for (const present of this.#present) {
      if (present.$serial <= after) continue;
      if (rows.isFull) {
        next = last;
        break;
      }
      rows.here(present);
      last = present.$serial;
    }
    const { version } = this;
    const { letters } = rows;
    letters.forEach((rows, piece) => {
      const more = piece < letters.length - 1;
      this.#options.give(node, { version, after, piece, rows, more, next, ...(piece === 0 && nodes !== undefined && { nodes }) });
    });
  }

  /** The link works. */
  up(): void {
    this.#isUp = true;
    this.#decide();
  }

  /** It does not, or no more. What changes now is not told: who wants to know sees by the version that it has missed something. */
  down(): void {
    this.#isUp = false;
    this.#decide();
  }

  #decide(): void {
    const isTelling = this.#isUp && this.#holders.size > 0;
    if (isTelling === this.#isTelling) return;
    this.#isTelling = isTelling;
    if (isTelling) {
      this.#cancelTick = this.#clock.every(TICK_MS, () => this.#tick());
      return;
    }
    this.#cancelTick?.();
    if (this.#touched.size > 0 || this.#gone.length > 0) this.#hasSecrets = true;
    this.#touched = new Map();
    this.#gone = [];
    this.#asks = [];
  }

  #tick(): void {
    const now = this.#clock.now();
    for (const [node, until] of this.#holders) if (until <= now) this.#holders.delete(node);
    this.#decide();
    if (this.#isTelling && now - this.#toldAt >= this.#beatAfterMs) this.#publish({ version: this.version });
  }

  #turned(present: P, group: string, isMember: boolean): void {
    const touch = this.#touchOf(present);
    if (touch === undefined || touch === NEW) return;
    // Whoever has left what it joined, or the other way round, is where it was.
    if (!touch.groups.delete(group)) touch.groups.set(group, isMember);
  }

  #touchOf(present: P): Touch | undefined {
    // Who is gone leaves its groups without a word.
    if (!this.#present.has(present)) return undefined;
    return this.#touched.get(present) ?? this.#touch(present, { groups: new Map(), isRenamed: false });
  }

  #touch(present: P, touch: Touch): Touch {
    this.#touched.set(present, touch);
    this.#soon();
    return touch;
  }

  /** Until the next record may go. */
  get #waitMs(): number {
    return this.#toldAt + RECORD_EVERY_MS - this.#clock.now();
  }

  #soon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const waitMs = this.#waitMs;
    const due = (): void => {
      this.#isDue = false;
      this.#send();
    };
    if (waitMs > 0) this.#clock.after(waitMs, due);
    else this.#clock.turnEnd(due);
  }

  /** Tells what has gathered. */
  #send(): void {
    if (!this.#isTelling) return;
    const [touched, gone, asks] = [this.#touched, this.#gone, this.#asks];
    this.#touched = new Map();
    this.#gone = [];
    this.#asks = [];
    const to = asks.length > 0 ? asks : undefined;
    const rows = new Rows();
    for (const serial of gone) rows.gone(serial);
    for (const [present, touch] of touched) this.#write(rows, present, touch);
    if (rows.isEmpty) {
      if (to !== undefined) this.#publish({ version: this.version, to });
      return;
    }
    rows.letters.forEach((letter, index) => {
      this.#version = this.version + 1;
      this.#publish({ version: this.#version, rows: letter, ...(index === 0 && to !== undefined && { to }) });
    });
  }

  #write(rows: Rows, present: P, touch: Touch): void {
    if (touch === NEW) return rows.here(present);
    const { groups, isRenamed } = touch;
    if (groups.size === 0 && !isRenamed) return;
    const names = [...groups.keys()];
    const [joined, left] = [names.filter((name) => groups.get(name)), names.filter((name) => !groups.get(name))];
    rows.changed(present.$serial, joined, left, isRenamed ? present.user : undefined);
  }

  #publish(news: Omit<News, "node" | "incarnation">): void {
    this.#toldAt = this.#clock.now();
    this.#beatAfterMs = BEAT_MS * (0.9 + 0.2 * this.#options.random.unit()) - TICK_MS / 2;
    this.#options.publish(news);
  }
}
