// The contract suite over the adapter of a single process, bare and with a link that can be cut.
import { describe, expect, it } from "vitest";
import { MemoryAdapter, MemoryBus } from "../../../src/channel/memory.ts";
import { localPeer } from "../../../src/testing/peer.ts";
import { promisesFor } from "../../../src/testing/adapter-promises.ts";
import type { TestBus } from "../../../src/testing/test-bus.ts";
import { linkedMemoryBus } from "./linked-memory.ts";

function memoryBus(): TestBus {
  const bus = new MemoryBus();
  return { peer: () => localPeer(new MemoryAdapter(bus)), stop: () => Promise.resolve(), manyTopics: 100 };
}

const ONE_PROCESS = "inside one process there is no link";
const NO_WILL = "nothing of a process is lost without the process";
const NO_KILL = "adapters in one process cannot be killed one by one";

function runAll(makeBus: () => TestBus, excused: Record<string, string>): void {
  for (const { title, run, excuse } of promisesFor(excused)) {
    if (excuse === undefined) it(title, () => expect(run(makeBus())).resolves.toBeUndefined());
    // An excuse that is not needed any more is a promise that nobody checks.
    else it(`needs its excuse, "${excuse}": ${title}`, () => expect(run(makeBus())).rejects.toThrow());
  }
}

describe("a memory adapter", () => {
  runAll(memoryBus, {
    "sends no record over the link of an adapter without a subscription to its topic": ONE_PROCESS,
    "subscribe does not resolve before the bus knows of it": ONE_PROCESS,
    "rejects what still waits with `closed` when it is stopped": "inside one process nothing waits",
    "tells `down` when its link is cut, and refuses with `unavailable` until it is back": ONE_PROCESS,
    "hears again, before it tells `up`, what it heard before its link was cut": ONE_PROCESS,
    "subscribe waits for a link that is down, and is a barrier all the same": ONE_PROCESS,
    "delivers nothing twice, and in order, across a cut": ONE_PROCESS,
    "tells the truth about what it published while its link was cut": ONE_PROCESS,
    "is not among the receivers once its process was killed": NO_KILL,
    "publishes the will of an adapter whose process was killed, once, to those who hear its topic": NO_WILL,
    "publishes a will behind everything that its adapter has published": NO_WILL,
    "publishes the will of an adapter whose link was cut, and has it in force again before it tells `up`": NO_WILL,
    "publishes no will of an adapter that was stopped": NO_WILL,
    "publishes the last of several wills, also if it was told while the link was cut": NO_WILL,
    "publishes no will that was withdrawn": NO_WILL,
    "refuses a will that is far too large, with `too_large`, and keeps the last one": NO_WILL,
  });
});

describe("a memory adapter behind a link", () => {
  runAll(() => linkedMemoryBus(), {});
});
