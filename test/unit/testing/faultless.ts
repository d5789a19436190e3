// An adapter around another one that changes nothing; each planted fault changes one thing of it.
import type { AdapterEvents, Receipt, WillAdapter } from "../../../src/channel/adapter.ts";
import type { MessageRecord } from "../../../src/wire/record.ts";

/** Passes everything on. A fault changes one thing. */
export class Faultless implements WillAdapter {
  readonly immediate: boolean;
  protected readonly inner: WillAdapter;
  protected events: AdapterEvents | undefined;

  constructor(inner: WillAdapter) {
    this.inner = inner;
    this.immediate = inner.immediate;
  }

  start(events: AdapterEvents): void {
    this.events = events;
    this.inner.start({
      receive: (topic, record) => this.receive(topic, record),
      failed: (error) => this.events?.failed(error),
      up: () => this.up(),
      down: (reason) => this.down(reason),
    });
  }

  subscribe(topic: string): Promise<void> | undefined {
    return this.inner.subscribe(topic);
  }

  unsubscribe(topic: string): void {
    this.inner.unsubscribe(topic);
  }

  publish(topic: string, record: MessageRecord): Promise<Receipt> {
    return this.inner.publish(topic, record);
  }

  will(topic: string, record: MessageRecord | undefined): void {
    this.inner.will(topic, record);
  }

  stop(): Promise<void> {
    return this.inner.stop();
  }

  protected receive(topic: string, record: MessageRecord): void {
    this.events?.receive(topic, record);
  }

  protected up(): void {
    this.events?.up();
  }

  protected down(reason: Error): void {
    this.events?.down(reason);
  }
}
