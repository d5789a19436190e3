// What a GroupManager is told, and what it tells: options and events, each with its default.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Channel } from "../channel/channel.ts";
import type { Connection } from "../groups/connection.ts";
import type { ConnectionGroup } from "../groups/group.ts";
import type { Action, Refused, Verdict } from "../groups/memberships.ts";
import type { SendOptions } from "../groups/message.ts";
import type { PageOptions } from "../groups/pages.ts";
import type { GroupLife } from "../presence/lives.ts";

/** What listeners of a GroupManager are given. All are of this process, but for `occupied`, `vacated`, `degraded` and `restored`. */
export interface GroupManagerEvents {
  /** A group has got its first member in this process; told before that member's `join`. */
  created: [group: ConnectionGroup];
  /** A group has lost its last member in this process; its size is 0. */
  destroyed: [group: ConnectionGroup];
  /**
   * A group has got its first member in any process: told once for each life of a group, to every process that listens to this or to
   * `vacated`, well within a second. With the first such listener the groups that have members already are told, each once. A process
   * that was cut off is told the difference.
   */
  occupied: [life: GroupLife];
  /**
   * A group has had no member in any process for `vacatedAfterMs`: the end of the life that `occupied` has told, told once, also if the
   * last members went with their process.
   */
  vacated: [life: GroupLife];
  /** Somebody was not let in, or not let publish. */
  refused: [refused: Refused];
  /** The channel is down: publishing waits up to 5 s, then rejects with `unavailable`. */
  degraded: [state: { readonly reason: Error }];
  /** The channel is back, and every group is heard again. */
  restored: [state: { readonly downMs: number }];
  /** `authorize`, `implementation` or a listener threw, or the channel brought something unreadable. */
  error: [error: Error];
}

/** Replaces how a group is made. */
export interface GroupImplementation {
  /** A new group (a subclass, say), or null: the connection is refused. */
  createGroup(name: string, namespace: string, connection: Connection): ConnectionGroup | null;
}

export interface GroupManagerOptions {
  /**
   * How processes hear each other; default: `"memory"`, this process alone. A URL (`redis://…`, `rediss://…`, `nats://…`, `tls://…`) is a
   * broker: its client has to be installed. A Channel made by `hubChannel()` and its like belongs to one manager.
   */
  readonly channel?: Channel | string | undefined;
  /** Managers with the same broker and prefix are one cluster; others never hear of them. With a URL only; default `groupcast`. */
  readonly prefix?: string | undefined;
  /**
   * May this connection join (or publish to) this group? True allows; false, or the reason as a string, refuses; a throw refuses
   * and goes to `error`. If it is asynchronous, `setGroup` throws `use_join`.
   */
  readonly authorize?: ((connection: Connection, name: string, action: Action) => Verdict | Promise<Verdict>) | undefined;
  readonly implementation?: GroupImplementation | undefined;
  /**
   * When this process begins to keep an index of all connections in all processes, for `count`, `members` and their like: when it is first
   * `"asked"` (default), or `"always"`, from the start, so that the first answer need not wait. For each connection elsewhere
   * that takes about 230 bytes, 40 for each of its groups, and 250 for each group and process.
   */
  readonly presence?: "asked" | "always" | undefined;
  /** The most groups of one connection; default 128. */
  readonly groupsPerConnection?: number | undefined;
  /**
   * While the process is busy with sending, messages may wait so long for others to share a write with, ms; default 5, 0: never, at most
   * 100. 10 take half of the CPU off 300 to 3,000 messages a second to 1,000 members. A process with time to spare sends at once.
   */
  readonly batchDelayMs?: number | undefined;
  /**
   * A group is vacated when it has had no member anywhere for so long, ms; default 2,000, at most an hour. To be the same in all
   * processes: one of them decides for all.
   */
  readonly vacatedAfterMs?: number | undefined;
  /** Where unheard errors go; default: the console. Any pino logger will do. */
  readonly logger?: Logger | undefined;
  /** For tests: time and chance. */
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** Options of `publish`. */
export interface PublishOptions extends SendOptions {
  /** Default `"default"`. */
  readonly namespace?: string | undefined;
  /** Names the message, so that publishing it again within 120 s does not send it twice. Needs history. */
  readonly key?: string | undefined;
}

/** Options of `addTo`, `removeFrom` and their like. */
export interface InNamespace {
  /** Of the connection and the group; default `"default"`. */
  readonly namespace?: string | undefined;
}

/** Options of the questions that GroupManager answers by pages. */
export interface GroupPageOptions extends PageOptions, InNamespace {}
