// What questions about all processes are answered with, a page at a time. Types alone.

/** How far a page goes, and where it begins. */
export interface PageOptions {
  /** The `cursor` of the page before it, whichever process gave that; default: none, the first page. */
  readonly cursor?: string | null | undefined;
  /** The most that one page holds: 1 to 1,000, default 100. */
  readonly limit?: number | undefined;
}

/**
 * What all pages have. Whoever is there from the first page of a walk to its last is on exactly one of them; who comes or goes meanwhile
 * may be on one.
 */
export interface Page {
  /** Where the next page begins; null: this is the last one. */
  readonly cursor: string | null;
  /** There exactly when what some process has is not known, or may have changed unseen: it has not answered yet, say. */
  readonly partial?: true;
}

/** A connection that is a member of a group, wherever it is. */
export interface MemberEntry {
  readonly id: string;
  readonly user: string | null;
  /** The process that has it: `GroupManager.node` there. */
  readonly node: string;
}

/** Members of a group. */
export interface MembersPage extends Page {
  readonly members: readonly MemberEntry[];
  /** Members in all. */
  readonly count: number;
}

/** Groups of a namespace, ordered by name, each with its number of members. */
export interface NamesPage extends Page {
  readonly names: readonly { readonly name: string; readonly members: number }[];
}

/** Users among the members of a group, ordered by name, each with its number of connections in it. */
export interface UsersPage extends Page {
  readonly users: readonly { readonly user: string; readonly connections: number }[];
}

/** Connections of a user. */
export interface ConnectionsPage extends Page {
  readonly connections: readonly { readonly id: string; readonly node: string }[];
  /** Connections in all. */
  readonly count: number;
}
