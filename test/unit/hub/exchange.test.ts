import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { Exchange, type Party, Seat, TOPICS_MAX } from "../../../src/hub/exchange.ts";

type Model = { readonly heard: Set<string>; readonly got: string[] };

function party(hand: (message: Buffer) => void = () => {}): Party {
  return { hand, hold: () => () => {} };
}

const topic = fc.constantFrom("a", "b", "__proto__");
const step = fc.oneof(
  fc.record({ do: fc.constant("subscribe" as const), link: fc.nat(2), topic }),
  fc.record({ do: fc.constant("unsubscribe" as const), link: fc.nat(2), topic }),
  fc.record({ do: fc.constant("publish" as const), link: fc.nat(2), topic }),
  fc.record({ do: fc.constant("leave" as const), link: fc.nat(2) }),
);

describe("the exchange", () => {
  it("hands each message once to who hears its topic, in one order", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const exchange = new Exchange(() => {});
        const join = (): { seat: Seat; model: Model } => {
          const model: Model = { heard: new Set(), got: [] };
          return { seat: exchange.seat(party((message) => void model.got.push(message.toString()))), model };
        };
        const links = [join(), join(), join()];
        steps.forEach((given, index) => {
          const link = links[given.link] as { seat: Seat; model: Model };
          switch (given.do) {
            case "subscribe":
              link.seat.subscribe(given.topic);
              link.model.heard.add(given.topic);
              return;
            case "unsubscribe":
              link.seat.unsubscribe(given.topic);
              link.model.heard.delete(given.topic);
              return;
            case "publish": {
              const before = links.map(({ model }) => model.got.length);
              const receivers = link.seat.publish(given.topic, Buffer.from(String(index)));
              const hearers = links.map(({ model }) => model.heard.has(given.topic));
              expect(links.map(({ model }, one) => model.got.slice(before[one]))).toEqual(
                hearers.map((hears) => (hears ? [String(index)] : [])),
              );
              expect(receivers).toBe(hearers.filter(Boolean).length);
              return;
            }
            case "leave":
              link.seat.leave();
              links[given.link] = join();
          }
        });
        for (const { seat } of links) seat.leave();
        expect(exchange.topics.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("tells when its last link has left, once", () => {
    let emptied = 0;
    const exchange = new Exchange(() => void emptied++);
    const [one, other] = [exchange.seat(party()), exchange.seat(party())];
    one.leave();
    expect(emptied).toBe(0);
    other.leave();
    other.leave();
    expect(emptied).toBe(1);
  });

  it("goes on to the others when one leaves while it is handed a message", () => {
    const exchange = new Exchange(() => {});
    const got: string[] = [];
    const first = exchange.seat(
      party(() => {
        got.push("first");
        first.leave();
      }),
    );
    const second = exchange.seat(party(() => void got.push("second")));
    first.subscribe("a");
    second.subscribe("a");
    expect(second.publish("a", Buffer.from("x"))).toBe(2);
    expect(got).toEqual(["first", "second"]);
    expect(second.publish("a", Buffer.from("y"))).toBe(1);
  });

  it("refuses more topics than a link may have", () => {
    const seat = new Exchange(() => {}).seat(party());
    for (let number = 0; number < TOPICS_MAX; number++) seat.subscribe(`topic ${number}`);
    expect(() => seat.subscribe("one more")).toThrow("at most");
    expect(() => seat.subscribe("topic 0")).not.toThrow();
  });
});
