// Finds a connection of this process, in whichever pool of the manager it is. Must not know other processes.
import type { Connection } from "../groups/connection.ts";

type Find = (id: string) => Connection | undefined;

export class ConnectionsHere {
  // Each pool has its own connections of a namespace; mostly there is one pool.
  readonly #namespaces = new Map<string, Set<Find>>();

  /** Has connections of a namespace found by `find`, until the returned undo is called. */
  add(namespace: string, find: Find): () => void {
    const finds = this.#namespaces.get(namespace) ?? new Set();
    this.#namespaces.set(namespace, finds.add(find));
    return () => {
      finds.delete(find);
      if (finds.size === 0) this.#namespaces.delete(namespace);
    };
  }

  find(namespace: string, id: string): Connection | undefined {
    for (const find of this.#namespaces.get(namespace) ?? []) {
      const connection = find(id);
      if (connection !== undefined) return connection;
    }
    return undefined;
  }
}
