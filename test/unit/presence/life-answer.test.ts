import { describe, expect, it } from "vitest";
import { deferred } from "../../../src/base/promises.ts";
import { sendState } from "../../../src/presence/life-answer.ts";
import { keyOf, LifeState } from "../../../src/presence/life-state.ts";
import { type Answer, lifeId, PART_ENTRIES_MAX } from "../../../src/presence/life-words.ts";
import { settle } from "../fakes.ts";

function stateOf(groups: number): LifeState {
  const open = new Map(Array.from({ length: groups }, (_, number) => [keyOf({ namespace: "n", name: `${number}` }), lifeId("e", number)]));
  return new LifeState("e", groups, new Map([["d", 7]]), new Map([["x", "node"]]), open);
}

describe("the state on its way", () => {
  it("is what it was in the beginning, however it changes while it goes", async () => {
    const state = stateOf(PART_ENTRIES_MAX * 2 + 1);
    const parts: Answer[] = [];
    await sendState(state, "nonce", (part) => {
      parts.push(part);
      state.open.delete(keyOf({ namespace: "n", name: `${parts.length}` }));
      state.open.delete(keyOf({ namespace: "n", name: `${PART_ENTRIES_MAX * 2}` }));
      state.participants.clear();
      return Promise.resolve();
    });
    expect(parts.map((part) => part.is === "state" && [part.part, part.isLast, part.open.length, part.participants.length])).toEqual([
      [0, false, PART_ENTRIES_MAX, 1],
      [1, false, PART_ENTRIES_MAX, 0],
      [2, true, 1, 0],
    ]);
    const names = parts.flatMap((part) => (part.is === "state" ? part.open.map(([, name]) => name) : []));
    expect(names).toEqual(Array.from({ length: PART_ENTRIES_MAX * 2 + 1 }, (_, number) => `${number}`));
    expect(parts[0]).toMatchObject({ is: "state", nonce: "nonce", epoch: "e", last: PART_ENTRIES_MAX * 2 + 1, past: [["d", 7]] });
  });

  it("has one part at least, and waits with each until the one before was accepted", async () => {
    const accepted = deferred();
    let parts = 0;
    const sent = sendState(stateOf(PART_ENTRIES_MAX + 1), "nonce", () => (parts++ === 0 ? accepted.promise : Promise.resolve()));
    await settle();
    expect(parts).toBe(1);
    accepted.resolve();
    await sent;
    expect(parts).toBe(2);
    const none: Answer[] = [];
    await sendState(stateOf(0), "nonce", (part) => Promise.resolve(void none.push(part)));
    expect(none).toMatchObject([{ part: 0, isLast: true, open: [] }]);
  });
});
