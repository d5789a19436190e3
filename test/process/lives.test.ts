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

  it("a process that was stopped until the others took it for dead is told the difference, and says nothing that counts", async () => {
    const { nodes } = await cluster(3);
    const [asleep, ...others] = nodes;
    await nodeAt(nodes, 1).join("ends");
    await nodeAt(nodes, 2).join("stays");
    await untilTold(nodes, "occupied", "ends");
    await untilTold(nodes, "occupied", "stays");
    await nodeAt(nodes, 1).leave("ends"); // the one that decides is stopped while it lingers
    asleep?.child.kill("SIGSTOP");
    await untilTold(others, "vacated", "of 1");
    await untilTold(others, "vacated", "ends");
    await nodeAt(nodes, 2).join("begins");
    await nodeAt(nodes, 1).join("ends");
    await untilTold(others, "occupied", "begins");
    await untilTold(others, "occupied", "ends", 2);
    asleep?.child.kill("SIGCONT");
    await untilTold(nodes, "occupied", "of 1", 2);
    await untilTold(nodes, "occupied", "begins");
    await untilTold(nodes, "occupied", "ends", 2);
    await nodeAt(nodes, 0).join("after");
    await untilTold(nodes, "occupied", "after");
    const open = await Promise.all(nodes.map(async (node) => Object.fromEntries(checkStory(await node.told()))));
    for (const lives of open) expect(lives).toEqual(open[0]);
    expect((await nodeAt(nodes, 0).told()).filter(({ name }) => name === "stays")).toHaveLength(1);
  });

  it("twenty kills under load: every process that lives is told the same, each end once and none is missing", async () => {
    // Those that are killed as the ones that decide came first, then those that watch.
    const { nodes, at } = await cluster(1);
    const oldest = [...nodes, ...(await Promise.all(Array.from({ length: 4 }, () => Node.start(at))))];
    await Promise.all(oldest.map((node, index) => node.join(`old ${index}`)));
    await untilTold(oldest, "occupied", "old 4");
    const observers = await Promise.all([Node.start(at), Node.start(at)]);
    await untilTold(observers, "occupied", "old 4");
    const names = Array.from({ length: 20 }, (_, index) => `g${index}`);
    await Promise.all([...oldest, ...observers].map((node, index) => node.load(names.slice(index, index + 10))));
    const lost: string[] = [];
    let kills = 0;
    for (let round = 0; kills < 20; round++) {
      const fresh = await Node.start(at);
      await fresh.load(names.slice(round % 10, (round % 10) + 8));
      await fresh.join(`only ${round}`, 100);
      await untilTold(observers, "occupied", `only ${round}`);
      // The one with the last members of a group, and every third time the one that decides, too.
      const doomed = [fresh, ...(round % 3 === 0 ? oldest.splice(0, 1) : [])];
      await Promise.all(doomed.map((node) => node.kill()));
      kills += doomed.length;
      lost.push(`only ${round}`);
    }
    const alive = [...observers, ...oldest];
    await Promise.all(alive.map((node) => node.stopLoad()));
    for (const name of lost) await untilTold(observers, "vacated", name);
    await expect
      .poll(
        async () => {
          const open = await Promise.all(alive.map(async (node) => [...checkStory(await node.told()).keys()].toSorted()));
          const members = [...new Set((await Promise.all(alive.map((node) => node.open()))).flat())].toSorted();
          return open.every((its) => its.join() === members.join());
        },
        { timeout: 20_000, interval: 100 },
      )
      .toBe(true);
    const whole = story(await nodeAt(observers, 0).told());
    for (const node of alive) {
      // Who came later was told what was open then, and from there on the same.
      const tale = story(await node.told());
      let same = 0;
      while (same < tale.length && tale.at(-1 - same) === whole.at(-1 - same)) same++;
      const before = tale.slice(0, tale.length - same);
      expect(before.filter((line) => !line.startsWith("occupied") || !whole.includes(line))).toEqual([]);
      expect(await node.errors()).toEqual([]);
    }
    expect([lost.length, oldest.length]).toEqual([15, 0]);
    // Nobody ever had to begin anew.
    expect(new Set((await nodeAt(observers, 0).told()).map(({ life }) => life.split(".")[0])).size).toBe(1);
    for (const name of lost) expect(whole.filter((line) => line.includes(` ${name} `))).toHaveLength(2);
  }, 240_000);
});
