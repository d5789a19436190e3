// The NoccyLabs document (ConnectionGroups), word by word. Run: npm run build && node build/examples/connection-groups/server.js
import { createServer } from "node:http";
import { type ConnectionGroup, GroupManager, type WebSocketConnection, WebSocketMiddleware } from "groupcast";

// region events
// Create a GroupManager
const groupManager = new GroupManager();
groupManager.on("created", (group: ConnectionGroup) => {
  // Listen for joins
  group.on("join", (_connection: WebSocketConnection) => {
    // Someone joined the group!
    group.write("Someone joined!");
  });
});
// The GroupManager is injected into the WebSocketMiddleware
const middleware = new WebSocketMiddleware(groupManager);
// endregion

middleware.on("connection", (websocket: WebSocketConnection) => {
  // region groups
  websocket.setGroup("somename");
  // Note: use getGroupName() to get the group name
  for (const other of websocket.getGroup() ?? []) {
    other.write("Hello");
  }
  // endregion

  websocket.on("text", (text) => {
    const group = websocket.getGroup();
    // "To remove a group from a connection, pass null"
    if (text === "leave") websocket.setGroup(null);
    // "send the payload to all members of the group"
    else group?.writeAll(text);
  });
});

const server = createServer((_request, response) => response.end("a WebSocket server\n"));
middleware.attach(server);
server.listen(Number(process.env["PORT"] ?? 8080), "127.0.0.1", () => console.log("listening", server.address()));

// "You can disconnect clients cleanly on shutdown"
process.once("SIGTERM", () => {
  server.close();
  groupManager.closeAll("shutting down", 1001);
});
