// The @soketi/connections document, "Connections Pool": verbatim but for the package name.
// region pool
import { Connection, ConnectionsPool } from "groupcast";

const ws = new WebSocket("ws://localhost:8080");
const pool = new ConnectionsPool();

ws.addEventListener("open", () => {
  const connection = new Connection("1", "default", ws);

  // Add the connection to the pool.
  pool.newConnection(connection);

  // Send a message to all connections in the "default" namespace.
  pool.broadcastMessage("default", "Hello world!");

  // Send a message to connection with ID "1" in the "default" namespace.
  pool.send("default", "1", "Hello world!");
});
// endregion
