// A bus for the contract suite: a NATS server, every adapter in a process of its own, and a link between that can be cut.
import { type Peer, processPeer, Relay, type TestBus } from "../../../dist/testing/index.js";
import type { NatsServer } from "../brokers/index.ts";

export type Way = "JetStream" | "core NATS";

export function natsBus(server: NatsServer, way: Way, prefix = "groupcast"): TestBus {
  const relays = new Map<Peer, Relay>();
  const { host, port } = server;
  return {
    async peer() {
      const relay = new Relay({ host, port });
      const url = new URL(server.url);
      url.port = String(await relay.listen());
      const given = { url: url.href, prefix, core: way === "core NATS" };
      const peer = processPeer(new URL("./nats-peer.mjs", import.meta.url), given);
      relays.set(peer, relay);
      return peer;
    },
    async stop() {
      await Promise.all([...relays.values()].map((relay) => relay.close()));
    },
    cut: (peer) => relays.get(peer)?.cut(),
    restore: (peer) => relays.get(peer)?.restore(),
    hold: (peer) => relays.get(peer)?.hold(),
    release: (peer) => relays.get(peer)?.release(),
    receivedBytes: (peer) => relays.get(peer)?.bytesToClient ?? 0,
    kill: (peer) => peer.kill(),
  };
}
