// Makes the channel of the processes of many machines, over the Redis or Valkey that is there already.
import { Channel } from "../channel/channel.ts";
import { RedisAdapter, type RedisOptions } from "./adapter.ts";
import type { RedisClientLike } from "./dialler.ts";

/**
 * A channel through Redis ≥ 7, Valkey, or a Redis Cluster. Begins to connect when its `GroupManager` is made.
 *
 * @param urlOrClient `redis://[user:password@]host[:port]` or `rediss://…`, which loads the package `redis` (several nodes of a cluster have
 *   commas between them); or a client of node-redis or ioredis, of which it makes connections of its own.
 * @throws GroupcastError `bad_option`
 */
export function redisChannel(urlOrClient: string | RedisClientLike, options: RedisOptions = {}): Channel {
  return new Channel(new RedisAdapter(urlOrClient, options), { clock: options.clock });
}
