// The end of a turn: what has gathered goes out once, in its order, and in time.
import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { type Gathering, Turn } from "../../../src/base/turn.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";

function turning(batchDelayMs = 0) {
  const clock = new FakeClock();
  const turn = new Turn(clock, batchDelayMs);
  const flushed: string[] = [];
  const gathering = (name: string, act?: () => void): Gathering => ({
    flush: () => {
      flushed.push(name);
      act?.();
    },
  });
  const slow = gathering("slow", () => clock.work(10));
  /** A flush of 10 ms: what comes next has reason to wait. */
  const busy = (): void => {
    turn.add(slow);
    clock.endTurn();
    flushed.length = 0;
  };
  return { clock, turn, flushed, gathering, slow, busy };
}

describe("what gathers in a turn", () => {
  it("is flushed once at its end, in the order in which it came", () => {
    const { clock, turn, flushed, gathering } = turning();
    const [a, b] = [gathering("a"), gathering("b")];
    turn.add(a);
    turn.add(b);
    turn.add(a);
    expect(flushed).toEqual([]);
    clock.endTurn();
    expect(flushed).toEqual(["a", "b"]);
    clock.advance(1_000);
    expect(flushed).toEqual(["a", "b"]);
  });

  it("is flushed behind what comes first, whichever was there earlier", () => {
    const { clock, turn, flushed, gathering } = turning();
    turn.add(gathering("group"));
    turn.addFirst(gathering("channel"));
    clock.endTurn();
    expect(flushed).toEqual(["channel", "group"]);
  });

  it("counts what the first sets gathering as of the same turn, and everything else that a flush sets going as of the next", () => {
    const { clock, turn, flushed, gathering } = turning();
    const last = gathering("last");
    const group = gathering("group", () => turn.add(last));
    turn.addFirst(gathering("channel", () => turn.add(group)));
    clock.endTurn();
    expect(flushed).toEqual(["channel", "group"]);
    clock.endTurn();
    expect(flushed).toEqual(["channel", "group", "last"]);
  });

  it.each(["a first one", "a later one"])("is not forgotten if the flush of %s has put it first", (which) => {
    const { clock, turn, flushed, gathering } = turning();
    const again = gathering("again");
    const sets = gathering("sets", () => turn.addFirst(again));
    if (which === "a first one") turn.addFirst(sets);
    else turn.add(sets);
    clock.endTurn();
    expect(flushed).toEqual(["sets"]);
    clock.advance();
    expect(flushed).toEqual(["sets", "again"]);
  });

  it("asks for one end of the turn, however much gathers", () => {
    const { clock, turn, gathering } = turning();
    let asked = 0;
    const turnEnd = clock.turnEnd.bind(clock);
    clock.turnEnd = (run) => {
      asked++;
      turnEnd(run);
    };
    for (let count = 0; count < 5; count++) {
      turn.add(gathering("a"));
      turn.addFirst(gathering("b"));
      turn.grew();
      turn.hurry();
    }
    expect(asked).toBe(1);
    clock.endTurn();
    expect(asked).toBe(1);
  });
});

describe("in a busy process", () => {
  it("what has gathered waits for more, and goes once, with all that has come meanwhile", () => {
    const { clock, turn, flushed, gathering, busy } = turning(5);
    const [a, b] = [gathering("a"), gathering("b")];
    busy();
    turn.add(a);
    clock.advance(4.9);
    turn.add(b);
    turn.add(a);
    expect(flushed).toEqual([]);
    clock.advance(0.2);
    expect(flushed).toEqual(["a", "b"]);
    expect(clock.timers).toBe(0);
  });

  it("what comes first does not wait, nor does it end the wait of the others", () => {
    const { clock, turn, flushed, gathering, busy } = turning(5);
    busy();
    turn.add(gathering("group"));
    clock.advance(3); // more rest than a busy process has: it is the wait
    turn.addFirst(gathering("channel"));
    clock.endTurn();
    expect(flushed).toEqual(["channel"]);
    expect(clock.timers).toBe(1);
    clock.advance(2);
    expect(flushed).toEqual(["channel", "group"]);
  });

  it("what has grown large ends the wait, at the end of its turn", () => {
    const { clock, turn, flushed, gathering, busy } = turning(5);
    busy();
    turn.add(gathering("a"));
    clock.advance(1);
    turn.hurry();
    expect(flushed).toEqual([]);
    clock.endTurn();
    expect(flushed).toEqual(["a"]);
    expect(clock.timers).toBe(0);
    clock.advance(100);
    expect(flushed).toEqual(["a"]);
  });

  it("what has grown large within its turn does not begin to wait; what comes after it does", () => {
    const { clock, turn, flushed, gathering, slow, busy } = turning(5);
    busy();
    turn.add(slow);
    turn.hurry();
    clock.endTurn();
    expect(flushed).toEqual(["slow"]);
    turn.add(gathering("a"));
    clock.endTurn();
    expect(flushed).toEqual(["slow"]);
    clock.advance(5);
    expect(flushed).toEqual(["slow", "a"]);
  });

  it("waiting goes on only if something that waits has grown", () => {
    const { clock, turn, flushed, slow, busy } = turning(5);
    const waits = (grows: boolean): boolean => {
      turn.add(slow);
      clock.endTurn();
      const isWaiting = flushed.length === 0;
      if (grows) turn.grew();
      if (isWaiting) clock.advance(5);
      expect(flushed).toEqual(["slow"]);
      flushed.length = 0;
      return isWaiting;
    };
    busy();
    expect([waits(true), waits(true), waits(false), waits(true), waits(true), waits(true)]).toEqual([true, true, true, false, true, true]);
  });

  it("nothing waits if it is told not to", () => {
    const { clock, turn, flushed, slow, busy } = turning(0);
    busy();
    for (let count = 0; count < 10; count++) {
      turn.add(slow);
      clock.endTurn();
    }
    expect(flushed).toHaveLength(10);
    expect(clock.timers).toBe(0);
  });
});

type Act =
  | { readonly do: "add" | "addFirst"; readonly which: number }
  | { readonly do: "grew" | "hurry" | "endTurn" }
  | { readonly do: "work" | "advance"; readonly ms: number };

describe("whatever happens", () => {
  const which = fc.nat(3);
  const ms = fc.oneof(fc.nat(12), fc.double({ min: 0, max: 4, noNaN: true }));
  const act: fc.Arbitrary<Act> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("add", "add", "addFirst"), which }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("grew", "hurry") }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("endTurn") }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("work", "advance"), ms }) },
  );
  /** What the n-th flush does: it takes time, and may set others gathering. */
  const effect = fc.record({
    ms: fc.oneof(fc.constant(0), ms),
    sets: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      fc.array(fc.record({ do: fc.constantFrom("add", "addFirst"), which }), { maxLength: 2 }),
    ),
  });

  it("everything is flushed once for each time that it has gathered, the first before the others, at the end of its turn or as soon after as is allowed", () => {
    let waits = 0;
    const acts = fc.array(act, { maxLength: 80 });
    const effects = fc.array(effect, { maxLength: 40 });
    fc.assert(
      fc.property(fc.constantFrom(0, 0, 1, 5, 20), acts, effects, (batchDelayMs, toDo, toCause) => {
        const clock = new FakeClock();
        const turn = new Turn(clock, batchDelayMs);
        let isOthersTurn = false;
        let isEnding = false;
        let isOver = false;
        let flushes = 0;
        const endTurn = clock.endTurn.bind(clock);
        clock.endTurn = () => {
          isOthersTurn = false;
          for (const one of all) one.nextTurn();
          endTurn();
        };
        class Gatherer implements Gathering {
          asked = false;
          // While those like it are being flushed: that is for the next turn, unless its own flush is still to come.
          askedMeanwhile = false;
          turnEndedAt = Infinity;
          flushes = 0;

          readonly isFirst: boolean;

          constructor(isFirst: boolean) {
            this.isFirst = isFirst;
          }

          gather(): void {
            if (isEnding && (this.isFirst || isOthersTurn)) this.askedMeanwhile = true;
            else this.asked = true;
            if (this.isFirst) turn.addFirst(this);
            else turn.add(this);
          }

          nextTurn(): void {
            this.asked ||= this.askedMeanwhile;
            this.askedMeanwhile = false;
          }

          flush(): void {
            this.flushes++;
            expect(this.asked || this.askedMeanwhile).toBe(true); // never without reason, never twice
            if (this.asked) this.asked = false;
            else this.askedMeanwhile = false;
            this.turnEndedAt = Infinity;
            if (this.isFirst) expect(isOthersTurn).toBe(false);
            else isOthersTurn = true;
            const next = isOver ? undefined : toCause[flushes++];
            if (next === undefined) return;
            clock.work(next.ms);
            for (const { do: how, which: at } of next.sets) (how === "add" ? others : firsts)[at]?.gather();
          }
        }
        const firsts = Array.from({ length: 4 }, () => new Gatherer(true));
        const others = Array.from({ length: 4 }, () => new Gatherer(false));
        const all = [...firsts, ...others];
        const during = (run: () => void): void => {
          isEnding = true;
          run();
          isEnding = false;
          for (const one of all) one.nextTurn();
        };
        const end = (): void => {
          const due = all.filter(({ asked }) => asked).map((one) => ({ one, before: one.flushes }));
          const endedAt = clock.now();
          during(() => clock.endTurn());
          for (const { one, before } of due) {
            if (one.flushes > before) continue;
            expect([one.isFirst, batchDelayMs > 0]).toEqual([false, true]);
            one.turnEndedAt = Math.min(one.turnEndedAt, endedAt);
            waits++;
          }
        };
        const advance = (forMs: number): void => {
          end();
          during(() => clock.advance(forMs));
          const now = clock.now();
          during(() => clock.advance()); // what has become due by the work of a flush
          for (const { turnEndedAt } of all) expect(now).toBeLessThan(turnEndedAt + batchDelayMs + 1e-9);
        };
        for (const next of toDo) {
          if (next.do === "add") others[next.which]?.gather();
          else if (next.do === "addFirst") firsts[next.which]?.gather();
          else if (next.do === "endTurn") end();
          else if (next.do === "advance") advance(next.ms);
          else if (next.do === "work") clock.work(next.ms);
          else turn[next.do]();
        }
        isOver = true; // what is flushed from now on sets nothing going
        end();
        advance(batchDelayMs + 1e-6);
        expect(all.filter(({ asked }) => asked)).toEqual([]);
        expect(clock.timers).toBe(0);
      }),
      { numRuns: 600 },
    );
    expect(waits).toBeGreaterThan(50);
  });
});
