// What every adapter promises about the moments from which, and until which, a topic is heard.
import { quiet } from "../base/promises.ts";
import { ensure, ensureSame } from "./check.ts";
import { accepted } from "./peer.ts";
import type { Call } from "./peer-host.ts";
import { settledUnsubscribe } from "./promises-order.ts";
import { type AdapterPromise, numbers, promise, promiseUnstarted, say } from "./stage.ts";

const ROUNDS = 200;

export const subscriptionPromises: readonly AdapterPromise[] = [
  promise("subscribe is a barrier: once it resolves, what another adapter publishes arrives", async (stage, [a, b]) => {
    const topics = numbers(ROUNDS).map((name) => stage.topic(name));
    for (const topic of topics) {
      await b.subscribe(topic);
      await a.publish(topic, say("behind the barrier"));
    }
    await b.until(`to hear all ${ROUNDS} topics`, () => topics.every((topic) => stage.heard(b, topic).length > 0));
    for (const topic of topics) ensureSame("one of the topics", stage.heard(b, topic), ["behind the barrier"]);
  }),

  promise("subscribe is a barrier on a topic that was heard before, too", async (stage, [a, b]) => {
    const topic = stage.topic("again and again");
    const sent = numbers(ROUNDS);
    for (const text of sent) {
      await b.subscribe(topic);
      await a.publish(topic, say(text));
      await b.until(`to hear number ${text}`, () => stage.heard(b, topic).includes(text));
      await b.unsubscribe(topic);
    }
    ensureSame("an adapter that subscribes again and again", stage.heard(b, topic), sent);
  }),

  promise("subscribe does not resolve before the bus knows of it", async (stage, [a, b]) => {
    const [hold, release] = [stage.ability("hold"), stage.ability("release")];
    const topic = stage.topic("held");
    await hold(b);
    let subscribed = false;
    const subscribing = quiet(b.subscribe(topic).then(() => void (subscribed = true)));
    await a.publish(topic, say("too early"));
    await b.catchUp();
    ensure(!subscribed, "subscribe resolved, and the bus has not heard of it");
    await release(b);
    await subscribing;
    await a.publish(topic, say("behind the barrier"));
    await stage.fence(topic, b);
    ensureSame("the adapter", stage.heard(b, topic), ["behind the barrier"]);
  }),

  promise("hands over nothing that is published after unsubscribe took effect", async (stage, [a, b]) => {
    const topic = stage.topic("left");
    for (const text of numbers(20)) {
      await b.subscribe(topic);
      await settledUnsubscribe(stage, b, topic);
      await a.publish(topic, say(text));
    }
    // Heard on the topic itself, behind everything that must not come.
    await b.subscribe(topic);
    await stage.fence(topic, b);
    ensureSame("an adapter that has unsubscribed", stage.heard(b, topic), []);
  }),

  promise("ends subscribed after unsubscribe and subscribe in one turn", async (stage, [a, b]) => {
    const topic = stage.topic("out and in");
    await b.subscribe(topic);
    for (const text of numbers(20)) {
      accepted(await b.turn({ call: "unsubscribe", topic }, { call: "subscribe", topic }));
      await a.publish(topic, say(text));
      // Or the next unsubscribe may meet it on its way.
      await stage.fence(topic, b);
    }
    await stage.fence(topic, b);
    ensureSame("the adapter", stage.heard(b, topic), numbers(20));
  }),

  promise("ends unsubscribed after subscribe and unsubscribe in one turn", async (stage, [a, b]) => {
    const topic = stage.topic("in and out");
    for (const text of numbers(20)) {
      // What becomes of the subscribe is not promised; what becomes of the subscription is.
      void b.begin({ call: "subscribe", topic }, { call: "unsubscribe", topic });
      await b.publish(stage.topic("behind it"), say("x"));
      await a.publish(topic, say(text));
    }
    await b.subscribe(topic);
    await stage.fence(topic, b);
    ensureSame("the adapter", stage.heard(b, topic), []);
  }),

  promise("delivers nothing twice to an adapter that has subscribed again", async (stage, [a, b]) => {
    const topic = stage.topic("subscribed again");
    for (let round = 0; round < 10; round++) {
      await b.subscribe(topic);
      await settledUnsubscribe(stage, b, topic);
      void b.begin({ call: "subscribe", topic }, { call: "unsubscribe", topic });
      await b.subscribe(topic);
      await b.unsubscribe(topic);
    }
    await b.subscribe(topic);
    for (const text of numbers(20)) await a.publish(topic, say(text));
    await stage.fence(topic, b);
    ensureSame("the adapter", stage.heard(b, topic), numbers(20));
  }),

  promiseUnstarted("tells `up` only when the subscriptions made before are in force", async (stage, [a, b, c]) => {
    const topics = stage.manyTopics();
    await a.start();
    await c.start();
    void b.begin({ call: "start" }, ...topics.map((topic): Call => ({ call: "subscribe", topic })));
    await b.untilTold("up");
    const probes = [...topics.slice(-10), ...topics.slice(0, 10)];
    await Promise.all(probes.map((topic) => a.publish(topic, say("up"))));
    for (const topic of probes) await stage.fence(topic, b);
    for (const topic of probes) ensureSame("a topic that was subscribed to before `up`", stage.heard(b, topic), ["up"]);
  }),
];
