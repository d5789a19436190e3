// Once a join has resolved on one node, nothing that is published on another one is missed, over every channel.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "./client.ts";
import { type Bus, buses, type Node } from "./cluster/buses.ts";

const ROUNDS = 10_000;
/** Of them at the same time. */
const LANES = 40;
/** A message that has not come by then is missed. */
const PATIENCE_MS = 5_000;

describe.each(await buses("a join is a barrier", ["memory", "hub", "Redis", "Redis Cluster", "NATS"]))(
  "over $kind",
  ({ missing, start }) => {
    let bus: Bus;
    let nodes: Node[];

    beforeAll(async () => {
      if (missing) return;
      bus = await start();
      // What one of them says to the broker takes its time: a join that does not wait for the broker's word is overtaken.
      nodes = await Promise.all([bus.node({ lagMs: 3 }), bus.node()]);
    });
    afterAll(() => bus?.stop());

    it.skipIf(missing)(`a join on one node and then a publish on the other, ${ROUNDS} times: none is missed`, async () => {
      let next = 0;
      const missed: number[] = [];
      await Promise.all(
        Array.from({ length: LANES }, async () => {
          const clients = await Promise.all(nodes.map((node) => node.open()));
          while (next < ROUNDS && missed.length < LANES) {
            const round = next++;
            const [joiner, publisher] = round % 4 === 3 ? clients.toReversed() : clients;
            if (!(await meet(joiner as Client, publisher as Client, round))) missed.push(round);
          }
          await Promise.all(clients.map((client) => client.close()));
        }),
      );
      expect(missed).toEqual([]);
      expect(next).toBe(ROUNDS);
    });
  },
);

/** False: the message did not come. */
async function meet(joiner: Client, publisher: Client, round: number): Promise<boolean> {
  const group_id = `room ${round}`;
  const message = `message ${round}`;
  joiner.got.length = 0;
  expect(await joiner.ask({ cmd: "add_group", group_id })).toMatchObject({ ok: true });
  publisher.send(JSON.stringify({ cmd: "send_to_group", group_id, message }));
  const came = await within(
    PATIENCE_MS,
    joiner.until((text) => text === message),
  );
  joiner.send(JSON.stringify({ cmd: "leave_group", group_id }));
  return came;
}

async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => void (timer = setTimeout(() => resolve(false), ms)));
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
