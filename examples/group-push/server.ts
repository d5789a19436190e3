// The Workerman document (group push over several processes), word by word. Run: npm run build && node build/examples/group-push/server.js start
import { ChannelClient, ChannelServer, type Connection, Worker } from "groupcast";

// region program
new ChannelServer("0.0.0.0", 2206);

const worker = new Worker("websocket://0.0.0.0:1234");
worker.count = 8;
// Global mapping of groups to connections
const groupConMap = new Map<string, Map<string, Connection>>();
worker.onWorkerStart = () => {
  // The Channel client connects to the Channel server
  ChannelClient.connect("127.0.0.1", 2206);

  // Listen for the event that sends a message to global groups
  ChannelClient.on("send_to_group", (eventData: { group_id: string; message: string }) => {
    const groupId = eventData.group_id;
    const message = eventData.message;
    console.log([...groupConMap.keys()]);
    if (groupConMap.has(groupId)) {
      for (const con of groupConMap.get(groupId)!.values()) {
        con.send(message);
      }
    }
  });
};
worker.onMessage = (con: Connection, text: string | Uint8Array) => {
  // A message to join a group: {"cmd":"add_group", "group_id":"123"}
  // or to send to a group: {"cmd":"send_to_group", "group_id":"123", "message":"This is the message"}
  const data = JSON.parse(String(text));
  console.log(data);
  const cmd = data.cmd;
  const groupId = data.group_id;
  switch (cmd) {
    // The connection joins a group
    case "add_group":
      // Add the connection to the group's map
      groupConMap.set(groupId, (groupConMap.get(groupId) ?? new Map()).set(con.id, con));
      // Note which groups this connection joined, so that onClose can clean groupConMap up
      con.data = con.data instanceof Set ? con.data : new Set<string>();
      (con.data as Set<string>).add(groupId);
      break;
    // Send a message to the group
    case "send_to_group":
      // The Channel client tells the event to all processes of all servers
      ChannelClient.publish("send_to_group", {
        group_id: groupId,
        message: data.message,
      });
      break;
  }
};
// Important: when the connection closes, remove it from the global groups, or memory leaks
worker.onClose = (con: Connection) => {
  // Go through all groups that the connection joined and remove it from groupConMap
  if (con.data instanceof Set) {
    for (const groupId of con.data) {
      groupConMap.get(groupId)?.delete(con.id);
      if (groupConMap.get(groupId)?.size === 0) {
        groupConMap.delete(groupId);
      }
    }
  }
};

Worker.runAll();
// endregion
