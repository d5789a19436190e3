// The front door of groupcast/redis: named re-exports, nothing else.
export { redisChannel } from "./redis-channel.ts";
export { RedisAdapter, type RedisOptions } from "./adapter.ts";
export type { RedisClientLike } from "./dialler.ts";
