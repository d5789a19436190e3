import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { Order } from "../../../src/presence/order.ts";

describe("an order", () => {
  it("walks what is there from any key on, each once, whatever has come and gone", () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("add", "remove"), key: fc.nat(300) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("walk"), key: fc.integer({ min: -1, max: 300 }) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("add many", "remove many"), key: fc.nat(300) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const there = new Set<number>();
        const order = new Order<number, number>(there, (key) => key);
        const add = (key: number): void => {
          if (there.has(key)) return;
          there.add(key);
          order.added(key);
        };
        const remove = (key: number): void => {
          if (there.delete(key)) order.removed();
        };
        for (const { do: what, key } of steps) {
          if (what === "add") add(key);
          else if (what === "remove") remove(key);
          else if (what === "add many") for (let more = 0; more < 100; more++) add((key + 7 * more) % 300);
          else if (what === "remove many") for (let more = 0; more < 100; more++) remove((key + 7 * more) % 300);
          else expect([...order.after(key)]).toEqual([...there].filter((one) => one > key).sort((a, b) => a - b));
        }
        expect([...order.after(undefined)]).toEqual([...there].sort((a, b) => a - b));
      }),
    );
  });

  it("of texts is that of their UTF-16 units, the same in every process", () => {
    const there = new Set(["b", "a", "ä", "B", "10", "9", "😀", "ﬀ"]);
    expect([...new Order<string, string>(there, (text) => text).after(undefined)]).toEqual(["10", "9", "B", "a", "b", "ä", "😀", "ﬀ"]);
  });

  it("does not hold what has gone for long when nobody walks it any more", () => {
    const there = new Set<object>();
    const keys = new Map<object, number>();
    const order = new Order<object, number>(there, (item) => keys.get(item) ?? 0);
    const asked = { count: 0 };
    const counting = { get size() { return there.size; }, has: (item: object) => there.has(item), keys: () => (asked.count++, there.keys()) }; // prettier-ignore
    const watched = new Order<object, number>(counting, (item) => keys.get(item) ?? 0);
    void order;
    for (let key = 0; key < 1_000; key++) {
      const item = {};
      keys.set(item, key);
      there.add(item);
    }
    expect([...watched.after(990)]).toHaveLength(9);
    expect([...watched.after(990)]).toHaveLength(9);
    expect(asked.count).toBe(1); // sorted once
    for (const item of [...there].slice(0, 990)) {
      there.delete(item);
      watched.removed();
    }
    expect([...watched.after(undefined)]).toHaveLength(10);
    expect(asked.count).toBe(2); // what it had was given up meanwhile
  });
});
