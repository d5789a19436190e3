// Which library the user's client is of. Must not know what connections are for.
import { GroupcastError } from "../base/errors.ts";
import { ioredisClusterDialler, ioredisDialler, isIoredisClient, isIoredisCluster } from "./ioredis.ts";
import { clientDialler, clusterDialler, isNodeRedisClient, isNodeRedisCluster, urlDialler } from "./node-redis.ts";
import { readServers } from "./url.ts";
import type { Dialler } from "./wire.ts";

/**
 * A client of node-redis (`createClient()`, `createCluster()`) or of ioredis (`new Redis()`, `new Redis.Cluster()`). It is a pattern for
 * connections of our own: it is neither used itself nor closed. One of a cluster has to be connected, so that it knows the nodes.
 */
export interface RedisClientLike {
  /** @internal What all of them have. */
  duplicate(...args: never[]): unknown;
}

/**
 * How to get a dialler, each time that connections are made anew: the nodes of a cluster come and go.
 *
 * @throws GroupcastError `bad_option`: neither a URL nor such a client.
 */
export function toDiallers(given: string | RedisClientLike): () => Promise<Dialler> {
  if (typeof given === "string") {
    const servers = readServers(given);
    return () => urlDialler(servers);
  }
  if (typeof given === "object" && given !== null) {
    if (isNodeRedisCluster(given)) return async () => clusterDialler(given);
    if (isIoredisCluster(given)) return async () => ioredisClusterDialler(given);
    if (isNodeRedisClient(given)) return async () => clientDialler(given);
    if (isIoredisClient(given)) return async () => ioredisDialler(given);
  }
  throw new GroupcastError("bad_option", "a channel over Redis is made of a URL, or of a client of node-redis or ioredis");
}
