// What the tests of the channel over Redis share: adapters in this process and what they are told, and things that are undone after a test.
import { afterEach } from "vitest";
import { RedisAdapter, type RedisClientLike, type RedisOptions } from "../../../dist/redis/index.js";
import { encodeTopic, MessageRecord, type Receipt } from "../../../dist/testing/index.js";
import { encodeFrame, readPayloads } from "../../../dist/wire/frames.js";

const undos: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(undos.splice(0).map((undo) => undo()));
});

/** Done after the test. */
export function later(undo: () => unknown): void {
  undos.push(undo);
}

/** An adapter in this process, started, and what it has been told. */
export class Member {
  readonly adapter: RedisAdapter;
  /** `topic text` of each message that came, `up`, `down code`, and `failed text`. */
  readonly told: string[] = [];
  readonly reasons: Error[] = [];
  #wakeUps: (() => void)[] = [];

  constructor(given: string | RedisClientLike, options: RedisOptions = {}) {
    this.adapter = new RedisAdapter(given, options);
    later(() => this.adapter.stop());
    this.adapter.start({
      receive: (topic, record) => this.#tell(...texts(record).map((text) => `${topic} ${text}`)),
      failed: (error) => this.#tell(`failed ${error.message}`),
      up: () => this.#tell("up"),
      down: (reason) => {
        this.reasons.push(reason);
        this.#tell(`down ${(reason as Error & { code?: string }).code}`);
      },
    });
  }

  /** One that is up. */
  static async join(given: string | RedisClientLike, options?: RedisOptions): Promise<Member> {
    const member = new Member(given, options);
    await member.until("up");
    return member;
  }

  /** What came, without `up` and `down`. */
  get got(): string[] {
    return this.told.filter((word) => !this.links.includes(word));
  }

  /** `up` and `down`. */
  get links(): string[] {
    return this.told.filter((word) => word === "up" || word.startsWith("down"));
  }

  async subscribe(...topics: readonly string[]): Promise<void> {
    await Promise.all(topics.map(async (topic) => await this.adapter.subscribe(topic)));
  }

  publish(topic: string, text: string): Promise<Receipt> {
    return this.adapter.publish(topic, record(text));
  }

  /** Resolves when this has been told so many times. */
  async until(word: string, times = 1): Promise<void> {
    await this.when(() => this.told.filter((told) => told === word).length >= times);
  }

  /** Resolves when this is true, looked at whenever something is told. */
  async when(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => void this.#wakeUps.push(resolve));
  }

  #tell(...words: string[]): void {
    this.told.push(...words);
    for (const wakeUp of this.#wakeUps.splice(0)) wakeUp();
  }
}

export function record(...given: string[]): MessageRecord {
  return MessageRecord.of(given.map((text) => ({ kind: "string", frame: encodeFrame(text), except: [] })));
}

/** The topic of a group. */
export function topic(name: string): string {
  return encodeTopic({ kind: "group", namespace: "default", name });
}

function texts(given: MessageRecord): string[] {
  return [...given.messages()].map(({ frame }) => String(readPayloads(frame)[0]));
}
