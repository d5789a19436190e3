// What every adapter promises about order, and about what the publisher is told.
import { quiet } from "../base/promises.ts";
import { ensure, ensureSame } from "./check.ts";
import { accepted, type Peer } from "./peer.ts";
import type { Call } from "./peer-host.ts";
import { type AdapterPromise, numbers, promise, say, type Stage } from "./stage.ts";

/** Sizes on both sides of every length field of a frame and of a socket's buffers. */
const SIZES = [0, 1, 125, 126, 4_096, 0, 65_535, 65_536, 10] as const;
const TURN_CALLS = 20;

export const orderPromises: readonly AdapterPromise[] = [
  promise("delivers what one adapter publishes in the order of its calls", async (stage, [a, b, c]) => {
    const topic = stage.topic("in order");
    const sent = numbers(300).map((text, index) => text.padEnd(SIZES[index % SIZES.length] ?? 0, "."));
    await a.subscribe(topic);
    await b.subscribe(topic);
    await publishInTurns(a, topic, sent);
    await stage.fence(topic, a, b);
    ensureSame("the publisher", stage.heard(a, topic), sent);
    ensureSame("another adapter", stage.heard(b, topic), sent);
    ensure(c.records(topic).length === 0, "an adapter without a subscription heard them, too");
  }),

  promise("shows every adapter one order of a topic that several publish to at once", async (stage, [a, b, c]) => {
    const topic = stage.topic("one order");
    const [fromA, fromB] = [numbers(200, "a"), numbers(200, "b")];
    for (const peer of [a, b, c]) await peer.subscribe(topic);
    await Promise.all([publishInTurns(a, topic, fromA), publishInTurns(b, topic, fromB)]);
    await stage.fence(topic, a, b, c);
    const [heardA, heardB, heardC] = [stage.heard(a, topic), stage.heard(b, topic), stage.heard(c, topic)];
    ensureSame(
      "one publisher's own",
      heardC.filter((text) => text.startsWith("a")),
      fromA,
    );
    ensureSame(
      "the other publisher's own",
      heardC.filter((text) => text.startsWith("b")),
      fromB,
    );
    ensureSame("the first publisher, beside a third adapter", heardA, heardC);
    ensureSame("the second publisher, beside a third adapter", heardB, heardC);
  }),

  promise("keeps one order when an adapter publishes while it is handed a record", async (stage, [a, b, c]) => {
    const topic = stage.topic("answers");
    for (const peer of [a, b, c]) await peer.subscribe(topic);
    for (const text of numbers(20, "question ")) {
      const answers = [a, b].map((peer, index) =>
        quiet(peer.turn({ call: "publishWithin", topic, messages: [say(`${text} answered by ${index}`)] })),
      );
      await Promise.all([a.catchUp(), b.catchUp()]);
      await c.publish(topic, say(text));
      for (const answer of answers) accepted(await answer);
    }
    await stage.fence(topic, a, b, c);
    ensure(stage.heard(c, topic).length === 60, `${stage.heard(c, topic).length} messages came, 60 were sent`);
    ensureSame("the first that answers, beside the one that asks", stage.heard(a, topic), stage.heard(c, topic));
    ensureSame("the second that answers, beside the one that asks", stage.heard(b, topic), stage.heard(c, topic));
  }),

  promise("accepts a record before it says so: what is published after that comes behind it", async (stage, [a, b, c]) => {
    const topic = stage.topic("accepted");
    await c.subscribe(topic);
    await a.subscribe(topic);
    const sent = numbers(100);
    for (const [index, text] of sent.entries()) await (index % 2 === 0 ? a : b).publish(topic, say(text));
    await stage.fence(topic, a, c);
    ensureSame("an adapter that publishes", stage.heard(a, topic), sent);
    ensureSame("an adapter that listens", stage.heard(c, topic), sent);
  }),

  promise("tells the number of receivers rightly, where it tells it", async (stage, [a, b, c]) => {
    const topic = stage.topic("receivers");
    const expectReceivers = async (publisher: Peer, expected: number): Promise<void> => {
      const { receivers } = await publisher.publish(topic, say("x"));
      ensure(receivers === undefined || receivers === expected, `${receivers} receivers were told, ${expected} are subscribed`);
    };
    await expectReceivers(a, 0);
    for (const [index, peer] of [a, b, c].entries()) {
      await peer.subscribe(topic);
      await expectReceivers(a, index + 1);
    }
    await stage.fence(topic, a, b, c);
    await settledUnsubscribe(stage, b, topic);
    await expectReceivers(a, 2);
  }),
];

/** Publishes every text as a record of its own, many in a turn, without waiting for one before the next. */
async function publishInTurns(publisher: Peer, topic: string, texts: readonly string[]): Promise<void> {
  const turns: Promise<unknown>[] = [];
  for (let at = 0; at < texts.length; at += TURN_CALLS) {
    const calls = texts.slice(at, at + TURN_CALLS).map((text): Call => ({ call: "publish", topic, messages: [say(text)] }));
    turns.push(quiet(publisher.turn(...calls).then(accepted)));
    // Lets others publish in between.
    await new Promise((resolve) => void setImmediate(resolve));
  }
  await Promise.all(turns);
}

/** Unsubscribes, and waits until that has taken effect: calls do so in order, and the publish behind it was accepted. */
export async function settledUnsubscribe(stage: Stage, peer: Peer, topic: string): Promise<void> {
  await peer.unsubscribe(topic);
  await peer.publish(stage.topic("after unsubscribe"), say("x"));
}
