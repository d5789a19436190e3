// Slots of a Redis Cluster.
import { describe, expect, it } from "vitest";
import { mapSlots, readNodes, readShards, SLOTS, slotOf } from "../../../src/redis/slots.ts";

describe("the slot of a name", () => {
  it("is the one that the cluster specification computes", () => {
    expect(slotOf("123456789")).toBe(0x31c3);
    expect(slotOf("foo")).toBe(12_182);
    expect(slotOf("bar")).toBe(5_061);
    expect(slotOf("")).toBe(0);
  });
});

describe("an answer to CLUSTER SLOTS", () => {
  const node = (port: number): unknown[] => ["127.0.0.1", port, `id ${port}`, []];

  it("is read as one shard for each master, its ranges in order, whatever the order of the rows", () => {
    const rows = [
      [100, 199, node(7_001), node(7_004)],
      [5_000, SLOTS - 1, node(7_000)],
      [0, 99, node(7_000), node(7_003)],
      [200, 4_999, node(7_001), node(7_004)],
    ];
    const shards = readShards(rows);
    expect(shards).toEqual([
      {
        address: { host: "127.0.0.1", port: 7_001 },
        ranges: [
          [100, 199],
          [200, 4_999],
        ],
      },
      {
        address: { host: "127.0.0.1", port: 7_000 },
        ranges: [
          [0, 99],
          [5_000, SLOTS - 1],
        ],
      },
    ]);
    const map = mapSlots(shards);
    expect([0, 99, 100, 4_999, 5_000, SLOTS - 1].map((slot) => map[slot])).toEqual([1, 1, 0, 0, 1, 1]);
    expect(readNodes(rows).map(({ port }) => port)).toEqual([7_001, 7_004, 7_000, 7_003]);
  });

  it("may leave out how the server itself is called", () => {
    for (const host of [null, ""]) {
      expect(readShards([[0, SLOTS - 1, [host, 7_000, "id"]]])).toEqual([{ address: undefined, ranges: [[0, SLOTS - 1]] }]);
    }
    expect(readNodes([[0, SLOTS - 1, [null, 7_000, "id"]]])).toEqual([]);
  });

  it("is refused if it is none", () => {
    const wrong = [
      undefined,
      null,
      7,
      {},
      [7],
      [[]],
      [[0]],
      [[0, 1]],
      [[-1, 1, node(1)]],
      [[0, SLOTS, node(1)]],
      [[2, 1, node(1)]],
      [["0", "1", node(1)]],
    ];
    for (const reply of wrong) expect(() => readShards(reply)).toThrow(/cannot be read/);
    expect(() => mapSlots(readShards([]))).toThrow("no node of the cluster serves slot 0");
  });
});
