// occupied and vacated of several managers on one bus, and of one alone.
import { describe, expect, it } from "vitest";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { type GroupManagerOptions, MemoryBus, memoryChannel } from "../../../src/index.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { codeOf, Process, StepBus, stepProcess } from "../fakes.ts";

const LINGER_MS = 2_000;

/** A process that writes down what it is told of the cluster, too. */
function listener(bus: MemoryBus, clock: FakeClock, options: GroupManagerOptions = {}): Process & { readonly lives: string[] } {
  const process = new Process({ ...options, clock, channel: memoryChannel({ bus, clock }) });
  const lives: string[] = [];
  process.groups.on("occupied", ({ name, namespace, life }) => void lives.push(`occupied ${namespace} ${name} ${life}`));
  process.groups.on("vacated", ({ name, namespace, life }) => void lives.push(`vacated ${namespace} ${name} ${life}`));
  return Object.assign(process, { lives });
}

const short = (lives: readonly string[]): string[] => lives.map((line) => line.split(" ").slice(0, 3).join(" "));

describe("one process", () => {
  it("is told of a group's life behind what happens in it, and of its end after the linger", async () => {
    const clock = new FakeClock();
    const process = listener(new MemoryBus(), clock);
    await clock.advanceAsync(10);
    process.groups.on("occupied", ({ name }) => void process.told.push(`occupied ${name}`));
    process.groups.on("vacated", ({ name }) => void process.told.push(`vacated ${name}`));
    const { connection } = process.connect("c");
    connection.setGroup("a");
    expect(process.told).toEqual(["created a", "join c a"]);
    await clock.advanceAsync(10);
    expect(process.told).toEqual(["created a", "join c a", "occupied a"]);
    connection.setGroup(null);
    await clock.advanceAsync(LINGER_MS - 20);
    expect(process.told.slice(3)).toEqual(["leave c a", "destroyed a"]);
    await clock.advanceAsync(30);
    expect(process.told.slice(5)).toEqual(["vacated a"]);
  });

  it("may linger for another time, down to none", async () => {
    const clock = new FakeClock();
    const process = listener(new MemoryBus(), clock, { vacatedAfterMs: 0 });
    const { connection } = process.connect("c");
    await connection.join("a");
    await clock.advanceAsync(1);
    connection.leave("a");
    await clock.advanceAsync(1);
    expect(short(process.lives)).toEqual(["occupied default a", "vacated default a"]);
    for (const vacatedAfterMs of [-1, Number.NaN, 3_600_001, "2" as unknown as number]) {
      expect(
        codeOf(() => new Process({ vacatedAfterMs })),
        String(vacatedAfterMs),
      ).toBe("bad_option");
    }
  });

  it("is not told of a group whose only member was turned away", async () => {
    const clock = new FakeClock();
    const process = listener(new MemoryBus(), clock);
    process.groups.on("created", (group) => {
      if (group.name === "a") connection.setGroup("b");
    });
    const { connection } = process.connect("c");
    await clock.advanceAsync(10);
    connection.setGroup("a");
    await clock.advanceAsync(10_000);
    expect(short(process.lives)).toEqual(["occupied default b"]);
  });
});

describe("several processes", () => {
  it("are told the same, each once, whoever has the members", async () => {
    const [bus, clock] = [new MemoryBus(), new FakeClock()];
    const all = [listener(bus, clock), listener(bus, clock), listener(bus, clock)] as const;
    await clock.advanceAsync(3_000);
    const first = all[1].connect("c").connection;
    const second = all[2].connect("d").connection;
    const stranger = all[2].connect("e", undefined, "other").connection;
    await first.join("a");
    await second.join("a");
    await stranger.join("a");
    await clock.advanceAsync(1_000);
    first.leave("a");
    await clock.advanceAsync(5_000);
    second.leave("a");
    await clock.advanceAsync(LINGER_MS + 1_000);
    for (const { lives } of all) {
      expect(short(lives)).toEqual(["occupied default a", "occupied other a", "vacated default a"]);
      expect(lives).toEqual(all[0].lives);
    }
  });

  it("that come late are told what is occupied, and a manager that stops leaves no group behind", async () => {
    const [bus, clock] = [new MemoryBus(), new FakeClock()];
    const early = listener(bus, clock);
    await clock.advanceAsync(100);
    await early.connect("c").connection.join("a");
    await clock.advanceAsync(1_000);
    const late = listener(bus, clock);
    await clock.advanceAsync(3_000);
    expect(late.lives).toEqual(early.lives);
    await early.groups.stop();
    await clock.advanceAsync(LINGER_MS + 1_000);
    expect(short(late.lives)).toEqual(["occupied default a", "vacated default a"]);
    expect(short(early.lives)).toEqual(["occupied default a"]);
  });

  it("that do not listen are counted in, and neither say nor hear anything for it", async () => {
    const bus = new StepBus();
    const quiet = stepProcess(bus);
    const curious = stepProcess(bus);
    const told: string[] = [];
    for (const { adapter } of [quiet, curious]) adapter.up();
    curious.groups.once("occupied", ({ name }) => void told.push(name));
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 50) for (const { clock } of [quiet, curious]) await clock.advanceAsync(50);
    };
    await pass(4_000);
    await Promise.all([quiet.connect("c").connection.join("a"), pass(2_000)]);
    expect(told).toEqual(["a"]);
    const topic = encodeTopic({ kind: "lives" });
    expect([quiet.adapter.hears(topic), curious.adapter.hears(topic)]).toEqual([false, true]);
    expect(quiet.adapter.calls.filter((call) => call.endsWith(` ${topic}`))).toEqual([]);
    expect(curious.adapter.calls).toContain(`publish ${topic}`);
  });
});
