// Makes an adapter of Redis for a process of its own: of a URL, or of a client of either library, which is closed behind it.
import { RedisAdapter } from "../../../dist/redis/index.js";

/** `nodes`: where each server announces that it is, and where this process reaches it. */
export async function makeAdapter({ how, nodes, prefix }) {
  const { client, close } = await CLIENTS[how](nodes);
  const adapter = new RedisAdapter(client, { prefix });
  return {
    immediate: adapter.immediate,
    start: (events) => adapter.start(events),
    subscribe: (topic) => adapter.subscribe(topic),
    unsubscribe: (topic) => adapter.unsubscribe(topic),
    publish: (topic, record) => adapter.publish(topic, record),
    async stop() {
      await adapter.stop();
      await close();
    },
  };
}

const urlOf = ({ host, port }) => `redis://${host}:${port}`;
const open = () => {};

const CLIENTS = {
  "a URL": ([{ reached }]) => ({ client: urlOf(reached), close: open }),

  async "a node-redis client"([{ reached }]) {
    const { createClient } = await import("redis");
    return { client: createClient({ url: urlOf(reached) }), close: open }; // never connected
  },

  async "an ioredis client"([{ reached }]) {
    const { Redis } = await import("ioredis");
    const client = new Redis(reached.port, reached.host);
    client.on("error", open); // it has its own connection, which is cut with ours
    await client.ping();
    return { client, close: () => client.disconnect() };
  },

  async "a node-redis cluster client"(nodes) {
    const nodeAddressMap = Object.fromEntries(nodes.map(({ announced, reached }) => [announced, reached]));
    const { createCluster } = await import("redis");
    const client = createCluster({ rootNodes: [{ url: urlOf(nodes[0].reached) }], nodeAddressMap });
    client.on("error", open);
    await client.connect();
    return { client, close: () => client.destroy() };
  },

  async "an ioredis cluster client"(nodes) {
    const natMap = Object.fromEntries(nodes.map(({ announced, reached }) => [announced, reached]));
    const { Cluster } = await import("ioredis");
    const client = new Cluster([nodes[0].reached], { natMap });
    client.on("error", open);
    await client.ping();
    return { client, close: () => client.disconnect() };
  },
};
