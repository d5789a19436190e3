// The @soketi/connections document, "Removing", "Close all" and "Draining": verbatim but for the package name.
import type { Connection, ConnectionsPool } from "groupcast";

export function remove(pool: ConnectionsPool, connection: Connection): void {
  // region remove
  pool.removeConnection(connection);
  // endregion
}

export function removeLast(pool: ConnectionsPool, connection: Connection): void {
  // region remove-last
  pool.removeConnection(connection, () => {
    console.log("No more connections in the namespace.");
  });
  // endregion
}

export function closeAll(pool: ConnectionsPool): void {
  // region close-all
  pool.closeAll("default", 1000, "Closing the connection."); // code and reason are optional
  // endregion
}

export function drain(pool: ConnectionsPool): void {
  // region drain
  pool.drainConnections(
    // each second, allow a maximum of 10 connections to be closed
    10,

    // reason is optional
    "Closed by the server.",

    // the code is optional
    1000,
  );
  // endregion
}
