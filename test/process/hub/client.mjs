// A ChannelClient in a process of its own: `client.mjs <port>`. Answers each `ask` with what the event carried.
import process from "node:process";
import { ChannelClient } from "../../../dist/hub/index.js";

const port = JSON.parse(process.argv[2]);
ChannelClient.on("ask", (data) => void ChannelClient.publish("answer", { data, bytes: data instanceof Uint8Array, pid: process.pid }));
await ChannelClient.connect("127.0.0.1", port);
process.on("disconnect", () => process.exit());
// Its subscription comes before this in the order of its calls.
await ChannelClient.publish("ready", null);
process.send("ready");
