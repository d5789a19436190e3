// One client that speaks the plain protocol: its commands take effect, and are answered, in order. Knows the wire's commands
// and the manager; must not know sockets or HTTP.
import type { Counters } from "../base/counters.ts";
import { GroupcastError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Connection, Reader } from "../groups/connection.ts";
import { toMessage } from "../groups/message.ts";
import { CLOSE } from "../wire/close-codes.ts";
import { type Command, describe, encodeError, encodeOk, readCommand, type Refusal } from "../wire/commands.ts";
import { KnownSend } from "../wire/known-send.ts";
import type { GroupManager } from "./group-manager.ts";

export interface PlainSessionOptions {
  readonly groups: GroupManager;
  readonly counters: Counters;
  readonly logger: Logger;
  /** Only members may send to a group. */
  readonly requireMembership: boolean;
  /** Commands that may be unanswered; with more the socket is not read. */
  readonly commandsPending: number;
}

/** What an accepted command is answered with, beside `ok`. */
type Facts = Readonly<Record<string, unknown>>;

/** A command whose answer is due; `text` once it is known, null for none. */
type Answer = { text: string | null | undefined };

/** Messages that are accepted together. */
type Load = { readonly accepted: Promise<unknown>; count: number; length: number };

/**
 * Characters of one client's messages that may be unanswered for; with more its socket is not read. All connections of a process share
 * one way to the others, which refuses everybody at 8 MiB: one client must not fill it.
 */
const PENDING_LENGTH_MAX = 256 * 1024;
const NO_FACTS: Facts = Object.freeze({});
// As text frames are read: a byte order mark is part of the message.
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

export class PlainSession implements Reader {
  readonly #connection: Connection;
  readonly #options: PlainSessionOptions;
  // Commands behind a join, or behind an authorize that takes its time.
  #waiting: (Command | Refusal)[] | undefined;
  // Answers in the order of their commands; the first is always one that is not known yet.
  #answers: Answer[] | undefined;
  #held = false;
  // Messages that are on their way without an answer of their own; the latest that go together.
  #underway = 0;
  #load: Load | undefined;
  // Characters of messages that are not answered for, behind a join or on their way.
  #pendingLength = 0;
  #paused = false;
  // The last way of sending that needs no second look, and the topic that it leads to.
  #known: KnownSend | undefined;
  #topic = "";
  #lastGroup: string | undefined;

  constructor(connection: Connection, options: PlainSessionOptions) {
    this.#connection = connection;
    this.#options = options;
    connection.$readBy(this);
  }

  readText(bytes: Uint8Array): void {
    const known = this.#known;
    if (known !== undefined && this.#waiting === undefined && !this.#held && this.#sendOn(known, bytes)) return;
    const text = fromUtf8.decode(bytes);
    const command = this.#take(text);
    if (command.cmd === "send_to_group") this.#learn(text, command);
  }

  // What goes wrong with one client is that client's affair.
  unheard(error: Error): void {
    this.#options.logger.debug({ err: error, connection: this.#connection.id }, error.message);
  }

  readMessage(data: string | Uint8Array): void {
    // A command in a binary frame is taken like text.
    this.#take(typeof data === "string" ? data : fromUtf8.decode(data));
  }

  end(): void {
    this.#waiting = undefined;
    this.#answers = undefined;
  }

  #take(text: string): Command | Refusal {
    this.#options.counters.commands++;
    const command = readCommand(text);
    this.#pendingLength += lengthOf(command);
    if (this.#held) (this.#waiting ??= []).push(command);
    else this.#run(command);
    this.#throttle();
    return command;
  }

  #learn(text: string, command: Command): void {
    const { groups } = this.#options;
    // Who sends here and there gains nothing by it.
    const isAgain = command.group === this.#lastGroup;
    this.#lastGroup = command.group;
    if (!isAgain) return;
    this.#known = groups.asksNobody ? KnownSend.from(text, command) : undefined;
    if (this.#known !== undefined) this.#topic = groups.topicOf(this.#connection.namespace, this.#known.group);
  }

  /** Sends the message of a command that is like the last one; false: it is not, or needs more of a look. */
  #sendOn(known: KnownSend, bytes: Uint8Array): boolean {
    const { groups, counters, requireMembership } = this.#options;
    const connection = this.#connection;
    const from = known.messageAt(bytes);
    if (from < 0 || (requireMembership && !connection.groups.has(known.group))) return false;
    const to = bytes.length - 2;
    const accepted = groups.publishText(this.#topic, bytes, from, to);
    if (accepted === null) return false;
    counters.commands++;
    if (accepted === undefined) counters.commandsIgnored++;
    else if (!groups.isImmediate) this.#await(accepted, to - from);
    return true;
  }

  /** Counts a message as unanswered until it is accepted, or is not. */
  #await(accepted: Promise<unknown>, length: number): void {
    if (this.#load?.accepted !== accepted) {
      const load: Load = { accepted, count: 0, length: 0 };
      this.#load = load;
      accepted.then(
        () => this.#arrived(load),
        () => {
          this.#options.counters.commandsIgnored += load.count;
          this.#arrived(load);
        },
      );
    }
    this.#load.count++;
    this.#load.length += length;
    this.#underway++;
    this.#pendingLength += length;
    this.#throttle();
  }

  #arrived(load: Load): void {
    if (this.#load === load) this.#load = undefined;
    this.#underway -= load.count;
    this.#pendingLength -= load.length;
    this.#throttle();
  }

  #run(command: Command | Refusal): void {
    const answer: Answer = { text: undefined };
    (this.#answers ??= []).push(answer);
    let result: Facts | Promise<Facts>;
    try {
      result = this.#execute(command);
    } catch (error) {
      this.#finish(command, answer, error);
      return;
    }
    if (!(result instanceof Promise)) this.#finish(command, answer, undefined, result);
    else
      result.then(
        (facts) => this.#finish(command, answer, undefined, facts),
        (error: unknown) => this.#finish(command, answer, error),
      );
  }

  #execute(command: Command | Refusal): Facts | Promise<Facts> {
    const { groups, requireMembership } = this.#options;
    const connection = this.#connection;
    switch (command.cmd) {
      case "refused":
        throw new GroupcastError(command.error, command.detail);
      case "add_group":
        return this.#behind(connection.join(command.group), () => NO_FACTS);
      case "leave_group":
        connection.leave(command.group);
        return NO_FACTS;
      case "count_group":
        // What follows may change what is counted.
        return this.#behind(groups.countMembers(command.group, connection.namespace), (counted) => ({ ...counted }));
      case "send_to_group": {
        if (requireMembership && !connection.groups.has(command.group)) {
          throw new GroupcastError("forbidden", "only members may send to a group");
        }
        const publish = (): Promise<Facts> =>
          groups
            .publishMessage(connection.namespace, command.group, () => toMessage(command.text, undefined, command.kind))
            .then(() => NO_FACTS);
        const allowed = groups.mayPublish(connection, command.group);
        return allowed === undefined ? publish() : this.#behind(allowed, publish);
      }
    }
  }

  /** Holds back what follows until `barrier` is settled and `then` has begun; not until that is done. */
  async #behind<Value>(barrier: Promise<Value>, then: (value: Value) => Facts | Promise<Facts>): Promise<Facts> {
    this.#held = true;
    try {
      return then(await barrier);
    } finally {
      this.#release();
    }
  }

  #release(): void {
    this.#held = false;
    let next = 0;
    while (!this.#held && this.#waiting !== undefined && next < this.#waiting.length) {
      const command = this.#waiting[next++];
      if (command !== undefined) this.#run(command);
    }
    if (this.#waiting !== undefined) this.#waiting = this.#waiting.length > next ? this.#waiting.slice(next) : undefined;
    this.#throttle();
  }

  #finish(command: Command | Refusal, answer: Answer, error: unknown, facts: Facts = NO_FACTS): void {
    const { counters } = this.#options;
    if (error !== undefined) {
      if (command.id === undefined) counters.commandsIgnored++;
      else counters.commandsFailed++;
    }
    this.#pendingLength -= lengthOf(command);
    answer.text = command.id === undefined ? null : this.#encode(command.id, error, facts);
    while (this.#answers?.[0]?.text !== undefined) {
      const text = this.#answers.shift()?.text;
      // A client that reads so slowly that its answers do not fit would wait for them for ever.
      if (typeof text === "string" && !this.#connection.send(text)) void this.#connection.close(CLOSE.slow, "slow");
    }
    if (this.#answers?.length === 0) this.#answers = undefined; // an emptied array keeps its room
    this.#throttle();
  }

  #encode(id: string | number, error: unknown, facts: Facts): string {
    if (error === undefined) return encodeOk(id, facts);
    const { error: code, detail } = describe(error);
    return encodeError(id, code, detail);
  }

  #throttle(): void {
    const pending = (this.#waiting?.length ?? 0) + (this.#answers?.length ?? 0) + this.#underway;
    const isFull = pending >= this.#options.commandsPending || this.#pendingLength >= PENDING_LENGTH_MAX;
    if (!this.#paused && isFull) {
      this.#paused = true;
      this.#connection.$pauseReading();
    } else if (this.#paused && pending < this.#options.commandsPending / 2 && this.#pendingLength < PENDING_LENGTH_MAX / 2) {
      this.#paused = false;
      this.#connection.$resumeReading();
    }
  }
}

function lengthOf(command: Command | Refusal): number {
  return command.cmd === "send_to_group" ? command.text.length : 0;
}
