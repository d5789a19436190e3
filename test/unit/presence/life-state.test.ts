import { describe, expect, it } from "vitest";
import { groupOf, keyOf, LifeState, OPEN_MAX, PARTICIPANTS_MAX, Witnessed } from "../../../src/presence/life-state.ts";
import { lifeId, PAST_MAX, type Statement } from "../../../src/presence/life-words.ts";

const state = (): LifeState => new LifeState("e", 0, new Map(), new Map([["one", "node one"]]), new Map());
const sync = (nonce: string, node = `node ${nonce}`): Statement & { say: "sync" } => ({ say: "sync", node, nonce, attempt: 0 });
const word = (say: "occupied" | "vacated", by: string, number: number, name = "a") =>
  ({ say, by, namespace: "n", name, life: lifeId("e", number) }) as const;

describe("the list of those who take part", () => {
  it("has who came first as the leader, and the next one when that is gone", () => {
    const all = state();
    for (const nonce of ["two", "three"]) all.apply(sync(nonce));
    expect([all.leader, all.rankOf("three"), all.rankOf("four")]).toEqual(["one", 2, undefined]);
    all.apply({ say: "gone", nonce: "one" });
    all.apply({ say: "gone", nonce: "one" });
    expect([all.leader, all.rankOf("three")]).toEqual(["two", 1]);
  });

  it("has each process once: who asks anew is the last one", () => {
    const all = state();
    all.apply(sync("two"));
    all.apply(sync("again", "node one"));
    expect([...all.participants]).toEqual([
      ["two", "node two"],
      ["again", "node one"],
    ]);
    all.apply({ say: "gone", nonce: "one" }); // that was said of its first time
    expect(all.participants.size).toBe(2);
  });

  it("has a bound", () => {
    const all = state();
    for (let count = 1; count <= PARTICIPANTS_MAX; count++) all.apply(sync(`${count}`));
    expect([all.participants.size, all.participants.has(`${PARTICIPANTS_MAX - 1}`), all.participants.has(`${PARTICIPANTS_MAX}`)]).toEqual([
      PARTICIPANTS_MAX,
      true,
      false,
    ]);
  });
});

describe("a life", () => {
  it("begins and ends by the word of the leader alone, and each but once", () => {
    const all = state();
    all.apply(sync("two"));
    const tries = [
      word("occupied", "two", 1),
      word("occupied", "one", 1),
      word("occupied", "one", 2),
      word("vacated", "two", 1),
      word("vacated", "one", 2),
      word("vacated", "one", 1),
      word("vacated", "one", 1),
      word("occupied", "one", 1),
      word("occupied", "one", 2),
    ];
    expect(tries.map((statement) => all.apply(statement)?.life)).toEqual([
      undefined,
      "e.1",
      undefined,
      undefined,
      undefined,
      "e.1",
      undefined,
      undefined,
      "e.2",
    ]);
    expect([all.last, [...all.open]]).toEqual([2, [[keyOf({ namespace: "n", name: "a" }), "e.2"]]]);
  });

  it("is of this epoch, and its number is the highest so far", () => {
    const all = state();
    expect(all.apply({ ...word("occupied", "one", 1), life: "f.1" })).toBeUndefined();
    expect(all.apply(word("occupied", "one", 5))?.life).toBe("e.5");
    expect(all.apply(word("occupied", "one", 4, "b"))).toBeUndefined();
  });

  it("of a number of groups that nobody has is not begun", () => {
    class Full extends Map<string, string> {
      override get size(): number {
        return OPEN_MAX;
      }
    }
    const all = new LifeState("e", 0, new Map(), new Map([["one", "node"]]), new Full());
    expect(all.apply(word("occupied", "one", 1))).toBeUndefined();
  });

  it("that anybody has seen end is over", () => {
    const all = state();
    all.apply(word("occupied", "one", 1));
    const over = { say: "over", namespace: "n", name: "a" } as const;
    expect(all.apply({ ...over, life: "e.2" })).toBeUndefined();
    expect(all.apply({ ...over, life: "e.1" })).toEqual({ event: "vacated", key: keyOf({ namespace: "n", name: "a" }), life: "e.1" });
    expect(all.apply({ ...over, life: "e.1" })).toBeUndefined();
  });
});

describe("what was witnessed", () => {
  it("is all lives of an epoch up to the highest number", () => {
    const witnessed = new Witnessed();
    witnessed.note("e", 3);
    witnessed.note("f", 0);
    witnessed.note("e", 2);
    expect(["e.3", "e.4", "f.1", "g.1", "nonsense"].map((life) => witnessed.isPast(life))).toEqual([true, false, false, false, false]);
    expect([...witnessed.entries()]).toEqual([
      ["f", 0],
      ["e", 3],
    ]);
  });

  it("is forgotten one day, the oldest first", () => {
    const witnessed = new Witnessed();
    for (let epoch = 0; epoch <= PAST_MAX; epoch++) witnessed.note(`${epoch}`, 1);
    expect([witnessed.isPast("0.1"), witnessed.isPast("1.1"), witnessed.entries().size]).toEqual([false, true, PAST_MAX]);
  });
});

describe("a key", () => {
  it("is of one group, and leads back to it", () => {
    for (const group of [
      { namespace: "a", name: "b c" },
      { namespace: "a b", name: "c" },
    ])
      expect(groupOf(keyOf(group))).toEqual(group);
  });
});
