// A process without members of a group receives none of its messages: seen on its link, byte by byte, and asked of the broker.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bus, buses, type Node } from "./cluster/buses.ts";
import type { Client } from "./client.ts";
import { until } from "./workers-harness.ts";

const MESSAGES = 1_000;

describe.each(await buses("messages for members only", ["hub", "Redis", "Valkey", "NATS"]))("over $kind", ({ missing, start }) => {
  let bus: Bus;
  let nodes: Node[];
  let speaker: Client;

  beforeAll(async () => {
    if (missing) return;
    bus = await start();
    nodes = await Promise.all([bus.node({}), bus.node({}), bus.node({})]);
    speaker = await (nodes[0] as Node).open();
  });
  afterAll(() => bus?.stop());

  /** How many of these messages each node was sent by the broker. */
  const received = (needle: string): number[] => nodes.map((node) => bus.wireOf(node).countToNode(needle));

  /** Publishes, and resolves when this member has all of it. */
  async function speak(group_id: string, needle: string, listener: Client): Promise<void> {
    for (let number = 0; number < MESSAGES; number++) {
      speaker.send(JSON.stringify({ cmd: "send_to_group", group_id, message: `${needle} ${number}` }));
      if (number % 100 === 99) await speaker.ask({ cmd: "send_to_group", group_id, message: "and a turn ends" });
    }
    await listener.until((text) => text === `${needle} ${MESSAGES - 1}`);
  }

  it.skipIf(missing)("only nodes with a member are sent anything, and only while they have one", async () => {
    const [member, idler] = [await (nodes[1] as Node).open(), await (nodes[2] as Node).open()];
    await member.ask({ cmd: "add_group", group_id: "routed" });
    await idler.ask({ cmd: "add_group", group_id: "another" });
    await speak("routed", "first-needle", member);
    // The node that publishes has no member either.
    expect(received("first-needle")).toEqual([0, MESSAGES, 0]);
    expect(await bus.listeners("routed")).toBe(1);

    await idler.ask({ cmd: "add_group", group_id: "routed" });
    await speak("routed", "second-needle", member);
    await idler.until((text) => text === `second-needle ${MESSAGES - 1}`);
    expect(received("second-needle")).toEqual([0, MESSAGES, MESSAGES]);
    expect(await bus.listeners("routed")).toBe(2);

    await idler.ask({ cmd: "leave_group", group_id: "routed" });
    await until("the broker knows that it has left", async () => (await bus.listeners("routed")) === 1);
    await speak("routed", "third-needle", member);
    expect(received("third-needle")).toEqual([0, MESSAGES, 0]);

    await member.close();
    await until("the broker knows that nobody is left", async () => (await bus.listeners("routed")) === 0);
    await idler.ask({ cmd: "add_group", group_id: "at the end" });
    await speaker.ask({ cmd: "send_to_group", group_id: "routed", message: "fourth-needle" });
    await speaker.ask({ cmd: "send_to_group", group_id: "at the end", message: "the end" });
    await idler.until((text) => text === "the end");
    expect(received("fourth-needle")).toEqual([0, 0, 0]);
    await Promise.all([idler, speaker].map((client) => client.close()));
  });
});
