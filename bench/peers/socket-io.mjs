// Socket.IO with rooms, on WebSockets.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { stopWithTheBench } from "./stop.mjs";

stopWithTheBench();
const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });
io.on("connection", (socket) => {
  socket.on("add_group", (group) => void socket.join(group));
  socket.on("send_to_group", (group, message) => void io.to(group).emit("m", message));
});
http.listen(0, "127.0.0.1", () => console.log(`listening ${http.address().port}`));
