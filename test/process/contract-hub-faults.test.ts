// The contract suite notices faults in other processes, too: the same as in one process, where only the network can show them.
import { afterAll, beforeAll, expect, it } from "vitest";
import { adapterPromises } from "../../dist/testing/index.js";
import { type Hub, startHub } from "./contract/hub-bus.ts";

/** Each fault of hub-peer.mjs, the promise that must find it, and what it must say. */
const FOUND_BY: Readonly<Record<string, readonly [title: string, because: RegExp]>> = {
  "no own copy": ["delivers a record once to every subscribed adapter, the publisher's own included", /adapter 0: 2 came, 3 were expected/],
  "late subscribe": [
    "subscribe is a barrier: once it resolves, what another adapter publishes arrives",
    /waited 6000 ms in vain: to hear all 200 topics/,
  ],
  "hasty subscribe": ["subscribe does not resolve before the bus knows of it", /resolved, and the bus has not heard of it/],
  reordered: ["delivers what one adapter publishes in the order of its calls", /300 came, 300 were expected/],
  doubled: ["delivers nothing twice, and in order, across a cut", /came, 300 were expected/],
  lost: ["shows every adapter one order of a topic that several publish to at once", /came, 200 were expected|in vain: to hear the fence/],
  altered: ["carries bytes, kinds and except lists untouched", /72 came, 72 were expected/],
  "dead after up": ["hears again, before it tells `up`, what it heard before its link was cut", /in vain: to hear the fence/],
  "no interest routing": [
    "sends no record over the link of an adapter without a subscription to its topic",
    /bytes came to an adapter without a subscription/,
  ],
  "will at stop": ["publishes no will of an adapter that was stopped", /1 came, 0 were expected/],
  "something left": ["refuses to publish, with `closed`, once it is stopped", /keeps its process alive/],
};

let hub: Hub;
beforeAll(async () => {
  hub = await startHub("a Unix socket");
});
afterAll(async () => {
  expect(await hub.stop()).toBe(0);
});

for (const [fault, [title, because]] of Object.entries(FOUND_BY)) {
  it(`finds the fault "${fault}"`, async () => {
    const promise = adapterPromises.find((one) => one.title === title);
    const bus = hub.bus({ fault, patienceMs: 6_000 });
    try {
      await expect(promise?.run(bus)).rejects.toThrow(because);
    } finally {
      await bus.stop();
    }
  });
}
