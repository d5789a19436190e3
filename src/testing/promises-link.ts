// What every adapter promises about its end, and about a link that goes and comes back.
import { quiet } from "../base/promises.ts";
import { ensure, ensureSame } from "./check.ts";
import { accepted } from "./peer.ts";
import type { Call, Outcome } from "./peer-host.ts";
import { type AdapterPromise, numbers, promise, say } from "./stage.ts";

export const linkPromises: readonly AdapterPromise[] = [
  promise("rejects what still waits with `closed` when it is stopped", async (stage, [, b]) => {
    const [hold, release] = [stage.ability("hold"), stage.ability("release")];
    const topic = stage.topic("waits");
    await hold(b);
    const waiting = b.begin({ call: "subscribe", topic }, { call: "publish", topic, messages: [say("x")] });
    await b.stop();
    const outcomes = await b.inTime("what was waiting when the adapter was stopped", Promise.all(waiting));
    for (const [index, outcome] of outcomes.entries()) ensureRefused(index === 0 ? "subscribe" : "publish", outcome, ["closed"]);
    await release(b);
  }),

  promise("refuses to publish, with `closed`, once it is stopped", async (stage, [, b]) => {
    const topic = stage.topic("too late");
    await b.stop();
    const [outcome] = await b.turn({ call: "publish", topic, messages: [say("x")] });
    ensureRefused("publish", outcome, ["closed"]);
  }),

  promise("refuses to subscribe, with `closed`, once it is stopped", async (stage, [, b]) => {
    const topic = stage.topic("too late");
    await b.stop();
    const [outcome] = await b.turn({ call: "subscribe", topic });
    ensureRefused("subscribe", outcome, ["closed"]);
    // Harmless, as it is for a topic that was never subscribed to.
    accepted(await b.turn({ call: "unsubscribe", topic }));
  }),

  promise("is not among the receivers once it is stopped, whatever it is asked for", async (stage, [a, b, c]) => {
    const topic = stage.topic("not there");
    await b.subscribe(topic);
    await c.subscribe(topic);
    await b.stop();
    void b.begin({ call: "subscribe", topic });
    await b.catchUp();
    // The bus may learn late that it is gone; that it was asked for more does not bring it back.
    await a.untilReceivers(topic, 1);
    await stage.fence(topic, c);
  }),

  promise("is not among the receivers once its process was killed", async (stage, [a, b, c]) => {
    const kill = stage.ability("kill");
    const topic = stage.topic("killed");
    await b.subscribe(topic);
    await c.subscribe(topic);
    await kill(b);
    await a.untilReceivers(topic, 1);
    await stage.fence(topic, c);
  }),

  promise("hands over nothing once it is stopped", async (stage, [a, b, c]) => {
    const topic = stage.topic("stopped");
    await b.subscribe(topic);
    await c.subscribe(topic);
    const calls = numbers(100).map((text): Call => ({ call: "publish", topic, messages: [say(text)] }));
    const publishing = quiet(a.turn(...calls.slice(0, 50)));
    await b.stop();
    const heard = stage.heard(b, topic);
    accepted(await publishing);
    accepted(await a.turn(...calls.slice(50)));
    await stage.fence(topic, c);
    await b.catchUp();
    ensureSame("the adapter that runs on", stage.heard(c, topic), numbers(100));
    ensureSame("the stopped adapter, later", stage.heard(b, topic), heard);
    ensureSame("the stopped adapter", heard, numbers(heard.length));
  }),

  promise("tells `down` when its link is cut, and refuses with `unavailable` until it is back", async (stage, [a, b]) => {
    const [cut, restore] = [stage.ability("cut"), stage.ability("restore")];
    const topic = stage.topic("down");
    const since = b.told.length;
    await b.subscribe(topic);
    await cut(b);
    await b.untilTold("down", since);
    const [outcome] = await b.turn({ call: "publish", topic, messages: [say("lost")] });
    ensureRefused("publish", outcome, ["unavailable"]);
    await a.publish(topic, say("not heard"));
    await restore(b);
    await b.untilTold("up", since);
    await b.publish(topic, say("heard"));
    await stage.fence(topic, b);
    ensureSame("the adapter", stage.heard(b, topic), ["heard"]);
  }),

  promise("hears again, before it tells `up`, what it heard before its link was cut", async (stage, [a, b]) => {
    const [cut, restore] = [stage.ability("cut"), stage.ability("restore")];
    const topics = stage.manyTopics();
    await b.subscribe(...topics);
    const [kept, left, again] = [topics.slice(-20), topics.slice(0, 5), topics.slice(5, 10)];
    for (let round = 0; round < 3; round++) {
      const since = b.told.length;
      await cut(b);
      await b.untilTold("down", since);
      for (const topic of round === 0 ? left : []) await b.unsubscribe(topic);
      void b.begin(
        ...again.flatMap((topic): Call[] => [
          { call: "unsubscribe", topic },
          { call: "subscribe", topic },
        ]),
      );
      await b.catchUp();
      await restore(b);
      await b.untilTold("up", since);
      await Promise.all([...kept, ...left, ...again].map((topic) => a.publish(topic, say(`round ${round}`))));
      // What is accepted may still be on its way, and the next cut would take it.
      for (const topic of [...kept, ...again]) await stage.fence(topic, b);
    }
    await b.subscribe(...left);
    for (const topic of [...kept, ...left, ...again]) await stage.fence(topic, b);
    for (const topic of [...kept, ...again]) ensureSame("a topic", stage.heard(b, topic), ["round 0", "round 1", "round 2"]);
    for (const topic of left) ensureSame("a topic that was left while the link was down", stage.heard(b, topic), []);
  }),

  promise("subscribe waits for a link that is down, and is a barrier all the same", async (stage, [a, b]) => {
    const [cut, restore] = [stage.ability("cut"), stage.ability("restore")];
    const topic = stage.topic("subscribed while down");
    const since = b.told.length;
    await cut(b);
    await b.untilTold("down", since);
    let subscribed = false;
    const subscribing = quiet(b.subscribe(topic).then(() => void (subscribed = true)));
    await a.publish(topic, say("too early"));
    await b.catchUp();
    ensure(!subscribed, "subscribe resolved while the link was down");
    await restore(b);
    await subscribing;
    await a.publish(topic, say("behind the barrier"));
    await stage.fence(topic, b);
    ensureSame("the adapter", stage.heard(b, topic), ["behind the barrier"]);
  }),

  promise("delivers nothing twice, and in order, across a cut", async (stage, [a, b, c]) => {
    const [cut, restore] = [stage.ability("cut"), stage.ability("restore")];
    const topic = stage.topic("across a cut");
    await b.subscribe(topic);
    await c.subscribe(topic);
    const sent = numbers(300);
    const since = b.told.length;
    for (const [index, text] of sent.entries()) {
      if (index === 100) await cut(b);
      if (index === 200) {
        await b.untilTold("down", since);
        await restore(b);
        await b.untilTold("up", since);
      }
      await a.publish(topic, say(text));
    }
    await stage.fence(topic, b, c);
    ensureSame("an adapter whose link was not cut", stage.heard(c, topic), sent);
    const heard = stage.heard(b, topic);
    ensureSame("what came across the cut", heard, sortedOnce(heard));
    ensureSame(
      "what came after the link was back",
      heard.filter((text) => Number(text) >= 200),
      sent.slice(200),
    );
  }),

  promise("tells the truth about what it published while its link was cut", async (stage, [, b, c]) => {
    const [cut, restore] = [stage.ability("cut"), stage.ability("restore")];
    const topic = stage.topic("truth");
    await c.subscribe(topic);
    const outcomes: Promise<Outcome>[] = [];
    const since = b.told.length;
    for (const [index, text] of numbers(200).entries()) {
      if (index === 100) await cut(b);
      outcomes.push(...b.begin({ call: "publish", topic, messages: [say(text)] }));
      if (index % 10 === 0) await new Promise((resolve) => void setImmediate(resolve));
    }
    const ended = await b.inTime("what was published around a cut", Promise.all(outcomes));
    await b.untilTold("down", since);
    await restore(b);
    await b.untilTold("up", since);
    await stage.fence(topic, c);
    const heard = stage.heard(c, topic);
    ensureSame("what came of it", heard, sortedOnce(heard));
    for (const [index, outcome] of ended.entries()) {
      const came = heard.includes(String(index));
      if (outcome.ok) ensure(came, `publish number ${index} was accepted, and did not arrive`);
      else ensureRefused(`publish number ${index}`, outcome, came ? ["unknown_outcome"] : ["unavailable", "unknown_outcome"]);
    }
  }),
];

function sortedOnce(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort((one, other) => Number(one) - Number(other));
}

function ensureRefused(what: string, outcome: Outcome | undefined, codes: readonly string[]): void {
  ensure(outcome?.ok === false, `${what} was accepted; it should be refused with ${codes.join(" or ")}`);
  ensure(codes.includes(outcome.code), `${what} was refused with ${outcome.code} (${outcome.text}), not with ${codes.join(" or ")}`);
}
