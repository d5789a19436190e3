// What an adapter that can leave a will promises: what the others hear when the bus loses it without a word.
import { ensure, ensureSame } from "./check.ts";
import { accepted, type Peer } from "./peer.ts";
import type { Call } from "./peer-host.ts";
import { type AdapterPromise, message, numbers, promise, say, type Stage } from "./stage.ts";

/** More than any will needs: it is a word of one process to the others. */
const TOO_LARGE_BYTES = 1024 * 1024;

export const willPromises: readonly AdapterPromise[] = [
  promise("publishes the will of an adapter whose process was killed, once, to those who hear its topic", async (stage, [a, b, c]) => {
    const kill = stage.ability("kill");
    const [topic, other] = [stage.topic("will"), stage.topic("of no concern")];
    await c.subscribe(topic);
    await a.subscribe(other);
    await willSettled(stage, b, topic, "killed");
    await kill(b);
    await untilHeard(stage, c, topic, "killed");
    await stage.fence(topic, c);
    await c.publish(other, say("behind it"));
    await untilHeard(stage, a, other, "behind it");
    ensureSame("an adapter that hears the topic", stage.heard(c, topic), ["killed"]);
    const told = a.records(topic).length;
    ensure(told === 0, `an adapter that does not hear the topic was handed ${told} records`);
  }),

  promise("publishes a will behind everything that its adapter has published", async (stage, [, b, c]) => {
    const kill = stage.ability("kill");
    const topic = stage.topic("behind");
    await c.subscribe(topic);
    await b.will(topic, say("the last"));
    const calls = numbers(200).map((text): Call => ({ call: "publish", topic, messages: [say(text)] }));
    accepted(await b.turn(...calls.slice(0, 100)));
    void b.begin(...calls.slice(100));
    await kill(b);
    await untilHeard(stage, c, topic, "the last");
    await stage.fence(topic, c);
    const heard = stage.heard(c, topic);
    // The second hundred is cut off wherever the process was.
    ensure(heard.length > 100, `${heard.length} messages came; 100 were accepted before the process was killed`);
    ensureSame("what came of the adapter", heard, [...numbers(heard.length - 1), "the last"]);
  }),

  promise(
    "publishes the will of an adapter whose link was cut, and has it in force again before it tells `up`",
    async (stage, [a, b, c]) => {
      const [cut, restore] = [stage.ability("cut"), stage.ability("restore")];
      const topic = stage.topic("cut");
      for (const peer of [a, c]) await peer.subscribe(topic);
      await willSettled(stage, b, topic, "cut");
      const rounds = numbers(3);
      for (const round of rounds) {
        const since = b.told.length;
        await cut(b);
        for (const peer of [a, c]) await untilHeard(stage, peer, topic, "cut", Number(round) + 1);
        await b.untilTold("down", since);
        await restore(b);
        await b.untilTold("up", since);
      }
      await stage.fence(topic, a, c);
      const wills = rounds.map(() => "cut");
      for (const peer of [a, c]) ensureSame("an adapter that hears the topic", stage.heard(peer, topic), wills);
    },
  ),

  promise("publishes no will of an adapter that was stopped", async (stage, [a, b, c]) => {
    const [topic, own] = [stage.topic("stopped"), stage.topic("its own")];
    await c.subscribe(topic);
    await b.subscribe(own);
    await willSettled(stage, b, topic, "stopped");
    await b.end();
    await a.untilReceivers(own, 0); // the bus knows that it is gone
    await stage.fence(topic, c);
    ensureSame("an adapter that hears the topic", stage.heard(c, topic), []);
  }),

  promise("publishes the last of several wills, also if it was told while the link was cut", async (stage, [, b, c]) => {
    const [cut, restore, kill] = [stage.ability("cut"), stage.ability("restore"), stage.ability("kill")];
    const [topic, moved] = [stage.topic("replaced"), stage.topic("moved")];
    await c.subscribe(topic, moved);
    await b.will(topic, say("first"));
    await willSettled(stage, b, topic, "second");
    const since = b.told.length;
    await cut(b);
    await untilHeard(stage, c, topic, "second");
    await b.untilTold("down", since);
    await b.will(topic, say("third"));
    await b.will(moved, say("fourth"));
    await restore(b);
    await b.untilTold("up", since);
    await kill(b);
    await untilHeard(stage, c, moved, "fourth");
    await stage.fence(topic, c);
    await stage.fence(moved, c);
    ensureSame("the first topic", stage.heard(c, topic), ["second"]);
    ensureSame("the topic of the last will", stage.heard(c, moved), ["fourth"]);
  }),

  promise("publishes no will that was withdrawn", async (stage, [a, b, c]) => {
    const kill = stage.ability("kill");
    const [topic, own] = [stage.topic("withdrawn"), stage.topic("its own")];
    await c.subscribe(topic);
    await b.subscribe(own);
    await willSettled(stage, b, topic, "withdrawn");
    await b.will(topic);
    await b.publish(stage.topic("behind a will"), say("x"));
    await kill(b);
    await a.untilReceivers(own, 0); // the bus knows that it is gone
    await stage.fence(topic, c);
    ensureSame("an adapter that hears the topic", stage.heard(c, topic), []);
  }),

  promise("refuses a will that is far too large, with `too_large`, and keeps the last one", async (stage, [, b, c]) => {
    const kill = stage.ability("kill");
    const topic = stage.topic("too large");
    await c.subscribe(topic);
    await b.will(topic, say("small"));
    const messages = [message("bytes", new Uint8Array(TOO_LARGE_BYTES))];
    const [outcome] = await b.turn({ call: "will", topic, messages });
    ensure(outcome?.ok === false && outcome.code === "too_large", "a will of a megabyte was not refused with too_large");
    await b.publish(stage.topic("behind a will"), say("x"));
    await kill(b);
    await untilHeard(stage, c, topic, "small");
  }),
];

/** Tells a will, and waits until the bus knows: calls take effect in order, and the publish behind it was accepted. */
async function willSettled(stage: Stage, peer: Peer, topic: string, text: string): Promise<void> {
  await peer.will(topic, say(text));
  await peer.publish(stage.topic("behind a will"), say("x"));
}

function untilHeard(stage: Stage, peer: Peer, topic: string, text: string, times = 1): Promise<void> {
  return peer.until(`to hear "${text}"`, () => stage.heard(peer, topic).filter((one) => one === text).length >= times);
}
