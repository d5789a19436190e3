// The stream that gives the messages of a prefix their one order: makes it, checks the one that is there, and reads single messages of it.
// Must not know what the messages are.
import { asError, GroupcastError } from "../base/errors.ts";
import { loadJetStream, type NatsConnectionLike, type StreamConfig, type StreamManager } from "./client.ts";
import type { Subjects } from "./subjects.ts";
import { toTrouble } from "./trouble.ts";

/** How a stream is made. One that is there already keeps its own of these. */
export interface StreamSettings {
  readonly bytes: number;
  readonly ageMs: number;
  readonly replicas: number;
}

/** Codes of the JetStream API that are decided upon. */
const CODE = { notFound: 10059, nameTaken: 10058, overlap: 10065, notEnabled: 10076 } as const;
/** The account, or the server, has no room for such a stream, or is no cluster. */
const NOT_LIKE_THIS: ReadonlySet<unknown> = new Set([10028, 10047, 10074]);

/** One answer is waited for this long, ms: while a cluster chooses a leader none comes, and who asks anew is answered soonest. */
const ANSWER_WITHIN_MS = 2_000;

export class Stream {
  readonly #manager: StreamManager;
  readonly #connection: NatsConnectionLike;
  readonly #subjects: Subjects;
  readonly #settings: StreamSettings;

  private constructor(manager: StreamManager, connection: NatsConnectionLike, subjects: Subjects, settings: StreamSettings) {
    this.#manager = manager;
    this.#connection = connection;
    this.#subjects = subjects;
    this.#settings = settings;
  }

  /**
   * Resolves when the stream is there.
   *
   * Rejects with `bad_option`: there is no JetStream, or the stream cannot be made, or one of that name is another kind of stream;
   * `unauthorized`; `unavailable`.
   */
  static async open(connection: NatsConnectionLike, subjects: Subjects, settings: StreamSettings): Promise<Stream> {
    const { jetstreamManager } = await loadJetStream();
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false, timeout: ANSWER_WITHIN_MS });
      const stream = new Stream(manager, connection, subjects, settings);
      stream.#check((await stream.#read()) ?? (await stream.#make()));
      return stream;
    } catch (thrown) {
      throw explain(thrown, subjects.stream);
    }
  }

  /** The first message of a subject from this sequence on; undefined: the stream has none. */
  async next(subject: string, sequence: number): Promise<{ readonly sequence: number; readonly data: Uint8Array } | undefined> {
    const found = await this.#manager.direct.getMessage(this.#subjects.stream, { seq: sequence, next_by_subj: subject });
    return found === null ? undefined : { sequence: found.seq, data: found.data };
  }

  async #read(): Promise<StreamConfig | undefined> {
    try {
      return (await this.#manager.streams.info(this.#subjects.stream)).config;
    } catch (thrown) {
      if (codeOf(thrown) === CODE.notFound) return undefined;
      throw thrown;
    }
  }

  async #make(): Promise<StreamConfig> {
    try {
      return (await this.#manager.streams.add(this.#config())).config;
    } catch (thrown) {
      // Somebody else has made it meanwhile.
      const made = codeOf(thrown) === CODE.nameTaken ? await this.#read() : undefined;
      if (made === undefined) throw thrown;
      return made;
    }
  }

  #config(): StreamConfig {
    const { bytes, ageMs, replicas } = this.#settings;
    return {
      name: this.#subjects.stream,
      subjects: [this.#subjects.allStored],
      republish: { src: this.#subjects.allStored, dest: this.#subjects.allLive },
      storage: "memory",
      retention: "limits",
      discard: "old",
      allow_direct: true,
      max_bytes: bytes,
      max_age: ageMs * 1_000_000,
      num_replicas: replicas,
      max_msgs_per_subject: isSlowToLookBack(this.#connection.info?.version ?? "") ? 1 : -1,
    };
  }

  /** @throws GroupcastError `bad_option` */
  #check({ subjects, republish, retention, discard, allow_direct, no_ack, mirror, sources, sealed }: StreamConfig): void {
    const { allStored, allLive, stream } = this.#subjects;
    const wanted: readonly (readonly [setting: string, given: unknown, wanted: unknown])[] = [
      ["subjects", subjects.join(), allStored],
      ["republish.src", republish?.src, allStored],
      ["republish.dest", republish?.dest, allLive],
      ["republish.headers_only", republish?.headers_only ?? false, false],
      ["retention", retention, "limits"],
      ["discard", discard, "old"],
      ["allow_direct", allow_direct, true],
      ["no_ack", no_ack ?? false, false],
      ["sealed", sealed, false],
      ["mirror", mirror === undefined, true],
      ["sources", (sources?.length ?? 0) === 0, true],
    ];
    const wrong = wanted.find(([, given, right]) => given !== right);
    if (wrong === undefined) return;
    const [setting, given, right] = wrong;
    const text = `the JetStream stream ${stream} is there already, but its ${setting} is ${String(given)}, not ${String(right)}: delete it, or choose another prefix`;
    throw new GroupcastError("bad_option", text);
  }
}

/**
 * Servers before 2.10 look for the message before a new one among all messages of the stream: with 64 MiB of them, some 700 a second is all
 * that they take. With one message per subject there is nothing to look through; a hole cannot be filled then.
 */
function isSlowToLookBack(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < 2 || (major === 2 && minor < 10);
}

function explain(thrown: unknown, stream: string): GroupcastError {
  const code = codeOf(thrown);
  const because = (text: string): GroupcastError => new GroupcastError("bad_option", text, { cause: thrown });
  if (code === CODE.notEnabled || asError(thrown).name === "JetStreamNotEnabled") {
    return because(
      "this NATS account has no JetStream, which gives all members one order: enable it (nats-server -js), or do without with --nats-core ({ core: true }), then order is kept per publisher only",
    );
  }
  if (code === CODE.overlap) return because(`the JetStream stream ${stream} cannot be made: another stream takes its subjects`);
  if (NOT_LIKE_THIS.has(code)) return because(`the JetStream stream ${stream} cannot be made: ${asError(thrown).message}`);
  return toTrouble(thrown, `the JetStream stream ${stream}`);
}

function codeOf(thrown: unknown): unknown {
  return typeof thrown === "object" && thrown !== null && "code" in thrown ? thrown.code : undefined;
}
