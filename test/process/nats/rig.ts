// What the tests of the channel over NATS share: adapters that are stopped after each test, and a client of NATS beside them.
import { afterEach } from "vitest";
import { type NatsConnectionLike, NatsAdapter, type NatsOptions } from "../../../dist/nats/index.js";
import { encodeTopic, type Message, MessageRecord } from "../../../dist/testing/index.js";
import { encodeFrame, readPayloads } from "../../../dist/wire/frames.js";
import { until } from "../workers-harness.ts";

const undos: (() => unknown)[] = [];

afterEach(async () => {
  for (const undo of undos.splice(0).toReversed()) await undo();
});

/** Done after the test. */
export function later(undo: () => unknown): void {
  undos.push(undo);
}

export type Coded = Error & { readonly code?: string; readonly retry?: boolean };

/** An adapter in this process, started, and what it has been told. */
export class Member {
  readonly adapter: NatsAdapter;
  /** `up`, `down code`, `failed text`. */
  readonly told: string[] = [];
  readonly errors: Coded[] = [];
  /** By topic. */
  readonly #heard = new Map<string, string[]>();
  isUp = false;

  constructor(urlOrConnection: string | NatsConnectionLike, options: NatsOptions = {}) {
    this.adapter = new NatsAdapter(urlOrConnection, options);
    later(() => this.adapter.stop());
    this.adapter.start({
      receive: (topic, record) => this.heard(topic).push(...texts(record)),
      failed: (error) => this.#tell(`failed ${error.message}`, error),
      up: () => {
        this.isUp = true;
        this.#tell("up");
      },
      down: (reason) => {
        this.isUp = false;
        this.#tell(`down ${(reason as Coded).code}`, reason);
      },
    });
  }

  /** Resolves with one that is up. */
  static async up(urlOrConnection: string | NatsConnectionLike, options: NatsOptions = {}): Promise<Member> {
    const member = new Member(urlOrConnection, options);
    await until("it is up", () => member.isUp);
    return member;
  }

  /** Resolves when all of them are heard; asked for in one turn. */
  async subscribe(...topics: readonly string[]): Promise<void> {
    await Promise.all(topics.map(async (topic) => this.adapter.subscribe(topic)));
  }

  heard(topic: string): string[] {
    let heard = this.#heard.get(topic);
    if (heard === undefined) this.#heard.set(topic, (heard = []));
    return heard;
  }

  /** Publishes texts as one record. */
  publish(topic: string, ...said: readonly string[]): Promise<unknown> {
    return this.adapter.publish(topic, MessageRecord.of(said.map(say)));
  }

  /** "ok", or the code that it rejected with. */
  outcome(topic: string, ...said: readonly string[]): Promise<string> {
    return this.publish(topic, ...said).then(
      () => "ok",
      (error: Coded) => error.code ?? error.message,
    );
  }

  #tell(told: string, error?: Error): void {
    this.told.push(told);
    if (error !== undefined) this.errors.push(error);
  }
}

export function say(text: string): Message {
  return { kind: "string", frame: encodeFrame(text), except: [] };
}

function texts(record: MessageRecord): string[] {
  return [...record.messages()].map(({ frame }) => readPayloads(frame).join());
}

/** The topic of a group. */
export function topicOf(name: string): string {
  return encodeTopic({ kind: "group", namespace: "default", name });
}

interface Client extends NatsConnectionLike {
  request(subject: string, payload?: string): Promise<{ json(): Record<string, unknown>; string(): string }>;
  drain(): Promise<void>;
}

// Not written where they are imported: the types of these packages do not stand the compiler's strictness.
const TRANSPORT: string = "@nats-io/transport-node";

/** A connection of the client's own, closed after the test. */
export async function connectTo(url: string, options: object = {}): Promise<Client> {
  const { connect } = (await import(TRANSPORT)) as { connect: (options: object) => Promise<Client> };
  const { username, password, host } = new URL(url);
  const client = await connect({ servers: host, ...(username === "" ? {} : { user: username, pass: password }), ...options });
  later(() => client.close());
  return client;
}

/** Asks JetStream. */
export async function ask(client: Client, what: string, payload: object = {}): Promise<Record<string, unknown>> {
  return (await client.request(`$JS.API.${what}`, JSON.stringify(payload))).json();
}
