// A node of a cluster: a GroupServer on the channel that it is told of. Says its port, and ends when whoever started it does.
import process from "node:process";
import { GroupServer, memoryChannel } from "../../../dist/index.js";

/** `default`, and names that mean something to brokers. */
const NAMESPACES = ["default", "a", "a.b", "*", ">", "a b"];

const server = new GroupServer({ port: 0, channel: await makeChannel(JSON.parse(process.argv[2])), namespaces: NAMESPACES });
const { port } = await server.listen();
process.send({ port });
process.on("disconnect", () => void server.close());

async function makeChannel({ kind, at }) {
  switch (kind) {
    case "memory":
      return memoryChannel();
    case "hub": {
      const { hubChannel } = await import("../../../dist/hub/index.js");
      return hubChannel(at);
    }
    case "redis": {
      const { redisChannel } = await import("../../../dist/redis/index.js");
      return redisChannel(at);
    }
    case "nats": {
      const { natsChannel } = await import("../../../dist/nats/index.js");
      return natsChannel(at);
    }
  }
}
server.groups.on("degraded", ({ reason }) => console.error(`the channel is down: ${reason.message}`));
