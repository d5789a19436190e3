// A bus for the contract suite: a hub in a process of its own, every adapter in another one, and a link between that can be cut.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Peer, processPeer, Relay, type TestBus } from "../../../dist/testing/index.js";

/** How adapters reach the hub: as under `groupcast start`, or as from another machine. */
export type Way = "a Unix socket" | "TCP and a secret";

export interface Hub {
  readonly pid: number;
  /** A bus on this hub; `fault` is planted in each of its adapters. */
  bus(options?: { readonly fault?: string; readonly patienceMs?: number }): TestBus;
  /** Resolves with the exit code of the hub's process. */
  stop(): Promise<unknown>;
}

const SECRET = "a secret that is long enough for the channel server";

export async function startHub(way: Way): Promise<Hub> {
  const folder = await mkdtemp(join(tmpdir(), "groupcast-contract-"));
  const unix = way === "a Unix socket";
  const program = new URL("./hub-process.mjs", import.meta.url);
  const hub = fork(program, unix ? [`unix:${join(folder, "hub.sock")}`] : ["127.0.0.1", SECRET]);
  const target = await addressOf(hub);
  let relays = 0;

  /** A relay in front of the hub, and what the adapter has to be told in order to reach it. */
  async function openRelay(): Promise<{ relay: Relay; given: object }> {
    const relay = new Relay(target);
    if (unix) {
      const path = join(folder, `relay-${relays++}.sock`);
      await relay.listen(path);
      return { relay, given: { path } };
    }
    return { relay, given: { host: "127.0.0.1", port: await relay.listen(), secret: SECRET } };
  }

  return {
    pid: hub.pid ?? 0,
    bus: ({ fault, ...patience } = {}) => hubBus(openRelay, fault, patience),
    async stop() {
      const exit = once(hub, "exit");
      hub.send("stop");
      const [code] = (await exit) as unknown[];
      await rm(folder, { recursive: true });
      return code;
    },
  };
}

async function addressOf(hub: ChildProcess): Promise<{ host: string; port: number } | { path: string }> {
  const [address] = (await once(hub, "message")) as [{ host?: string; port?: number; path?: string }];
  const { host = "", port = 0, path } = address;
  return path === undefined ? { host, port } : { path };
}

function hubBus(
  openRelay: () => Promise<{ relay: Relay; given: object }>,
  fault: string | undefined,
  patience: { patienceMs?: number },
): TestBus {
  const relays = new Map<Peer, Relay>();
  return {
    async peer() {
      const { relay, given } = await openRelay();
      const peer = processPeer(new URL("./hub-peer.mjs", import.meta.url), { ...given, fault }, patience);
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
