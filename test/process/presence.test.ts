// Who is where, over the hub and over brokers, with processes that are stopped and killed.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { MembersPage, UsersPage } from "../../dist/index.js";
import { type Broker, brokers, startNats, startRedis } from "./brokers/index.ts";
import { folder, kill, later, serve, start } from "./hub/rig.ts";
import { fixture, until } from "./workers-harness.ts";

/** What is promised, and room for a machine that has much else to do, ms. */
const GRACEFUL_MS = 1_000;
const CRASH_MS = 10_000;
const LATE_MS = 4_000;

/** Where a hub is, or the URL of a broker. */
type At = object | string;

class Node {
  readonly child: ChildProcess;
  readonly name: string;
  node = "";
  #lastCall = 0;
  readonly #calls = new Map<number, (outcome: unknown) => void>();

  private constructor(at: At, name: string, presence: string) {
    this.name = name;
    this.child = fork(
      fixture("presence-node.mjs"),
      [at, name, presence].map((one) => JSON.stringify(one)),
      { execArgv: [] },
    );
    later(() => kill(this.child));
  }

  static async start(at: At, name: string, presence: "asked" | "always" = "asked"): Promise<Node> {
    const node = new Node(at, name, presence);
    const [first] = (await once(node.child, "message")) as [{ node: string }];
    node.node = first.node;
    node.child.on("message", ({ call, value, code }: { call: number; value?: unknown; code?: string }) => {
      node.#calls.get(call)?.(value ?? code);
      node.#calls.delete(call);
    });
    return node;
  }

  /** What a call comes to: its outcome, or the code of its error. */
  call<T>(on: "groups" | "pool" | "own", method: string, ...args: unknown[]): Promise<T> {
    const call = ++this.#lastCall;
    this.child.send({ call, on, method, args });
    return new Promise((resolve) => void this.#calls.set(call, resolve as (outcome: unknown) => void));
  }

  count(group: string): Promise<number | string> {
    return this.call("groups", "count", group);
  }

  /** Resolves with how long it took until it has counted so many, ms. */
  async untilCounts(members: number, group = "room"): Promise<number> {
    const askedAt = performance.now();
    await until(`${this.name} counts ${members}`, async () => (await this.count(group)) === members);
    return performance.now() - askedAt;
  }
}

/** Three processes, each with 200 members of `room`; the first has been asked. */
async function cluster(at: At): Promise<[Node, Node, Node]> {
  const nodes = await Promise.all([Node.start(at, "a"), Node.start(at, "b"), Node.start(at, "c")] as const);
  await Promise.all(nodes.map((node) => node.call("own", "up")));
  await Promise.all(nodes.map((node) => node.call("own", "connect", 200, "room", `user of ${node.name}`)));
  await nodes[0].untilCounts(600);
  return nodes;
}

/** All figures that a process counts until `over`. */
async function figures(node: Node, over: () => boolean): Promise<unknown[]> {
  const told = new Set<unknown>();
  while (!over()) told.add(await node.count("room"));
  return [...told];
}

const channels: { kind: string; missing: boolean; open: () => Promise<At> }[] = [
  { kind: "the hub", missing: false, open: async () => (await serve()).at },
  { kind: "Redis", ...(await brokers.redis("who is where, over Redis", { own: true })), open: () => own(startRedis({ own: true })) },
  { kind: "NATS", ...(await brokers.nats("who is where, over NATS", { own: true })), open: () => own(startNats({ own: true })) },
];

/** A broker for one test. */
async function own(starting: Promise<Broker>): Promise<string> {
  const broker = await starting;
  later(() => broker.stop());
  return broker.url;
}

describe.each(channels)("over $kind", ({ kind, missing, open }) => {
  beforeEach(({ skip }) => skip(missing));

  it("a process that has never been asked knows everybody at its first answer, and every join and leave within a second", async () => {
    const at = await open();
    const [a, b, c] = await cluster(at);
    expect(await b.count("room")).toBe(600); // its first
    const changes: [() => Promise<unknown>, number][] = [
      [() => c.call("own", "connect", 1_000, "room"), 1_600],
      [() => a.call("own", "hangUp", 100), 1_500],
      [() => c.call("own", "hangUp", 500), 1_000],
    ];
    for (const [change, members] of changes) {
      await change();
      for (const node of [a, b, c]) expect(await node.untilCounts(members)).toBeLessThan(GRACEFUL_MS + LATE_MS);
    }
    const seen = new Set<string>();
    let cursor: string | null = null;
    for (let turn = 0; ; turn++) {
      // Each page from another process.
      const page: MembersPage = await ([a, b, c][turn % 3] ?? a).call("groups", "members", "room", { limit: 150, cursor });
      expect([page.count, page.partial]).toEqual([1_000, undefined]);
      for (const { id } of page.members) seen.add(id);
      ({ cursor } = page);
      if (cursor === null) break;
    }
    expect(seen.size).toBe(1_000);
    const { users } = await b.call<UsersPage>("groups", "users", "room");
    expect(users).toEqual([
      { user: "user of a", connections: 100 },
      { user: "user of b", connections: 200 },
    ]);
    expect(await a.call("pool", "isUserOnline", "default", "user of b")).toBe(true);
    expect(await a.call("pool", "isOnline", "default", "b-7")).toBe(true);
  });

  it("the members of a process that was killed go together, and are no ghosts when it is there again", async () => {
    const at = await open();
    const [a, b, c] = await cluster(at);
    let isOver = false;
    const told = figures(a, () => isOver);
    await kill(b.child);
    // Only the hub knows at once.
    expect(await a.untilCounts(400)).toBeLessThan((kind === "the hub" ? GRACEFUL_MS : CRASH_MS) + LATE_MS);
    isOver = true;
    expect(new Set([600, 400, ...(await told)])).toEqual(new Set([600, 400]));
    expect(await c.untilCounts(400)).toBeLessThan(GRACEFUL_MS + LATE_MS);
    const again = await Node.start(at, "b");
    await again.call("own", "up");
    expect(await again.untilCounts(400)).toBeLessThan(GRACEFUL_MS + LATE_MS);
    await again.call("own", "connect", 10, "room");
    for (const node of [a, c, again]) await node.untilCounts(410);
  });

  it("a process that hangs is counted until it counts as dead, and comes back; it buries nobody who went on", async () => {
    const at = await open();
    const [a, b, c] = await cluster(at);
    await b.untilCounts(600); // it keeps an index, too
    b.child.kill("SIGSTOP");
    later(() => b.child.kill("SIGCONT"));
    const dropped = await a.untilCounts(400);
    expect(dropped).toBeLessThan(CRASH_MS + LATE_MS);
    await c.call("own", "connect", 5, "room");
    await a.untilCounts(405);
    let isOver = false;
    b.child.kill("SIGCONT");
    const told = figures(b, () => isOver);
    expect(await a.untilCounts(605)).toBeLessThan(GRACEFUL_MS + LATE_MS);
    await b.untilCounts(605);
    isOver = true;
    // Its own link may have missed the hub, too.
    expect(new Set([600, 605, "unavailable", ...(await told)])).toEqual(new Set([600, 605, "unavailable"]));
  });
});

describe("over the hub", () => {
  it("nobody is lost with it, and what has changed meanwhile is there soon after it", async () => {
    const path = join(folder(), "hub.sock");
    const hub = await start("server.mjs", `unix:${path}`);
    const [a, b, c] = await cluster({ path });
    for (const node of [b, c]) await node.untilCounts(600); // a first answer may be partial
    await kill(hub.child);
    await until("the hub is missed", async () => (await a.count("room")) === "unavailable");
    await b.call("own", "hangUp", 50);
    await start("server.mjs", `unix:${path}`);
    const told: unknown[] = [];
    await until("all are up again", async () => {
      const counts = await Promise.all([a, b, c].map((node) => node.count("room")));
      told.push(...counts);
      return counts.every((members) => members === 550);
    });
    expect(new Set(["unavailable", 600, 550, ...told])).toEqual(new Set(["unavailable", 600, 550]));
  });
});
