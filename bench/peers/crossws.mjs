// crossws on Node: `publish` reaches everybody but the sender, so it is sent its own message too.
import { createServer } from "node:http";
import crossws from "crossws/adapters/node";
import { stopWithTheBench } from "./stop.mjs";

stopWithTheBench();
const sockets = crossws({
  hooks: {
    message(peer, message) {
      const command = JSON.parse(message.text());
      if (command.cmd === "add_group") peer.subscribe(command.group_id);
      else if (command.cmd === "send_to_group") {
        peer.publish(command.group_id, command.message);
        peer.send(command.message);
      }
    },
  },
});
const http = createServer().on("upgrade", (request, socket, head) => void sockets.handleUpgrade(request, socket, head));
http.listen(0, "127.0.0.1", () => console.log(`listening ${http.address().port}`));
