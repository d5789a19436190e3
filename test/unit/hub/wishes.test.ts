import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { Exchange, type Seat, TOPICS_MAX } from "../../../src/hub/exchange.ts";
import {
  FRAME,
  readSubscribe,
  readUnsubscribe,
  readWill,
  refOf,
  TOPIC_BYTES_MAX,
  typeOf,
  WILL_BYTES_MAX,
} from "../../../src/hub/frames.ts";
import { Wishes } from "../../../src/hub/wishes.ts";
import { codeOf } from "../fakes.ts";

/** A hub that does what it is told, and confirms when the test says so. */
class Hub {
  readonly #exchange = new Exchange(() => {});
  readonly told: number[] = [];
  readonly types: number[] = [];
  readonly got: string[] = [];
  will: Buffer | undefined;
  readonly #seat: Seat = this.#exchange.seat({ hand: (message) => void this.got.push(message.toString()), hold: () => () => {} });

  tell(frames: readonly Buffer[]): void {
    for (const frame of frames) {
      this.types.push(typeOf(frame));
      if (typeOf(frame) === FRAME.unsubscribe) for (const topic of readUnsubscribe(frame)) this.#seat.unsubscribe(topic);
      if (typeOf(frame) === FRAME.will) this.will = readWill(frame);
      if (typeOf(frame) !== FRAME.subscribe) continue;
      for (const topic of readSubscribe(frame)) this.#seat.subscribe(topic);
      this.told.push(refOf(frame));
    }
  }

  hears(topic: string): boolean {
    return this.#seat.publish(topic, Buffer.from(topic)) > 0;
  }
}

const TOPICS = ["a", "b", "c"];
const topic = fc.constantFrom(...TOPICS);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("subscribe" as const), topic }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("unsubscribe" as const), topic }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("will" as const), topic: fc.option(topic) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("tell" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("confirm" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("link" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unlink" as const) }) },
);

/** Tells everything, a list at a time. */
function tellAll(wishes: Wishes, hub: Hub, nextRef: () => number): void {
  while (!wishes.isTold) hub.tell(wishes.next(nextRef(), false));
}

describe("what the hub shall know", () => {
  it("is what it knows in the end, whatever was wished, told, confirmed and lost on the way", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const wishes = new Wishes();
        const wanted = new Set<string>();
        let will: string | null = null;
        let hub: Hub | undefined;
        let ref = 0;
        for (const given of steps) {
          if (given.do === "subscribe") {
            void wishes.subscribe(given.topic);
            wanted.add(given.topic);
          } else if (given.do === "unsubscribe") {
            wishes.unsubscribe(given.topic);
            wanted.delete(given.topic);
          } else if (given.do === "will") {
            wishes.will(given.topic ?? "", given.topic === null ? undefined : Buffer.from("the will"));
            will = given.topic;
          } else if (given.do === "tell" && hub !== undefined) {
            tellAll(wishes, hub, () => ++ref);
          } else if (given.do === "confirm") {
            const told = hub?.told.shift();
            if (told !== undefined) wishes.confirmed(told);
          } else if (given.do === "link" && hub === undefined) {
            hub = new Hub();
            wishes.linked();
          } else if (given.do === "unlink" && hub !== undefined) {
            hub = undefined;
            wishes.unlinked();
          }
          // It never takes for heard what the hub does not send.
          for (const name of TOPICS) if (wishes.hears(name)) expect(hub?.hears(name)).toBe(true);
        }
        if (hub === undefined) {
          hub = new Hub();
          wishes.linked();
        }
        tellAll(wishes, hub, () => ++ref);
        for (const told of hub.told) wishes.confirmed(told);
        expect(hub.will?.toString("latin1", 11)).toBe(will === null ? undefined : `${will}the will`);
        expect(wishes.isWillTold).toBe(will !== null);
        for (const name of TOPICS) {
          expect([name, wishes.hears(name), hub.hears(name)]).toEqual([name, wanted.has(name), wanted.has(name)]);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("is told in one frame of each kind a turn, however many topics there are", () => {
    const wishes = new Wishes();
    const hub = new Hub();
    wishes.linked();
    for (let number = 0; number < 500; number++) void wishes.subscribe(`topic ${number}`);
    wishes.will("a", Buffer.from("first"));
    wishes.will("a", Buffer.from("second"));
    tellAll(wishes, hub, () => 1);
    for (let number = 0; number < 500; number++) wishes.unsubscribe(`topic ${number}`);
    void wishes.subscribe("a");
    tellAll(wishes, hub, () => 2);
    expect(hub.types).toEqual([FRAME.will, FRAME.subscribe, FRAME.unsubscribe, FRAME.subscribe]);
    expect([hub.hears("a"), hub.hears("topic 499")]).toEqual([true, false]);
  });

  it("leaves out what is given up before it was told", () => {
    const wishes = new Wishes();
    wishes.linked();
    void wishes.subscribe("a");
    wishes.unsubscribe("a");
    expect(wishes.isTold).toBe(true);
  });

  it("takes for heard only what came after the confirmation of the latest subscription", async () => {
    const wishes = new Wishes();
    const hub = new Hub();
    wishes.linked();
    const first = wishes.subscribe("a");
    hub.tell(wishes.next(1, false));
    wishes.unsubscribe("a");
    await first; // given up: nobody is to wait for it
    const second = wishes.subscribe("a");
    hub.tell(wishes.next(2, false));
    wishes.confirmed(1);
    expect(wishes.hears("a")).toBe(false); // what comes here was published for the subscription that was given up
    wishes.confirmed(2);
    expect(wishes.hears("a")).toBe(true);
    await second;
    expect(wishes.subscribe("a")).toBeUndefined();
  });

  it("keeps lists apart that are longer than a frame should be, and does not begin a topic before its end was told", () => {
    const wishes = new Wishes();
    const hub = new Hub();
    const names = Array.from({ length: 300 }, (_, number) => `${number}`.padEnd(TOPIC_BYTES_MAX, "x"));
    wishes.linked();
    for (const name of names) void wishes.subscribe(name);
    tellAll(wishes, hub, () => 1);
    for (const name of names) wishes.unsubscribe(name);
    for (const name of names.toReversed()) void wishes.subscribe(name);
    tellAll(wishes, hub, () => 2);
    expect(hub.types.filter((type) => type === FRAME.unsubscribe).length).toBeGreaterThan(1);
    expect(names.every((name) => hub.hears(name))).toBe(true);
  });

  it("tells a new link everything again, and waits for its confirmation", async () => {
    const wishes = new Wishes();
    wishes.linked();
    const ready = wishes.subscribe("a");
    wishes.will("a", Buffer.from("the will"));
    wishes.next(1, false);
    wishes.confirmed(1);
    await ready;
    void wishes.subscribe("b");
    wishes.next(7, false);
    wishes.unlinked();
    expect(wishes.hears("a")).toBe(false);
    expect(wishes.subscribe("a")).toBeInstanceOf(Promise);
    const hub = new Hub();
    wishes.linked();
    hub.tell(wishes.next(2, true));
    expect([hub.hears("a"), hub.will?.toString("latin1", 11)]).toEqual([true, "athe will"]);
    wishes.confirmed(7); // a question of the link before
    expect([wishes.hears("a"), wishes.hears("b")]).toEqual([false, false]);
    wishes.confirmed(2);
    expect(wishes.hears("a")).toBe(true);
  });

  it("has limits", async () => {
    const wishes = new Wishes();
    await expect(wishes.subscribe("é".repeat(TOPIC_BYTES_MAX / 2 + 1))).rejects.toMatchObject({ code: "bad_option" });
    for (let number = 0; number < TOPICS_MAX; number++) void wishes.subscribe(`topic ${number}`);
    await expect(wishes.subscribe("one more")).rejects.toMatchObject({ code: "limit" });
    wishes.will("a", new Uint8Array(WILL_BYTES_MAX));
    expect(codeOf(() => wishes.will("a", new Uint8Array(WILL_BYTES_MAX + 1)))).toBe("too_large");
    expect(codeOf(() => wishes.will("é".repeat(TOPIC_BYTES_MAX / 2 + 1), new Uint8Array(1)))).toBe("bad_option");
  });

  it("rejects what waits when it is closed", async () => {
    const wishes = new Wishes();
    const ready = wishes.subscribe("a");
    wishes.close(new GroupcastError("closed"));
    await expect(ready).rejects.toMatchObject({ code: "closed" });
    expect(wishes.isTold).toBe(true);
  });
});
