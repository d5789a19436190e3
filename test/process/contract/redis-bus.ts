// A bus for the contract suite on a Redis, a Valkey or a Redis Cluster: every adapter in a process of its own, and a link between it and
// each server that can be cut.
import { type Peer, processPeer, Relay, type TestBus } from "../../../dist/testing/index.js";
import type { Broker } from "../brokers/index.ts";

/** What adapters are made of. */
export type How = "a URL" | "a node-redis client" | "an ioredis client" | "a node-redis cluster client" | "an ioredis cluster client";

/** `servers`: one, or the masters of a cluster. `prefix`: others on these servers have another. */
export function redisBus(servers: readonly Broker[], how: How, prefix: string): TestBus {
  const relays = new Map<Peer, readonly Relay[]>();
  const each = (peer: Peer, act: (relay: Relay) => void): void => relays.get(peer)?.forEach(act);
  return {
    async peer() {
      const own = servers.map(({ host, port }) => new Relay({ host, port }));
      const nodes = await Promise.all(
        own.map(async (relay, index) => ({
          announced: `${servers[index]?.host}:${servers[index]?.port}`,
          reached: { host: "127.0.0.1", port: await relay.listen() },
        })),
      );
      const peer = processPeer(new URL("./redis-peer.mjs", import.meta.url), { how, nodes, prefix });
      relays.set(peer, own);
      return peer;
    },
    async stop() {
      await Promise.all([...relays.values()].flat().map((relay) => relay.close()));
    },
    cut: (peer) => each(peer, (relay) => relay.cut()),
    restore: (peer) => each(peer, (relay) => relay.restore()),
    hold: (peer) => each(peer, (relay) => relay.hold()),
    release: (peer) => each(peer, (relay) => relay.release()),
    receivedBytes: (peer) => (relays.get(peer) ?? []).reduce((bytes, relay) => bytes + relay.bytesToClient, 0),
    kill: (peer) => peer.kill(),
  };
}
