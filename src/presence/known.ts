// What a process knows of the others: the questions that may be asked of it. Must not know how it came to know.

/**
 * What is known of the OTHER processes. This process' own connections and groups are asked directly, of those who have them.
 *
 * It is empty until somebody has asked (`Presence.load`). All answers are of one moment: it changes between turns only.
 */
export interface Index {
  /** False: a part is missing, or may have changed unseen; answers say `partial: true`. */
  readonly isWhole: boolean;
  /** Connections that are members of a group on other nodes. */
  count(namespace: string, group: string): number;
  /** Where a connection of that id is. */
  find(namespace: string, id: string): { readonly node: string } | undefined;
  /** The other nodes that are alive, also those of which nothing else is known yet. */
  nodes(): Iterable<string>;
  /** Those with a member of the group. */
  nodesWith(namespace: string, group: string): Iterable<string>;
  /** Every group with a member on another node, once. */
  occupiedGroups(): Iterable<{ readonly namespace: string; readonly name: string }>;
}
