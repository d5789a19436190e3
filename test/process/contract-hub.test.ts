// The contract suite over the hub: hub and adapters in separate processes, the links through relays that can be cut.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { promisesFor } from "../../dist/testing/index.js";
import { type Hub, startHub, type Way } from "./contract/hub-bus.ts";

const ways: readonly Way[] = ["a Unix socket", "TCP and a secret"];

describe.each(ways)("the hub over %s", (way) => {
  let hub: Hub;
  beforeAll(async () => {
    hub = await startHub(way);
  });
  afterAll(async () => {
    expect(await hub.stop()).toBe(0);
  });

  it("is checked with every adapter in a process of its own", async () => {
    const bus = hub.bus();
    const peers = [await bus.peer(), await bus.peer(), await bus.peer()];
    try {
      const pids = [process.pid, hub.pid, ...peers.map(({ pid }) => pid)];
      expect(new Set(pids).size).toBe(5);
      expect(pids.every((pid) => pid > 0)).toBe(true);
      for (const peer of peers) await peer.start();
    } finally {
      for (const peer of peers) await peer.end();
      await bus.stop();
    }
  });

  for (const { title, run, excuse } of promisesFor({})) {
    it.skipIf(excuse !== undefined)(title, async () => {
      const bus = hub.bus();
      try {
        await run(bus);
      } finally {
        await bus.stop();
      }
    });
  }
});
