import { describe, expect, it } from "vitest";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { type News, toMessage, type Word } from "../../../src/presence/words.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { stateOf } from "../fakes.ts";
import { type Node, World } from "./world.ts";

/** Three processes with members of x; the first keeps an index. */
async function three(options: ConstructorParameters<typeof World>[0] = {}): Promise<{ world: World; a: Node; b: Node; c: Node }> {
  const world = new World({ delayMs: 5, ...options });
  const [a, b, c] = [world.node("a"), world.node("b"), world.node("c")];
  await world.pass(100);
  for (const node of [a, b, c]) node.connect("x");
  await world.wait(a.groups.count("x"));
  return { world, a, b, c };
}

/** What `groups.count` says now, or the code that it rejects with. */
const count = (world: World, node: Node, name = "x"): Promise<number | string> =>
  world.wait(node.groups.count(name).catch((error: { code: string }) => error.code));

/** The count as it goes, every 10 ms, each figure once. */
async function figures(world: World, node: Node, ms: number): Promise<(number | string)[]> {
  const told: (number | string)[] = [];
  for (let passed = 0; passed < ms; passed += 10) {
    const now = await count(world, node);
    if (told.at(-1) !== now) told.push(now);
    await world.pass(10);
  }
  return told;
}

describe("a process that nobody asks", () => {
  it("says that it is there, and no more, whatever happens in it", async () => {
    const world = new World({ delayMs: 5 });
    const nodes = [world.node("a"), world.node("b")];
    await world.pass(100);
    for (const node of nodes) {
      for (let index = 0; index < 100; index++) {
        const connection = node.connect("x", "y");
        connection.user = "ann";
        if (index % 2 === 0) node.disconnect(connection);
      }
    }
    await world.pass(20_000);
    expect(world.bus.said.map(({ from, what }) => `${from} ${what}`)).toEqual(["a presence hello", "b presence hello"]);
    expect(world.clock.timers).toBe(0);
  });

  it("keeps nothing of the others while one of them asks", async () => {
    const { world, b } = await three();
    expect(world.said("replies", "b")).toBeGreaterThan(0);
    await world.pass(5_000);
    expect(world.said("replies want", "b")).toBe(0);
    expect(b.adapter.hears("c")).toBe(false);
  });
});

describe("an index", () => {
  it("shows who is where, in every process that asks", async () => {
    const { world, a, b, c } = await three();
    a.connect("y");
    b.connect("y");
    await world.pass(100);
    expect(world.truth).toEqual({ x: ["a-1", "b-1", "c-1"], y: ["a-2", "b-2"] });
    for (const node of [a, b, c]) expect(await world.belief(node)).toEqual(world.truth);
  });

  it("follows joins, leaves, moves and ends, within a fraction of a second", async () => {
    const { world, a, b, c } = await three();
    const [first] = b.pool.connections();
    if (first === undefined) throw new Error("nobody");
    const changes: (() => void)[] = [
      () => void first.join("y"),
      () => void first.leave("x"),
      () => void first.setGroup("z"),
      () => void first.setGroup("x"),
      () => void c.connect("y", "z"),
      () => b.disconnect(first),
    ];
    for (const change of changes) {
      change();
      await world.pass(200);
      expect(await world.belief(a)).toEqual(world.truth);
    }
    expect(world.said("replies want", "a")).toBe(2); // of each of the two, once
  });

  it("is kept from the start if that is wished", async () => {
    const world = new World({ delayMs: 5 });
    const b = world.node("b");
    await world.pass(100);
    b.connect("x");
    const a = world.node("a", { presence: "always" });
    await world.pass(200);
    const before = world.bus.said.length;
    expect(await a.groups.count("x")).toBe(1);
    expect(world.bus.said.length).toBe(before);
  });

  it("is asked for once, however many ask at a time", async () => {
    const world = new World({ delayMs: 5 });
    const [a] = [world.node("a"), world.node("b")];
    await world.pass(100);
    const all = Promise.all([a.groups.count("x"), a.groups.names(), a.pool.isOnline("default", "b-1"), a.groups.count("y")]);
    await world.wait(all);
    expect([world.said("presence want", "a"), world.said("replies want", "a")]).toEqual([1, 1]);
  });

  it("costs a process that is alone no time", async () => {
    const world = new World();
    const { groups } = world.node("a");
    await world.pass();
    const count = groups.count("x");
    await world.pass();
    expect(await stateOf(count)).toBe("done");
  });
});

describe("what a process tells", () => {
  it("goes at the end of the turn, and while much changes no more often than every 50 ms", async () => {
    const { world, a, b } = await three({ delayMs: 0 });
    await world.pass(100);
    const before = world.said("changes rows", "b");
    b.connect("x");
    await world.pass();
    expect([world.said("changes rows", "b") - before, await count(world, a)]).toEqual([1, 4]);
    for (let ms = 0; ms < 1_000; ms += 5) {
      b.connect("x");
      await world.pass(5);
    }
    await world.pass(50);
    const records = world.said("changes rows", "b") - before;
    expect(records).toBeGreaterThanOrEqual(19);
    expect(records).toBeLessThanOrEqual(22);
    expect(await count(world, a)).toBe(204);
  });

  it("leaves out what came to nothing", async () => {
    const { world, a, b } = await three();
    await world.pass(100);
    const before = world.said("changes rows");
    const [first] = b.pool.connections();
    void first?.join("y");
    first?.leave("y");
    first?.leave("x");
    void first?.join("x");
    b.disconnect(b.connect("x", "y"));
    await world.pass(1_000);
    expect(world.said("changes rows")).toBe(before);
    expect(await world.belief(a)).toEqual(world.truth);
  });

  it("is a sign of life every 2 s when there is nothing else", async () => {
    const { world } = await three();
    await world.pass(100);
    const before = world.said("changes beat", "b");
    await world.pass(20_000);
    const beats = world.said("changes beat", "b") - before;
    expect(beats).toBeGreaterThanOrEqual(8);
    expect(beats).toBeLessThanOrEqual(12);
  });

  it("ends 30 s after the last one that wanted to know has died", async () => {
    const { world, a } = await three();
    a.kill();
    await world.pass(32_000);
    const before = world.bus.said.length;
    world.nodes[1]?.connect("x");
    await world.pass(60_000);
    expect(world.bus.said.length).toBe(before);
  });

  it("ends at once when it has said that it leaves", async () => {
    const { world, a } = await three();
    await world.wait(a.groups.stop());
    await world.pass(20);
    const before = world.bus.said.length;
    world.nodes[1]?.connect("x");
    await world.pass(10_000);
    expect(world.bus.said.length).toBe(before);
  });
});

describe("a process that is gone", () => {
  it("is dropped with all its members in one step, 6 s after its last word, if nobody says more", async () => {
    const { world, a, b } = await three();
    for (let index = 0; index < 50; index++) b.connect("x");
    await world.pass(2_000);
    b.kill();
    const diedAt = world.clock.now();
    const told: number[] = [];
    let goneAt = Infinity;
    while (world.clock.now() < diedAt + 9_000) {
      const now = Number(await count(world, a));
      if (told.at(-1) !== now) told.push(now);
      if (now === 2) goneAt = Math.min(goneAt, world.clock.now());
      await world.pass(10);
    }
    expect(told).toEqual([53, 2]);
    expect(goneAt - diedAt).toBeGreaterThan(3_500); // its last word was a beat, perhaps 2 s before
    expect(goneAt - diedAt).toBeLessThan(7_000);
    expect((await world.wait(a.groups.members("x"))).partial).toBeUndefined();
  });

  it("is dropped at once if its end was said: by itself, by the bus, by whoever knows", async () => {
    const { world, a, b, c } = await three({ hasWills: true });
    await world.wait(b.groups.stop());
    await world.pass(20);
    expect(await count(world, a)).toBe(2);
    c.kill();
    await world.pass(20);
    expect(await count(world, a)).toBe(1);
    const quiet = new World({ delayMs: 5 });
    const [d, e, f] = [quiet.node("d"), quiet.node("e"), quiet.node("f")];
    await quiet.pass(100);
    f.connect("x");
    expect([await count(quiet, d), await count(quiet, e)]).toEqual([1, 1]);
    f.kill();
    d.groups.$bury("f");
    await quiet.pass(20);
    expect([await count(quiet, d), await count(quiet, e), quiet.said("presence dead")]).toEqual([0, 0, 1]);
    e.groups.$bury("f");
    await quiet.pass(20);
    expect(quiet.said("presence dead")).toBe(1); // that is known
  });

  it("is not brought back by what it said before, however late that comes", async () => {
    const { world, a, b } = await three({ delayMs: 200 });
    await world.pass(1_000);
    for (let index = 0; index < 20; index++) {
      b.connect("x");
      await world.pass(60);
    }
    a.groups.$bury("b"); // its last words are on their way
    b.kill();
    expect(await figures(world, a, 2_000)).toEqual([2]);
    expect((await world.wait(a.groups.members("x"))).partial).toBeUndefined();
  });

  it("is back with a new manager under another name, without its old members", async () => {
    const { world, a, b } = await three();
    b.kill();
    a.groups.$bury("b");
    const again = world.node("b2");
    await world.pass(100);
    again.connect("x");
    await world.pass(100);
    expect(await world.belief(a)).toEqual({ x: ["a-1", "b2-1", "c-1"] });
  });
});

describe("a process that is held to be dead and is not", () => {
  it("comes back at once: by a will, when its link is back", async () => {
    const { world, a, b } = await three({ hasWills: true });
    b.adapter.cut();
    await world.pass(20);
    expect(await count(world, a)).toBe(2);
    b.connect("x");
    b.adapter.restore();
    await world.pass(300);
    expect(await world.belief(a)).toEqual({ x: ["a-1", "b-1", "b-2", "c-1"] });
  });

  it("comes back at once: when it hears that it is said to be dead", async () => {
    const { world, a } = await three();
    a.groups.$bury("b");
    expect(await count(world, a)).toBe(2);
    await world.pass(100);
    expect(await count(world, a)).toBe(3);
  });

  it("is not driven out of the numbers by somebody who says that it is dead in the last of them", async () => {
    const { world, a, b } = await three();
    const forged = { do: "dead", node: "b", incarnation: Number.MAX_SAFE_INTEGER };
    world.bus.accept("x", encodeTopic({ kind: "presence" }), MessageRecord.of([toMessage(forged as Word)]).bytes);
    await world.pass(100);
    b.connect("x");
    await world.pass(20_000);
    expect(await count(world, a)).toBe(4);
  });

  it("does not die by a will of an earlier link that comes late", async () => {
    const { world, a, b } = await three({ hasWills: true, delayMs: 300 });
    await world.pass(2_000);
    b.adapter.cut();
    b.adapter.restore();
    await world.pass(2_000);
    expect(await figures(world, a, 2_000)).toEqual([3]);
  });

  it("does not die by a late will because of a word that comes later still", async () => {
    const { world, a, b } = await three();
    b.adapter.cut();
    b.adapter.restore();
    await world.pass(300);
    const late: [string, Word | News][] = [
      ["c", { node: "b", incarnation: 1, version: 0 }],
      ["p", { do: "dead", node: "b", incarnation: 1 }],
    ];
    for (const [topic, word] of late) a.adapter.receive(topic, MessageRecord.of([toMessage(word)]).bytes);
    expect(await figures(world, a, 500)).toEqual([3]);
  });

  it("is missed while it is stopped, and comes back with what it has by then", async () => {
    const { world, a, b } = await three();
    const [old] = b.pool.connections();
    b.stop();
    await world.pass(10_000);
    expect(await count(world, a)).toBe(2);
    if (old !== undefined) b.disconnect(old); // its peer has gone meanwhile
    b.goOn();
    b.connect("x", "y");
    await world.pass(1_000);
    expect(await world.belief(a)).toEqual({ x: ["a-1", "b-2", "c-1"], y: ["b-2"] });
  });
});

describe("a process that keeps an index and was asleep", () => {
  it("buries nobody who is alive", async () => {
    const { world, a, b } = await three();
    const gone: string[] = [];
    a.stop();
    await world.pass(30_000);
    b.connect("x");
    a.goOn();
    for (let ms = 0; ms < 3_000; ms += 100) {
      const now = await count(world, a);
      if (now !== 3 && now !== 4) gone.push(String(now));
      await world.pass(100);
    }
    expect(gone).toEqual([]);
    expect(await world.belief(a)).toEqual(world.truth);
  });

  it("finds out who has died meanwhile", async () => {
    const { world, a, b } = await three();
    a.stop();
    b.kill();
    await world.pass(30_000);
    a.goOn();
    await world.pass(8_000);
    expect(await world.belief(a)).toEqual(world.truth);
  });
});

describe("an outage", () => {
  const cutAll = (world: World): void => {
    for (const { adapter } of world.alive) adapter.cut();
  };
  const restoreAll = (world: World): void => {
    for (const { adapter } of world.alive) adapter.restore();
  };

  it("drops nobody, and costs no one a second telling of what has not changed", async () => {
    const { world, a, b, c } = await three();
    for (const node of [b, c]) await count(world, node);
    await world.pass(3_000);
    const before = world.said("replies");
    cutAll(world);
    await world.pass(20_000);
    restoreAll(world);
    await world.pass(50);
    expect(await figures(world, a, 4_000)).toEqual([3]);
    expect(world.said("replies")).toBe(before);
    for (const node of [a, b, c]) expect(await world.belief(node)).toEqual(world.truth);
  });

  it("has only those asked who have changed", async () => {
    const { world, a, b } = await three();
    await world.pass(3_000);
    cutAll(world);
    b.connect("x");
    await world.pass(20_000);
    const before = world.said("replies");
    restoreAll(world);
    await world.pass(1_000);
    expect(await world.belief(a)).toEqual(world.truth);
    expect(world.said("replies") - before).toBe(2); // the question to b, and its answer
  });

  it("of the asker's own link has nobody dropped, and shows what it missed within a second", async () => {
    const { world, a, b, c } = await three();
    a.adapter.cut();
    b.connect("x");
    const d = world.node("d");
    await world.pass(20_000);
    d.connect("x");
    c.kill();
    expect(await count(world, a)).toBe("unavailable");
    a.adapter.restore();
    await world.pass(1_000);
    expect((await world.wait(a.groups.members("x"))).members.map(({ id }) => id)).toEqual(["a-1", "b-1", "b-2", "c-1", "d-1"]);
    await world.pass(7_000);
    expect(await world.belief(a)).toEqual(world.truth);
  });

  it("is no time to answer: unavailable while it lasts, closed after the end", async () => {
    const { world, a } = await three();
    a.adapter.cut();
    await world.pass();
    const { groups, pool } = a;
    const ask = (): Promise<unknown>[] => [
      groups.count("x"),
      groups.members("x"),
      groups.names(),
      groups.users("x"),
      pool.isOnline("default", "b-1"),
      pool.isUserOnline("default", "ann"),
      pool.connectionsOf("default", "ann"),
    ];
    for (const answer of ask()) await expect(answer).rejects.toMatchObject({ code: "unavailable" });
    await world.wait(groups.stop());
    for (const answer of ask()) await expect(answer).rejects.toMatchObject({ code: "closed" });
  });
});
