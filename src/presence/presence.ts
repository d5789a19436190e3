// Who is where: what this process tells the others of its connections, and what it knows of theirs. Must not know groups or sockets:
// its own connections come by `came`, `went` and their like.
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Channel } from "../channel/channel.ts";
import type { Index } from "./known.ts";

export interface PresenceOptions {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly random: Random;
  readonly node: string;
  readonly failed: (error: Error) => void;
}

const NOTHING: Index = {
  isWhole: true,
  count: () => 0,
  find: () => undefined,
  nodes: () => [],
  nodesWith: () => [],
  occupiedGroups: () => [],
};

export class Presence {
  readonly node: string;

  constructor(options: PresenceOptions) {
    this.node = options.node;
  }

  /** What is known of the other nodes. */
  get index(): Index {
    return NOTHING;
  }

  /** Has this process keep an index, from now on. Undefined: it is there; else resolves when it is, after 1 s at the most. Never rejects. */
  load(): Promise<void> | undefined {
    return undefined;
  }

  /** Tells when the members of a group on other nodes, all together, have changed between none and some. Returns its undo. */
  onChanged(_listener: (namespace: string, group: string) => void): () => void {
    return () => {};
  }

  /** Tells when a node has stopped or died, once; its members are gone from the index already. Returns its undo. */
  onNodeGone(_listener: (node: string) => void): () => void {
    return () => {};
  }

  /** The caller knows that the process of this node is dead: its members go at once, everywhere. */
  bury(_node: string): void {}
}
