// A hub in a process of its own: `node hub-process.mjs <address> <secret>`. Says where it listens; ends when it is told to.
import process from "node:process";
import { ChannelServer } from "../../../dist/hub/index.js";

const [host, secret] = process.argv.slice(2);
const server = new ChannelServer(host, 0, { secret });
await server.listen();
process.send(server.address);
process.on("disconnect", () => void server.close());
process.on("message", () => process.disconnect());
