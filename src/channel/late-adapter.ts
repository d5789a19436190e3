// An adapter that is still being loaded: to its channel it is a link that is not up yet. Must not know what it loads.
import { asError, GroupcastError } from "../base/errors.ts";
import { type Deferred, deferred, quiet } from "../base/promises.ts";
import type { MessageRecord } from "../wire/record.ts";
import type { Adapter, AdapterEvents, Receipt } from "./adapter.ts";

/**
 * Loads an adapter when it is started, and is that adapter from then on: what was subscribed to meanwhile is subscribed to first.
 *
 * An adapter that cannot be loaded is told by `down`, and stays down.
 */
export class LateAdapter implements Adapter {
  readonly immediate = false;
  readonly #load: () => Promise<Adapter>;
  readonly #wishes = new Map<string, Deferred<void>>();
  #adapter: Adapter | undefined;
  #loading: Promise<void> | undefined;
  #isStopped = false;

  constructor(load: () => Promise<Adapter>) {
    this.#load = load;
  }

  // What each call promises stands at the port: adapter.ts.

  start(events: AdapterEvents): void {
    if (this.#isStopped) return;
    this.#loading = this.#run(events);
  }

  subscribe(topic: string): Promise<void> | undefined {
    if (this.#adapter !== undefined) return this.#adapter.subscribe(topic);
    if (this.#isStopped) return quiet(Promise.reject(stopped()));
    let wish = this.#wishes.get(topic);
    if (wish === undefined) this.#wishes.set(topic, (wish = deferred()));
    return wish.promise;
  }

  unsubscribe(topic: string): void {
    if (this.#adapter !== undefined) return this.#adapter.unsubscribe(topic);
    this.#wishes.get(topic)?.resolve(); // nobody is to wait for what nobody wants
    this.#wishes.delete(topic);
  }

  publish(topic: string, record: MessageRecord): Promise<Receipt> {
    if (this.#adapter !== undefined) return this.#adapter.publish(topic, record);
    return quiet(Promise.reject(this.#isStopped ? stopped() : new GroupcastError("unavailable")));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const wish of this.#wishes.values()) wish.reject(stopped());
    this.#wishes.clear();
    await this.#loading;
    await this.#adapter?.stop();
  }

  async #run(events: AdapterEvents): Promise<void> {
    try {
      const adapter = await this.#load();
      if (this.#isStopped) return;
      this.#adapter = adapter;
      adapter.start(events);
      for (const [topic, wish] of this.#wishes) (adapter.subscribe(topic) ?? Promise.resolve()).then(wish.resolve, wish.reject);
      this.#wishes.clear();
    } catch (thrown) {
      if (this.#isStopped) return;
      const error = asError(thrown);
      const isOurs = error instanceof GroupcastError;
      events.down(isOurs ? error : new GroupcastError("bad_option", `the channel cannot be loaded: ${error.message}`, { cause: error }));
    }
  }
}

function stopped(): GroupcastError {
  return new GroupcastError("closed", "the channel is stopped");
}
