// Plain numbers that the hot path bumps and whoever watches reads. No names, no labels, no library.

/** What a server has counted since it began. */
export interface Counters {
  /** WebSockets that were let in. */
  connections: number;
  /** Upgrades, and requests for a foreign host, that were answered with an HTTP error. */
  upgradesRefused: number;
  /** Commands of clients that were read. */
  commands: number;
  /** Commands without an `id` that were malformed or refused: nobody was told. */
  commandsIgnored: number;
  /** Commands with an `id` that were answered with an error. */
  commandsFailed: number;
}

export function newCounters(): Counters {
  return { connections: 0, upgradesRefused: 0, commands: 0, commandsIgnored: 0, commandsFailed: 0 };
}
