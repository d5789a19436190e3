// Reaches one connection wherever it is: here, or by asking the process that has it, which the index of presence names.
import type { Clock } from "../base/clock.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { GroupcastError } from "../base/errors.ts";
import { quiet, within } from "../base/promises.ts";
import { WaitingLine } from "../base/waiting-line.ts";
import type { Connection } from "../groups/connection.ts";
import { PUBLISH_BYTES_MAX } from "../groups/message.ts";
import { type ReachOutcome, type ReachRoad, sendTo } from "../groups/reach.ts";
import { ANSWER_WITHIN_MS, type Post, type Words } from "../presence/post.ts";
import type { Presence } from "../presence/presence.ts";
import { CLOSE, type Goodbye, readCloseArguments } from "../wire/close-codes.ts";
import type { Payload } from "../wire/frames.ts";
import { checkName } from "../wire/names.ts";
import { CLOSE_FOR_OTHERS_WITHIN_MS } from "./close-everywhere.ts";

export interface ReachOptions {
  readonly clock: Clock;
  readonly post: Post;
  readonly presence: Pick<Presence, "index" | "load" | "onNodeGone">;
  /** The connection, if this process has it. */
  readonly find: (namespace: string, id: string) => Connection | undefined;
}

/** What is done with a connection by whoever has it. It begins within the call. */
type Act = (connection: Connection) => ReachOutcome | Promise<ReachOutcome>;
/** The same for a process to read. */
type Request = { readonly verb: "send" | "close" | "join" | "leave"; readonly words: Words; readonly data?: Uint8Array };

const utf8 = new TextEncoder();
// A byte order mark at the start of a message is part of the message.
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Requests to single connections. What one process asks of one connection begins in the order of the calls. A request for a connection
 * of this process never travels, and is begun within the call.
 *
 * All resolve within 5 s. They reject with `unavailable`: nothing has happened, because the channel is down or the connection's process
 * cannot be reached; `limit`: 10,000 requests are unanswered; `closed`; and with what the request itself rejects with.
 */
export class Reach implements ReachRoad {
  readonly #options: ReachOptions;
  // Who was asked for while the index came is asked before who comes later.
  readonly #line: WaitingLine;

  constructor(options: ReachOptions) {
    this.#options = options;
    this.#line = new WaitingLine(options.clock, () => options.presence.load());
    options.presence.onNodeGone((node) => options.post.abandon(node));
    this.#serve("send", ({ isText }, data = NO_BYTES) => send(isText === true ? fromUtf8.decode(data) : data));
    this.#serve("close", ({ code, reason }) =>
      close(readCloseArguments([{ code, reason } as Goodbye], CLOSE.normal), CLOSE_FOR_OTHERS_WITHIN_MS),
    );
    this.#serve("join", ({ name }) => join(checkName(name)));
    this.#serve("leave", ({ name }) => leave(checkName(name)));
  }

  /** Sends a message. `done`: its socket has it. Rejects with `limit`: more than 1 MiB waits for it; `too_large`; `bad_option`. */
  send(namespace: string, id: string, data: Payload): Promise<ReachOutcome> {
    const request = (): Request => ({ verb: "send", words: { isText: typeof data === "string" }, data: toBytes(data) });
    return quiet(this.#reach(namespace, id, send(data), request));
  }

  /** Closes it. `done`: it is gone. */
  close(namespace: string, id: string, goodbye: Goodbye): Promise<ReachOutcome> {
    const request = (): Request => ({ verb: "close", words: { ...goodbye } });
    return quiet(this.#reach(namespace, id, close(goodbye, DEFAULTS.closeWithinMs), request));
  }

  /** Has it join a group, with all that a `join` of its own means. `done`: it is a member, and misses nothing from then on. */
  join(namespace: string, id: string, name: string): Promise<ReachOutcome> {
    const inTime: Act = (connection) =>
      within(this.#options.clock, ANSWER_WITHIN_MS, Promise.resolve(join(name)(connection)), late).catch(outcomeOf);
    return quiet(this.#reach(namespace, id, inTime, () => ({ verb: "join", words: { name: checkName(name) } })));
  }

  /** Has it leave a group. `done`: it is no member, whether it was one or not. */
  leave(namespace: string, id: string, name: string): Promise<ReachOutcome> {
    return quiet(this.#reach(namespace, id, leave(name), () => ({ verb: "leave", words: { name: checkName(name) } })));
  }

  async #reach(namespace: string, id: string, act: Act, request: () => Request): Promise<ReachOutcome> {
    const { clock, presence, find } = this.#options;
    const { verb, words, data } = request();
    const here = find(namespace, id);
    if (here !== undefined) return act(here);
    const until = clock.now() + ANSWER_WITHIN_MS;
    const go = async (): Promise<ReachOutcome> => {
      const come = find(namespace, id); // while the index was waited for
      if (come !== undefined) return act(come);
      const node = presence.index.find(namespace, id)?.node;
      if (node === undefined) return presence.index.isWhole ? "unknown_connection" : "unknown_outcome";
      const { outcome } = await this.#options.post.ask(node, verb, { namespace, id, ...words }, until - clock.now(), data);
      return outcome === "done" || outcome === "unknown_connection" ? outcome : "unknown_outcome";
    };
    return new Promise<ReachOutcome>((resolve, reject) => {
      this.#line.enter({
        bytes: data?.length ?? 0,
        withinMs: ANSWER_WITHIN_MS,
        go: () => resolve(go().catch(outcomeOf)),
        refuse: reject,
      });
    });
  }

  // What comes from another process is not trusted.
  #serve(verb: Request["verb"], read: (words: Words, data?: Uint8Array) => Act): void {
    this.#options.post.serve(verb, async (words, _, data) => {
      const { namespace, id } = words;
      const here = typeof namespace === "string" && typeof id === "string" ? this.#options.find(namespace, id) : undefined;
      return { outcome: here === undefined ? "unknown_connection" : await read(words, data)(here) };
    });
  }
}

const NO_BYTES = new Uint8Array(0);

function send(data: Payload): Act {
  return (connection) => sendTo(connection, data);
}

function close(goodbye: Goodbye, withinMs: number): Act {
  return (connection) => connection.$closeWithin(goodbye, withinMs).then(() => "done");
}

function join(name: string): Act {
  return (connection) => connection.join(name).then(() => "done");
}

function leave(name: string): Act {
  return (connection) => {
    connection.leave(name);
    return "done";
  };
}

function late(): GroupcastError {
  return new GroupcastError("unknown_outcome", "the connection has not joined in time");
}

function outcomeOf(error: unknown): ReachOutcome {
  if (error instanceof GroupcastError && error.code === "unknown_outcome") return "unknown_outcome";
  throw error;
}

/** A copy: it may have to wait, and its owner may use it again. */
function toBytes(data: Payload): Uint8Array {
  if (typeof data !== "string" && !(data instanceof Uint8Array)) {
    throw new GroupcastError("bad_option", `send takes a string or a Uint8Array, not ${typeof data}`);
  }
  const bytes = typeof data === "string" ? utf8.encode(data) : data.slice();
  if (bytes.length <= PUBLISH_BYTES_MAX) return bytes;
  throw new GroupcastError("too_large", `a message to another process has at most ${PUBLISH_BYTES_MAX} bytes, not ${bytes.length}`);
}
