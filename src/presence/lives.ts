// The life of a group, from its first member anywhere to the end of its last one: told once to every process that wants to know. Must
// not know groups: which ones have members here is a port.
import type { Clock } from "../base/clock.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import { quiet, within } from "../base/promises.ts";
import type { Random } from "../base/random.ts";
import type { Receipt } from "../channel/adapter.ts";
import type { Hearer, Hearing } from "../channel/channel.ts";
import { encodeTopic } from "../channel/topics.ts";
import type { Message } from "../wire/record.ts";
import { sendState } from "./life-answer.ts";
import { LifeKeeper } from "./life-keeper.ts";
import { LifeRoll, LOOK_EVERY_MS } from "./life-roll.ts";
import { Newcomer } from "./life-newcomer.ts";
import { type Change, type GroupKey, groupOf, keyOf, LifeState, Witnessed } from "./life-state.ts";
import { type Answer, lifeId, LIVES_VERB, readAnswer, readStatements, type Statement, writeStatement } from "./life-words.ts";
import type { Index } from "./known.ts";
import type { Post } from "./post.ts";

/** The last word may take so long, ms. */
const GONE_WITHIN_MS = 500;
/** Answers that are on their way at a time. */
const ANSWERING_MAX = 4;
/** One life of a group. */
export interface GroupLife {
  readonly name: string;
  readonly namespace: string;
  /** No two lives have the same id, of whatever group; all processes are told the same one. */
  readonly life: string;
}

export interface LivesOptions {
  readonly channel: OrderedChannel;
  readonly post: Pick<Post, "node" | "ready" | "hear" | "tell">;
  readonly presence: PresenceOfOthers;
  readonly clock: Clock;
  readonly random: Random;
  /** A group is without members for so long before it is vacated. Of several processes' the leader's counts. */
  readonly vacatedAfterMs: number;
  readonly host: LivesHost;
}

/** What is asked of a `Channel`. */
export interface OrderedChannel {
  readonly isUp: boolean;
  hear(topic: string, hearer: Hearer): Hearing;
  publish(topic: string, message: Message): Promise<Receipt>;
}

/** What is asked of `Presence`. */
export interface PresenceOfOthers {
  readonly index: Index;
  load(): Promise<void> | undefined;
  onChanged(listener: (namespace: string, group: string) => void): () => void;
  onNodeGone(listener: (node: string) => void): () => void;
}

/** This process' own groups, and who wants to know. */
export interface LivesHost {
  /** True if a group has a member in this process. */
  has(namespace: string, name: string): boolean;
  /** The groups with a member in this process. */
  groups(): Iterable<{ readonly namespace: string; readonly name: string }>;
  occupied(life: GroupLife): void;
  vacated(life: GroupLife): void;
  failed(error: Error): void;
}

/** `answering`: answers that are on their way. They end with it: what an outage has swallowed keeps nobody waiting. */
type Following = { readonly nonce: string; readonly state: LifeState; answering: number };

/**
 * All processes that take part hear one topic, and each changes its copy of one state by what is said there, in the order of that
 * topic. The first in the list of those who take part leads: it alone says that a life begins or ends, and what it says counts only
 * if it leads at that place of the order. When it is gone, which anybody may say, the next one leads from there on, without a vote.
 *
 * Whoever comes, or was cut off, says so on the topic, is sent the state as it was at that place, and adds what has come since. Its
 * application is told the difference to what it has been told before. Where nobody knows the state, somebody begins with its own.
 *
 * It takes what every adapter promises: one order of a topic for all. On a channel that promises no more than the order of each
 * publisher (NATS without JetStream), processes may be told different lives.
 */
export class Lives {
  readonly #options: LivesOptions;
  readonly #topic = encodeTopic({ kind: "lives" });
  readonly #witnessed = new Witnessed();
  readonly #roll: LifeRoll;
  #hearing: Hearing | undefined;
  #isHearing = false;
  #isStopped = false;
  #undos: (() => void)[] = [];
  // At most one of the two: on the way to know what is so, or knowing it.
  #newcomer: Newcomer | undefined;
  #following: Following | undefined;
  // While this process leads.
  #keeper: LifeKeeper | undefined;
  /** What has a life as far as this process knows: told, but for those in `#untold`. */
  #open: ReadonlyMap<GroupKey, string> = new Map();
  /** Lives that go on for others and have ended here: they are to end for all. */
  #untold = new Set<string>();
  // The number of the last life that was said by this process or heard.
  #number = 0;

  constructor(options: LivesOptions) {
    this.#options = options;
    const { clock, random, post, presence } = options;
    this.#roll = new LifeRoll({
      clock,
      random,
      all: () => this.#following && { participants: this.#following.state.participants, nonce: this.#following.nonce },
      alive: () => (presence.index.isWhole ? new Set(presence.index.nodes()).add(post.node) : undefined),
      sayGone: (nonce) => void this.#say({ say: "gone", nonce }),
    });
  }

  /** Takes part from now on; what has a life already is told soon. The channel is started. */
  start(): void {
    if (this.#hearing !== undefined || this.#isStopped) return;
    const { channel, post, presence, clock } = this.#options;
    post.hear(LIVES_VERB, (words, from) => {
      const answer = readAnswer(words);
      if (answer !== undefined) this.#newcomer?.answered(answer, from);
    });
    this.#undos = [
      presence.onChanged((namespace, name) => this.changed(namespace, name)),
      presence.onNodeGone((node) => this.#roll.bury(node)),
      clock.every(LOOK_EVERY_MS, () => this.#roll.look()),
    ];
    void presence.load(); // never rejects, and what it brings is told by `onChanged`
    const hearing = channel.hear(this.#topic, (record) => {
      for (const statement of readStatements(record)) this.#hear(statement);
    });
    this.#hearing = hearing;
    void this.#begin(hearing);
  }

  /** The channel is up: what was said before may have been missed. */
  up(): void {
    if (this.#isHearing) this.#sync(0);
  }

  /** The channel is down. */
  down(): void {
    this.#lose();
  }

  /** A group has got its first member in this process, or has lost its last one. */
  changed(namespace: string, name: string): void {
    this.#keeper?.changed(keyOf({ namespace, name }));
  }

  /** Takes part no longer. Undefined: nobody need know; else resolves when it was said, and never rejects. The channel is stopped after that. */
  stop(): Promise<void> | undefined {
    const nonce = this.#following?.nonce ?? this.#newcomer?.nonce;
    this.#isStopped = true;
    this.#isHearing = false;
    this.#lose();
    for (const undo of this.#undos.splice(0)) undo();
    this.#hearing?.stop();
    // Where it cannot be said now, the others find out.
    if (nonce === undefined || !this.#options.channel.isUp) return undefined;
    const said = this.#say({ say: "gone", nonce });
    return within(this.#options.clock, GONE_WITHIN_MS, said, () => new GroupcastError("unavailable")).then(ignore, ignore);
  }

  async #begin(hearing: Hearing): Promise<void> {
    const { channel, post, host } = this.#options;
    try {
      await Promise.all([hearing.ready, post.ready]); // answers come by post
      this.#isHearing = !this.#isStopped;
      if (channel.isUp) this.up();
    } catch (error) {
      if (!(error instanceof GroupcastError && error.code === "closed")) host.failed(asError(error));
    }
  }

  #say(statement: Statement): Promise<Receipt> {
    return quiet(this.#options.channel.publish(this.#topic, writeStatement(statement)));
  }

  #tellBy(node: string, answer: Answer): Promise<void> {
    return quiet(this.#options.post.tell(node, LIVES_VERB, { ...answer }));
  }

  /** What is so is not known any more; what was told is. */
  #lose(): void {
    this.#newcomer?.stop();
    this.#newcomer = undefined;
    this.#keeper?.stop();
    this.#keeper = undefined;
    if (this.#following !== undefined) this.#witnessed.note(this.#following.state.epoch, this.#following.state.last);
    this.#following = undefined;
  }

  #sync(attempt: number): void {
    this.#lose();
    const { clock, random, post } = this.#options;
    const nonce = random.id();
    const host = {
      clock,
      node: post.node,
      say: (statement: Statement) => this.#say(statement),
      tellNone: (node: string, asked: string) => void this.#tellBy(node, { is: "none", nonce: asked }),
      again: (next: number) => this.#sync(next),
      adopt: (state: LifeState, later: readonly Statement[]) => this.#adopt({ nonce, state, answering: 0 }, later),
      crown: () => this.#crown(nonce),
    };
    this.#newcomer = new Newcomer(host, nonce, attempt);
    this.#newcomer.start();
  }

  #hear(statement: Statement): void {
    if (this.#following !== undefined) this.#follow(statement, this.#following);
    else this.#newcomer?.hear(statement);
  }

  #follow(statement: Statement, following: Following): void {
    const { nonce, state } = following;
    if (statement.say === "lead") {
      if (!state.participants.has(statement.nonce)) return; // somebody else has led since it asked
      if (statement.nonce === nonce) this.#crown(nonce);
      else this.#sync(0);
      return;
    }
    if (statement.say === "gone" && statement.nonce === nonce) return this.#sync(0);
    // Looked for before: it may take the place of the one who says it.
    const rank = statement.say === "sync" ? state.rankOf(nonce) : undefined;
    const change = state.apply(statement);
    if (statement.say === "sync" && rank !== undefined && rank < 4 ** statement.attempt) void this.#answer(statement, following);
    if (change !== undefined) this.#tell(change);
    if (this.#following !== following) return; // a listener has stopped it
    this.#leadIfFirst(following);
    if ((statement.say === "occupied" || statement.say === "vacated") && statement.by === nonce) {
      this.#keeper?.heard(keyOf(statement), change !== undefined);
    } else if (change !== undefined) {
      this.#keeper?.changed(change.key);
    }
  }

  #leadIfFirst({ nonce, state }: Following): void {
    if (this.#keeper !== undefined || state.leader !== nonce) return;
    const { clock, vacatedAfterMs, presence, host } = this.#options;
    const { index } = presence;
    this.#number = state.last;
    this.#keeper = new LifeKeeper(
      {
        clock,
        vacatedAfterMs,
        isWhole: () => index.isWhole,
        isOccupied: (key) => {
          const { namespace, name } = groupOf(key);
          return host.has(namespace, name) || index.count(namespace, name) > 0;
        },
        occupied: () => [...host.groups(), ...index.occupiedGroups()].map((group) => keyOf(group)),
        say: (key, life) =>
          this.#say({
            say: life === undefined ? "occupied" : "vacated",
            by: nonce,
            ...groupOf(key),
            life: life ?? lifeId(state.epoch, ++this.#number),
          }),
      },
      state.open,
    );
  }

  async #answer(asked: Statement & { readonly say: "sync" }, following: Following): Promise<void> {
    const { node, nonce } = asked;
    const { state } = following;
    if (!state.participants.has(nonce)) return; // there are too many
    if (following.answering >= ANSWERING_MAX) return void this.#tellBy(node, { is: "busy", nonce });
    following.answering++;
    try {
      await sendState(state, nonce, (part) => this.#tellBy(node, part));
    } catch {
      // The channel went down: it will ask again.
    } finally {
      following.answering--;
    }
  }

  #adopt(following: Following, later: readonly Statement[]): void {
    this.#newcomer = undefined;
    this.#following = following;
    const { state } = following;
    const before = this.#open;
    const untold = this.#untold;
    this.#open = state.open;
    this.#untold = new Set();
    for (const [key, life] of before) {
      if (state.open.get(key) !== life && !untold.has(life)) this.#emit({ event: "vacated", key, life });
    }
    for (const [key, life] of [...state.open]) {
      const isTold = before.get(key) === life;
      if (isTold ? untold.has(life) : this.#witnessed.isPast(life)) {
        this.#untold.add(life);
        void this.#say({ say: "over", ...groupOf(key), life });
      } else if (!isTold) {
        this.#emit({ event: "occupied", key, life });
      }
    }
    for (const [epoch, last] of state.past) this.#witnessed.note(epoch, last);
    for (const statement of later) {
      if (this.#following !== following) return; // one of them, or a listener, has ended it
      this.#follow(statement, following);
    }
    if (this.#following === following) this.#leadIfFirst(following);
  }

  /** From this place of the order on this process leads, and what it knows is so. */
  #crown(nonce: string): void {
    this.#lose();
    const open = new Map([...this.#open].filter(([, life]) => !this.#untold.has(life)));
    this.#untold.clear();
    this.#open = open;
    const participants = new Map([[nonce, this.#options.post.node]]);
    const state = new LifeState(nonce, 0, this.#witnessed.entries(), participants, open);
    this.#following = { nonce, state, answering: 0 };
    this.#leadIfFirst(this.#following);
  }

  #tell(change: Change): void {
    if (!this.#untold.delete(change.life)) this.#emit(change);
  }

  #emit({ event, key, life }: Change): void {
    if (!this.#isStopped) this.#options.host[event](Object.freeze({ ...groupOf(key), life }));
  }
}

const ignore = (): void => {};
