// Who is where: what this process tells the others of its connections, and what it knows of theirs. Knows the channel's topics; must not
// know groups or sockets: what this process has comes by `came`, `went` and their like.
import type { Clock } from "../base/clock.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { quiet, within } from "../base/promises.ts";
import type { Random } from "../base/random.ts";
import type { Channel, Hearing } from "../channel/channel.ts";
import { encodeTopic } from "../channel/topics.ts";
import type { MessageRecord } from "../wire/record.ts";
import { Holder } from "./holder.ts";
import type { Index } from "./known.ts";
import type { Part } from "./part.ts";
import type { Post } from "./post.ts";
import type { Present } from "./rows.ts";
import { Teller } from "./teller.ts";
import { Tombs } from "./tombs.ts";
import { type News, readNews, readShare, readWant, readWord, toMessage, type Word } from "./words.ts";

/** The last word may take so long, ms; those who do not hear it find out. */
const BYE_WITHIN_MS = 500;

const WORDS = encodeTopic({ kind: "presence" });
const CHANGES = encodeTopic({ kind: "changes" });
/** What letters about presence are headed. */
const WANT = "want";
const SHARE = "share";

export interface PresenceOptions {
  readonly channel: Channel;
  readonly post: Post;
  readonly clock: Clock;
  readonly random: Random;
  /** Told what a listener has thrown, and why this process cannot be heard of. */
  readonly failed: (error: Error) => void;
}

/**
 * Every process says when it comes and goes. Nothing more, until one is asked for what only the others know: from then on that one keeps an
 * index. It tells everybody so, again and again; who hears it gives it all that it has, once, and then every change.
 */
export class Presence<P extends Present = Present> {
  readonly #options: PresenceOptions;
  readonly #channel: Channel;
  readonly #post: Post;
  readonly #teller: Teller<P>;
  readonly #holder: Holder;
  readonly #tombs: Tombs;
  readonly #changed = new Set<(namespace: string, group: string) => void>();
  readonly #gone = new Set<(node: string) => void>();
  #incarnation = 1;
  #words: Hearing | undefined;
  #isUp = false;
  #isHolding = false;
  // True once changes are heard: before, what is known of others would only grow old.
  #isFollowing = false;
  #loading: Promise<void> | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
    const { channel, post, clock, random } = options;
    this.#channel = channel;
    this.#post = post;
    this.#tombs = new Tombs(clock);
    this.#teller = new Teller({
      clock,
      random,
      publish: (news) => void quiet(this.#publish(CHANGES, { ...this.#self, ...news })),
      give: (node, share) => void quiet(post.tell(node, SHARE, { incarnation: this.#incarnation, ...share })),
    });
    this.#holder = new Holder({
      clock,
      random,
      node: post.node,
      isLossy: !channel.isImmediate,
      isDead: (node, incarnation) => this.#tombs.holds(node, incarnation),
      want: (ask) => this.#publish(WORDS, { do: "want", ...this.#self, ...(ask !== undefined && { ask }) }),
      ask: (node, want) => void quiet(post.tell(node, WANT, { incarnation: this.#incarnation, ...want })),
      isFollowed: () => this.#changed.size > 0,
      changed: (namespace, group) => this.#tell(this.#changed, namespace, group),
      lost: (node) => this.#lose(node),
    });
    post.hear(WANT, (words, from) => {
      const want = readWant(words);
      if (want === undefined || this.#tombs.holds(from, want.incarnation)) return;
      this.#teller.wantedBy(from);
      this.#teller.share(from, want.after, want.nodes && this.#isHolding ? [...this.#holder.nodes()] : undefined);
    });
    post.hear(SHARE, (words, from) => {
      const share = readShare(words);
      if (share !== undefined && this.#isHolding) this.#holder.share(from, share);
    });
  }

  /** This process' name among the others. */
  get node(): string {
    return this.#post.node;
  }

  /** What is known of the other nodes. */
  get index(): Index {
    return this.#holder;
  }

  /** @internal The same, a node at a time, ordered by node. */
  get parts(): readonly Part[] {
    return this.#holder.parts;
  }

  /** The connections of this process. */
  get present(): ReadonlySet<P> {
    return this.#teller.present;
  }

  /**
   * Has this process keep an index, from now on. Undefined: it is there; else resolves when it is, and after 1 s in any case: then it may
   * lack those who have not answered yet. Never rejects.
   */
  load(): Promise<void> | undefined {
    if (!this.#isHolding) {
      this.#isHolding = true;
      const loading = this.#holder.load();
      const loaded = (): void => void (this.#loading = undefined);
      this.#loading = loading;
      loading.then(loaded, loaded);
      this.#begin().catch(this.#failed);
    }
    return this.#loading;
  }

  /** Tells when the members of a group on other nodes, all together, have changed between none and some. Returns its undo. */
  onChanged(listener: (namespace: string, group: string) => void): () => void {
    this.#changed.add(listener);
    return () => void this.#changed.delete(listener);
  }

  /**
   * Tells when a node has stopped or died; its members are gone from the index already. Without an index it tells of those that have said
   * so, or of whom it was said; with one also of those that are not heard of any more, and may come back. Returns its undo.
   */
  onNodeGone(listener: (node: string) => void): () => void {
    this.#gone.add(listener);
    return () => void this.#gone.delete(listener);
  }

  /** The caller knows that the process of this node is dead: its members go at once, everywhere. */
  bury(node: string): void {
    if (node === this.node) return;
    const incarnation = this.#holder.incarnationOf(node);
    if (this.#tombs.holds(node, incarnation ?? 0)) return; // that is known
    this.#publishQuietly({ do: "dead", node, ...(incarnation !== undefined && { incarnation }) });
    this.#bury(node, incarnation);
  }

  // What this process has.

  came(present: P): void {
    this.#teller.came(present);
  }

  /** To be told before it leaves its groups. */
  went(present: P): void {
    this.#teller.went(present);
  }

  joined(present: P, group: string): void {
    this.#teller.joined(present, group);
  }

  left(present: P, group: string): void {
    this.#teller.left(present, group);
  }

  renamed(present: P): void {
    this.#teller.renamed(present);
  }

  // Its life.

  /** Begins to hear the others; to be called once, when the channel and the post are started. */
  start(): void {
    this.#makeWill();
    this.#words = this.#channel.hear(WORDS, (record) => this.#hearWords(record));
    if (this.#channel.isUp) this.up();
  }

  /** The link works, and everything is heard. */
  up(): void {
    if (this.#words === undefined) return;
    this.#isUp = true;
    this.#teller.up();
    if (this.#isFollowing) this.#holder.up();
    this.#hello().catch(this.#failed);
  }

  /** It does not, and perhaps the others are told that this process is dead. */
  down(): void {
    this.#isUp = false;
    this.#incarnation++;
    this.#makeWill();
    this.#teller.down();
    this.#holder.down();
  }

  /** Says that it leaves. Resolves when that is said; never rejects. */
  async stop(): Promise<void> {
    const isMissed = this.#isUp && (this.#isHolding || this.#teller.isWanted);
    this.#isUp = false;
    this.#teller.down();
    this.#holder.stop();
    if (!isMissed) return;
    const said = this.#publish(WORDS, { do: "bye", ...this.#self });
    await within(this.#options.clock, BYE_WITHIN_MS, said, () => new Error("late")).catch(() => {});
  }

  get #self(): { readonly node: string; readonly incarnation: number } {
    return { node: this.node, incarnation: this.#incarnation };
  }

  async #begin(): Promise<void> {
    const hearing = this.#channel.hear(CHANGES, (record) => this.#hearChanges(record));
    await hearing.ready;
    await this.#ready();
    this.#isFollowing = true;
    this.#holder.begin(this.#isUp);
  }

  /** Whoever speaks is answered: not before the answers can be heard. */
  async #ready(): Promise<void> {
    await this.#words?.ready;
    await this.#post.ready;
  }

  async #hello(): Promise<void> {
    await this.#ready();
    if (this.#isUp) this.#publishQuietly({ do: "hello", ...this.#self, version: this.#teller.version });
  }

  #hearWords(record: MessageRecord): void {
    for (const { kind, frame } of record.messages()) {
      const word = kind === "control" ? readWord(frame) : undefined;
      if (word !== undefined) this.#hearWord(word);
    }
  }

  #hearWord(word: Word): void {
    const { node } = word;
    if (node === this.node) {
      // Of a later one nobody can know.
      if (word.do === "dead" && (word.incarnation ?? this.#incarnation) === this.#incarnation) this.#rise();
      return;
    }
    if (word.do === "dead" || word.do === "bye") return this.#bury(node, word.incarnation);
    if (this.#tombs.holds(node, word.incarnation)) return;
    if (word.do === "want") {
      this.#teller.wantedBy(node);
      if (word.ask !== undefined) this.#teller.answer(word.ask);
    }
    if (!this.#isHolding) return;
    if (word.do === "hello") this.#holder.hello(word);
    else this.#holder.met(word);
  }

  #hearChanges(record: MessageRecord): void {
    for (const { kind, frame } of record.messages()) {
      const news = kind === "control" ? readNews(frame) : undefined;
      if (news !== undefined) this.#holder.news(news);
    }
  }

  /** That node is dead, in that incarnation; undefined: in the one that is known. */
  #bury(node: string, incarnation: number | undefined): void {
    const known = this.#holder.incarnationOf(node);
    if (this.#tombs.holds(node, incarnation ?? known ?? 0)) return; // that is known
    this.#tombs.add(node, incarnation ?? known ?? Infinity);
    // It has come back since.
    if (known !== undefined && incarnation !== undefined && known > incarnation) return;
    this.#teller.forget(node);
    this.#lose(node);
  }

  #lose(node: string): void {
    if (this.#holder.drop(node) || !this.#isHolding) this.#tell(this.#gone, node);
  }

  /** The others hold this process to be dead: it comes back as another. */
  #rise(): void {
    if (!this.#isUp) return; // it will, with its link
    this.#incarnation++;
    this.#makeWill();
    this.#hello().catch(this.#failed);
  }

  /** If the bus can: it says that this process is dead, in this incarnation, when it loses it. */
  #makeWill(): void {
    this.#channel.will(WORDS, toMessage({ do: "dead", ...this.#self }));
  }

  #tell<Args extends unknown[]>(listeners: ReadonlySet<(...args: Args) => void>, ...args: Args): void {
    for (const listener of [...listeners]) {
      try {
        listener(...args);
      } catch (thrown) {
        this.#options.failed(asError(thrown));
      }
    }
  }

  readonly #failed = (thrown: unknown): void => {
    // A process that was stopped hears nothing, and everybody knows.
    if (!(thrown instanceof GroupcastError && thrown.code === "closed")) this.#options.failed(asError(thrown));
  };

  async #publish(topic: string, word: Word | News): Promise<number | undefined> {
    const { receivers } = await this.#channel.publish(topic, toMessage(word));
    return receivers;
  }

  #publishQuietly(word: Word): void {
    void quiet(this.#publish(WORDS, word));
  }
}
