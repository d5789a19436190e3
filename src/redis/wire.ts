// What the two client libraries have in common: one connection to one server, from the first attempt to its end, and who makes it.
// Must not know either library.

/** Where a server is. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Whom a wire tells. */
export interface WireEvents {
  /** Connected, and the server knows who we are. */
  ready(): void;
  /** Somebody has published to a name that is subscribed to. Both buffers may be kept. */
  message(name: Buffer, bytes: Buffer): void;
  /** It is of no use any more; may be told several times. */
  ended(reason: Error): void;
}

/**
 * One connection of a library. It never reconnects, keeps nothing for later and repeats nothing: what was under way when it ended
 * rejects. While it lives, a call rejects only with the server's own refusal. Calls take effect in their order.
 */
export interface Wire {
  /** Resolves with the number of subscribers that were told, as the server says it. */
  publish(name: string, bytes: Buffer): Promise<unknown>;
  /** Resolves when the server has confirmed all of them. On a cluster they share a slot. */
  subscribe(names: readonly string[]): Promise<unknown>;
  /** The same for the opposite. */
  unsubscribe(names: readonly string[]): Promise<unknown>;
  /** Any other command, and its answer as the library gives it. */
  ask(...words: readonly string[]): Promise<unknown>;
  /** Ends it at once. */
  destroy(): void;
  /** Resolves when nothing of its socket is left, after `destroy`. */
  readonly gone: Promise<void>;
}

/** Makes wires that are ours alone, from what the user gave. */
export interface Dialler {
  /** Where a cluster is looked for, one after the other; undefined: where the user's own client goes. At least one. */
  readonly seeds: readonly (Address | undefined)[];
  /** What no error may show. */
  readonly secrets: readonly string[];
  /** Begins to connect; tells its events later, not within this call. */
  dial(address: Address | undefined, events: WireEvents): Wire;
}

/** A server has this long to answer a connection and its first command, ms: half-open links are found in about the same time. */
export const CONNECT_WITHIN_MS = 3_000;
