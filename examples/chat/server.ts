// A chat in one file: rooms by path, names, who comes and goes. Run: npm run build && node build/examples/chat/server.js
// Then open http://127.0.0.1:8080/ in two tabs.
import { createServer } from "node:http";
import { type Connection, GroupManager, WebSocketMiddleware } from "groupcast";

const PAGE = `<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>chat</title>
<form id="say"><input id="text" placeholder="/name ada, or a message" autofocus><button>send</button></form>
<ul id="log"></ul>
<script type="module">
  const room = location.hash.slice(1) || "lobby";
  const socket = new WebSocket("ws://" + location.host + "/" + encodeURIComponent(room));
  socket.onmessage = ({ data }) => { const row = document.createElement("li"); row.textContent = data; log.prepend(row); };
  say.onsubmit = (event) => { event.preventDefault(); socket.send(text.value); text.value = ""; };
</script>`;

const groups = new GroupManager({
  // Rooms are lower-case words; anything else is refused, with a reason that the client sees.
  authorize: (_connection, room) => /^[a-z]{1,20}$/.test(room) || "a room is a word of lower-case letters",
});

groups.on("created", (room) => {
  room.on("join", () => room.write(`somebody came: ${room.size} here`));
  room.on("leave", (leaver) => room.write(`${nameOf(leaver)} left: ${room.size - 1} here`, { except: leaver }));
});

const middleware = new WebSocketMiddleware(groups);

middleware.on("connection", (connection, request) => {
  const name = decodeURIComponent(request?.url?.slice(1) ?? "");
  connection.on("text", (text) => {
    if (text.startsWith("/name ")) connection.data = text.slice("/name ".length, 40);
    else connection.groups.get(name)?.write(`${nameOf(connection)}: ${text}`);
  });
  connection.join(name).catch((error: Error) => connection.close(4403, error.message));
});

function nameOf(connection: Connection): string {
  return typeof connection.data === "string" ? connection.data : `guest ${connection.id.slice(0, 4)}`;
}

const server = createServer((_request, response) => response.setHeader("Content-Type", "text/html").end(PAGE));
middleware.attach(server);
server.listen(Number(process.env["PORT"] ?? 8080), "127.0.0.1", () => console.log("listening", server.address()));

process.once("SIGTERM", async () => {
  server.close();
  await middleware.pool.drainConnections(500, "chat restarts");
});
