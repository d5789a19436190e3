import { describe, expect, it } from "vitest";
import { type Deferred, deferred } from "../../../src/base/promises.ts";
import type { Receipt } from "../../../src/channel/adapter.ts";
import { ANSWER_MS, Newcomer, OBJECTION_MS } from "../../../src/presence/life-newcomer.ts";
import type { Answer, Statement } from "../../../src/presence/life-words.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { settle } from "../fakes.ts";

function start(attempt = 0): { clock: FakeClock; newcomer: Newcomer; happened: string[]; receipt: Deferred<Receipt> } {
  const clock = new FakeClock();
  const happened: string[] = [];
  const receipt = deferred<Receipt>();
  const newcomer = new Newcomer(
    {
      clock,
      node: "me",
      say: (statement) => {
        happened.push(statement.say);
        return receipt.promise;
      },
      tellNone: (node, nonce) => void happened.push(`none ${node} ${nonce}`),
      again: (next) => void happened.push(`again ${next}`),
      adopt: (state, later) => void happened.push(`adopt ${[...state.open.values()].join()} + ${later.map(({ say }) => say).join()}`),
      crown: () => void happened.push("crown"),
    },
    "x",
    attempt,
  );
  newcomer.start();
  return { clock, newcomer, happened, receipt };
}

const mine: Statement = { say: "sync", node: "me", nonce: "x", attempt: 0 };
const word: Statement = { say: "occupied", by: "l", namespace: "n", name: "b", life: "e.2" };
const state = (part: number, isLast: boolean, name = `a${part}`): Answer => ({
  is: "state",
  nonce: "x",
  part,
  isLast,
  epoch: "e",
  last: 1,
  past: [],
  participants: [["l", "leader"]],
  open: [["n", name, `e.${part}`]],
});

describe("a newcomer", () => {
  it("takes what was so when its question came, and what came after it, whichever topic is faster", () => {
    const { newcomer, happened } = start();
    newcomer.answered(state(0, true), "leader");
    newcomer.hear(word);
    expect(happened).toEqual(["sync"]);
    newcomer.hear(mine);
    expect(happened).toEqual(["sync", "adopt e.0 + "]);
    const slow = start();
    slow.newcomer.hear(word);
    slow.newcomer.hear(mine);
    slow.newcomer.hear(word);
    slow.newcomer.answered(state(0, false), "leader");
    slow.newcomer.hear(word);
    slow.newcomer.answered(state(1, true), "leader");
    expect(slow.happened).toEqual(["sync", "adopt e.0,e.1 + occupied,occupied"]);
  });

  it("takes the answer of one, each part once and in order", () => {
    const { newcomer, happened } = start(1);
    newcomer.hear(mine);
    newcomer.answered(state(0, false), "one");
    newcomer.answered(state(0, false, "other"), "two");
    newcomer.answered(state(1, true), "two");
    newcomer.answered(state(2, true), "one");
    newcomer.answered({ ...state(1, true), nonce: "y" }, "one");
    expect(happened).toEqual(["sync"]);
    newcomer.answered(state(1, true), "one");
    expect(happened).toEqual(["sync", "adopt e.0,e.1 + "]);
  });

  it("waits a second for each part, then asks again, as often as before: somebody knows", () => {
    const { newcomer, clock, happened } = start(1);
    newcomer.hear(mine);
    for (let part = 0; part < 5; part++) {
      clock.advance(ANSWER_MS - 1);
      newcomer.answered(state(part, false), "leader");
    }
    clock.advance(ANSWER_MS - 1);
    expect(happened).toEqual(["sync"]);
    clock.advance(1);
    expect(happened).toEqual(["sync", "again 1"]);
    newcomer.answered(state(5, true), "leader");
    expect([happened.length, clock.timers]).toEqual([2, 0]);
  });

  it("asks more if nobody answers, and at last begins; an answer that comes late still counts", () => {
    for (const attempt of [0, 1]) {
      const { newcomer, clock, happened } = start(attempt);
      newcomer.hear(mine);
      clock.advance(ANSWER_MS);
      expect(happened).toEqual(["sync", `again ${attempt + 1}`]);
    }
    const { newcomer, clock, happened } = start(2);
    newcomer.hear(mine);
    clock.advance(OBJECTION_MS);
    expect(happened).toEqual(["sync", "lead"]);
    newcomer.answered(state(0, true), "leader");
    expect(happened).toEqual(["sync", "lead", "adopt e.0 + "]);
  });

  it("does not take a busy one for none", () => {
    const { newcomer, clock, happened } = start(2);
    newcomer.hear(mine);
    newcomer.answered({ is: "busy", nonce: "x" }, "leader");
    clock.advance(ANSWER_MS);
    expect(happened).toEqual(["sync", "again 2"]);
  });

  it("leads by its own word in the order, and by nobody else's", () => {
    const { newcomer, clock, happened } = start(2);
    newcomer.hear(mine);
    clock.advance(OBJECTION_MS);
    newcomer.hear({ say: "lead", nonce: "x" });
    newcomer.hear({ say: "lead", nonce: "y" });
    expect(happened).toEqual(["sync", "lead", "crown"]);
    const other = start(2);
    other.newcomer.hear({ say: "lead", nonce: "before" });
    other.newcomer.hear(mine);
    other.clock.advance(OBJECTION_MS);
    other.newcomer.hear({ say: "lead", nonce: "y" });
    other.newcomer.hear({ say: "lead", nonce: "x" });
    expect(other.happened).toEqual(["sync", "lead", "again 0"]);
  });

  it("begins at once when everybody who was asked knows nothing, each counted once", async () => {
    const { newcomer, happened, receipt } = start();
    newcomer.answered({ is: "none", nonce: "x" }, "one");
    newcomer.answered({ is: "none", nonce: "x" }, "one");
    receipt.resolve({ receivers: 3 });
    newcomer.hear(mine);
    await settle();
    expect(happened).toEqual(["sync"]);
    newcomer.answered({ is: "none", nonce: "x" }, "two");
    expect(happened).toEqual(["sync", "lead"]);
  });

  it("begins at once when it was alone, but not before its own question has come back", async () => {
    const { newcomer, happened, receipt } = start();
    receipt.resolve({ receivers: 1 });
    await settle();
    expect(happened).toEqual(["sync"]);
    newcomer.hear(mine);
    expect(happened).toEqual(["sync", "lead"]);
  });

  it("tells others that it knows nothing, and itself nothing", () => {
    const { newcomer, happened } = start();
    newcomer.hear({ say: "sync", node: "other", nonce: "o", attempt: 0 });
    newcomer.hear(mine);
    newcomer.hear({ say: "sync", node: "other", nonce: "p", attempt: 0 });
    expect(happened).toEqual(["sync", "none other o", "none other p"]);
  });

  it("that is said to be gone asks anew; of others it is one more thing that came", () => {
    const { newcomer, happened } = start();
    newcomer.hear(mine);
    newcomer.hear({ say: "gone", nonce: "other" });
    newcomer.hear({ say: "gone", nonce: "x" });
    expect(happened).toEqual(["sync", "again 0"]);
  });

  it("says it again if it does not hear itself", () => {
    const { newcomer, clock, happened } = start(1);
    newcomer.hear(word);
    clock.advance(60_000);
    expect(happened).toEqual(["sync", "again 1"]);
  });
});
