// What the contract suite asks of whoever wants an adapter checked: a bus to put adapters on, and, where there is a link, a hand on it.
import type { Peer } from "./peer.ts";

/**
 * A bus for the adapters of one promise, or of many: every promise brings topics of its own.
 *
 * The optional methods are abilities. A promise that needs one fails on a bus that lacks it, unless it is excused by name, with a
 * reason: a gap in what was checked is then written down, and not forgotten.
 */
export interface TestBus {
  /** Makes one more adapter, not started, in this process (`localPeer`) or in one of its own (`processPeer`). */
  peer(): Peer | Promise<Peer>;
  /**
   * How many topics an adapter with many subscriptions has; default 10,000, which is over 500 KB of names. Fewer where there is no
   * network between adapter and bus that would take its time over them.
   */
  readonly manyTopics?: number;
  /** Takes down what `peer` does not own. The adapters have ended by then. */
  stop(): Promise<void>;

  /** Cuts an adapter's link, without a word to it; it stays cut until `restore`. */
  cut?(peer: Peer): Promise<void> | void;
  /** The link can be made again. When the adapter comes back is its own affair. */
  restore?(peer: Peer): Promise<void> | void;
  /** From now on what the adapter says is kept back on the link, before it reaches the bus. */
  hold?(peer: Peer): Promise<void> | void;
  /** What was kept back goes on, in order. */
  release?(peer: Peer): Promise<void> | void;
  /** Bytes that have come to the adapter over its link so far, counted outside of the adapter. */
  receivedBytes?(peer: Peer): Promise<number> | number;
  /** Ends an adapter as `kill -9` would. */
  kill?(peer: Peer): Promise<void> | void;
}

/** A method of {@link TestBus} that a bus may lack. */
export type Ability = "cut" | "restore" | "hold" | "release" | "receivedBytes" | "kill";
