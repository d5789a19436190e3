// What things are called on NATS: the stream, the subjects of topics, and where answers come. Pure.
import { GroupcastError } from "../base/errors.ts";
import { encodeBrokerName } from "../channel/broker-names.ts";

/** Beginnings of subjects: what is published for the stream to keep, what it publishes again, and answers to publishers. */
const STORED = "gcp";
const LIVE = "gcl";
const ANSWERS = "gca";
/** Beginning of the stream's name, which may have no dots and at most 255 characters. */
const STREAM = "gc-";
/** Characters of a prefix as it stands in a name. */
const PREFIX_MAX = 200;
/** Characters of a subject: with the reply's it stays below the 4,096 of a line of the NATS protocol. */
const SUBJECT_MAX = 3_000;
/** Subjects that are remembered; a subject is asked for at each publish. */
const KNOWN_MAX = 16_384;

/** All names of one prefix. No two prefixes have one in common. */
export class Subjects {
  readonly stream: string;
  /** Everything that the stream keeps, and everything that it publishes again, as patterns. */
  readonly allStored: string;
  readonly allLive: string;
  /** Kept by the stream like a topic, but no topic is called so: whoever publishes here learns how far the stream is. */
  readonly marker: string;
  readonly #prefix: string;
  readonly #answers: string;
  readonly #stored = new Map<string, string>();

  /** @throws GroupcastError `bad_option` */
  constructor(prefix: string) {
    const [root = ""] = encodeBrokerName(prefix, "").split(".");
    if (prefix === "" || root.length > PREFIX_MAX) {
      const text = `a prefix has 1 to ${PREFIX_MAX} letters and digits, every other byte counting as three; given ${JSON.stringify(prefix.slice(0, PREFIX_MAX))}`;
      throw new GroupcastError("bad_option", text);
    }
    this.#prefix = prefix;
    this.#answers = `${ANSWERS}.${root}`;
    this.stream = `${STREAM}${root}`;
    this.allStored = `${STORED}.${root}.>`;
    this.allLive = `${LIVE}.${root}.>`;
    this.marker = `${STORED}.${root}.$marker`;
  }

  /** Where a topic is published to. */
  stored(topic: string): string {
    let subject = this.#stored.get(topic);
    if (subject !== undefined) return subject;
    if (this.#stored.size >= KNOWN_MAX) this.#stored.clear();
    subject = `${STORED}.${encodeBrokerName(this.#prefix, topic)}`;
    this.#stored.set(topic, subject);
    return subject;
  }

  /** Where a topic is heard. */
  live(topic: string): string {
    return LIVE + this.stored(topic).slice(STORED.length);
  }

  /** Where the answers to one link come: whatever follows the final dot names the question. */
  answers(link: string): string {
    return `${this.#answers}.${link}.`;
  }

  /** What is wrong with a topic, if anything. */
  check(topic: string): GroupcastError | undefined {
    if (this.stored(topic).length <= SUBJECT_MAX) return undefined;
    return new GroupcastError(
      "bad_option",
      `a topic has at most ${SUBJECT_MAX} characters on NATS, every byte but letters and digits counting as three`,
    );
  }
}
