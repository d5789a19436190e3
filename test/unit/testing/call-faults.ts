// Adapters with one fault each in what becomes of calls: when they take effect, and how they are answered.
import type { Receipt, WillAdapter } from "../../../src/channel/adapter.ts";
import type { MessageRecord } from "../../../src/wire/record.ts";
import { Faultless } from "./faultless.ts";

/** `subscribe` resolves before the subscription is in force. */
export class LateSubscribe extends Faultless {
  readonly #wanted = new Set<string>();
  readonly #lateMs: number;

  constructor(inner: WillAdapter, lateMs = 0) {
    super(inner);
    this.#lateMs = lateMs;
  }

  override subscribe(topic: string): Promise<void> {
    this.#wanted.add(topic);
    setTimeout(() => {
      if (this.#wanted.has(topic)) super.subscribe(topic)?.catch(() => {});
    }, this.#lateMs);
    return Promise.resolve();
  }

  override unsubscribe(topic: string): void {
    this.#wanted.delete(topic);
    super.unsubscribe(topic);
  }

  override stop(): Promise<void> {
    this.#wanted.clear();
    return super.stop();
  }
}

/** `subscribe` resolves at once, and is right behind it: wrong only where the way to the bus is longer than the way back. */
export class HastySubscribe extends Faultless {
  override subscribe(topic: string): Promise<void> {
    super.subscribe(topic)?.catch(() => {});
    return Promise.resolve();
  }
}

/** The link comes back, `up` is told, and the topics are heard no more. */
export class DeadAfterUp extends Faultless {
  protected readonly topics = new Set<string>();

  override subscribe(topic: string): Promise<void> | undefined {
    this.topics.add(topic);
    return super.subscribe(topic);
  }

  override unsubscribe(topic: string): void {
    this.topics.delete(topic);
    super.unsubscribe(topic);
  }

  protected override up(): void {
    for (const topic of this.topics) this.inner.unsubscribe(topic);
    super.up();
  }
}

/** `up` is told first, and the topics are subscribed to afterwards. */
export class UpTooEarly extends DeadAfterUp {
  #stopped = false;

  protected override up(): void {
    super.up();
    setTimeout(() => {
      if (!this.#stopped) for (const topic of this.topics) this.inner.subscribe(topic)?.catch(() => {});
    }, 20);
  }

  override stop(): Promise<void> {
    this.#stopped = true;
    return super.stop();
  }
}

/** What was unsubscribed from goes on coming. */
export class NeverUnsubscribed extends Faultless {
  override unsubscribe(): void {}
}

/** Unsubscribing takes a while, and then undoes a subscription that was made meanwhile. */
export class LateUnsubscribe extends Faultless {
  override unsubscribe(topic: string): void {
    queueMicrotask(() => super.unsubscribe(topic));
  }
}

/** A record is called accepted when it has not been sent yet. */
export class AcceptedTooEarly extends Faultless {
  override publish(topic: string, record: MessageRecord): Promise<Receipt> {
    setImmediate(() => void super.publish(topic, record).catch(() => {}));
    return Promise.resolve({ receivers: undefined });
  }
}

/** One receiver too many is told. */
export class ReceiversWrong extends Faultless {
  override async publish(topic: string, record: MessageRecord): Promise<Receipt> {
    const { receivers = 0 } = await super.publish(topic, record);
    return { receivers: receivers + 1 };
  }
}

/** A publish that failed is called accepted. */
export class FailureHidden extends Faultless {
  override publish(topic: string, record: MessageRecord): Promise<Receipt> {
    return super.publish(topic, record).catch(() => ({ receivers: undefined }));
  }
}

/** Topics whose names differ only in signs are the same topic. */
export class CoarseTopics extends Faultless {
  readonly #topics = new Set<string>();

  override subscribe(topic: string): Promise<void> | undefined {
    this.#topics.add(topic);
    return super.subscribe(coarse(topic));
  }

  override unsubscribe(topic: string): void {
    this.#topics.delete(topic);
    super.unsubscribe(coarse(topic));
  }

  override publish(topic: string, record: MessageRecord): Promise<Receipt> {
    return super.publish(coarse(topic), record);
  }

  override will(topic: string, record: MessageRecord | undefined): void {
    super.will(coarse(topic), record);
  }

  protected override receive(topic: string, record: MessageRecord): void {
    for (const heard of this.#topics) if (coarse(heard) === topic) super.receive(heard, record);
  }
}

/** What waits when the adapter is stopped waits for ever. */
export class WaitsForEver extends Faultless {
  override subscribe(topic: string): Promise<void> | undefined {
    return super.subscribe(topic)?.catch(() => new Promise<void>(() => {}));
  }
}

/** `stop` does nothing. */
export class NeverStops extends Faultless {
  override stop(): Promise<void> {
    return Promise.resolve();
  }
}

function coarse(topic: string): string {
  return topic.replaceAll(/[^\w\s]/g, "_");
}
