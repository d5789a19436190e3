// Memory adapters with a link that can be cut and held, so that every promise of the suite plays inside one process.
import { GroupcastError } from "../../../src/base/errors.ts";
import { type Deferred, deferred } from "../../../src/base/promises.ts";
import type { AdapterEvents, Receipt, WillAdapter } from "../../../src/channel/adapter.ts";
import { MemoryAdapter, MemoryBus } from "../../../src/channel/memory.ts";
import { localPeer, type Peer } from "../../../src/testing/peer.ts";
import type { TestBus } from "../../../src/testing/test-bus.ts";
import type { MessageRecord } from "../../../src/wire/record.ts";

/** What waits for the link: `run` once it is through, `fail` if it never will be. */
type Will = { readonly topic: string; readonly record: MessageRecord };

interface Waiting {
  readonly run: () => void;
  readonly fail: (code: "unknown_outcome" | "closed") => void;
}

/** More is no word of one process to the others. */
const WILL_BYTES_MAX = 4096;

export class LinkedMemoryAdapter implements WillAdapter {
  readonly immediate = false;
  receivedBytes = 0;
  readonly #bus: MemoryBus;
  readonly #topics = new Map<string, Deferred<void>>();
  readonly #will: { wished: Will | undefined; told: Will | undefined } = { wished: undefined, told: undefined };
  #held: Waiting[] | undefined;
  #events: AdapterEvents | undefined;
  #link: MemoryAdapter | undefined;
  #stopped = false;

  constructor(bus: MemoryBus) {
    this.#bus = bus;
  }

  start(events: AdapterEvents): void {
    this.#events = events;
    this.restore();
  }

  subscribe(topic: string): Promise<void> {
    if (this.#stopped) return Promise.reject(new GroupcastError("closed"));
    const inForce = this.#topics.get(topic) ?? deferred();
    this.#topics.set(topic, inForce);
    this.#say({ run: () => this.#subscribe(topic), fail: () => {} });
    return inForce.promise;
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic);
    this.#say({ run: () => this.#link?.unsubscribe(topic), fail: () => {} });
  }

  publish(topic: string, record: MessageRecord): Promise<Receipt> {
    return this.#ask((link) => link.publish(topic, record));
  }

  will(topic: string, record: MessageRecord | undefined): void {
    if (record !== undefined && record.bytes.length > WILL_BYTES_MAX) throw new GroupcastError("too_large");
    this.#will.wished = record === undefined ? undefined : { topic, record };
    this.#say({ run: () => this.#tellWill(), fail: () => {} });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#will.told = undefined;
    this.#unlink("closed");
    for (const inForce of this.#topics.values()) inForce.reject(new GroupcastError("closed"));
    await Promise.resolve();
  }

  cut(): void {
    this.#unlink("unknown_outcome");
    const { told } = this.#will;
    this.#will.told = undefined;
    if (told !== undefined) this.#bus.publish(told.topic, told.record);
    this.#events?.down(new Error("cut"));
  }

  restore(): void {
    const link = new MemoryAdapter(this.#bus);
    link.start({
      receive: (topic, record) => {
        this.receivedBytes += record.bytes.length;
        this.#events?.receive(topic, record);
      },
      failed: (error) => this.#events?.failed(error),
      up: () => {},
      down: () => {},
    });
    this.#link = link;
    for (const topic of this.#topics.keys()) this.#subscribe(topic);
    this.#tellWill();
    this.#events?.up();
  }

  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const { run } of held) run();
  }

  #subscribe(topic: string): void {
    const inForce = this.#topics.get(topic);
    if (inForce === undefined || this.#link === undefined) return;
    void this.#link.subscribe(topic);
    inForce.resolve();
  }

  #tellWill(): void {
    if (this.#link !== undefined) this.#will.told = this.#will.wished;
  }

  #ask<T>(question: (link: MemoryAdapter) => Promise<T>): Promise<T> {
    if (this.#stopped) return Promise.reject(new GroupcastError("closed"));
    const link = this.#link;
    if (link === undefined) return Promise.reject(new GroupcastError("unavailable"));
    const answer = deferred<T>();
    this.#say({
      run: () => void question(link).then(answer.resolve, answer.reject),
      fail: (code) => answer.reject(new GroupcastError(code)),
    });
    return answer.promise;
  }

  #say(waiting: Waiting): void {
    if (this.#held === undefined) waiting.run();
    else this.#held.push(waiting);
  }

  #unlink(code: "unknown_outcome" | "closed"): void {
    void this.#link?.stop();
    this.#link = undefined;
    const held = this.#held?.splice(0) ?? [];
    for (const { fail } of held) fail(code);
  }
}

/** Makes one adapter of a faulty bus out of a good one. */
export type Plant = (inner: LinkedMemoryAdapter, all: readonly LinkedMemoryAdapter[]) => WillAdapter;

/** A bus of linked memory adapters, each with a fault if one is planted. */
export function linkedMemoryBus(options: { readonly plant?: Plant; readonly patienceMs?: number } = {}): TestBus {
  const { plant = (inner) => inner, ...patience } = options;
  const bus = new MemoryBus();
  const links = new Map<Peer, LinkedMemoryAdapter>();
  const all: LinkedMemoryAdapter[] = [];
  return {
    peer() {
      const link = new LinkedMemoryAdapter(bus);
      all.push(link);
      const peer = localPeer(plant(link, all), patience);
      links.set(peer, link);
      return peer;
    },
    stop: () => Promise.resolve(),
    manyTopics: 100,
    cut: (peer) => links.get(peer)?.cut(),
    restore: (peer) => links.get(peer)?.restore(),
    hold: (peer) => links.get(peer)?.hold(),
    release: (peer) => links.get(peer)?.release(),
    kill: (peer) => links.get(peer)?.cut(),
    receivedBytes: (peer) => links.get(peer)?.receivedBytes ?? 0,
  };
}
