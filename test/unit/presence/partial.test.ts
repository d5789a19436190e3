import { describe, expect, it } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { quiet } from "../../../src/base/promises.ts";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { type BusOptions, type Node, World } from "./world.ts";

/** What a process answers, and how long that took, ms. */
async function answer(world: World, node: Node): Promise<{ ids: string[]; count: number; partial: boolean; ms: number }> {
  const askedAt = world.clock.now();
  const { members, count, partial = false } = await world.wait(node.groups.members("x"));
  return { ids: members.map(({ id }) => id), count, partial, ms: world.clock.now() - askedAt };
}

/** Processes of these names, each with a member of x. */
async function started(options: BusOptions, ...names: string[]): Promise<{ world: World; nodes: Node[] }> {
  const world = new World({ delayMs: 5, ...options });
  const nodes = names.map((name) => world.node(name));
  await world.pass(100);
  for (const node of nodes) node.connect("x");
  await world.pass(50);
  return { world, nodes };
}

function nth(nodes: readonly Node[], index: number): Node {
  const node = nodes[index];
  if (node === undefined) throw new Error("no such process");
  return node;
}

describe("the first answer", () => {
  it("comes as soon as everybody has answered, if the channel tells how many have heard the question", async () => {
    const { world, nodes } = await started({}, "a", "b", "c");
    const first = await answer(world, nth(nodes, 0));
    expect(first).toMatchObject({ ids: ["a-1", "b-1", "c-1"], count: 3, partial: false });
    expect(first.ms).toBeLessThan(150);
  });

  it("comes a quarter of a second after the last that was heard of, if it does not tell", async () => {
    const { world, nodes } = await started({ tells: false }, "a", "b", "c");
    const first = await answer(world, nth(nodes, 0));
    expect(first).toMatchObject({ ids: ["a-1", "b-1", "c-1"], partial: false });
    expect(first.ms).toBeGreaterThanOrEqual(250);
    expect(first.ms).toBeLessThan(400);
  });

  it("waits longer for the first that is heard of, if it does not tell: the only other one may be busy", async () => {
    const { world, nodes } = await started({ tells: false }, "a", "b");
    nth(nodes, 1).stop();
    const first = answer(world, nth(nodes, 0));
    await world.pass(600);
    nth(nodes, 1).goOn();
    expect(await first).toMatchObject({ ids: ["a-1", "b-1"], partial: false });
  });

  it("comes after a second without those who are silent, and says so until they are held to be dead", async () => {
    const { world, nodes } = await started({}, "a", "b", "c");
    nth(nodes, 2).stop();
    const asker = nth(nodes, 0);
    const first = await answer(world, asker);
    expect(first).toMatchObject({ ids: ["a-1", "b-1"], count: 2, partial: true });
    expect(first.ms).toBeGreaterThanOrEqual(1_000);
    expect(first.ms).toBeLessThan(1_100);
    await world.pass(4_500);
    expect(await answer(world, asker)).toMatchObject({ partial: true, ms: 0 });
    await world.pass(1_000);
    expect(await answer(world, asker)).toMatchObject({ ids: ["a-1", "b-1"], partial: false });
    nth(nodes, 2).goOn();
    await world.pass(200);
    expect(await answer(world, asker)).toMatchObject({ ids: ["a-1", "b-1", "c-1"], partial: false });
  });

  it("is partial no longer as soon as the last one has answered", async () => {
    const { world, nodes } = await started({}, "a", "b", "c");
    nth(nodes, 2).stop();
    await answer(world, nth(nodes, 0));
    nth(nodes, 2).goOn();
    await world.pass(50);
    expect(await answer(world, nth(nodes, 0))).toMatchObject({ ids: ["a-1", "b-1", "c-1"], partial: false });
  });

  it("is not held to be whole because somebody else has come in the place of who is silent", async () => {
    const { world, nodes } = await started({}, "a", "b", "c");
    nth(nodes, 2).stop();
    const first = answer(world, nth(nodes, 0));
    world.node("d").connect("x");
    await first;
    await world.pass(500);
    expect(await answer(world, nth(nodes, 0))).toMatchObject({ ids: ["a-1", "b-1", "d-1"], partial: true });
  });

  it("lacks those whom only another one knows, and says so, where the channel does not tell", async () => {
    const { world, nodes } = await started({ tells: false }, "a", "b", "c");
    await answer(world, nth(nodes, 1));
    nth(nodes, 2).stop();
    const first = await answer(world, nth(nodes, 0));
    expect(first).toMatchObject({ ids: ["a-1", "b-1"], partial: true });
    expect(first.ms).toBeLessThan(1_100);
    await world.pass(7_000);
    expect(await answer(world, nth(nodes, 0))).toMatchObject({ ids: ["a-1", "b-1"], partial: false });
  });
});

describe("an answer", () => {
  it("is partial after a record was lost, with what was known before, until it is made good", async () => {
    const { world, nodes } = await started({}, "a", "b");
    const [a, b] = [nth(nodes, 0), nth(nodes, 1)];
    await answer(world, a);
    await world.pass(500);
    world.bus.loss = 1;
    b.connect("x", "y");
    await world.pass(100);
    world.bus.loss = 0;
    expect(await answer(world, a)).toMatchObject({ ids: ["a-1", "b-1"], partial: false }); // nobody can know
    b.connect("x");
    let seen = await answer(world, a);
    for (let ms = 0; ms < 200 && !seen.partial; ms++) {
      await world.pass(1);
      seen = await answer(world, a);
    }
    expect(seen).toMatchObject({ ids: ["a-1", "b-1"], partial: true });
    await world.pass(100);
    expect(await answer(world, a)).toMatchObject({ ids: ["a-1", "b-1", "b-2", "b-3"], partial: false });
  });

  it("is made good at the next sign of life if the lost record was the last", async () => {
    const { world, nodes } = await started({}, "a", "b");
    await answer(world, nth(nodes, 0));
    await world.pass(500);
    world.bus.loss = 1;
    nth(nodes, 1).connect("x");
    await world.pass(100);
    world.bus.loss = 0;
    await world.pass(2_800);
    expect(await answer(world, nth(nodes, 0))).toMatchObject({ ids: ["a-1", "b-1", "b-2"], partial: false });
  });

  it("is partial after an outage until all have been heard of again", async () => {
    const { world, nodes } = await started({}, "a", "b", "c");
    const [a, c] = [nth(nodes, 0), nth(nodes, 2)];
    await answer(world, a);
    a.adapter.cut();
    c.stop();
    await world.pass(1_000);
    a.adapter.restore();
    await world.pass(400);
    expect(await answer(world, a)).toMatchObject({ ids: ["a-1", "b-1", "c-1"], partial: true });
    c.goOn();
    await world.pass(200);
    expect(await answer(world, a)).toMatchObject({ ids: ["a-1", "b-1", "c-1"], partial: false });
  });

  it("stays partial where the others' changes cannot be heard, whatever the link does", async () => {
    const { world, nodes } = await started({}, "a", "b");
    const [a, b] = [nth(nodes, 0), nth(nodes, 1)];
    const subscribe = a.adapter.subscribe.bind(a.adapter);
    const changes = encodeTopic({ kind: "changes" });
    a.adapter.subscribe = (topic) => (topic === changes ? quiet(Promise.reject(new GroupcastError("limit"))) : subscribe(topic));
    expect(await answer(world, a)).toMatchObject({ partial: true });
    expect(a.errors).toMatchObject([{ code: "limit" }]);
    a.adapter.cut();
    a.adapter.restore();
    b.connect("x");
    await world.pass(300);
    expect(await answer(world, a)).toMatchObject({ partial: true });
    await world.pass(20_000);
    expect(await answer(world, a)).toMatchObject({ partial: true });
  });

  it("to a command says so too", async () => {
    const { world, nodes } = await started({}, "a", "b");
    nth(nodes, 1).stop();
    const counted = nth(nodes, 0).groups.countMembers("x", "default");
    expect(await world.wait(counted)).toEqual({ members: 1, partial: true });
    nth(nodes, 1).goOn();
    await world.pass(100);
    expect(await world.wait(nth(nodes, 0).groups.countMembers("x", "default"))).toEqual({ members: 2 });
  });
});
