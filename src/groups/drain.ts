// Closes a list of connections at a pace. Knows connections and slots; must not know where the slots come from.
import type { Clock } from "../base/clock.ts";
import type { Goodbye } from "../wire/close-codes.ts";
import { CLOSE_WITHIN_MS, type Connection } from "./connection.ts";
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
}

/** At the deadline a peer has this long to answer its close frame. */
const LAST_WITHIN_MS = 1_000;

/** Closes all of `connections`, one per slot. Resolves when all are gone. One that leaves by itself takes no slot. Never rejects. */
export async function drain(connections: readonly Connection[], options: DrainOptions): Promise<DrainReport> {
  const { clock, slots, goodbye, deadlineMs } = options;
  const startedAt = clock.now();
  const ends: Promise<void>[] = [];
  const closed: Connection[] = [];
  const forced = new Set<Connection>();
  let late = false;
  let cancel = (): void => {};
  const deadline = new Promise<void>((resolve) => {
    if (deadlineMs === null) return;
    cancel = clock.after(deadlineMs, () => {
      late = true;
      resolve();
    });
  });
  let next = 0;
  const skipGone = (): Connection | undefined => {
    while (next < connections.length && !connections[next]?.open) next++;
    return connections[next];
  };
  while (skipGone() !== undefined && !late) {
    await Promise.race([slots.take(connections.length - next), deadline]);
    const connection = skipGone(); // the one that the slot was for may have gone while it was awaited
    if (connection === undefined || late) break;
    next++;
    closed.push(connection);
    ends.push(connection.closeWithin(goodbye, CLOSE_WITHIN_MS));
  }
  for (let left = skipGone(); left !== undefined; left = skipGone()) {
    next++;
    forced.add(left);
    ends.push(left.closeWithin(goodbye, LAST_WITHIN_MS));
  }
  await Promise.all(ends);
  cancel();
  for (const connection of closed) if (connection.terminated) forced.add(connection);
  return {
    closed: ends.length - forced.size,
    forced: forced.size,
    seconds: Math.round(clock.now() - startedAt) / 1000,
  };
}
