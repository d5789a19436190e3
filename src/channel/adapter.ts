// The port between processes: five verbs, and a last will for adapters that can leave one. Knows records; must not know groups.
import type { MessageRecord } from "../wire/record.ts";

/** What is known of an accepted record. */
export interface Receipt {
  /** How many adapters the record was handed to; undefined: this adapter cannot tell. */
  readonly receivers: number | undefined;
}

/** What an adapter tells whoever started it. */
export interface AdapterEvents {
  /** A record of a topic that is subscribed to. Never throws. */
  receive(topic: string, record: MessageRecord): void;
  /** Something came that could not be read; it is left out. */
  failed(error: Error): void;
  /** The link works: every subscription that was asked for is in force again. Told before the first publish is accepted. */
  up(): void;
  /**
   * The link is gone; the adapter tries to come back by itself. A reason whose `retry` is false (`unauthorized`, `bad_option`) says that it
   * will be in vain until somebody changes a setting.
   */
  down(reason: Error): void;
}

/**
 * Carries records between processes. Topics are strings without meaning here. Calls take effect in the order in which they
 * are made.
 *
 * What every adapter promises, and the suite of `groupcast/testing` checks: a record goes once to each adapter that is subscribed
 * to its topic, the publisher's own included, and to no other; all of them see one order of the records of a topic; what one
 * adapter publishes arrives in the order of its calls.
 */
export interface Adapter {
  /**
   * True: `publish` hands over before it returns, inside this process, and keeps nothing of a record, unless it has been encoded: its
   * frames are overwritten afterwards.
   */
  readonly immediate: boolean;

  /** Begins to connect. Called once, before everything else. `up` may be told before it returns. */
  start(events: AdapterEvents): void;

  /**
   * Resolves when every record that anybody publishes from now on arrives here; undefined: that is so already. While the
   * link is down it waits. Rejects with `closed` once stopped.
   */
  subscribe(topic: string): Promise<void> | undefined;

  /** No record that is published after it has taken effect arrives. */
  unsubscribe(topic: string): void;

  /**
   * Hands a record to everybody who is subscribed. Resolves when the bus has accepted it.
   *
   * Rejects with `unavailable`: the link is down, nothing was sent; `unknown_outcome`: the link went down before the answer.
   */
  publish(topic: string, record: MessageRecord): Promise<Receipt>;

  /** Leaves for good; what waits is rejected with `closed`. Resolves when nothing of it is left in this process. */
  stop(): Promise<void>;
}

/** An adapter whose bus notices at once when it loses it, and can say something for it then. */
export interface WillAdapter extends Adapter {
  /**
   * What the bus is to publish to `topic` when it loses this adapter without a `stop`: its link was cut, its process killed, or it read too
   * slowly. Once, to everybody who is subscribed, behind all that the adapter has published. There is one will: a later call replaces
   * it, undefined withdraws it, whatever the topic. The adapter tells it again on each new link, before `up`; `stop` withdraws it.
   *
   * A bus that ends itself publishes none. One that is late to notice a loss may publish the will of the link before when the adapter is back
   * on the next: whoever hears it must be able to tell.
   *
   * @throws GroupcastError `too_large`: a record of more than a few KB; `bad_option`: no topic for this bus.
   */
  will(topic: string, record: MessageRecord | undefined): void;
}

/** True for an adapter that can leave a will. */
export function hasWill(adapter: Adapter): adapter is WillAdapter {
  return "will" in adapter;
}
