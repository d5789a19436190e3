// The @soketi/connections document, "Connections": verbatim but for the package name.
// region connection
import { Connection } from "groupcast";

const ws = new WebSocket("ws://localhost:8080");

ws.addEventListener("open", () => {
  // The connection is established.
  // Each connection requires a unique ID, which is used for identification.
  // ⚠️ This ID has to be unique in the namespace.
  const connection = new Connection("1", "default", ws);

  // Listen for messages.
  connection.on("message", (message) => {
    console.log(message);
  });

  // Send a message.
  connection.send("Hello world!");
});
// endregion
