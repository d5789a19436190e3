// The contract suite notices what it is there to notice: each planted fault breaks promises that name it.
import { describe, expect, it } from "vitest";
import { adapterPromises } from "../../../src/testing/adapter-promises.ts";
import {
  AcceptedTooEarly,
  CoarseTopics,
  DeadAfterUp,
  FailureHidden,
  HastySubscribe,
  LateSubscribe,
  LateUnsubscribe,
  NeverStops,
  NeverUnsubscribed,
  ReceiversWrong,
  UpTooEarly,
  WaitsForEver,
} from "./call-faults.ts";
import { Faultless } from "./faultless.ts";
import { linkedMemoryBus, type Plant } from "./linked-memory.ts";
import {
  Altered,
  BytesUsedAgain,
  Doubled,
  FirstLost,
  Lost,
  NoInterestRouting,
  NoOwnCopy,
  OwnCopyFirst,
  Reordered,
} from "./record-faults.ts";
import {
  AnyLength,
  FirstWillStays,
  NeverWithdrawn,
  NoWill,
  RefusedWithdraws,
  WillAtStop,
  WillFirst,
  WillForAll,
  WillForgotten,
  WillTwice,
} from "./will-faults.ts";

/** Nothing here waits for anything but the fault: what a faultless adapter is asked for comes in the same turn or the next. */
const PATIENCE_MS = 300;

interface Fault {
  readonly plant: () => Plant;
  /** Promises that it breaks. */
  readonly breaks: readonly string[];
  /** True: others break, too, because the fault shows everywhere. Else it breaks these and no others. */
  readonly widely?: boolean;
}

const LINK_IS_BACK = [
  "tells `down` when its link is cut, and refuses with `unavailable` until it is back",
  "hears again, before it tells `up`, what it heard before its link was cut",
  "subscribe waits for a link that is down, and is a barrier all the same",
  "delivers nothing twice, and in order, across a cut",
];

const faults: Readonly<Record<string, Fault>> = {
  "no own copy": {
    plant: () => (inner) => new NoOwnCopy(inner),
    breaks: ["delivers a record once to every subscribed adapter, the publisher's own included"],
    widely: true,
  },
  "an own copy that does not go through the bus": {
    plant: () => (inner) => new OwnCopyFirst(inner),
    breaks: [
      "keeps one order when an adapter publishes while it is handed a record",
      "tells `down` when its link is cut, and refuses with `unavailable` until it is back",
    ],
  },
  "a late subscribe": {
    plant: () => (inner) => new LateSubscribe(inner),
    breaks: [
      "subscribe is a barrier: once it resolves, what another adapter publishes arrives",
      "subscribe is a barrier on a topic that was heard before, too",
      "subscribe does not resolve before the bus knows of it",
      "tells `up` only when the subscriptions made before are in force",
    ],
    widely: true,
  },
  "a subscribe that does not wait for the bus": {
    plant: () => (inner) => new HastySubscribe(inner),
    breaks: [
      "subscribe does not resolve before the bus knows of it",
      "rejects what still waits with `closed` when it is stopped",
      "refuses to subscribe, with `closed`, once it is stopped",
      "subscribe waits for a link that is down, and is a barrier all the same",
    ],
  },
  "records in another order": {
    plant: () => (inner) => new Reordered(inner),
    breaks: [
      "delivers what one adapter publishes in the order of its calls",
      "shows every adapter one order of a topic that several publish to at once",
      "accepts a record before it says so: what is published after that comes behind it",
    ],
    widely: true,
  },
  "records that come twice": {
    plant: () => (inner) => new Doubled(inner),
    breaks: [
      "hands over nothing of a topic to an adapter without a subscription to it",
      "delivers what one adapter publishes in the order of its calls",
      "delivers nothing twice to an adapter that has subscribed again",
      "delivers nothing twice, and in order, across a cut",
    ],
    widely: true,
  },
  "lost records": {
    plant: () => (inner) => new Lost(inner),
    breaks: ["delivers what one adapter publishes in the order of its calls", "carries bytes, kinds and except lists untouched"],
    widely: true,
  },
  "a lost record after each subscription": {
    plant: () => (inner) => new FirstLost(inner),
    breaks: [
      "subscribe is a barrier: once it resolves, what another adapter publishes arrives",
      "subscribe is a barrier on a topic that was heard before, too",
    ],
    widely: true,
  },
  "a dead subscription reported up": { plant: () => (inner) => new DeadAfterUp(inner), breaks: LINK_IS_BACK },
  "`up` before the subscriptions are in force": { plant: () => (inner) => new UpTooEarly(inner), breaks: LINK_IS_BACK },
  "a record for an adapter without a subscription": {
    plant: () => {
      const all = new Set<NoInterestRouting>();
      return (inner) => new NoInterestRouting(inner, all);
    },
    breaks: [
      "hands over nothing of a topic to an adapter without a subscription to it",
      "delivers what one adapter publishes in the order of its calls",
      "hands over nothing that is published after unsubscribe took effect",
      "ends unsubscribed after subscribe and unsubscribe in one turn",
      "hears again, before it tells `up`, what it heard before its link was cut",
      "publishes the will of an adapter whose process was killed, once, to those who hear its topic",
    ],
  },
  "a record over the link of an adapter without a subscription, where it is dropped": {
    plant: () => (inner, all) =>
      new (class extends Faultless {
        override publish(...args: Parameters<Faultless["publish"]>): ReturnType<Faultless["publish"]> {
          for (const other of all) other.receivedBytes += args[1].bytes.length;
          return super.publish(...args);
        }
      })(inner),
    breaks: ["sends no record over the link of an adapter without a subscription to its topic"],
  },
  "an unsubscribe without effect": {
    plant: () => (inner) => new NeverUnsubscribed(inner),
    breaks: [
      "tells the number of receivers rightly, where it tells it",
      "hands over nothing that is published after unsubscribe took effect",
      "ends unsubscribed after subscribe and unsubscribe in one turn",
      "hears again, before it tells `up`, what it heard before its link was cut",
    ],
  },
  "an unsubscribe that overtakes the subscribe behind it": {
    plant: () => (inner) => new LateUnsubscribe(inner),
    breaks: [
      "ends subscribed after unsubscribe and subscribe in one turn",
      "hears again, before it tells `up`, what it heard before its link was cut",
    ],
  },
  "altered bytes": {
    plant: () => (inner) =>
      new Altered(inner, (message) => ({ ...message, frame: message.frame.map((byte, at) => (at > 9 && byte === 0 ? 32 : byte)) })),
    breaks: ["carries bytes, kinds and except lists untouched", "carries the largest message that an application may publish"],
  },
  "an altered kind": {
    plant: () => (inner) => new Altered(inner, (message) => ({ ...message, kind: message.kind === "json" ? "string" : message.kind })),
    breaks: ["carries bytes, kinds and except lists untouched", "carries a record of many messages whole and in order"],
  },
  "a lost except list": {
    plant: () => (inner) => new Altered(inner, (message) => ({ ...message, except: [] })),
    breaks: ["carries bytes, kinds and except lists untouched", "carries a record of many messages whole and in order"],
  },
  "bytes that are used again": {
    plant: () => (inner) => new BytesUsedAgain(inner),
    breaks: ["leaves the bytes of a record alone once it has handed it over"],
    widely: true,
  },
  "a record called accepted before it was sent": {
    plant: () => (inner) => new AcceptedTooEarly(inner),
    breaks: [
      "tells `down` when its link is cut, and refuses with `unavailable` until it is back",
      "tells the truth about what it published while its link was cut",
    ],
    widely: true,
  },
  "a wrong number of receivers": {
    plant: () => (inner) => new ReceiversWrong(inner),
    breaks: [
      "tells the number of receivers rightly, where it tells it",
      "is not among the receivers once it is stopped, whatever it is asked for",
      "is not among the receivers once its process was killed",
      "publishes no will of an adapter that was stopped",
      "publishes no will that was withdrawn",
    ],
  },
  "a failed publish called accepted": {
    plant: () => (inner) => new FailureHidden(inner),
    breaks: [
      "rejects what still waits with `closed` when it is stopped",
      "refuses to publish, with `closed`, once it is stopped",
      "tells `down` when its link is cut, and refuses with `unavailable` until it is back",
      "tells the truth about what it published while its link was cut",
    ],
  },
  "a will that the bus is not told of": {
    plant: () => (inner) => new NoWill(inner),
    breaks: [
      "publishes the will of an adapter whose process was killed, once, to those who hear its topic",
      "publishes a will behind everything that its adapter has published",
      "publishes the will of an adapter whose link was cut, and has it in force again before it tells `up`",
      "publishes the last of several wills, also if it was told while the link was cut",
      "refuses a will that is far too large, with `too_large`, and keeps the last one",
    ],
  },
  "a will that is not replaced": {
    plant: () => (inner) => new FirstWillStays(inner),
    breaks: [
      "publishes the last of several wills, also if it was told while the link was cut",
      "refuses a will that is far too large, with `too_large`, and keeps the last one",
    ],
  },
  "a will that is not withdrawn": { plant: () => (inner) => new NeverWithdrawn(inner), breaks: ["publishes no will that was withdrawn"] },
  "a will that is forgotten with the link": {
    plant: () => (inner) => new WillForgotten(inner),
    breaks: ["publishes the will of an adapter whose link was cut, and has it in force again before it tells `up`"],
  },
  "a will of any length": {
    plant: () => (inner) => new AnyLength(inner),
    breaks: ["refuses a will that is far too large, with `too_large`, and keeps the last one"],
  },
  "a refused will that withdraws the last": {
    plant: () => (inner) => new RefusedWithdraws(inner),
    breaks: ["refuses a will that is far too large, with `too_large`, and keeps the last one"],
  },
  "the will of a stopped adapter": {
    plant: () => (inner) => new WillAtStop(inner),
    breaks: ["publishes no will of an adapter that was stopped"],
  },
  "a will that comes twice": {
    plant: () => (inner, all) => new WillTwice(inner, all),
    breaks: [
      "publishes the will of an adapter whose process was killed, once, to those who hear its topic",
      "publishes a will behind everything that its adapter has published",
      "publishes the will of an adapter whose link was cut, and has it in force again before it tells `up`",
      "publishes the last of several wills, also if it was told while the link was cut",
    ],
  },
  "a will for adapters without a subscription": {
    plant: () => {
      const all = new Set<WillForAll>();
      return (inner) => new WillForAll(inner, all);
    },
    breaks: ["publishes the will of an adapter whose process was killed, once, to those who hear its topic"],
  },
  "a will that overtakes what its adapter has published": {
    plant: () => {
      const wills = new Set<string>();
      return (inner) => new WillFirst(inner, wills);
    },
    breaks: ["publishes a will behind everything that its adapter has published"],
  },
  "topics that are mixed up": {
    plant: () => (inner) => new CoarseTopics(inner),
    breaks: ["takes every topic as a plain name, never as a pattern"],
  },
  "a wait that a stop does not end": {
    plant: () => (inner) => new WaitsForEver(inner),
    breaks: ["rejects what still waits with `closed` when it is stopped", "refuses to subscribe, with `closed`, once it is stopped"],
  },
  "a stop without effect": {
    plant: () => (inner) => new NeverStops(inner),
    breaks: [
      "rejects what still waits with `closed` when it is stopped",
      "refuses to publish, with `closed`, once it is stopped",
      "refuses to subscribe, with `closed`, once it is stopped",
      "is not among the receivers once it is stopped, whatever it is asked for",
      "hands over nothing once it is stopped",
      "publishes no will of an adapter that was stopped",
    ],
  },
};

describe.concurrent("the contract suite", () => {
  it("finds no fault in a wrapper that plants none", async ({ expect }) => {
    expect(await broken(() => (inner) => new Faultless(inner))).toEqual([]);
  });

  for (const [name, { plant, breaks, widely = false }] of Object.entries(faults)) {
    it(`notices ${name}`, async ({ expect }) => {
      const found = await broken(plant);
      if (widely) expect(found).toEqual(expect.arrayContaining([...breaks]));
      else expect(found).toEqual(breaks);
    });
  }
});

it("has a title of its own for every promise", () => {
  const titles = adapterPromises.map(({ title }) => title);
  expect(new Set(titles).size).toBe(titles.length);
});

it("has a fault for every promise", () => {
  const noticed = new Set(Object.values(faults).flatMap(({ breaks }) => breaks));
  expect(adapterPromises.map(({ title }) => title).filter((title) => !noticed.has(title))).toEqual([]);
});

/** The titles of the promises that do not hold, in the order of the suite. */
async function broken(plant: () => Plant): Promise<string[]> {
  const held = await Promise.all(
    adapterPromises.map(async ({ run }) => {
      const bus = linkedMemoryBus({ plant: plant(), patienceMs: PATIENCE_MS });
      return run(bus).then(
        () => true,
        () => false,
      );
    }),
  );
  return adapterPromises.filter((_, index) => held[index] === false).map(({ title }) => title);
}
