// The one table of defaults, each with its unit and where the number comes from. Limits that belong to one mechanism stand
// beside it and are named here.
import { CLOSE_WITHIN_MS, QUEUE_BYTES_MAX } from "../groups/connection.ts";
import { DRAIN_PER_SECOND } from "../groups/pool.ts";

export const DEFAULTS = Object.freeze({
  /** The namespace of connections that name none. */
  namespace: "default",
  /** Bytes in one message of a client; more: 1009. OWASP's advice and Centrifugo's figure. */
  messageBytes: 64 * 1024,
  /** Fragments in one message of a client; more: 1008. CVE-2026-48779 is a flood of tiny ones. */
  messageFragments: 64,
  /** Groups of one connection. Centrifugo's figure. */
  groupsPerConnection: 128,
  /** Commands of one connection that may be unanswered; then its socket is not read. Four full reads of small commands. */
  commandsPending: 256,
  /** Bytes that may wait for one connection longer than a turn; more: 4002. */
  queueBytes: QUEUE_BYTES_MAX,
  /** A join waits this long for a channel that is down, ms. */
  joinWithinMs: 5_000,
  /** A peer has this long to answer a close frame, ms. */
  closeWithinMs: CLOSE_WITHIN_MS,
  /** Each connection is pinged this often, ms: two chances within nginx's 60 s of silence. Centrifugo and engine.io: 25 s. */
  pingEveryMs: 20_000,
  /** A peer has this long for its pong, ms. Centrifugo: 8 s, engine.io: 20 s. */
  pongWithinMs: 10_000,
  /** Connections closed per second in a drain. */
  drainPerSecond: DRAIN_PER_SECOND,
  /** A drain closes who is left after this, ms: below the 30 s that orchestrators wait. */
  drainDeadlineMs: 25_000,
  /** A handshake has this long, ms. HAProxy's example: 5 s; Node: 60 s. */
  handshakeWithinMs: 10_000,
  /** Where `start` listens: the port of the source documents. */
  host: "127.0.0.1",
  port: 1234,
  /** Where a ChannelServer listens: the port of the source documents. */
  hubHost: "127.0.0.1",
  hubPort: 2206,
} as const);
