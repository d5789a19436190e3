// Who is told of the lives of groups, when, and by whom it is decided.
import { describe, expect, it } from "vitest";
import { LATER_MAX } from "../../../src/presence/life-newcomer.ts";
import { lifeId, type Statement, writeStatement } from "../../../src/presence/life-words.ts";
import { LOOK_EVERY_MS, MISSED_MAX } from "../../../src/presence/life-roll.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { type FakeProcess, LINGER_MS, World, type WorldOptions } from "./lives-world.ts";

/** Processes that know each other and agree. */
async function cluster(size: number, options: WorldOptions = {}): Promise<{ world: World; all: FakeProcess[] }> {
  const world = new World({ delayMs: 5, ...options });
  const all: FakeProcess[] = [];
  while (all.length < size) {
    all.push(world.spawn());
    await world.pass(3_000);
  }
  return { world, all };
}

/** `occupied a`, in order. */
const events = ({ told }: FakeProcess): string[] => told.map(({ event, name }) => `${event} ${name}`);
const lives = ({ told }: FakeProcess): string[] => told.map(({ life }) => life);
const openOf = ({ told }: FakeProcess): Record<string, string> => {
  const open: Record<string, string> = {};
  for (const { event, name, life } of told) {
    if (event === "occupied") open[name] = life;
    else delete open[name];
  }
  return open;
};
const said = (world: World, say: Statement["say"]): Statement[] => world.log.filter((statement) => statement.say === say);

/** Somebody says something to all. */
function shout(world: World, ...statements: Statement[]): void {
  world.accept(MessageRecord.read(MessageRecord.of(statements.map(writeStatement)).bytes));
}

/** The process at this place of those who are there. */
function at(all: readonly FakeProcess[], index: number): FakeProcess {
  const process = all[index];
  if (process === undefined) throw new Error(`no process ${index}`);
  return process;
}

describe("a group's life", () => {
  it("is told to all within a second of the first join anywhere, and once, with one id", async () => {
    const { world, all } = await cluster(3);
    at(all, 1).join("a");
    await world.pass(100);
    at(all, 2).join("a");
    at(all, 0).join("a");
    await world.pass(5_000);
    for (const process of all) expect(events(process)).toEqual(["occupied a"]);
    expect(new Set(all.flatMap(lives)).size).toBe(1);
  });

  it("ends when the last member anywhere has been gone for the linger, and not before", async () => {
    const { world, all } = await cluster(3);
    at(all, 1).join("a");
    at(all, 2).join("a");
    await world.pass(1_000);
    at(all, 1).leave("a");
    await world.pass(10_000);
    for (const process of all) expect(events(process)).toEqual(["occupied a"]);
    at(all, 2).leave("a");
    await world.pass(LINGER_MS - 50);
    for (const process of all) expect(events(process)).toEqual(["occupied a"]);
    await world.pass(200);
    for (const process of all) expect(events(process)).toEqual(["occupied a", "vacated a"]);
    expect(new Set(all.flatMap(lives)).size).toBe(1);
  });

  it("goes on if somebody is back within the linger, which then begins anew", async () => {
    const { world, all } = await cluster(2);
    at(all, 1).join("a");
    await world.pass(1_000);
    for (let times = 0; times < 5; times++) {
      at(all, 1).leave("a");
      await world.pass(LINGER_MS - 200);
      at(all, 0).join("a");
      await world.pass(100);
      at(all, 0).leave("a");
      await world.pass(LINGER_MS - 200);
      at(all, 1).join("a");
      await world.pass(100);
    }
    for (const process of all) expect(events(process)).toEqual(["occupied a"]);
  });

  it("has another id the next time", async () => {
    const { world, all } = await cluster(2);
    for (let times = 0; times < 2; times++) {
      at(all, 1).join("a");
      await world.pass(1_000);
      at(all, 1).leave("a");
      await world.pass(5_000);
    }
    for (const process of all) expect(events(process)).toEqual(["occupied a", "vacated a", "occupied a", "vacated a"]);
    expect(new Set(lives(at(all, 0))).size).toBe(2);
    expect(lives(at(all, 0))).toEqual(lives(at(all, 1)));
  });

  it("is told for a very short stay, too, and its end comes after its beginning", async () => {
    const { world, all } = await cluster(1);
    at(all, 0).join("a");
    await world.pass(1);
    at(all, 0).leave("a");
    await world.pass(5_000);
    expect(events(at(all, 0))).toEqual(["occupied a", "vacated a"]);
  });

  it("of thousands of groups at once is told for each, with a bounded number on their way", async () => {
    const { world, all } = await cluster(2);
    let most = 0;
    const onTheirWay = (): number => said(world, "occupied").length - at(all, 0).told.length;
    world.passes = () => {
      most = Math.max(most, onTheirWay());
      return true;
    };
    for (let number = 0; number < 1_300; number++) at(all, 1).join(`group ${number}`);
    await world.pass(2_000);
    for (const process of all) expect(process.told.length).toBe(1_300);
    expect(said(world, "occupied")).toHaveLength(1_300);
    expect(most).toBeGreaterThan(500);
    expect(most).toBeLessThanOrEqual(1_000);
  });
});

describe("the first process", () => {
  it("begins at once if nobody else was handed its question", async () => {
    const { world, all } = await cluster(0);
    const first = world.spawn();
    first.join("a");
    await world.pass(100);
    expect(events(first)).toEqual(["occupied a"]);
    expect(all).toEqual([]);
  });

  it("begins after three questions on a channel that cannot tell to whom they went", async () => {
    const world = new World({ delayMs: 5, counts: false });
    const first = world.spawn();
    first.join("a");
    await world.pass(2_400);
    expect([said(world, "sync").length, first.told.length]).toEqual([3, 0]);
    await world.pass(300);
    expect(events(first)).toEqual(["occupied a"]);
  });

  it("is one, also if several come at the same moment: nobody waits for those who do not know either", async () => {
    const world = new World({ delayMs: 5 });
    for (let count = 0; count < 5; count++) world.spawn().join("a");
    await world.pass(500);
    for (const process of world.alive) expect(events(process)).toEqual(["occupied a"]);
    expect(new Set(world.alive.flatMap(lives)).size).toBe(1);
  });

  it("is one, also if several come at the same moment and nobody can tell to how many", async () => {
    const world = new World({ delayMs: 5, counts: false });
    for (let count = 0; count < 5; count++) world.spawn().join("a");
    await world.pass(5_000);
    for (const process of world.alive) expect(events(process)).toEqual(["occupied a"]);
    expect(new Set(world.alive.flatMap(lives)).size).toBe(1);
  });
});

describe("a process that comes later", () => {
  it("is told what has a life, with its id, and then what the others are told", async () => {
    const { world, all } = await cluster(2);
    at(all, 0).join("a");
    at(all, 0).join("gone");
    await world.pass(1_000);
    at(all, 0).leave("gone");
    await world.pass(5_000);
    const late = world.spawn();
    await world.pass(1_000);
    expect(late.told).toEqual([{ event: "occupied", name: "a", life: at(all, 0).told[0]?.life }]);
    late.join("b");
    await world.pass(1_000);
    expect(late.told.at(-1)).toEqual(at(all, 0).told.at(-1));
    expect(events(late)).toEqual(["occupied a", "occupied b"]);
  });

  it("misses nothing that happens while a long answer is on its way", async () => {
    const { world, all } = await cluster(2, { delayMs: 50 });
    for (let number = 0; number < 800; number++) at(all, 0).join(`group ${number}`);
    await world.pass(6_000);
    const leaveSome = async (): Promise<void> => {
      for (let number = 0; number < 40; number++) {
        at(all, 0).leave(`group ${number}`);
        await world.pass(10);
      }
    };
    await leaveSome();
    await world.pass(LINGER_MS - 500);
    const late = world.spawn();
    for (let number = 0; number < 40; number++) {
      at(all, 1).join(`new ${number}`);
      await world.pass(10);
    }
    await world.pass(6_000);
    const known = openOf(at(all, 1));
    expect(Object.keys(known)).toHaveLength(800);
    expect(openOf(late)).toEqual(known);
    expect(events(late).filter((event) => event.startsWith("vacated")).length).toBeGreaterThan(10);
  });

  it("asks again if the one that answers dies in the midst of it", async () => {
    const { world, all } = await cluster(3, { delayMs: 50 });
    for (let number = 0; number < 1_000; number++) at(all, 1).join(`group ${number}`);
    await world.pass(6_000);
    const late = world.spawn();
    let parts = 0;
    late.onPost = () => {
      if (++parts === 2) at(all, 0).crash(200);
    };
    await world.pass(4_000);
    expect(parts).toBeGreaterThan(5); // of 5 parts the first ones came twice
    expect(late.told).toHaveLength(1_000);
    expect(lives(late).toSorted()).toEqual(lives(at(all, 2)).toSorted());
  });

  it("asks the next ones if the leader does not answer, and begins nothing of its own", async () => {
    const { world, all } = await cluster(3);
    at(all, 1).join("a");
    await world.pass(1_000);
    at(all, 0).stop(9_000);
    const late = world.spawn();
    await world.pass(2_000);
    expect(late.told).toEqual(at(all, 1).told);
    await world.pass(10_000);
    expect(said(world, "lead")).toHaveLength(1); // the first one's
    for (const process of world.alive) expect(events(process)).toEqual(["occupied a"]);
  });

  it("waits for its turn if many come at once", async () => {
    const { world, all } = await cluster(1, { delayMs: 200 });
    for (let number = 0; number < 700; number++) at(all, 0).join(`group ${number}`);
    await world.pass(6_000);
    for (let count = 0; count < 15; count++) world.spawn();
    await world.pass(20_000);
    for (const process of world.alive) expect(process.told).toHaveLength(700);
    expect(said(world, "lead")).toHaveLength(1);
  });

  it("is answered by one whose earlier answers an outage has swallowed, however many", async () => {
    const { world, all } = await cluster(1);
    const leader = at(all, 0);
    leader.join("a");
    await world.pass(1_000);
    leader.swallows = true;
    const unlucky = Array.from({ length: 5 }, () => world.spawn());
    await world.pass(500);
    for (const process of unlucky) process.crash(10);
    leader.swallows = false;
    leader.cut(100);
    await world.pass(5_000);
    const late = world.spawn();
    await world.pass(1_000);
    expect(late.told).toEqual(leader.told);
    expect(events(late)).toEqual(["occupied a"]);
  });

  it("begins its question anew if more comes meanwhile than it may keep", async () => {
    const { world, all } = await cluster(1);
    at(all, 0).join("a");
    await world.pass(1_000);
    at(all, 0).stop(3_000);
    const late = world.spawn();
    await world.pass(50);
    expect(said(world, "sync")).toHaveLength(2);
    const nobody: Statement = { say: "gone", nonce: "nobody" };
    for (let count = 0; count <= LATER_MAX; count += 10_000) shout(world, ...Array.from({ length: 10_000 }, () => nobody));
    await world.pass(50);
    expect(said(world, "sync")).toHaveLength(3);
    await world.pass(10_000);
    expect(events(late)).toEqual(["occupied a"]);
  });
});

describe("the leader", () => {
  it("that dies is followed by the next one, which ends what the dead one's members had kept alive", async () => {
    const { world, all } = await cluster(3);
    at(all, 0).join("its own");
    at(all, 1).join("b");
    await world.pass(1_000);
    at(all, 0).crash(200);
    await world.pass(300);
    at(all, 2).join("c");
    await world.pass(500);
    for (const process of world.alive) expect(events(process)).toEqual(["occupied its own", "occupied b", "occupied c"]);
    await world.pass(LINGER_MS);
    for (const process of world.alive) expect(events(process).at(-1)).toBe("vacated its own");
    expect(lives(at(all, 1))).toEqual(lives(at(all, 2)));
    expect(said(world, "lead")).toHaveLength(1);
  });

  it("that stops says so, and the next one leads at once", async () => {
    const { world, all } = await cluster(3);
    at(all, 0).end();
    await world.pass(30);
    at(all, 2).join("a");
    await world.pass(30);
    for (const process of world.alive.slice(1)) expect(events(process)).toEqual(["occupied a"]);
  });

  it("that dies before its last word is heard leaves it to the next one, and it is told once", async () => {
    const { world, all } = await cluster(3);
    world.passes = ({ say }) => say !== "occupied"; // what it says is lost with it
    at(all, 0).join("only there");
    at(all, 1).join("a");
    await world.pass(100);
    at(all, 0).crash(200);
    world.passes = () => true;
    await world.pass(5_000);
    for (const process of world.alive) expect(events(process)).toEqual(["occupied a"]);
  });

  it("that dies together with those who follow it is replaced by who is left", async () => {
    const { world, all } = await cluster(5);
    at(all, 4).join("a");
    at(all, 1).join("b");
    await world.pass(1_000);
    for (const index of [0, 1, 2]) at(all, index).crash(200);
    await world.pass(5_000 + LINGER_MS);
    for (const index of [3, 4]) expect(events(at(all, index))).toEqual(["occupied a", "occupied b", "vacated b"]);
    expect(lives(at(all, 3))).toEqual(lives(at(all, 4)));
  });

  it("that was stopped until the others buried it says nothing that counts, and follows from then on", async () => {
    const { world, all } = await cluster(3);
    at(all, 1).join("a");
    await world.pass(1_000);
    at(all, 1).leave("a"); // the old leader begins to linger, and is stopped
    await world.pass(100);
    at(all, 0).stop(60_000);
    await world.pass(20_000);
    at(all, 1).join("a");
    await world.pass(1_000);
    expect(events(at(all, 1))).toEqual(["occupied a", "vacated a", "occupied a"]);
    await world.pass(60_000);
    expect(events(at(all, 0))).toEqual(["occupied a", "vacated a", "occupied a"]);
    expect(lives(at(all, 0))).toEqual(lives(at(all, 1)));
    expect(events(at(all, 2))).toEqual(events(at(all, 1)));
    at(all, 0).join("b");
    await world.pass(1_000);
    for (const process of all) expect(events(process).at(-1)).toBe("occupied b");
  });

  it("is a process again that was buried before, when nobody else is left", async () => {
    const { world, all } = await cluster(2);
    at(all, 0).stop(20_000);
    await world.pass(30_000);
    at(all, 1).crash(200);
    await world.pass(5_000);
    at(all, 0).join("a");
    await world.pass(500);
    expect(events(at(all, 0))).toEqual(["occupied a"]);
  });

  it("that has slept over the linger waits for what came meanwhile before it ends a life", async () => {
    const { world, all } = await cluster(2);
    at(all, 1).join("a");
    await world.pass(1_000);
    at(all, 1).leave("a");
    await world.pass(100);
    at(all, 0).stop(7_000);
    at(all, 1).join("a"); // it hears of that after its timer
    await world.pass(12_000);
    for (const process of all) expect(events(process)).toEqual(["occupied a"]);
    expect(said(world, "vacated")).toEqual([]);
  });

  it("ends no life while a part of its index is missing", async () => {
    const { world, all } = await cluster(3);
    at(all, 1).join("a");
    await world.pass(1_000);
    at(all, 2).cut(8_000); // the link of the third is cut: it may have let somebody in
    await world.pass(100);
    at(all, 0).learn(at(all, 2));
    at(all, 1).leave("a");
    await world.pass(6_000);
    expect(events(at(all, 0))).toEqual(["occupied a"]);
    at(all, 2).join("a");
    await world.pass(6_000);
    for (const process of all) expect(events(process)).toEqual(["occupied a"]);
    at(all, 2).leave("a");
    await world.pass(LINGER_MS + 500);
    for (const process of all) expect(events(process)).toEqual(["occupied a", "vacated a"]);
  });

  it("that nobody's index has ever known is missed after a while", async () => {
    const { world, all } = await cluster(3);
    const [first, second, third] = [at(all, 0), at(all, 1), at(all, 2)];
    for (const process of [second, third]) process.view.delete(first);
    first.isAlive = false;
    second.join("a");
    await world.pass(LOOK_EVERY_MS * (MISSED_MAX - 1));
    expect(events(third)).toEqual([]);
    await world.pass(LOOK_EVERY_MS * 2);
    for (const process of [second, third]) expect(events(process)).toEqual(["occupied a"]);
  });

  it("says again what the channel did not take", async () => {
    const { world, all } = await cluster(1);
    const process = at(all, 0);
    process.refuses = 3;
    process.join("a");
    await world.pass(1_000);
    expect(process.refuses).toBe(0);
    expect(events(process)).toEqual(["occupied a"]);
  });
});

describe("a process that was cut off", () => {
  it("is told the difference: what has ended, with the life that it was told of, and what has begun", async () => {
    const { world, all } = await cluster(3);
    for (const name of ["stays", "ends", "again"]) at(all, 1).join(name);
    await world.pass(1_000);
    at(all, 2).cut(20_000);
    at(all, 1).leave("ends");
    at(all, 1).leave("again");
    await world.pass(5_000);
    at(all, 1).join("again");
    at(all, 1).join("new");
    await world.pass(20_000);
    const [story, whole] = [at(all, 2).told, at(all, 1).told];
    expect(story.slice(0, 3)).toEqual(whole.slice(0, 3));
    expect(events(at(all, 2)).slice(3).toSorted()).toEqual(["occupied again", "occupied new", "vacated again", "vacated ends"]);
    for (const told of story) expect(whole).toContainEqual(told);
    const again = story.filter(({ name }) => name === "again");
    expect(again.map(({ event }) => event)).toEqual(["occupied", "vacated", "occupied"]);
  });

  it("says nothing meanwhile that it would have to take back", async () => {
    const { world, all } = await cluster(2);
    at(all, 0).cut(3_000);
    for (let number = 0; number < 10; number++) at(all, 0).join(`group ${number}`);
    await world.pass(6_000);
    for (const process of all) expect(process.told).toHaveLength(10);
    const [, second] = said(world, "sync");
    const by = said(world, "occupied").map((statement) => (statement as { by: string }).by);
    expect(by).toEqual(Array.from({ length: 10 }, () => (second as { nonce: string }).nonce));
  });

  it("led before is the last in the list after", async () => {
    const { world, all } = await cluster(3);
    at(all, 0).cut(1_000);
    await world.pass(3_000);
    at(all, 2).join("a");
    await world.pass(1_000);
    const [word] = said(world, "occupied");
    const [, second] = said(world, "sync");
    expect(word).toMatchObject({ by: (second as { nonce: string }).nonce });
    for (const process of all) expect(events(process)).toEqual(["occupied a"]);
  });

  it.each([true, false])(
    "together with all others goes on as before: nothing is told again (a channel that counts: %s)",
    async (counts) => {
      const { world, all } = await cluster(4, { counts });
      for (const [index, name] of ["a", "b", "c", "d"].entries()) at(all, index).join(name);
      await world.pass(1_000);
      const before = all.map((process) => [...process.told]);
      for (let times = 0; times < 3; times++) {
        world.restartBroker(2_000);
        await world.pass(15_000);
      }
      expect(all.map(({ told }) => told)).toEqual(before);
      at(all, 3).leave("a");
      at(all, 0).leave("a");
      at(all, 2).join("e");
      await world.pass(5_000);
      for (const process of all) expect(events(process).slice(4)).toEqual(["occupied e", "vacated a"]);
    },
  );

  it("for long, and is then the only one, brings nothing back that has ended for the others", async () => {
    const { world, all } = await cluster(3);
    at(all, 1).join("old");
    await world.pass(1_000);
    const stale = at(all, 2);
    stale.cut(60_000);
    at(all, 1).leave("old");
    at(all, 1).join("young");
    await world.pass(30_000);
    for (const index of [0, 1]) at(all, index).cut(60_000);
    await world.pass(31_000);
    expect(stale.isUp).toBe(true); // and leads with what it knew
    at(all, 1).join("old");
    await world.pass(60_000);
    const stories = all.map((process) => process.told.filter(({ name }) => name === "old"));
    const [first, second, last] = stories;
    expect(first?.map(({ event }) => event)).toEqual(["occupied", "vacated", "occupied"]);
    expect(second).toEqual(first);
    expect(last?.map(({ event }) => event)).toEqual(["occupied", "vacated", "occupied"]);
    expect(last).toEqual(first);
    const open = all.map((process) => process.told.findLast(({ name }) => name === "young"));
    expect(new Set(open.map((told) => told?.life)).size).toBe(1);
    expect(open[0]?.event).toBe("occupied");
  });
});

describe("a process that has seen a life end which goes on for others", () => {
  it("does not bring it back when it leads itself before its word has got through", async () => {
    const { world, all } = await cluster(2);
    const [first, stale] = [at(all, 0), at(all, 1)];
    first.join("a");
    await world.pass(1_000);
    stale.cut(40_000);
    first.leave("a");
    stale.join("a");
    await world.pass(20_000);
    expect(events(first)).toEqual(["occupied a", "vacated a"]);
    first.cut(30_000);
    world.passes = ({ say }) => say !== "over";
    await world.pass(31_000);
    expect(events(stale)).toEqual(["occupied a"]); // it leads, and knows nothing of the end
    expect(events(first)).toEqual(["occupied a", "vacated a"]);
    world.passes = () => true;
    stale.crash(100);
    first.cut(1_000);
    await world.pass(20_000);
    expect(said(world, "over")).toEqual([]);
    expect(events(first)).toEqual(["occupied a", "vacated a"]);
  });
});

describe("a process that came late", () => {
  it("knows what has ended before its time: nobody who was cut off can tell it again", async () => {
    const { world, all } = await cluster(2);
    const [first, stale] = [at(all, 0), at(all, 1)];
    first.join("a");
    await world.pass(1_000);
    stale.cut(60_000);
    first.cut(1_000);
    await world.pass(3_000);
    expect(said(world, "lead")).toHaveLength(2); // the first one goes on with what it knew
    const late = world.spawn();
    await world.pass(1_000);
    first.leave("a");
    await world.pass(15_000); // the stale one is taken for dead
    expect(events(late)).toEqual(["occupied a", "vacated a"]);
    late.cut(60_000);
    first.crash(200);
    await world.pass(120_000);
    expect(said(world, "lead")).toHaveLength(3); // the stale one does, and for it the life goes on
    expect(events(late)).toEqual(["occupied a", "vacated a"]);
    expect(stale.told).toEqual(late.told);
  });
});

describe("what comes from the topic and by post", () => {
  it("counts only from the leader, with a life that can be, and changes nothing else", async () => {
    const { world, all } = await cluster(2);
    at(all, 1).join("a");
    await world.pass(1_000);
    const [first, second] = said(world, "sync").map((statement) => (statement as { nonce: string }).nonce);
    const life = at(all, 0).told[0]?.life ?? "";
    const group = { namespace: "default", name: "a" };
    const epoch = first ?? "";
    shout(
      world,
      { say: "vacated", by: second ?? "", ...group, life },
      { say: "vacated", by: epoch, ...group, life: lifeId(epoch, 7) },
      { say: "occupied", by: epoch, ...group, life: lifeId(epoch, 7) },
      { say: "occupied", by: second ?? "", ...group, name: "b", life: lifeId(epoch, 7) },
      { say: "occupied", by: epoch, ...group, name: "b", life: lifeId("other", 7) },
      { say: "occupied", by: epoch, ...group, name: "b", life: lifeId(epoch, 1) },
      { say: "over", ...group, life: lifeId(epoch, 7) },
      { say: "gone", nonce: "nobody" },
      { say: "lead", nonce: "nobody" },
    );
    await world.pass(1_000);
    for (const process of all) expect(events(process)).toEqual(["occupied a"]);
    expect(said(world, "sync")).toHaveLength(2);
    at(all, 1).join("c");
    await world.pass(1_000);
    for (const process of all) expect(events(process)).toEqual(["occupied a", "occupied c"]);
  });

  it("a life that is over anywhere is over everywhere, and who is there begins another one", async () => {
    const { world, all } = await cluster(2);
    at(all, 1).join("a");
    await world.pass(1_000);
    shout(world, { say: "over", namespace: "default", name: "a", life: at(all, 0).told[0]?.life ?? "" });
    await world.pass(1_000);
    for (const process of all) expect(events(process)).toEqual(["occupied a", "vacated a", "occupied a"]);
  });
});

describe("stopping", () => {
  it("ends all timers and tells nothing any more", async () => {
    const { world, all } = await cluster(2);
    at(all, 0).join("a");
    await world.pass(1_000);
    at(all, 0).leave("a");
    await world.pass(500);
    for (const process of all) void process.lives.stop();
    await world.pass(100);
    expect(world.clock.timers).toBe(0);
    await world.pass(10_000);
    for (const process of all) expect(events(process)).toEqual(["occupied a"]);
  });

  it("before anything has begun is heard by nobody", async () => {
    const world = new World();
    const process = world.spawn();
    expect(process.lives.stop()).toBeUndefined();
    await world.pass(10_000);
    expect(world.log).toEqual([]);
    process.lives.start();
    await world.pass(10_000);
    expect(world.log).toEqual([]);
  });
});
