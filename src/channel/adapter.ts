// The port between processes: five verbs, and counting for adapters that can. Knows records; must not know groups.
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

/** An adapter whose bus can add up numbers that its adapters report. */
export interface CountingAdapter extends Adapter {
  /** This process has so many members of a topic. The bus drops the number when it loses this adapter. */
  report(topic: string, members: number): void;
  /** The sum over all adapters; this adapter's own reports are in it. Rejects as `publish` does. */
  count(topic: string): Promise<number>;
}

/** True for an adapter that can count. */
export function canCount(adapter: Adapter): adapter is CountingAdapter {
  return "count" in adapter;
}
