// What a request to one connection comes to, and how a send to one that is here does. Must not know where else connections are.
import { GroupcastError } from "../base/errors.ts";
import type { Goodbye } from "../wire/close-codes.ts";
import type { Payload } from "../wire/frames.ts";
import type { Connection } from "./connection.ts";

/**
 * Outcome of a request to one connection, wherever it is. `unknown_connection`: no pool of any process has one of that id.
 * `unknown_outcome`: its process has not answered within 5 s, or has gone before, so that it may or may not have happened; or it cannot be
 * told whether there is one.
 */
export type ReachOutcome = "done" | "unknown_connection" | "unknown_outcome";

/** @internal How a pool reaches connections that it has not. */
export interface ReachRoad {
  send(namespace: string, id: string, data: Payload): Promise<ReachOutcome>;
  close(namespace: string, id: string, goodbye: Goodbye): Promise<ReachOutcome>;
}

/** @throws GroupcastError `limit`: more than 1 MiB waits for it; `bad_option`: neither a string nor bytes. */
export function sendTo(connection: Connection, data: Payload): ReachOutcome {
  if (connection.send(data)) return "done";
  if (!connection.$open) return "unknown_connection";
  throw new GroupcastError("limit", `more than 1 MiB waits for connection ${connection.id}`);
}
