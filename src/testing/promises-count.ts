// What an adapter that can count promises about its sums.
import { ensure } from "./check.ts";
import type { Peer } from "./peer.ts";
import { type AdapterPromise, promise } from "./stage.ts";

export const countPromises: readonly AdapterPromise[] = [
  promise("counts what all adapters report, its own included", async (stage, [a, b, c]) => {
    const [topic, other] = [stage.topic("counted"), stage.topic("counted, too")];
    await expectCount(a, topic, 0);
    await reportSettled(a, topic, 3);
    await reportSettled(b, topic, 4);
    await reportSettled(b, other, 100);
    for (const peer of [a, b, c]) await expectCount(peer, topic, 7);
    for (const peer of [a, b, c]) await expectCount(peer, other, 100);
  }),

  promise("replaces what an adapter reported before", async (stage, [a, b, c]) => {
    const topic = stage.topic("replaced");
    await reportSettled(a, topic, 1);
    for (const members of [5, 2, 0, 9, 8]) {
      await reportSettled(b, topic, members);
      for (const peer of [a, b, c]) await expectCount(peer, topic, 1 + members);
    }
    await reportSettled(b, topic, 0);
    await reportSettled(a, topic, 0);
    await expectCount(c, topic, 0);
  }),

  promise("drops from its sums what a stopped adapter had reported", async (stage, [a, b, c]) => {
    const topic = stage.topic("stopped");
    await reportSettled(a, topic, 3);
    await reportSettled(b, topic, 4);
    await expectCount(c, topic, 7);
    await b.stop();
    await c.untilCount(topic, 3);
    await expectCount(a, topic, 3);
  }),

  promise("drops from its sums what the adapter of a killed process had reported", async (stage, [a, b, c]) => {
    const kill = stage.ability("kill");
    const topic = stage.topic("killed");
    await reportSettled(a, topic, 3);
    await reportSettled(b, topic, 4);
    await expectCount(c, topic, 7);
    await kill(b);
    await c.untilCount(topic, 3);
    await expectCount(a, topic, 3);
  }),

  promise(
    "drops from its sums what an adapter without a link had reported, and counts it again when the link is back",
    async (stage, [a, b, c]) => {
      const [cut, restore] = [stage.ability("cut"), stage.ability("restore")];
      const [topic, changed] = [stage.topic("cut off"), stage.topic("changed meanwhile")];
      await reportSettled(a, topic, 3);
      await reportSettled(b, topic, 4);
      await reportSettled(b, changed, 1);
      await expectCount(c, topic, 7);
      const since = b.told.length;
      await cut(b);
      await c.untilCount(topic, 3);
      await b.untilTold("down", since);
      await b.report(changed, 2);
      await restore(b);
      await b.untilTold("up", since);
      // `up` says that reports are in force again, as subscriptions are.
      await expectCount(c, topic, 7);
      await expectCount(b, topic, 7);
      await expectCount(c, changed, 2);
    },
  ),
];

/** Reports, and waits until the bus knows: calls take effect in order, so a count that was answered comes behind the report. */
async function reportSettled(peer: Peer, topic: string, members: number): Promise<void> {
  await peer.report(topic, members);
  await peer.count(topic);
}

async function expectCount(peer: Peer, topic: string, expected: number): Promise<void> {
  const counted = await peer.count(topic);
  ensure(counted === expected, `count gives ${counted}, not ${expected}`);
}
