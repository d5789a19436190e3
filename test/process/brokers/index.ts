// Real brokers for tests, also on a machine that has none: a server of its own for each test file, or one given by its URL.
//
//   const redis = await brokers.redis("the channel over Redis");
//   describe.skipIf(redis.missing)("the channel over Redis", () => {
//     let server: Broker;
//     beforeAll(async () => void (server = await startRedis()));
//     afterAll(() => server.stop());
//
// A server comes from, in this order: GROUPCAST_TEST_REDIS_URL, …_VALKEY_URL, …_NATS_URL; a program on this machine; the packages of
// Debian or Ubuntu, unpacked without root into a cache. Without one the tests are skipped, loudly, and fail where CI=true.
import { gate, type Gate, type GateOptions } from "./gate.ts";

export type { Gate, GateOptions } from "./gate.ts";
export type { Broker } from "./private-server.ts";
export { type NatsOptions, type NatsServer, type NatsUser, startNats } from "./nats.ts";
export { type RedisCluster, type RedisOptions, startRedis, startRedisCluster, startValkey } from "./redis.ts";

/** Whether there is such a broker for these tests, whose name is in the line that says that there is none. Throws instead where CI=true. */
export const brokers = {
  redis: (tests: string, options?: GateOptions): Promise<Gate> => gate("redis-server", "GROUPCAST_TEST_REDIS_URL", tests, options),
  valkey: (tests: string, options?: GateOptions): Promise<Gate> => gate("valkey-server", "GROUPCAST_TEST_VALKEY_URL", tests, options),
  nats: (tests: string, options?: GateOptions): Promise<Gate> => gate("nats-server", "GROUPCAST_TEST_NATS_URL", tests, options),
};
