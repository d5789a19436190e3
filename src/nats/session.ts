// What is done on one link: which topics are heard there, and from when on. Must not know how records travel, or what comes after the link.
import type { GroupcastError } from "../base/errors.ts";
import type { Receipt } from "../channel/adapter.ts";
import type { NatsSubscription } from "./client.ts";
import type { Denial, Link } from "./link.ts";
import type { Hearing, Road } from "./road.ts";
import type { Subjects } from "./subjects.ts";

/** Whom a session tells. */
export interface SessionHost {
  /** Nothing that is published on this topic from now on is missed. */
  heard(topic: string): void;
  /** NATS does not let us hear this topic. */
  refused(topic: string, error: GroupcastError): void;
}

type Ear = { readonly topic: string; readonly hearing: Hearing; readonly subscription: NatsSubscription };

export class Session {
  readonly #link: Link;
  readonly #road: Road;
  readonly #subjects: Subjects;
  readonly #host: SessionHost;
  readonly #ears = new Map<string, Ear>();
  /** Those from which nothing was heard of yet when the last mark was asked for. */
  readonly #unmarked = new Set<Ear>();
  #isMarking = false;
  #isOpen = false;

  constructor(link: Link, road: Road, subjects: Subjects, host: SessionHost) {
    this.#link = link;
    this.#road = road;
    this.#subjects = subjects;
    this.#host = host;
  }

  /** Hears these topics. Resolves when all are heard, and records can be published. Rejects with what is wrong. */
  async open(topics: Iterable<string>): Promise<void> {
    await this.#road.open();
    for (const topic of topics) this.hear(topic);
    do await this.#mark();
    while (this.#unmarked.size > 0);
    this.#isOpen = true;
  }

  /** True: nothing should be published now. */
  get isFull(): boolean {
    return this.#road.isFull;
  }

  /** Bytes of the longest record; undefined: the connection is not there any more. */
  get recordBytesMax(): number | undefined {
    return this.#link.connection.info?.max_payload;
  }

  /** Once is enough. */
  hear(topic: string): void {
    if (this.#ears.has(topic)) return;
    const hearing = this.#road.hear(topic);
    const subscription = this.#link.connection.subscribe(this.#subjects.live(topic), { callback: hearing.take });
    const ear = { topic, hearing, subscription };
    this.#ears.set(topic, ear);
    this.#unmarked.add(ear);
    if (this.#isOpen) this.#markSoon();
  }

  unhear(topic: string): void {
    const ear = this.#ears.get(topic);
    if (ear === undefined) return;
    this.#forget(ear);
    ear.subscription.unsubscribe();
  }

  /** As the adapter's `publish`. */
  publish(topic: string, bytes: Uint8Array): Promise<Receipt> {
    return this.#road.publish(topic, bytes);
  }

  denied({ operation, subject, error }: Denial): void {
    if (operation === "publish") return this.#road.denied(subject, error);
    const ear = [...this.#ears.values()].find(({ topic }) => this.#subjects.live(topic) === subject);
    if (ear === undefined) return;
    this.#forget(ear); // the client has given it up by itself
    this.#host.refused(ear.topic, error);
  }

  /** The link is over. What waits is rejected with `reason` if that is `closed`, else with `unknown_outcome`. */
  end(reason: GroupcastError): void {
    this.#isOpen = false;
    this.#road.end(reason);
    const ears = [...this.#ears.values()];
    for (const ear of ears) this.#forget(ear);
    // One of ours is closed at once.
    if (!this.#link.isOurs) for (const { subscription } of ears) subscription.unsubscribe();
  }

  #forget(ear: Ear): void {
    this.#ears.delete(ear.topic);
    this.#unmarked.delete(ear);
    ear.hearing.end();
  }

  /** One mark is asked for at a time; it speaks for everything that has gathered by then. */
  #markSoon(): void {
    if (this.#isMarking) return;
    this.#isMarking = true;
    queueMicrotask(() => {
      this.#mark().then(
        () => {
          this.#isMarking = false;
          if (this.#unmarked.size > 0 && this.#isOpen) this.#markSoon();
        },
        () => {}, // the road is broken, and says so
      );
    });
  }

  async #mark(): Promise<void> {
    const ears = [...this.#unmarked];
    this.#unmarked.clear();
    const mark = await this.#road.mark();
    for (const ear of ears) {
      if (this.#ears.get(ear.topic) !== ear) continue;
      if (ear.hearing.begin(mark)) this.#host.heard(ear.topic);
      else this.#unmarked.add(ear);
    }
  }
}
