// The lives of groups under crashes, stops, outages and newcomers, in any order: what each process is told makes sense, and in the end
// all know the same.
import { describe, expect, it } from "vitest";
import { fc } from "../generate.ts";
import { type FakeProcess, type Told, World } from "./lives-world.ts";

const GROUPS = ["a", "b", "c", "d"];
/** Somebody who is there from the beginning to the end is always in it. */
const PINNED = "pinned";

type Deed = { readonly do: string; readonly who: number; readonly group: number; readonly ms: number };

const calm = ["join", "join", "join", "leave", "leave", "spawn", "crash", "crash unseen", "end", "wait"];
const away = ["join", "join", "join", "leave", "leave", "stop", "cut", "restart", "wait"];
const wild = [...calm, "stop", "cut", "restart"];

function deeds(kinds: readonly string[], longestMs = 25_000): fc.Arbitrary<Deed[]> {
  return fc.array(
    fc.record({
      do: fc.constantFrom(...kinds),
      who: fc.nat(9),
      group: fc.nat(GROUPS.length - 1),
      ms: fc.oneof(fc.nat(100), fc.nat(3_000), fc.nat(longestMs)),
    }),
    { minLength: 5, maxLength: 40 },
  );
}

async function play(world: World, list: readonly Deed[], keeper?: FakeProcess): Promise<void> {
  for (const deed of list) {
    const able = world.alive.filter((process) => !process.isStopped);
    const process = able[deed.who % Math.max(1, able.length)];
    const name = GROUPS[deed.group] ?? "a";
    const mayEnd = process !== keeper;
    if (deed.do === "spawn" && world.alive.length < 7) world.spawn();
    else if (deed.do === "restart") world.restartBroker(Math.min(deed.ms, 3_000));
    else if (process === undefined) await world.pass(1_000);
    else if (deed.do === "join") process.join(name);
    else if (deed.do === "leave") process.leave(name);
    else if (deed.do === "crash" && mayEnd) process.crash(deed.ms % 1_000);
    else if (deed.do === "crash unseen" && mayEnd) process.crash(10_000);
    else if (deed.do === "end" && mayEnd) process.end();
    else if (deed.do === "stop" && mayEnd) process.stop(deed.ms);
    else if (deed.do === "cut" && mayEnd) process.cut(deed.ms);
    await world.pass(deed.do === "wait" ? deed.ms : deed.ms % 200);
  }
  for (const process of world.alive) process.resume();
  await world.pass(10);
  for (const process of world.alive) process.reconnect();
  await world.pass(60_000);
}

/** Lives begin before they end, end once, and never come back; a group has one at a time. Returns what is open in the end. */
function checkStory(process: FakeProcess): Map<string, string> {
  const open = new Map<string, string>();
  const seen = new Set<string>();
  for (const { event, name, life } of process.told) {
    if (event === "occupied") {
      expect(open.has(name), `${process.node} was told twice in a row that ${name} is occupied`).toBe(false);
      expect(seen.has(life), `${process.node} was told of the life ${life} again`).toBe(false);
      seen.add(life);
      open.set(name, life);
    } else {
      expect(open.get(name), `${process.node} was told the end of what had not begun`).toBe(life);
      open.delete(name);
    }
  }
  return open;
}

function checkEnd(world: World): void {
  const groupOf = new Map<string, string>();
  for (const { told, errors } of world.processes) {
    expect(errors).toEqual([]);
    for (const { life, name } of told) {
      expect(groupOf.get(life) ?? name).toBe(name);
      groupOf.set(life, name);
    }
  }
  for (const process of world.processes) checkStory(process);
  const occupied = new Set(world.alive.flatMap((process) => [...process.groups]));
  const first = world.alive[0];
  if (first === undefined) return;
  const known = checkStory(first);
  expect(new Set(known.keys())).toEqual(occupied);
  for (const process of world.alive) expect(Object.fromEntries(checkStory(process))).toEqual(Object.fromEntries(known));
}

const sequence = (told: readonly Told[]): string[] => told.map(({ event, name, life }) => `${event} ${name} ${life}`);

const settings = fc.record({ seed: fc.nat(), delayMs: fc.constantFrom(1, 20, 200), counts: fc.boolean() });

describe("the lives of groups, whoever dies, comes, is stopped or cut off", () => {
  it("begin and end once for each process, and in the end all know what is so", async () => {
    await fc.assert(
      fc.asyncProperty(settings, deeds(wild), async (options, list) => {
        const world = new World(options);
        for (let count = 0; count < 3; count++) world.spawn();
        await play(world, list);
        checkEnd(world);
      }),
      { numRuns: Number(process.env["RUNS"] ?? 150) },
    );
  });

  it("are told in one sequence to all who are never away, and one that goes on is never told to end", async () => {
    await fc.assert(
      fc.asyncProperty(settings, deeds(calm), async (options, list) => {
        const world = new World(options);
        const [keeper, other] = [world.spawn(), world.spawn()];
        await world.pass(5_000);
        keeper.join(PINNED);
        await world.pass(1_000);
        await play(world, list, keeper);
        checkEnd(world);
        expect(sequence(keeper.told).filter((line) => line.includes(PINNED))).toHaveLength(1);
        const whole = sequence(keeper.told);
        // Whoever has died has heard the beginning of it; whoever came later the rest, after what was open when it came.
        expect(sequence(other.told)).toEqual(whole.slice(0, other.told.length));
      }),
      { numRuns: Number(process.env["RUNS"] ?? 150) },
    );
  });

  it("go on for all when nobody has died: links that were cut and processes that were stopped for less than it takes change nothing", async () => {
    await fc.assert(
      fc.asyncProperty(settings, deeds(away, 8_000), async (options, list) => {
        const world = new World(options);
        for (let count = 0; count < 4; count++) world.spawn();
        await world.pass(5_000);
        world.processes[2]?.join(PINNED);
        await world.pass(1_000);
        await play(world, list);
        checkEnd(world);
        const tales = world.processes.map(({ told }) => sequence(told).filter((line) => line.includes(PINNED)));
        expect(tales.map((tale) => tale.length)).toEqual([1, 1, 1, 1]);
      }),
      { numRuns: Number(process.env["RUNS"] ?? 150) },
    );
  });
});
