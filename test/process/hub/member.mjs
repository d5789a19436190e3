// An adapter in a process of its own: `member.mjs <options> <topic>`. Hears the topic, and says so; answers with what it has
// heard, and whether it is up.
import process from "node:process";
import { HubAdapter } from "../../../dist/hub/index.js";

const [options, topic] = process.argv.slice(2).map((text) => JSON.parse(text));
const adapter = new HubAdapter(options);
const state = { heard: 0, bytes: 0, ups: 0, downs: 0 };
adapter.start({
  receive: (_, record) => {
    state.heard += record.count;
    state.bytes += record.bytes.length;
  },
  up: () => void state.ups++,
  down: () => void state.downs++,
});
await adapter.subscribe(topic);
process.on("message", () => process.send(state));
process.on("disconnect", () => process.exit());
process.send("heard");
