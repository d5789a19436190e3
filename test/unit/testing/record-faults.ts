// Adapters with one fault each in what becomes of records: who gets them, in which order, and what is in them.
import type { Receipt, WillAdapter } from "../../../src/channel/adapter.ts";
import { type Message, MessageRecord } from "../../../src/wire/record.ts";
import { Faultless } from "./faultless.ts";

/** A message does not come back to its own publisher. */
export class NoOwnCopy extends Faultless {
  readonly #own: string[] = [];

  override publish(topic: string, record: MessageRecord): Promise<Receipt> {
    this.#own.push(print(topic, record));
    return super.publish(topic, record);
  }

  protected override receive(topic: string, record: MessageRecord): void {
    const own = this.#own.indexOf(print(topic, record));
    if (own < 0) super.receive(topic, record);
    else this.#own.splice(own, 1);
  }
}

/** The publisher's own copy does not go through the bus: it is there first. */
export class OwnCopyFirst extends NoOwnCopy {
  readonly #topics = new Set<string>();

  override subscribe(topic: string): Promise<void> | undefined {
    this.#topics.add(topic);
    return super.subscribe(topic);
  }

  override unsubscribe(topic: string): void {
    this.#topics.delete(topic);
    super.unsubscribe(topic);
  }

  override publish(topic: string, record: MessageRecord): Promise<Receipt> {
    if (this.#topics.has(topic)) this.events?.receive(topic, record);
    return super.publish(topic, record);
  }
}

/** Now and then a record overtakes the one before. */
export class Reordered extends Faultless {
  readonly #overtaken = new Map<string, MessageRecord>();
  #received = 0;

  protected override receive(topic: string, record: MessageRecord): void {
    if (++this.#received % 7 === 0 && !this.#overtaken.has(topic)) {
      this.#overtaken.set(topic, record);
      setImmediate(() => this.#handOver(topic));
      return;
    }
    super.receive(topic, record);
    this.#handOver(topic);
  }

  #handOver(topic: string): void {
    const record = this.#overtaken.get(topic);
    this.#overtaken.delete(topic);
    if (record !== undefined) super.receive(topic, record);
  }
}

/** Now and then a record comes twice. */
export class Doubled extends Faultless {
  #received = 0;

  protected override receive(topic: string, record: MessageRecord): void {
    super.receive(topic, record);
    if (++this.#received % 7 === 0) super.receive(topic, record);
  }
}

/** Now and then a record does not come. */
export class Lost extends Faultless {
  #received = 0;

  protected override receive(topic: string, record: MessageRecord): void {
    if (++this.#received % 7 !== 0) super.receive(topic, record);
  }
}

/** The first record after a subscription does not come. */
export class FirstLost extends Faultless {
  readonly #fresh = new Set<string>();

  override subscribe(topic: string): Promise<void> | undefined {
    this.#fresh.add(topic);
    return super.subscribe(topic);
  }

  protected override receive(topic: string, record: MessageRecord): void {
    if (!this.#fresh.delete(topic)) super.receive(topic, record);
  }
}

/** Every record goes to every process, and is handed over there, whether anybody asked for the topic or not. */
export class NoInterestRouting extends Faultless {
  readonly #all: Set<NoInterestRouting>;
  readonly #topics = new Set<string>();

  constructor(inner: WillAdapter, all: Set<NoInterestRouting>) {
    super(inner);
    this.#all = all;
    all.add(this);
  }

  override subscribe(topic: string): Promise<void> | undefined {
    this.#topics.add(topic);
    return super.subscribe(topic);
  }

  override unsubscribe(topic: string): void {
    this.#topics.delete(topic);
    super.unsubscribe(topic);
  }

  override publish(topic: string, record: MessageRecord): Promise<Receipt> {
    for (const adapter of this.#all) if (!adapter.#topics.has(topic)) adapter.receive(topic, record);
    return super.publish(topic, record);
  }

  override stop(): Promise<void> {
    this.#all.delete(this);
    return super.stop();
  }
}

/** Messages are changed on the way. */
export class Altered extends Faultless {
  readonly #alter: (message: Message) => Message;

  constructor(inner: WillAdapter, alter: (message: Message) => Message) {
    super(inner);
    this.#alter = alter;
  }

  protected override receive(topic: string, record: MessageRecord): void {
    super.receive(topic, MessageRecord.of([...record.messages()].map(this.#alter)));
  }
}

/** The bytes of a record are used again for the next one. */
export class BytesUsedAgain extends Faultless {
  readonly #buffer = new Uint8Array(4 * 1024 * 1024);

  protected override receive(topic: string, record: MessageRecord): void {
    this.#buffer.set(record.bytes);
    super.receive(topic, MessageRecord.read(this.#buffer.subarray(0, record.bytes.length)));
  }
}

function print(topic: string, record: MessageRecord): string {
  return topic + Buffer.from(record.bytes).toString("base64");
}
