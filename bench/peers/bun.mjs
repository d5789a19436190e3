// Bun's own topics. A member that lags may queue as much as it takes: dropping messages (Bun's default beyond 16 MiB) would void the run.
/* global Bun */
import { stopWithTheBench } from "./stop.mjs";

stopWithTheBench();
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("WebSockets only", { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    backpressureLimit: 256 * 1024 * 1024,
    message(client, data) {
      const command = JSON.parse(data);
      if (command.cmd === "add_group") client.subscribe(command.group_id);
      else if (command.cmd === "send_to_group") server.publish(command.group_id, command.message);
    },
  },
});
console.log(`listening ${server.port}`);
