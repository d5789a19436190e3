// What everybody writes by hand: `ws`, a Map of Sets, and a loop.
import { WebSocketServer } from "ws";
import { stopWithTheBench } from "./stop.mjs";

stopWithTheBench();
const groups = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () => console.log(`listening ${server.address().port}`));
server.on("connection", (client) => {
  const joined = new Set();
  client.on("message", (data) => {
    const command = JSON.parse(data.toString());
    const group = groups.get(command.group_id) ?? new Set();
    if (command.cmd === "add_group") {
      groups.set(command.group_id, group.add(client));
      joined.add(group);
    } else if (command.cmd === "send_to_group") {
      for (const member of group) member.send(command.message);
    }
  });
  client.on("error", () => {}); // `close` follows
  client.on("close", () => {
    for (const group of joined) group.delete(client);
  });
});
