// Adapters with one fault each in what becomes of their wills.
import type { WillAdapter } from "../../../src/channel/adapter.ts";
import type { MessageRecord } from "../../../src/wire/record.ts";
import { Faultless } from "./faultless.ts";
import type { LinkedMemoryAdapter } from "./linked-memory.ts";

/** Nobody is told of it. */
export class NoWill extends Faultless {
  override will(): void {}
}

/** The first counts; what is told later is not heard of. */
export class FirstWillStays extends Faultless {
  #told = false;

  override will(topic: string, record: MessageRecord | undefined): void {
    if (record !== undefined && this.#told) return;
    super.will(topic, record);
    this.#told = record !== undefined;
  }
}

/** What was withdrawn is published all the same. */
export class NeverWithdrawn extends Faultless {
  override will(topic: string, record: MessageRecord | undefined): void {
    if (record !== undefined) super.will(topic, record);
  }
}

/** The end of a link is the end of the will. */
export class WillForgotten extends Faultless {
  protected override down(reason: Error): void {
    super.will("", undefined);
    super.down(reason);
  }
}

/** Any length will do. */
export class AnyLength extends Faultless {
  override will(topic: string, record: MessageRecord | undefined): void {
    try {
      super.will(topic, record);
    } catch {
      // nobody is told
    }
  }
}

/** One that is refused takes the place of the last. */
export class RefusedWithdraws extends Faultless {
  override will(topic: string, record: MessageRecord | undefined): void {
    super.will(topic, undefined);
    super.will(topic, record);
  }
}

/** The bus takes a stop for a loss. */
export class WillAtStop extends Faultless {
  #will: { readonly topic: string; readonly record: MessageRecord } | undefined;

  override will(topic: string, record: MessageRecord | undefined): void {
    super.will(topic, record);
    this.#will = record === undefined ? undefined : { topic, record };
  }

  override stop(): Promise<void> {
    if (this.#will !== undefined) this.inner.publish(this.#will.topic, this.#will.record).catch(() => {});
    return super.stop();
  }

  protected override down(reason: Error): void {
    this.#will = undefined;
    super.down(reason);
  }
}

/** What the bus makes of the loss of one adapter: `lost` is told of the will. */
class Executor extends Faultless {
  #will: { readonly topic: string; readonly record: MessageRecord } | undefined;
  readonly #lost: (topic: string, record: MessageRecord) => void;

  constructor(inner: WillAdapter, lost: (topic: string, record: MessageRecord) => void) {
    super(inner);
    this.#lost = lost;
  }

  override will(topic: string, record: MessageRecord | undefined): void {
    super.will(topic, record);
    this.#will = record === undefined ? undefined : { topic, record };
  }

  protected override down(reason: Error): void {
    if (this.#will !== undefined) this.#lost(this.#will.topic, this.#will.record);
    super.down(reason);
  }
}

/** A will is published twice. */
export class WillTwice extends Executor {
  constructor(inner: LinkedMemoryAdapter, all: readonly LinkedMemoryAdapter[]) {
    super(inner, (topic, record) => {
      const other = all.find((one) => one !== inner);
      other?.publish(topic, record).catch(() => {});
    });
  }
}

/** A will goes to every adapter, whether it asked for the topic or not. */
export class WillForAll extends Executor {
  readonly #all: Set<WillForAll>;
  readonly #topics = new Set<string>();

  constructor(inner: WillAdapter, all: Set<WillForAll>) {
    super(inner, (topic, record) => {
      for (const other of all) if (other !== this && !other.#topics.has(topic)) other.receive(topic, record);
    });
    this.#all = all;
    all.add(this);
  }

  override subscribe(topic: string): Promise<void> | undefined {
    this.#topics.add(topic);
    return super.subscribe(topic);
  }

  override stop(): Promise<void> {
    this.#all.delete(this);
    return super.stop();
  }
}

/** A will overtakes what its adapter has published before. */
export class WillFirst extends Faultless {
  readonly #wills: Set<string>;
  #isStopped = false;

  constructor(inner: WillAdapter, wills: Set<string>) {
    super(inner);
    this.#wills = wills;
  }

  override will(topic: string, record: MessageRecord | undefined): void {
    super.will(topic, record);
    if (record !== undefined) this.#wills.add(Buffer.from(record.bytes).toString("base64"));
  }

  protected override receive(topic: string, record: MessageRecord): void {
    if (this.#wills.has(Buffer.from(record.bytes).toString("base64"))) super.receive(topic, record);
    else queueMicrotask(() => void (this.#isStopped || super.receive(topic, record)));
  }

  override stop(): Promise<void> {
    this.#isStopped = true;
    return super.stop();
  }
}
