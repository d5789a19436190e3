// A node of a cluster: a GroupServer on the channel that it is told of. Says its port, and ends when whoever started it does.
import process from "node:process";
import { GroupServer } from "../../../dist/index.js";
import { channelOf } from "./channel-of.mjs";

/** `default`, and names that mean something to brokers. */
const NAMESPACES = ["default", "a", "a.b", "*", ">", "a b"];

const server = new GroupServer({ port: 0, channel: await channelOf(JSON.parse(process.argv[2])), namespaces: NAMESPACES });
const { port } = await server.listen();
process.send({ port });
process.on("disconnect", () => void server.close());
server.groups.on("degraded", ({ reason }) => console.error(`the channel is down: ${reason.message}`));
