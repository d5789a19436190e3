// The lives of groups over the hub, in processes that are killed.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { HubOptions } from "../../dist/hub/index.js";
import { folder, kill, SECRET, start } from "./hub/rig.ts";
import { checkStory, Node, story, untilTold } from "./lives/rig.ts";

/** What the linger may be late, the machine being busy with other things, ms. */
const LATE_MS = 5_000;
const LINGER_MS = 2_000;

async function cluster(size: number): Promise<{ nodes: Node[]; at: HubOptions; restartHub: () => Promise<void> }> {
  const path = join(folder(), "hub.sock");
  const at = { path, secret: SECRET };
  let hub = await start("server.mjs", `unix:${path}`, { secret: SECRET });
  const restartHub = async (): Promise<void> => {
    await kill(hub.child);
    hub = await start("server.mjs", `unix:${path}`, { secret: SECRET });
  };
  const nodes: Node[] = [];
  // One after the other, so that the first one leads.
  while (nodes.length < size) {
    const node = await Node.start(at);
    nodes.push(node);
    await node.join(`of ${nodes.length}`);
    await untilTold([node], "occupied", `of ${nodes.length}`);
  }
  return { nodes, at, restartHub };
}

function nodeAt(nodes: readonly Node[], index: number): Node {
  const node = nodes[index];
  if (node === undefined) throw new Error(`no process ${index}`);
  return node;
}

const now = (): number => performance.timeOrigin + performance.now();

describe("over the hub", () => {
  it("a group's life is told to every process, from the first join anywhere to the linger after the last leave", async () => {
    const { nodes } = await cluster(3);
    const joined = await nodeAt(nodes, 1).join("a");
    await nodeAt(nodes, 2).join("a");
    const begun = await untilTold(nodes, "occupied", "a");
    for (const { atMs } of begun) expect(atMs - joined).toBeLessThan(1_000 + LATE_MS);
    await nodeAt(nodes, 1).leave("a");
    const left = await nodeAt(nodes, 2).leave("a");
    const ended = await untilTold(nodes, "vacated", "a");
    for (const { atMs } of ended) {
      expect(atMs - left).toBeGreaterThan(LINGER_MS - 50);
      expect(atMs - left).toBeLessThan(LINGER_MS + 1_000 + LATE_MS);
    }
    expect(new Set([...begun, ...ended].map(({ life }) => life)).size).toBe(1);
  });

  it.each([
    ["the process with the last members", 3, [3]],
    ["the process that decides", 3, [0]],
    ["both at once", 3, [0, 3]],
    ["the process that decides, and it has the last members", 0, [0]],
    ["the one that decides, the next one, and the one with the last members", 3, [0, 1, 3]],
  ])("after kill -9 of %s every other one is told once that it is vacated", async (_, holder, victims) => {
    const { nodes } = await cluster(4);
    await nodeAt(nodes, holder).join("a", 20);
    await untilTold(nodes, "occupied", "a");
    const isHolderDead = victims.includes(holder);
    const killed = now();
    await Promise.all(victims.map((index) => nodeAt(nodes, index).kill()));
    const survivors = nodes.filter((_node, index) => !victims.includes(index));
    if (!isHolderDead) {
      // Somebody else decides now.
      await untilTold(survivors, "vacated", `of ${(victims[0] ?? 0) + 1}`);
      expect(
        (await Promise.all(survivors.map((node) => node.told()))).flat().filter(({ name, event }) => name === "a" && event === "vacated"),
      ).toEqual([]);
      await nodeAt(nodes, holder).leave("a");
    }
    const ended = await untilTold(survivors, "vacated", "a");
    expect(new Set(ended.map(({ life }) => life)).size).toBe(1);
    if (isHolderDead) for (const { atMs } of ended) expect(atMs - killed).toBeLessThan(10_000 + LINGER_MS + LATE_MS);
    const stories = await Promise.all(survivors.map((node) => node.told()));
    for (const told of stories) checkStory(told);
    const [first = []] = stories;
    for (const told of stories)
      expect(story(told).filter((line) => line.includes(" a "))).toEqual(story(first).filter((line) => line.includes(" a ")));
  });

  it("a hub that is killed and comes back ends no life and begins none", async () => {
    const { nodes, restartHub } = await cluster(3);
    await nodeAt(nodes, 1).join("a", 10);
    await untilTold(nodes, "occupied", "a");
    for (let times = 1; times <= 3; times++) {
      await restartHub();
      await nodeAt(nodes, 2).join(`b${times}`);
      await untilTold(nodes, "occupied", `b${times}`);
    }
    await nodeAt(nodes, 1).leave("a");
    await untilTold(nodes, "vacated", "a");
    for (const node of nodes) {
      const told = await node.told();
      checkStory(told);
      expect(told.filter(({ name }) => name === "a")).toHaveLength(2);
      expect(told.filter(({ event }) => event === "vacated")).toHaveLength(1);
    }
  });

  it("twenty kills under load: every process that lives is told the same, each end once and none is missing", async () => {
    const { nodes, at } = await cluster(3);
    const observer = nodeAt(nodes, 2);
    const names = Array.from({ length: 20 }, (_, index) => `g${index}`);
    await nodeAt(nodes, 1).load(names.slice(0, 10));
    await observer.load(names.slice(5, 15));
    const victims = nodes.slice(0, 2);
    const ended: string[] = [];
    for (let times = 0; times < 20; times++) {
      const fresh = await Node.start(at);
      await fresh.load(names.slice(times % 10, (times % 10) + 8));
      await fresh.join(`only ${times}`, 100);
      await untilTold([observer], "occupied", `only ${times}`);
      victims.push(fresh);
      // By turns the oldest, which decides, and a fresh one, and now and then both.
      const doomed = times % 3 === 0 ? [victims.shift()] : times % 3 === 1 ? [victims.pop()] : [victims.shift(), victims.pop()];
      await Promise.all(doomed.map((node) => node?.kill()));
      if (doomed.includes(fresh)) ended.push(`only ${times}`);
      if (victims.length === 0) victims.push(await Node.start(at));
    }
    for (const name of ended) await untilTold([observer], "vacated", name);
    await Promise.all([observer, ...victims].map((node) => node.stopLoad()));
    const alive = [observer, ...victims];
    await expect
      .poll(
        async () => {
          const open = await Promise.all(alive.map(async (node) => [...checkStory(await node.told()).keys()].toSorted()));
          const members = [...new Set((await Promise.all(alive.map((node) => node.open()))).flat())].toSorted();
          return open.every((names) => names.join() === members.join());
        },
        { timeout: 20_000, interval: 100 },
      )
      .toBe(true);
    const whole = story(await observer.told());
    for (const node of victims) {
      // Who came later was told what was open then, and from there on the same.
      const tale = story(await node.told());
      let same = 0;
      while (same < tale.length && tale.at(-1 - same) === whole.at(-1 - same)) same++;
      const before = tale.slice(0, tale.length - same);
      expect(before.filter((line) => !line.startsWith("occupied") || !whole.includes(line))).toEqual([]);
    }
    for (const node of alive) expect(await node.errors()).toEqual([]);
    expect(ended.length).toBeGreaterThan(5);
  }, 180_000);
});
