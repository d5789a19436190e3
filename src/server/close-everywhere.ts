// Closes the members of a group in every process: asks on the group's own topic, so that it comes after everything written
// before, and waits for each process' answer, which comes by post. Who the members are is a port.
import type { Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet, within } from "../base/promises.ts";
import type { Channel } from "../channel/channel.ts";
import { encodeTopic } from "../channel/topics.ts";
import type { Post, Words } from "../presence/post.ts";
import type { Presence } from "../presence/presence.ts";
import { CLOSE, type Goodbye, readCloseArguments } from "../wire/close-codes.ts";
import { encodeFrame, readPayloads } from "../wire/frames.ts";
import { checkName } from "../wire/names.ts";
import type { DisconnectReport } from "./disconnect.ts";

/** After this, {@link CloseEverywhere.ask} resolves whether everybody has answered or not: as long as a peer has to answer its close frame. */
export const CLOSE_ALL_WITHIN_MS = 5_000;
/** A peer is cut after this, ms, when it is another process that waits for its end: the answer needs time on the way back. */
export const CLOSE_FOR_OTHERS_WITHIN_MS = 4_500;

/** Which group, with which words, and who stays, by id. */
export interface CloseRequest {
  readonly namespace: string;
  readonly name: string;
  readonly goodbye: Goodbye;
  readonly except: readonly string[];
}

export interface CloseEverywhereOptions {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly post: Post;
  /** Whom to wait for, on a channel that cannot tell how many it has reached. */
  readonly presence: Pick<Presence, "index" | "load" | "onNodeGone">;
  readonly members: MembersHere;
}

/** The members of groups in this process. */
export interface MembersHere {
  /** True if the group has any. */
  has(namespace: string, name: string): boolean;
  /** Closes them but some; resolves with their number when they are gone. */
  close(request: CloseRequest): Promise<number>;
}

type Control = {
  readonly do: "close";
  readonly id: number;
  readonly node: string;
  readonly goodbye: Goodbye;
  readonly except: readonly string[];
};

type Waiting = {
  /** How many each node has closed. */
  readonly answers: Map<string, number>;
  /** Nodes that are known to have members. */
  nodes: Set<string>;
  /** Of these, how many have gone without an answer: whoever is cut off may still have its members. */
  lost: number;
  /** False as long as it is not known who shall answer. */
  isDone: () => boolean;
  readonly done: Deferred<void>;
};

export class CloseEverywhere {
  readonly #options: CloseEverywhereOptions;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(options: CloseEverywhereOptions) {
    this.#options = options;
    options.post.hear("closed", (words, from) => this.#heard(words, from));
    options.presence.onNodeGone((node) => this.#gone(node));
  }

  /**
   * Resolves when every process has confirmed, at most after 5 s. Rejects if the channel did not take the request: `unavailable`,
   * `unknown_outcome`, `closed`; the members in this process are closed then, too.
   */
  async ask(request: CloseRequest): Promise<DisconnectReport> {
    try {
      return await this.#ask(request);
    } catch (error) {
      void this.#options.members.close(request); // the others cannot be reached; at least nobody here is left behind
      throw error;
    }
  }

  /** Acts on a control message of a group. */
  obey(namespace: string, name: string, frame: Uint8Array): void {
    const control = readControl(frame);
    if (control === undefined) return;
    const { id, node, goodbye, except } = control;
    const { post, members } = this.#options;
    const answer = (closed: number): void => {
      if (node === post.node) this.#answered(id, node, closed);
      else void post.tell(node, "closed", { id, closed });
    };
    void quiet(members.close({ namespace, name, goodbye, except }).then(answer));
  }

  async #ask({ namespace, name, goodbye, except }: CloseRequest): Promise<DisconnectReport> {
    const { channel, clock, post } = this.#options;
    const until = clock.now() + CLOSE_ALL_WITHIN_MS;
    const leftMs = (): number => Math.max(0, until - clock.now());
    const late = (): GroupcastError => new GroupcastError("unavailable");
    if (post.ready !== undefined) await within(clock, leftMs(), post.ready, late);
    const id = ++this.#lastId;
    const nodes = new Set(this.#nodesWith(namespace, name));
    const waiting: Waiting = { answers: new Map(), nodes, lost: 0, isDone: () => false, done: deferred() };
    const isHere = this.#options.members.has(namespace, name);
    this.#waiting.set(id, waiting);
    let isLate = false;
    const cancel = clock.after(leftMs(), () => {
      isLate = true;
      waiting.done.resolve();
    });
    try {
      const control: Control = { do: "close", id, node: post.node, goodbye, except };
      const message = { kind: "control", frame: encodeFrame(JSON.stringify(control)), except: [] } as const;
      const published = channel.publish(encodeTopic({ kind: "group", namespace, name }), message);
      const { receivers } = await within(clock, leftMs(), published, late);
      if (receivers === undefined) void this.#waitForNodes(waiting, namespace, name, isHere);
      else waiting.isDone = () => waiting.answers.size + waiting.lost >= receivers;
      check(waiting);
      await waiting.done.promise;
    } finally {
      cancel();
      this.#waiting.delete(id);
    }
    const closed = [...waiting.answers.values()].reduce((sum, one) => sum + one, 0);
    return { outcome: isLate || waiting.lost > 0 ? "unknown_outcome" : "done", closed };
  }

  *#nodesWith(namespace: string, name: string): Iterable<string> {
    const { index } = this.#options.presence;
    if (index.isWhole) yield* index.nodesWith(namespace, name);
  }

  // Where a part of the index is missing, the time decides.
  async #waitForNodes(waiting: Waiting, namespace: string, name: string, isHere: boolean): Promise<void> {
    const { presence, post } = this.#options;
    await presence.load();
    if (!presence.index.isWhole) return;
    // None: nobody had asked for the index before.
    if (waiting.nodes.size === 0) waiting.nodes = new Set(this.#nodesWith(namespace, name));
    if (isHere) waiting.nodes.add(post.node);
    waiting.isDone = () => [...waiting.nodes].every((node) => waiting.answers.has(node));
    check(waiting);
  }

  #heard({ id, closed }: Words, from: string): void {
    if (typeof id === "number" && Number.isSafeInteger(closed)) this.#answered(id, from, Math.max(0, Number(closed)));
  }

  #answered(id: number, node: string, closed: number): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    waiting.answers.set(node, closed);
    check(waiting);
  }

  /** That node will not answer. */
  #gone(node: string): void {
    for (const waiting of this.#waiting.values()) {
      if (!waiting.nodes.delete(node) || waiting.answers.has(node)) continue;
      waiting.lost++;
      check(waiting);
    }
  }
}

function check({ isDone, done }: Waiting): void {
  if (isDone()) done.resolve();
}

// What comes over a broker is not trusted.
function readControl(frame: Uint8Array): Control | undefined {
  try {
    const [text] = readPayloads(frame);
    const { do: verb, id, node, goodbye, except } = JSON.parse(String(text)) as Record<string, unknown>;
    if (verb !== "close" || typeof id !== "number" || typeof goodbye !== "object") return undefined;
    if (!Array.isArray(except) || !except.every((one) => typeof one === "string")) return undefined;
    return { do: verb, id, node: checkName(node), goodbye: readCloseArguments([goodbye as Goodbye], CLOSE.normal), except };
  } catch {
    return undefined;
  }
}
