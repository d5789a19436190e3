// Closes a list of connections at a pace. Knows connections and slots; must not know where the slots come from.
import type { Clock } from "../base/clock.ts";
import { DEFAULTS } from "../base/defaults.ts";
import type { Goodbye } from "../wire/close-codes.ts";
import type { Connection } from "./connection.ts";
import type { Slots } from "./pace.ts";

/** How a drain ended. Connections that left by themselves are in neither count. */
export interface DrainReport {
  /** Connections that were closed and said goodbye. */
  readonly closed: number;
  /** Connections that had to be cut, or were still there at the deadline. */
  readonly forced: number;
  /** From the call to the last connection gone. */
  readonly seconds: number;
}

export interface DrainOptions {
  readonly clock: Clock;
  readonly slots: Slots;
  readonly goodbye: Goodbye;
  /** After this, whoever is left is closed at once, whatever the pace; null: no deadline. */
  readonly deadlineMs: number | null;
  /** True while a connection is one of those that are to go. */
  readonly has: (connection: Connection) => boolean;
  /** Resolves when none of them is there any more, however they went. */
  readonly empty: Promise<void>;
}

/** At the deadline a peer has this long to answer its close frame. */
const LAST_WITHIN_MS = 1_000;

/**
 * Closes all of `connections`, one per slot. Resolves when all are gone, those that were closing already included. One that
 * leaves by itself takes no slot. Never rejects.
 */
export async function drain(connections: readonly Connection[], options: DrainOptions): Promise<DrainReport> {
  const { clock, slots, goodbye, deadlineMs, has, empty } = options;
  const startedAt = clock.now();
  const closed: Connection[] = [];
  const forced = new Set<Connection>();
  const over = new AbortController(); // at the deadline, or when nobody is left to wait for
  const end = new Promise<void>((resolve) => over.signal.addEventListener("abort", () => resolve()));
  const cancel = deadlineMs === null ? undefined : clock.after(deadlineMs, () => over.abort());
  void empty.then(() => over.abort());
  let next = 0;
  const skipGone = (): Connection | undefined => {
    for (; next < connections.length; next++) {
      const connection = connections[next];
      if (connection !== undefined && connection.$open && has(connection)) return connection;
    }
    return undefined;
  };
  while (skipGone() !== undefined && !over.signal.aborted) {
    await Promise.race([slots.take(connections.length - next, over.signal), end]);
    const connection = skipGone(); // the one that the slot was for may have gone while it was awaited
    if (connection === undefined || over.signal.aborted) break;
    next++;
    closed.push(connection);
    void connection.$closeWithin(goodbye, DEFAULTS.closeWithinMs);
  }
  for (let left = skipGone(); left !== undefined; left = skipGone()) {
    next++;
    closed.push(left);
    forced.add(left);
    void left.$closeWithin(goodbye, LAST_WITHIN_MS);
  }
  await empty;
  cancel?.();
  for (const connection of closed) if (connection.$terminated) forced.add(connection);
  return {
    closed: closed.length - forced.size,
    forced: forced.size,
    seconds: Math.round(clock.now() - startedAt) / 1000,
  };
}
