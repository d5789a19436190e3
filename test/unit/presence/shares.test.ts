import { describe, expect, it } from "vitest";
import { type Node, World } from "./world.ts";

/** A world with a process `a` that has not asked yet, and `b` with so many connections in x and in a group of a long name. */
async function crowd(
  connections: number,
  options: ConstructorParameters<typeof World>[0] = {},
): Promise<{ world: World; a: Node; b: Node }> {
  const world = new World({ delayMs: 5, ...options });
  const [a, b] = [world.node("a"), world.node("b")];
  await world.pass(100);
  for (let index = 0; index < connections; index++) b.connect("x", `${index % 50} ${"long".repeat(40)}`);
  await world.pass(100);
  return { world, a, b };
}

const letters = (world: World, what: string): { bytes: number; text: string }[] => world.bus.said.filter((one) => one.what === what);

describe("what a process has", () => {
  it("goes in letters of at most 250 KB, the next when the last has come", async () => {
    const { world, a } = await crowd(3_000);
    expect(await world.wait(a.groups.count("x"))).toBe(3_000);
    const shares = letters(world, "replies share");
    expect(shares.length).toBeGreaterThanOrEqual(5);
    for (const { bytes } of shares) expect(bytes).toBeLessThan(250_000);
    const order = world.bus.said.filter(({ what }) => what === "replies share" || what === "replies want").map(({ what }) => what);
    expect(order).toEqual(shares.flatMap(() => ["replies want", "replies share"]));
    expect(await world.belief(a)).toEqual(world.truth);
  });

  it("is right in the end, whatever changes while it goes, and whichever way overtakes the other", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const { world, a, b } = await crowd(1_500, { delayMs: 60, seed });
      const loaded = a.groups.count("x");
      for (let step = 0; step < 60; step++) {
        const all = b.pool.connections();
        const some = (share: number): (typeof all)[number] | undefined => all[Math.floor(share * all.length)];
        const [gone, moved] = [some(world.bus.unit()), some(world.bus.unit())];
        if (gone !== undefined) b.disconnect(gone);
        if (moved !== undefined && moved !== gone) {
          moved.leave("x");
          void moved.join("y");
          moved.user = "ann";
        }
        b.connect("x", "y");
        await world.pass(10);
      }
      await world.wait(loaded);
      await world.pass(3_000);
      expect(await world.belief(a)).toEqual(world.truth);
      expect(await world.beliefOfUsers(a)).toEqual(world.users);
      expect(a.errors).toEqual([]);
    }
  });

  it("is asked for again when an answer, or the records that lead on to it, were lost", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const { world, a, b } = await crowd(1_000, { delayMs: 30, seed, loss: 0.1 });
      a.groups.count("x").catch(() => {});
      for (let step = 0; step < 20; step++) {
        b.connect("x");
        await world.pass(70);
      }
      world.bus.loss = 0;
      await world.pass(20_000);
      expect(await world.belief(a)).toEqual(world.truth);
    }
  });

  it("may be one connection in very many groups", async () => {
    const world = new World({ delayMs: 5 });
    const [a, b] = [world.node("a"), world.node("b", { groupsPerConnection: 10_000 })];
    await world.pass(100);
    const one = b.connect();
    for (let index = 0; index < 2_000; index++) void one.join(`${index} ${"ü".repeat(90)}`);
    await world.pass(100);
    expect(await world.wait(a.groups.count(`1999 ${"ü".repeat(90)}`))).toBe(1);
    for (const { bytes } of letters(world, "replies share")) expect(bytes).toBeLessThan(1_000_000);
    expect(letters(world, "replies share").length).toBeGreaterThan(1);
    for (let index = 2_000; index < 4_000; index++) void one.join(`${index} ${"ü".repeat(90)}`);
    await world.pass(200);
    expect(await world.wait(a.groups.count(`3999 ${"ü".repeat(90)}`))).toBe(1);
    for (const { bytes } of letters(world, "changes rows")) expect(bytes).toBeLessThan(1_000_000);
    const pages = await world.walk((cursor) => a.groups.names({ cursor, limit: 1_000 }));
    expect(pages.flatMap(({ names }) => names)).toHaveLength(4_000);
  });

  it("is asked of 32 at a time", async () => {
    const world = new World({ delayMs: 50 });
    const a = world.node("a");
    const others = Array.from({ length: 100 }, (_, index) => world.node(`n${index}`));
    await world.pass(200);
    for (const other of others) other.connect("x");
    await world.pass(100);
    expect(await world.wait(a.groups.count("x"))).toBe(100);
    let [open, most] = [0, 0];
    for (const { what } of world.bus.said) {
      if (what === "replies want") most = Math.max(most, ++open);
      if (what === "replies share") open--;
    }
    expect(most).toBeGreaterThan(10);
    expect(most).toBeLessThanOrEqual(32);
  });
});
