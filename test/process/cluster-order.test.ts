// Every member of a group, on every node, sees one order of its messages, over every channel.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bus, buses, type Node } from "./cluster/buses.ts";
import type { Client } from "./client.ts";
import { until } from "./workers-harness.ts";

const EACH = 50_000;
const MEMBERS = 2;
/** A publisher is so far ahead of the slowest member at most: nobody is closed for being slow. */
const AHEAD = 2_000;
const BURST = 100;

describe.each(await buses("one order", ["memory", "hub", "Redis", "Redis Cluster", "NATS"]))("over $kind", ({ missing, start }) => {
  let bus: Bus;
  let nodes: Node[];

  beforeAll(async () => {
    if (missing) return;
    bus = await start();
    nodes = await Promise.all([bus.node(), bus.node()]);
  });
  afterAll(() => bus?.stop());

  it.skipIf(missing)(`two publishers on two nodes, ${2 * EACH} messages: all members see the identical sequence`, async () => {
    const members = await Promise.all(nodes.flatMap((node) => Array.from({ length: MEMBERS }, () => Member.join(node))));
    const publishers = await Promise.all(nodes.map((node) => node.open()));
    await Promise.all(publishers.map((publisher, index) => publish(publisher, index, members)));
    await until("everything has come", () => members.every(({ length }) => length === 2 * EACH));

    const [first] = members as [Member];
    for (const member of members) expect(member.isLike(first)).toBe(true);
    const sequence = [...first.sequence];
    for (const publisher of publishers.keys()) {
      const own = sequence.filter((number) => Math.floor(number / EACH) === publisher);
      expect(own).toEqual(Array.from({ length: EACH }, (_, index) => publisher * EACH + index));
    }
    // Were one publisher done before the other began, this would show nothing.
    const turns = sequence.filter((number, index) => index > 0 && number >= EACH !== (sequence[index - 1] ?? 0) >= EACH).length;
    expect(turns).toBeGreaterThan(50);
  });
});

class Member {
  readonly sequence = new Int32Array(2 * EACH);
  /** How many have come of each publisher. */
  readonly came = [0, 0];
  length = 0;

  static async join(node: Node): Promise<Member> {
    const member = new Member();
    const client = await node.open();
    expect(await client.ask({ cmd: "add_group", group_id: "room" })).toMatchObject({ ok: true });
    client.socket.removeAllListeners("message"); // a client keeps what it gets
    client.socket.on("message", (data: Buffer) => member.#take(Number(data.toString())));
    return member;
  }

  isLike(other: Member): boolean {
    return this.length === other.length && Buffer.compare(Buffer.from(this.sequence.buffer), Buffer.from(other.sequence.buffer)) === 0;
  }

  #take(number: number): void {
    this.sequence[this.length++] = number;
    const publisher = number < EACH ? 0 : 1;
    this.came[publisher] = (this.came[publisher] ?? 0) + 1;
  }
}

async function publish(client: Client, publisher: number, members: readonly Member[]): Promise<void> {
  for (let sent = 0; sent < EACH; sent += BURST) {
    await until("the members keep up", () => members.every(({ came }) => sent - (came[publisher] ?? 0) < AHEAD));
    for (let number = sent; number < sent + BURST; number++) {
      client.send(`{"cmd":"send_to_group","group_id":"room","message":"${publisher * EACH + number}"}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
