// A channel server in a process of its own: `server.mjs <host> <options>`. Says its address, answers `counters`.
import process from "node:process";
import { ChannelServer } from "../../../dist/hub/index.js";

const [host, options] = process.argv.slice(2).map((text) => JSON.parse(text));
const server = new ChannelServer(host, 0, options);
await server.listen();
process.on("message", () => process.send(server.counters));
process.on("disconnect", () => process.exit());
process.send(server.address);
