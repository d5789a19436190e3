// One other node as an index follows it: what is known of it, and how far that can be trusted. Must not know other nodes, or how one asks.
import { Part, type Turnover } from "./part.ts";
import type { Row } from "./rows.ts";
import type { Share } from "./words.ts";

/** What has led from the version before to this one. */
export type Record = { readonly version: number; readonly rows: readonly Row[] };

/** What may wait for the state that it leads on from: much less than what 50 ms each bring in the seconds that this may take. */
const WAITING_RECORDS_MAX = 1_000;
const WAITING_ROWS_MAX = 100_000;

/** The first wait for an answer is so long, each further one twice as long, and none longer than the second, ms. */
const ANSWER_FIRST_MS = 1_000;
const ANSWER_MAX_MS = 8_000;

const NOBODY_MINDS: Turnover = () => {};

/** The state of a node as it comes in, a share at a time, while changes go on. */
class Loading {
  readonly part: Part;
  /** The connections with a serial up to this one are in `part`, as of `version`; the others are not. */
  covered = 0;
  version = 0;
  /** Records that are not in `part` yet, in order. */
  waiting: Record[] = [];
  waitingRows = 0;
  /** What has come of the next share. */
  pieces: Share[] = [];
  /** When that was asked for; undefined: not yet. */
  askedAt: number | undefined;
  waitMs = ANSWER_FIRST_MS;

  constructor(node: string) {
    this.part = new Part(node);
  }

  get isShareThere(): boolean {
    return this.pieces.at(-1)?.more === false;
  }

  wait(record: Record): void {
    this.waiting.push(record);
    this.waitingRows += record.rows.length;
    if (this.waiting.length <= WAITING_RECORDS_MAX && this.waitingRows <= WAITING_ROWS_MAX) return;
    // Without them there is a gap, which will show.
    this.waiting = [];
    this.waitingRows = 0;
  }

  /** Has `part` take in what waits up to a version, as far as it is covered. "behind": some of it has not come yet. */
  catchUp(version: number): "there" | "behind" | "broken" {
    const later = this.waiting.findIndex((record) => record.version > version);
    const due = this.waiting.splice(0, later < 0 ? this.waiting.length : later);
    for (const record of due) {
      this.waitingRows -= record.rows.length;
      if (record.version <= this.version) continue;
      if (record.version !== this.version + 1 || !this.part.apply(record.rows, this.covered, NOBODY_MINDS)) return "broken";
      this.version++;
    }
    if (this.version === version) return "there";
    return later < 0 && this.version < version ? "behind" : "broken";
  }

  /** Takes in the share that is there. False: it does not fit. */
  take(): boolean {
    const [first] = this.pieces;
    if (first === undefined) return false;
    if (!this.pieces.every(({ rows }) => this.part.apply(rows, Infinity, NOBODY_MINDS))) return false;
    this.version = first.version;
    this.covered = first.next ?? Infinity;
    this.pieces = [];
    this.askedAt = undefined;
    this.waitMs = ANSWER_FIRST_MS;
    return true;
  }
}

/**
 * What is known of it is `part`, as of some version, and each record leads it on by one. Where one is missing its state is asked for: in
 * shares, and meanwhile the old one stays. Records go on during that, so a share may be younger than the ones before it: those are first led
 * on to its version. The new state takes the place of the old one in one step.
 */
export class Peer {
  readonly node: string;
  incarnation: number;
  /** When it was last heard of. */
  heardAt: number;
  #part: Part | undefined;
  #version = 0;
  #isSure = false;
  #loading: Loading | undefined;

  constructor(node: string, incarnation: number, now: number) {
    this.node = node;
    this.incarnation = incarnation;
    this.heardAt = now;
    this.#loading = new Loading(node);
  }

  /** What is known of it; undefined: nothing yet. */
  get part(): Part | undefined {
    return this.#part;
  }

  /** True: what is known is what it has said last. */
  get isSure(): boolean {
    return this.#isSure;
  }

  /** True while its state is not there yet, or not any more. */
  get isLoading(): boolean {
    return this.#loading !== undefined;
  }

  /** The serial after which its connections are to be asked for; undefined: nothing is to be asked now. */
  toAsk(now: number): number | undefined {
    const loading = this.#loading;
    if (loading === undefined || this.isAsked(now)) return undefined;
    // There is a share that waits for records: they were lost.
    if (loading.isShareThere) this.#reload();
    return this.#loading?.covered;
  }

  /** True while its answer may be on its way. */
  isAsked(now: number): boolean {
    const loading = this.#loading;
    return loading?.askedAt !== undefined && now < loading.askedAt + loading.waitMs;
  }

  /** It was asked. */
  asked(now: number): void {
    const loading = this.#loading;
    if (loading === undefined) return;
    if (loading.askedAt !== undefined) loading.waitMs = Math.min(ANSWER_MAX_MS, loading.waitMs * 2);
    loading.askedAt = now;
  }

  /** What it was asked, and what it has said, may have been lost. */
  doubt(): void {
    this.#isSure = false;
    if (this.#loading !== undefined) this.#loading = new Loading(this.node);
  }

  /** It says that it is at this version. */
  says(version: number): void {
    if (this.#loading !== undefined) return; // it will show
    if (this.#part === undefined || version > this.#version) this.#reload();
    else if (version === this.#version) this.#isSure = true;
  }

  /** It tells of a change. */
  tells(record: Record, turnover: Turnover): void {
    if (this.#loading === undefined && this.#part !== undefined) {
      if (record.version <= this.#version) return;
      if (record.version === this.#version + 1) {
        this.#version++;
        this.#isSure = this.#part.apply(record.rows, Infinity, turnover);
        if (!this.#isSure) this.#reload();
        return;
      }
    }
    if (this.#loading === undefined) this.#reload();
    this.#loading?.wait(record);
    this.#advance(turnover);
  }

  /** It has answered. */
  shares(share: Share, turnover: Turnover): void {
    const loading = this.#loading;
    if (loading === undefined || share.after !== loading.covered) return; // it was asked twice
    if (share.piece === 0) loading.pieces = [share];
    else if (share.piece === loading.pieces.length && share.version === loading.pieces[0]?.version) loading.pieces.push(share);
    this.#advance(turnover);
  }

  #advance(turnover: Turnover): void {
    const loading = this.#loading;
    const version = loading?.pieces[0]?.version;
    if (loading === undefined || version === undefined || !loading.isShareThere) return;
    if (loading.covered > 0) {
      const outcome = loading.catchUp(version);
      if (outcome === "behind") return;
      if (outcome === "broken") return this.#reload();
    }
    if (!loading.take()) return this.#reload();
    if (loading.covered === Infinity) this.#replace(loading, turnover);
  }

  #replace(loading: Loading, turnover: Turnover): void {
    const newest = loading.waiting.at(-1)?.version ?? 0;
    const isWhole = newest <= loading.version || loading.catchUp(newest) === "there";
    const [old, { part }] = [this.#part, loading];
    this.#part = part;
    this.#version = loading.version;
    this.#loading = undefined;
    this.#isSure = true;
    if (!isWhole) this.#reload();
    for (const { namespace, name } of old?.occupied() ?? []) if (part.count(namespace, name) === 0) turnover(namespace, name, true);
    for (const { namespace, name } of part.occupied()) if ((old?.count(namespace, name) ?? 0) === 0) turnover(namespace, name, false);
  }

  #reload(): void {
    const { askedAt, waitMs = 0 } = this.#loading ?? {};
    this.#isSure = false;
    this.#loading = new Loading(this.node);
    if (askedAt === undefined) return;
    // It has failed once: not at once again.
    this.#loading.askedAt = askedAt;
    this.#loading.waitMs = Math.min(ANSWER_MAX_MS, waitMs * 2);
  }
}
