// A NATS server with JetStream in memory, and connections to it that do what a test says. Everything that a connection is sent comes in a
// turn of its own unless the test holds it back.
import type { NatsConnectionLike, NatsListener, NatsMessage, NatsStatus } from "../../../src/nats/client.ts";
import { type Deferred, deferred } from "../../../src/base/promises.ts";

const utf8 = new TextEncoder();
const EMPTY = new Uint8Array(0);

interface Stored {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
}

/** The settings of the stream of the prefix `p`. */
export const CONFIG = {
  name: "gc-p",
  subjects: ["gcp.p.>"],
  republish: { src: "gcp.p.>", dest: "gcl.p.>" },
  retention: "limits",
  discard: "old",
  allow_direct: true,
  no_ack: false,
  sealed: false,
};

export class FakeServer {
  readonly connections = new Set<FakeConnection>();
  messages: Stored[] = [];
  hasStream = true;
  config: object = CONFIG;
  /** What answers a publish, instead of the stream; undefined: nothing does. */
  answer: ((subject: string) => { readonly status?: number; readonly text?: string } | undefined) | undefined;
  /** Requests, by what they ask. */
  readonly asked: string[] = [];

  connect(): FakeConnection {
    const connection = new FakeConnection(this);
    this.connections.add(connection);
    return connection;
  }

  published(from: FakeConnection, subject: string, data: Uint8Array, reply: string | undefined): void {
    if (!subject.startsWith("gcp.")) return this.send(subject, data);
    const answer: { readonly status?: number; readonly text?: string } | undefined = this.answer === undefined ? {} : this.answer(subject);
    if (answer === undefined) return;
    if (!this.hasStream || answer.status !== undefined)
      return from.deliver(reply ?? "", EMPTY, { code: answer.status ?? 503, get: () => "" });
    if (answer.text !== undefined) return from.deliver(reply ?? "", utf8.encode(answer.text));
    const sequence = (this.messages.at(-1)?.sequence ?? 0) + 1;
    const previous = this.messages.findLast((one) => one.subject === subject)?.sequence ?? 0;
    this.messages.push({ sequence, subject, data });
    this.send(subject.replace(/^gcp/, "gcl"), data, placed(sequence, previous));
    from.deliver(reply ?? "", utf8.encode(`{"stream":"gc-p", "seq":${sequence}}`));
  }

  send(subject: string, data: Uint8Array, headers?: NatsMessage["headers"]): void {
    for (const connection of this.connections) connection.deliver(subject, data, headers);
  }

  /** What the JetStream API says. */
  ask(subject: string, payload: Uint8Array | string): { readonly data: Uint8Array; readonly headers?: object } {
    const [, , what = "", verb = ""] = subject.split(".");
    this.asked.push(`${what}.${verb}`);
    if (what === "DIRECT") {
      const { seq, next_by_subj } = JSON.parse(typeof payload === "string" ? payload : new TextDecoder().decode(payload)) as {
        seq: number;
        next_by_subj: string;
      };
      const found = this.messages.find((one) => one.subject === next_by_subj && one.sequence >= seq);
      if (found === undefined) return { data: EMPTY, headers: { code: 404, description: "message not found" } };
      return { data: found.data, headers: { code: 0, last: () => String(found.sequence) } };
    }
    if (verb === "CREATE") this.hasStream = true;
    const answer = this.hasStream
      ? { config: this.config, state: {} }
      : { error: { code: 404, err_code: 10_059, description: "stream not found" } };
    return { data: utf8.encode(JSON.stringify(answer)) };
  }
}

export function placed(sequence: number, previous: number): NatsMessage["headers"] {
  const fields: Record<string, number> = { "Nats-Sequence": sequence, "Nats-Last-Sequence": previous };
  return { code: 0, get: (name) => String(fields[name] ?? "") };
}

type Subscription = { readonly subject: string; readonly listener: NatsListener };

export class FakeConnection implements NatsConnectionLike {
  info: { version: string; max_payload: number } | undefined = { version: "2.10.27", max_payload: 1_048_576 };
  /** For `@nats-io/jetstream`. */
  readonly options = {};
  readonly subscriptions = new Set<Subscription>();
  /** Every subject that was published to. */
  readonly sent: string[] = [];
  readonly #server: FakeServer;
  readonly #closed = deferred<void | Error>();
  #statuses: NatsStatus[] = [];
  #more: Deferred<void> = deferred();
  #isClosed = false;
  /** Undefined: what is sent comes at once. */
  #held: (() => void)[] | undefined;
  /** Undefined: flushes are answered at once. */
  heldFlushes: Deferred<void>[] | undefined;
  /** Undefined: requests are answered at once. */
  heldRequests: Deferred<void>[] | undefined;

  constructor(server: FakeServer) {
    this.#server = server;
  }

  publish(subject: string, payload: Uint8Array = EMPTY, options?: { reply?: string }): void {
    if (this.#isClosed) throw new Error("closed connection");
    this.sent.push(subject);
    this.#server.published(this, subject, payload, options?.reply);
  }

  subscribe(subject: string, { callback }: { callback: NatsListener }): { unsubscribe(): void } {
    if (this.#isClosed) throw new Error("closed connection");
    const subscription = { subject, listener: callback };
    this.subscriptions.add(subscription);
    return { unsubscribe: () => void this.subscriptions.delete(subscription) };
  }

  flush(): Promise<void> {
    if (this.heldFlushes === undefined) return Promise.resolve();
    const flushed = deferred();
    this.heldFlushes.push(flushed);
    return flushed.promise;
  }

  async *status(): AsyncGenerator<NatsStatus> {
    for (;;) {
      for (const status of this.#statuses.splice(0)) yield status;
      await this.#more.promise;
    }
  }

  async request(subject: string, payload: Uint8Array | string): Promise<object> {
    const held = deferred();
    if (this.heldRequests === undefined) held.resolve();
    else this.heldRequests.push(held);
    await held.promise;
    return this.#server.ask(subject, payload);
  }

  closed(): Promise<void | Error> {
    return this.#closed.promise;
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.say({ type: "close" });
    this.#closed.resolve();
    return Promise.resolve();
  }

  getServer(): string {
    return "127.0.0.1:4222";
  }

  /** Has the connection say this of itself. */
  say(status: NatsStatus): void {
    this.#statuses.push(status);
    this.#more.resolve();
    this.#more = deferred();
  }

  /** Keeps back what is sent to it. */
  hold(): void {
    this.#held ??= [];
  }

  /** What was kept back comes, in this order of it. */
  release(order: (held: (() => void)[]) => (() => void)[] = (held) => held): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const come of order(held)) come();
  }

  deliver(subject: string, data: Uint8Array, headers?: NatsMessage["headers"]): void {
    const come = (): void => {
      for (const one of [...this.subscriptions]) {
        const isHeard = one.subject.endsWith("*") ? subject.startsWith(one.subject.slice(0, -1)) : subject === one.subject;
        if (isHeard) one.listener(null, { subject, data, headers });
      }
    };
    if (this.#held === undefined) queueMicrotask(come);
    else this.#held.push(come);
  }
}
