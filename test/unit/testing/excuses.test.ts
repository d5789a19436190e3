import { expect, it } from "vitest";
import { MemoryAdapter, MemoryBus } from "../../../src/channel/memory.ts";
import { adapterPromises, promisesFor } from "../../../src/testing/adapter-promises.ts";
import { localPeer } from "../../../src/testing/peer.ts";

const [first] = adapterPromises.map(({ title }) => title);

it("keeps every promise, and gives an excused one its reason", () => {
  const promises = promisesFor({ [first ?? ""]: "plain pub/sub cannot" });
  expect(promises.map(({ title }) => title)).toEqual(adapterPromises.map(({ title }) => title));
  expect(promises.map(({ excuse }) => excuse)).toEqual(["plain pub/sub cannot", ...promises.slice(1).map(() => undefined)]);
});

it("takes no excuse for a promise that does not exist, and none without a reason", () => {
  expect(() => promisesFor({ "delivers on Sundays": "closed" })).toThrow('no promise "delivers on Sundays"');
  expect(() => promisesFor({ [first ?? ""]: " " })).toThrow("gives no reason");
});

it("excuses nothing silently: a bus that lacks an ability breaks the promises that need it", async () => {
  const failures = new Map<string, string>();
  for (const { title, run } of adapterPromises) {
    const bus = new MemoryBus();
    await run({ peer: () => localPeer(new MemoryAdapter(bus)), stop: () => Promise.resolve() }).catch((error: Error) =>
      failures.set(title, error.message),
    );
  }
  const lacking = [...failures].filter(([, message]) => /^this bus has no \w+\(\): give it one, or excuse/.test(message));
  expect(lacking.map(([title]) => title)).toContain("hears again, before it tells `up`, what it heard before its link was cut");
  expect(lacking).toHaveLength(15);
});
