// This process among the others: who is where, how to reach them, and when a group is occupied anywhere. Puts the parts together and tells
// them what happens here. Must not know sockets or the wire's commands.
import type { Clock } from "../base/clock.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { GroupcastError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Channel } from "../channel/channel.ts";
import type { Connection } from "../groups/connection.ts";
import type { ConnectionGroup } from "../groups/group.ts";
import type { Memberships, MembershipsHost } from "../groups/memberships.ts";
import { type GroupLife, Lives } from "../presence/lives.ts";
import { Post } from "../presence/post.ts";
import { Presence } from "../presence/presence.ts";
import { CLOSE_FOR_OTHERS_WITHIN_MS, CloseEverywhere, type CloseRequest } from "./close-everywhere.ts";
import { ConnectionsHere } from "./connections-here.ts";
import { Directory } from "./directory.ts";
import { OwnNode } from "./own-node.ts";
import { Reach } from "./reach.ts";

/** An hour. */
const VACATED_AFTER_MS_MAX = 3_600_000;

export interface ClusterOptions {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly random: Random;
  readonly memberships: Memberships;
  readonly vacatedAfterMs: number | undefined;
  readonly occupied: (life: GroupLife) => void;
  readonly vacated: (life: GroupLife) => void;
  readonly failed: (error: Error) => void;
}

/** What memberships tell of this process. */
type Happenings = Pick<MembershipsHost, "came" | "went" | "renamed" | "joined" | "left" | "created" | "destroyed">;

export class Cluster implements Happenings {
  /** How other processes call this one: 128 random bits. */
  readonly node: string;
  readonly here = new ConnectionsHere();
  readonly closing: CloseEverywhere;
  readonly reach: Reach;
  readonly directory: Directory;
  readonly presence: Presence<Connection>;
  readonly lives: Lives;
  readonly #post: Post;
  readonly #ownNode: OwnNode;

  /** @throws GroupcastError `bad_option`: a `vacatedAfterMs` that is none. */
  constructor({ channel, clock, random, memberships, vacatedAfterMs, occupied, vacated, failed }: ClusterOptions) {
    this.node = random.id();
    const post = (this.#post = new Post({ channel, clock, node: this.node, failed }));
    const presence = (this.presence = new Presence<Connection>({ channel, post, clock, random, failed }));
    this.closing = new CloseEverywhere({
      channel,
      clock,
      post,
      presence,
      members: {
        has: (namespace, name) => memberships.get(namespace, name) !== undefined,
        close: (request) => closeMembers(memberships.get(request.namespace, request.name), request),
      },
    });
    this.reach = new Reach({ clock, post, presence, find: (namespace, id) => this.here.find(namespace, id) });
    this.lives = new Lives({
      channel,
      post,
      presence,
      clock,
      random,
      vacatedAfterMs: checkVacatedAfter(vacatedAfterMs ?? DEFAULTS.vacatedAfterMs),
      host: {
        has: (namespace, name) => (memberships.get(namespace, name)?.size ?? 0) > 0,
        groups: () => memberships.list(),
        occupied,
        vacated,
        failed,
      },
    });
    this.#ownNode = new OwnNode(this.node, memberships, presence.present);
    this.directory = new Directory(presence, channel, this.#ownNode);
  }

  // Its life.

  /** To be called once the channel is started. */
  start(): void {
    this.#post.start();
    this.presence.start();
  }

  up(): void {
    this.presence.up();
    this.lives.up();
  }

  down(): void {
    this.presence.down();
    this.lives.down();
  }

  /** Says goodbye to the others. To be called before the channel is stopped; never rejects. */
  async stop(): Promise<void> {
    await Promise.all([this.lives.stop(), this.presence.stop()]);
    this.#post.stop();
  }

  // What happens here.

  came(connection: Connection): void {
    this.presence.came(connection);
    this.#ownNode.came(connection);
  }

  went(connection: Connection): void {
    this.presence.went(connection);
    this.#ownNode.went(connection);
  }

  renamed(connection: Connection, previous: string | null): void {
    this.presence.renamed(connection);
    this.#ownNode.renamed(connection, previous);
  }

  joined(group: ConnectionGroup, connection: Connection): void {
    this.presence.joined(connection, group.name);
    this.#ownNode.joined(group, connection);
  }

  left(group: ConnectionGroup, connection: Connection): void {
    this.presence.left(connection, group.name);
    this.#ownNode.left(group, connection);
  }

  created(group: ConnectionGroup): void {
    this.#ownNode.created(group);
    this.lives.changed(group.namespace, group.name);
  }

  destroyed(group: ConnectionGroup): void {
    this.#ownNode.destroyed(group);
    this.lives.changed(group.namespace, group.name);
  }
}

function checkVacatedAfter(ms: number): number {
  if (typeof ms === "number" && ms >= 0 && ms <= VACATED_AFTER_MS_MAX) return ms;
  throw new GroupcastError("bad_option", `vacatedAfterMs is 0 to ${VACATED_AFTER_MS_MAX}, not ${ms}`);
}

// Not from within the channel: what other groups have gathered for the members comes before the close frame, and could not come back now.
async function closeMembers(group: ConnectionGroup | undefined, { goodbye, except }: CloseRequest): Promise<number> {
  const stay = new Set(except);
  const members = [...(group ?? [])].filter(({ id }) => !stay.has(id));
  await Promise.resolve();
  await Promise.all(members.map((member) => member.$closeWithin(goodbye, CLOSE_FOR_OTHERS_WITHIN_MS)));
  return members.length;
}
