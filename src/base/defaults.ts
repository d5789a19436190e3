// The one table of defaults, each with its unit and where the number comes from. What no option turns stands beside the
// mechanism that it belongs to.

/** Every default of every option; durations in milliseconds, sizes in bytes. */
export const DEFAULTS = Object.freeze({
  /** The namespace of connections that name none. */
  namespace: "default",
  /** Bytes in one message of a client; more: 1009. OWASP's advice and Centrifugo's figure. */
  messageBytes: 64 * 1024,
  /** Fragments in one message of a client; more: 1008. CVE-2026-48779 is a flood of tiny ones. */
  messageFragments: 64,
  /** Pings of a client that may wait for their pong; more ends it without a close frame. The default of `ws`. */
  pongsPending: 60,
  /** Groups of one connection. Centrifugo's figure. */
  groupsPerConnection: 128,
  /** Commands of one connection that may be unanswered; then its socket is not read. Four full reads of small commands. */
  commandsPending: 256,
  /** Bytes that may wait for one connection longer than a turn; more: 4002. Centrifugo's and soketi's figure. */
  queueBytes: 1024 * 1024,
  /** A busy process may hold messages back so long for others to share a write with, ms: a twentieth of what a person calls at once. */
  batchDelayMs: 5,
  /** A join, and a publish, wait this long for a channel that is down, ms. A hub that was killed is back after a tenth of it. */
  joinWithinMs: 5_000,
  unavailableAfterMs: 5_000,
  /** A peer has this long to answer a close frame, ms: long for a slow phone, short enough for a drain. `ws`: 30 s. */
  closeWithinMs: 5_000,
  /** Each connection is pinged this often, ms: two chances within nginx's 60 s of silence. Centrifugo and engine.io: 25 s. */
  pingEveryMs: 20_000,
  /** A peer has this long for its pong, ms. Centrifugo: 8 s, engine.io: 20 s. */
  pongWithinMs: 10_000,
  /** Connections closed per second in a drain: what the other machines can accept. Phoenix: 5,000 in steps of 2 s. */
  drainPerSecond: 500,
  /** A drain closes who is left after this, ms: below the 30 s that orchestrators wait. */
  drainDeadlineMs: 25_000,
  /** A handshake has this long, ms. HAProxy's example: 5 s; Node: 60 s. */
  handshakeWithinMs: 10_000,
  /** A group without members anywhere is vacated after this, ms: who loads a page anew is back within it. */
  vacatedAfterMs: 2_000,
  /** Where `start` listens: the port of the source documents. */
  host: "127.0.0.1",
  port: 1234,
  /** Where a ChannelServer listens: the port of the source documents. */
  hubHost: "127.0.0.1",
  hubPort: 2206,
} as const);
