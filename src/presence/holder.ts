// The index that a process keeps of all others, once somebody has asked: who is alive, who has to be asked what, and who is dropped. Must
// not know topics, or what this process has itself.
import type { Cancel, Clock } from "../base/clock.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import type { Random } from "../base/random.ts";
import { Census, LEASE_MS } from "./census.ts";
import type { Index } from "./known.ts";
import type { Part, Turnover } from "./part.ts";
import { Peer } from "./peer.ts";
import type { News, Share, Want } from "./words.ts";

/** The first question waits so long, ms, for those who are slow; then answers are partial. */
export const LOAD_WITHIN_MS = 1_000;
/** Everybody is told so often that this process keeps an index, ms: three times in the time that they remember it. */
const WANT_EVERY_MS = 10_000;

const TICK_MS = 500;
/** A tick that comes so much too late, ms: this process was asleep, and so has heard of nobody. */
const ASLEEP_MS = 2_000;
/** After an outage all come back at the same moment, and ask within so long, ms. */
const JITTER_MS = 100;
/** While the first answers are awaited it is looked so often whether they are all there, ms. */
const LOOK_MS = 25;
/** Nodes that may be asked for a share of 200 KB at a time: less than the 8 MiB that a hub lets wait for one process. */
const ASKED_MAX = 32;
/** Nodes in an index: more are somebody's mistake. */
const NODES_MAX = 10_000;
/** Characters in the name of a question. */
const ASK_LENGTH = 8;

export interface HolderOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly node: string;
  /** True if what is said may not reach somebody: then it is said again and again, even if nobody seems to be there. */
  readonly isLossy: boolean;
  /** True for what was said by one that is known to be dead. */
  readonly isDead: (node: string, incarnation: number) => boolean;
  /** To everybody. Resolves with how many have heard it, this process included; undefined: nobody can tell. */
  readonly want: (ask?: string) => Promise<number | undefined>;
  /** To one node. */
  readonly ask: (node: string, want: Omit<Want, "incarnation">) => void;
  /** True if {@link changed} is of use to anybody. */
  readonly isFollowed: () => boolean;
  /** The members of a group on other nodes, all together, have changed between none and some. */
  readonly changed: (namespace: string, group: string) => void;
  /** A node was not heard of for too long: it is to be dropped. */
  readonly lost: (node: string) => void;
}

/** A group that has, or had before, a member on the node that takes a step. */
type Turned = { readonly namespace: string; readonly group: string; readonly had: boolean };
type From = { readonly node: string; readonly incarnation: number };

export class Holder implements Index {
  readonly #options: HolderOptions;
  readonly #clock: Clock;
  readonly #peers = new Map<string, Peer>();
  // All that is known, by node.
  #parts: readonly Part[] | undefined;
  #census: Census | undefined;
  // Whether one of those who were asked lately has told of other nodes.
  #needsNodes = true;
  #isUp = false;
  #wantedAt = 0;
  #tickedAt = 0;
  #cancelTick: Cancel | undefined;
  #cancelAsk: Cancel | undefined;
  #loading: Deferred<void> | undefined;
  #isStopped = false;

  constructor(options: HolderOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  // What others ask of it.

  get isWhole(): boolean {
    if (!this.#isUp || this.#census?.isDone !== true) return false;
    for (const peer of this.#peers.values()) if (!peer.isSure) return false;
    return true;
  }

  /** What is known, ordered by node. */
  get parts(): readonly Part[] {
    this.#parts ??= [...this.#peers.values()].flatMap(({ part }) => part ?? []).sort((one, other) => (one.node < other.node ? -1 : 1));
    return this.#parts;
  }

  count(namespace: string, group: string): number {
    let members = 0;
    for (const part of this.parts) members += part.count(namespace, group);
    return members;
  }

  find(namespace: string, id: string): { readonly node: string } | undefined {
    return this.parts.find((part) => part.has(namespace, id));
  }

  nodes(): Iterable<string> {
    return [...this.#peers.keys()];
  }

  nodesWith(namespace: string, group: string): Iterable<string> {
    return this.parts.filter((part) => part.count(namespace, group) > 0).map(({ node }) => node);
  }

  *occupiedGroups(): Generator<{ readonly namespace: string; readonly name: string }, void, undefined> {
    const { parts } = this;
    for (const [index, part] of parts.entries()) {
      for (const group of part.occupied()) {
        const isFirst = parts.findIndex((one) => one.count(group.namespace, group.name) > 0) === index;
        if (isFirst) yield group;
      }
    }
  }

  // Its life.

  /** Begins, once what others say can be heard. */
  begin(isUp: boolean): void {
    this.#isUp = isUp;
    if (isUp && this.#cancelAsk === undefined) this.#askAll();
    this.#pump();
  }

  /** Resolves when everybody has answered; after 1 s in any case. To be called once. */
  load(): Promise<void> {
    const loading = (this.#loading = deferred());
    const cancelLook = this.#clock.every(LOOK_MS, () => this.#look());
    const cancelLate = this.#clock.after(LOAD_WITHIN_MS, () => loading.resolve());
    const done = (): void => {
      cancelLook();
      cancelLate();
      this.#loading = undefined;
    };
    loading.promise.then(done, done);
    return loading.promise;
  }

  /** The link works, and everything is heard again: nobody can be held to be dead for what he did not say meanwhile. */
  up(): void {
    this.#isUp = true;
    this.#doubt(JITTER_MS * this.#options.random.unit());
  }

  down(): void {
    this.#isUp = false;
    this.#cancelAsk?.();
    this.#cancelAsk = undefined;
  }

  stop(): void {
    this.#isStopped = true;
    this.down();
    this.#cancelTick?.();
    this.#loading?.resolve();
  }

  // What it hears.

  /** A word that says at which version a node is. */
  hello(word: From & { readonly version: number }): void {
    const peer = this.#meet(word);
    if (peer === undefined) return;
    peer.says(word.version);
    this.#follow(peer);
  }

  /** A node is there. */
  met(from: From): void {
    const peer = this.#meet(from);
    if (peer !== undefined) this.#follow(peer);
  }

  news(news: News): void {
    const { node, version, rows, to } = news;
    const peer = this.#meet(news);
    if (peer === undefined) return;
    if (this.#census !== undefined && to?.includes(this.#census.ask) === true) this.#census.answered(node);
    if (rows === undefined) peer.says(version);
    else this.#step(peer, (turnover) => peer.tells({ version, rows }, turnover));
    this.#follow(peer);
  }

  share(node: string, share: Share): void {
    const peer = this.#meet({ node, incarnation: share.incarnation });
    if (peer === undefined) return;
    this.#step(peer, (turnover) => peer.shares(share, turnover));
    if (share.nodes !== undefined) {
      this.#needsNodes = false;
      for (const other of share.nodes) if (!this.#peers.has(other)) this.#meet({ node: other, incarnation: 0 });
    }
    this.#pump();
    this.#look();
  }

  /** In which incarnation a node was heard of last. */
  incarnationOf(node: string): number | undefined {
    return this.#peers.get(node)?.incarnation;
  }

  /** That node is gone, and with it all that was known of it, in one step. False: it was not known. */
  drop(node: string): boolean {
    const peer = this.#peers.get(node);
    if (peer === undefined) return false;
    this.#peers.delete(node);
    this.#parts = undefined;
    this.#look();
    if (this.#options.isFollowed()) for (const { namespace, name } of peer.part?.occupied() ?? []) this.#turned(namespace, name, undefined);
    return true;
  }

  /** Undefined: what it says does not count. */
  #meet({ node, incarnation }: From): Peer | undefined {
    if (this.#isStopped || node === this.#options.node || this.#options.isDead(node, incarnation)) return undefined;
    const now = this.#clock.now();
    let peer = this.#peers.get(node);
    if (peer === undefined) {
      if (this.#peers.size >= NODES_MAX) return undefined;
      this.#peers.set(node, (peer = new Peer(node, incarnation, now)));
      this.#watch();
    }
    if (incarnation < peer.incarnation) return undefined;
    peer.incarnation = incarnation;
    peer.heardAt = now;
    return peer;
  }

  #follow(peer: Peer): void {
    if (peer.isLoading) this.#pump();
    else this.#look();
  }

  /** Takes one step of a node, then tells what it has turned over. */
  #step(peer: Peer, step: (turnover: Turnover) => void): void {
    const before = peer.part;
    const turned = this.#options.isFollowed() ? new Map<string, Turned>() : undefined;
    step((namespace, group, had) => {
      if (turned === undefined) return;
      const key = `${namespace}\0${group}`;
      if (!turned.has(key)) turned.set(key, { namespace, group, had });
    });
    if (peer.part !== before) this.#parts = undefined;
    for (const { namespace, group, had } of turned?.values() ?? []) {
      if (had !== isIn(peer.part, namespace, group)) this.#turned(namespace, group, peer.part);
    }
  }

  #turned(namespace: string, group: string, part: Part | undefined): void {
    const isElsewhere = this.parts.some((one) => one !== part && isIn(one, namespace, group));
    if (!isElsewhere) this.#options.changed(namespace, group);
  }

  /** Nobody is sure to be where he was, nor dead. Asks all of them in `waitMs`. */
  #doubt(waitMs: number): void {
    const now = this.#clock.now();
    for (const peer of this.#peers.values()) {
      peer.doubt();
      peer.heardAt = now;
    }
    this.#census = undefined;
    this.#needsNodes = true;
    this.#cancelAsk?.();
    this.#cancelAsk = this.#clock.after(waitMs, () => this.#askAll());
  }

  #askAll(): void {
    this.#cancelAsk = undefined;
    const census = new Census(this.#clock, this.#options.random.id().slice(0, ASK_LENGTH));
    this.#census = census;
    this.#wantedAt = this.#clock.now();
    this.#options.want(census.ask).then(
      (receivers) => {
        census.asked(receivers === undefined ? undefined : Math.max(0, receivers - 1));
        this.#look();
      },
      () => {
        if (this.#census === census) this.#census = undefined; // again, with the next tick or link
      },
    );
    this.#watch();
  }

  /** Asks those who are to be asked for what they have, some at a time. */
  #pump(): void {
    if (!this.#isUp) return;
    const now = this.#clock.now();
    let asked = 0;
    for (const peer of this.#peers.values()) if (peer.isAsked(now)) asked++;
    for (const peer of this.#peers.values()) {
      if (asked >= ASKED_MAX) return;
      const after = peer.toAsk(now);
      if (after === undefined) continue;
      asked++;
      peer.asked(now);
      this.#options.ask(peer.node, { after, nodes: this.#needsNodes && this.#census?.isVague === true });
    }
  }

  /** Sees to it that time passes, while it matters. */
  #watch(): void {
    if (this.#cancelTick !== undefined || this.#isStopped) return;
    this.#tickedAt = this.#clock.now();
    this.#cancelTick = this.#clock.every(TICK_MS, () => this.#tick());
  }

  #tick(): void {
    const now = this.#clock.now();
    const lateMs = now - this.#tickedAt - TICK_MS;
    this.#tickedAt = now;
    if (!this.#isUp) return;
    if (lateMs > ASLEEP_MS) return this.#doubt(0);
    for (const { node, heardAt } of this.#peers.values()) if (now - heardAt >= LEASE_MS) this.#options.lost(node);
    if (this.#census === undefined && this.#cancelAsk === undefined) this.#askAll();
    else if (now - this.#wantedAt >= WANT_EVERY_MS) {
      this.#wantedAt = now;
      void quiet(this.#options.want());
    }
    this.#pump();
    this.#look();
    if (this.#options.isLossy || this.#peers.size > 0 || this.#census?.isDone !== true) return;
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }

  /** The first question need not wait any longer, if all is there. */
  #look(): void {
    if (this.#loading !== undefined && this.isWhole) this.#loading.resolve();
  }
}

function isIn(part: Part | undefined, namespace: string, group: string): boolean {
  return part !== undefined && part.count(namespace, group) > 0;
}
