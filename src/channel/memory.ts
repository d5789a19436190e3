// The channel of a single process: hands records over in the same turn, in call order. Several adapters on one bus behave as
// several processes would; tests live on that.
import { GroupcastError } from "../base/errors.ts";
import { quiet } from "../base/promises.ts";
import { MessageRecord } from "../wire/record.ts";
import type { Adapter, AdapterEvents, Receipt } from "./adapter.ts";

/** What the adapters of one process share. */
export class MemoryBus {
  readonly #topics = new Map<string, Set<MemoryAdapter>>();
  readonly #queue: { readonly topic: string; readonly record: MessageRecord }[] = [];
  #delivering = false;

  /** @internal */
  remove(adapter: MemoryAdapter): void {
    for (const topic of [...this.#topics.keys()]) this.unsubscribe(topic, adapter);
  }

  /** @internal */
  subscribe(topic: string, adapter: MemoryAdapter): void {
    let subscribers = this.#topics.get(topic);
    if (subscribers === undefined) this.#topics.set(topic, (subscribers = new Set()));
    subscribers.add(adapter);
  }

  /** @internal */
  unsubscribe(topic: string, adapter: MemoryAdapter): void {
    const subscribers = this.#topics.get(topic);
    subscribers?.delete(adapter);
    if (subscribers?.size === 0) this.#topics.delete(topic);
  }

  /** @internal */
  publish(topic: string, record: MessageRecord): number {
    const receivers = this.#topics.get(topic)?.size ?? 0;
    // A record that is published while another is handed out waits, or adapters would see the two in different orders. It waits beyond
    // this call, so nothing of it may lie in its publisher's memory.
    this.#queue.push({ topic, record: this.#delivering ? MessageRecord.read(record.bytes) : record });
    if (this.#delivering) return receivers;
    this.#delivering = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        for (const adapter of [...(this.#topics.get(next.topic) ?? [])]) adapter.receive(next.topic, next.record);
      }
    } finally {
      this.#delivering = false;
    }
    return receivers;
  }
}

export class MemoryAdapter implements Adapter {
  readonly immediate = true;
  readonly #bus: MemoryBus;
  #events: AdapterEvents | undefined;

  constructor(bus: MemoryBus = new MemoryBus()) {
    this.#bus = bus;
  }

  start(events: AdapterEvents): void {
    this.#events = events;
    events.up();
  }

  subscribe(topic: string): Promise<void> | undefined {
    if (this.#events === undefined) return quiet(Promise.reject(stopped()));
    this.#bus.subscribe(topic, this);
    return undefined;
  }

  unsubscribe(topic: string): void {
    this.#bus.unsubscribe(topic, this);
  }

  publish(topic: string, record: MessageRecord): Promise<Receipt> {
    if (this.#events === undefined) return quiet(Promise.reject(stopped()));
    return Promise.resolve({ receivers: this.#bus.publish(topic, record) });
  }

  stop(): Promise<void> {
    this.#events = undefined;
    this.#bus.remove(this);
    return Promise.resolve();
  }

  /** @internal */
  receive(topic: string, record: MessageRecord): void {
    this.#events?.receive(topic, record);
  }
}

function stopped(): GroupcastError {
  return new GroupcastError("closed", "the channel is stopped");
}
