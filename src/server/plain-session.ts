// One client that speaks the plain protocol: its commands take effect, and are answered, in order. Knows the wire's commands
// and the manager; must not know sockets or HTTP.
import type { Counters } from "../base/counters.ts";
import { GroupcastError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Connection, Reader } from "../groups/connection.ts";
import { toMessage } from "../groups/message.ts";
import { CLOSE } from "../wire/close-codes.ts";
import { type Command, describe, encodeError, encodeOk, readCommand, type Refusal } from "../wire/commands.ts";
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

/**
 * Characters of one client's messages that may be unanswered for; with more its socket is not read. All connections of a process share
 * one way to the others, which refuses everybody at 8 MiB: one client must not fill it.
 */
const PENDING_LENGTH_MAX = 256 * 1024;
const NO_FACTS: Facts = Object.freeze({});
const fromUtf8 = new TextDecoder();

export class PlainSession implements Reader {
  readonly #connection: Connection;
  readonly #options: PlainSessionOptions;
  // Commands behind a join, or behind an authorize that takes its time.
  #waiting: (Command | Refusal)[] = [];
  // Characters of messages that are not answered for, behind a join or on their way.
  #pendingLength = 0;
  #held = false;
  // Answers in the order of their commands; the first is always one that is not known yet.
  #answers: Answer[] = [];
  #paused = false;

  constructor(connection: Connection, options: PlainSessionOptions) {
    this.#connection = connection;
    this.#options = options;
    connection.$readBy(this);
  }

  readText(bytes: Uint8Array): void {
    this.readMessage(bytes);
  }

  // What goes wrong with one client is that client's affair.
  unheard(error: Error): void {
    this.#options.logger.debug({ err: error, connection: this.#connection.id }, error.message);
  }

  end(): void {
    this.#waiting = [];
    this.#answers = [];
  }

  readMessage(data: string | Uint8Array): void {
    this.#options.counters.commands++;
    // A command in a binary frame is taken like text.
    const command = readCommand(typeof data === "string" ? data : fromUtf8.decode(data));
    this.#pendingLength += lengthOf(command);
    if (this.#held) this.#waiting.push(command);
    else this.#run(command);
    this.#throttle();
  }

  #run(command: Command | Refusal): void {
    const answer: Answer = { text: undefined };
    this.#answers.push(answer);
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
        return groups.count(command.group, connection.namespace).then((members) => ({ members }));
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
  async #behind(barrier: Promise<unknown>, then: () => Facts | Promise<Facts>): Promise<Facts> {
    this.#held = true;
    try {
      await barrier;
      return then();
    } finally {
      this.#release();
    }
  }

  #release(): void {
    this.#held = false;
    let next = 0;
    while (!this.#held && next < this.#waiting.length) {
      const command = this.#waiting[next++];
      if (command !== undefined) this.#run(command);
    }
    this.#waiting = this.#waiting.slice(next);
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
    while (this.#answers[0]?.text !== undefined) {
      const text = this.#answers.shift()?.text;
      // A client that reads so slowly that its answers do not fit would wait for them for ever.
      if (typeof text === "string" && !this.#connection.send(text)) void this.#connection.close(CLOSE.slow, "slow");
    }
    this.#throttle();
  }

  #encode(id: string | number, error: unknown, facts: Facts): string {
    if (error === undefined) return encodeOk(id, facts);
    const { error: code, detail } = describe(error);
    return encodeError(id, code, detail);
  }

  #throttle(): void {
    const pending = this.#waiting.length + this.#answers.length;
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
