// kill -9 of workers, and of a whole server, under load: who is left counts right, and is told once of each group's end.
import { afterEach, describe, expect, it } from "vitest";
import { type Bus, buses, type Kind } from "./cluster/buses.ts";
import { Client } from "./client.ts";
import { checkStory, story, type Told } from "./lives/rig.ts";
import { fixture, Program, until } from "./workers-harness.ts";

/** A worker has so many clients when it is killed, each a member of so many groups: 2,000 members. */
const CLIENTS = 200;
const GROUPS = 10;
const ROOMS = 100;
/** Rooms whose members are looked at one by one. */
const SHOWN = 10;
/** Short, so that lives end all the time. */
const VACATED_AFTER_MS = 200;
const WORKERS = 3;
/** Of the other server. */
const FEW = 40;

/** The goals. On the same machine it is the median of the kills, and each is well within what it takes those who are not told. */
const KILLED_WORKER_WITHIN_MS = 1_000;
const UNTOLD_AFTER_MS = 5_000;
const KILLED_SERVER_WITHIN_MS = 10_000;

const KINDS: readonly Kind[] = ["hub", "Redis", "NATS"];
const TIMES: Readonly<Partial<Record<Kind, number>>> = { Redis: 20 };

const rooms = Array.from({ length: ROOMS }, (_, index) => `room ${index}`);

interface Page {
  readonly shown: number;
  readonly count: number;
  readonly isPartial: boolean;
}

/** One of the processes that connections are dealt out to. */
class Worker {
  readonly pid: number;
  readonly asker: Client;
  /** Its members, by group. */
  readonly members = new Map<string, number>();

  constructor(pid: number, asker: Client) {
    this.pid = pid;
    this.asker = asker;
  }

  async ask<T>(deed: string, facts: object = {}): Promise<T> {
    return (await this.asker.ask({ do: deed, ...facts }))["answer"] as T;
  }

  /** Of one group, or of all. */
  told(name?: string): Promise<Told[]> {
    return this.ask("told", { name });
  }
}

class Server {
  readonly program: Program;
  /** The oldest first. */
  readonly workers: Worker[] = [];
  readonly #count: number;
  #lastRoom = 0;

  constructor(bus: Bus, count: number) {
    this.#count = count;
    const env = {
      CHANNEL: JSON.stringify(bus.given),
      COUNT: String(count),
      ROOMS: String(ROOMS),
      VACATED_AFTER_MS: String(VACATED_AFTER_MS),
    };
    this.program = new Program([fixture("kills-program.mjs")], env);
  }

  /** Resolves when every process of it is known. */
  async meet(): Promise<void> {
    await until("all workers are there", async () => {
      const asker = await Client.open(this.program.port);
      const pid = (await asker.ask({ do: "pid" }))["answer"] as number;
      if (this.workers.some((worker) => worker.pid === pid)) await asker.close();
      else this.workers.push(new Worker(pid, asker));
      return this.workers.length === this.#count;
    });
  }

  /** So many clients come, dealt out by the server, and become members. */
  async fill(count: number): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, async () => {
        const client = await Client.open(this.program.port);
        const first = (this.#lastRoom += GROUPS);
        await this.join(
          client,
          Array.from({ length: GROUPS }, (_, index) => `room ${(first + index) % ROOMS}`),
        );
      }),
    );
  }

  async join(client: Client, names: readonly string[]): Promise<void> {
    const pid = (await client.ask({ do: "pid" }))["answer"];
    const worker = this.workers.find((one) => one.pid === pid);
    if (worker === undefined) throw new Error(`nobody knows the worker ${String(pid)}`);
    await client.ask({ do: "join", names });
    for (const name of names) worker.members.set(name, (worker.members.get(name) ?? 0) + 1);
  }

  /** The oldest worker is gone, without a word. */
  killOldest(): Worker {
    const victim = this.workers.shift();
    if (victim === undefined) throw new Error("no worker is left");
    process.kill(victim.pid, "SIGKILL");
    return victim;
  }

  /** All of it is gone, without a word. */
  killAll(): void {
    this.program.kill("SIGKILL");
    for (const { pid } of this.workers.splice(0)) process.kill(pid, "SIGKILL");
  }
}

const sum = (workers: readonly Worker[], name: string): number =>
  workers.reduce((total, { members }) => total + (members.get(name) ?? 0), 0);

/** Resolves, with how long it took, when each of these counts every room as it is. What they count before is `before`: nothing between. */
async function untilExact(workers: readonly Worker[], before?: readonly number[]): Promise<number> {
  const since = performance.now();
  const exact = rooms.map((name) => sum(workers, name));
  await Promise.all(
    workers.map((worker) =>
      until(`${worker.pid} counts right`, async () => {
        const counts = await worker.ask<number[]>("counts", { names: rooms });
        const pages = await worker.ask<Page[]>("pages", { names: rooms.slice(0, SHOWN) });
        // A worker goes in one step.
        for (const [index, count] of counts.entries()) if (before !== undefined) expect([exact[index], before[index]]).toContain(count);
        // Pages and counts are of one index.
        for (const { shown, count } of pages) expect(shown).toBe(count);
        return (
          counts.every((count, index) => count === exact[index]) &&
          pages.every(({ count, isPartial }, index) => count === exact[index] && !isPartial)
        );
      }),
    ),
  );
  return performance.now() - since;
}

async function untilTold(workers: readonly Worker[], event: Told["event"], name: string): Promise<void> {
  await Promise.all(
    workers.map((worker) =>
      until(`${worker.pid} is told that ${name} is ${event}`, async () => (await worker.told(name)).some((told) => told.event === event)),
    ),
  );
}

/** Who was told `tale` was told what was open when he came, and from there on what everybody was told: nothing twice, nothing missing. */
function checkTale(tale: readonly Told[], whole: readonly Told[]): void {
  const places = new Map(story(whole).map((line, index) => [line, index]));
  const lines = story(tale);
  const last = places.get(lines.at(-1) ?? "") ?? -1;
  let same = 0;
  while (same < lines.length && places.get(lines.at(-1 - same) ?? "") === last - same) same++;
  expect(lines.slice(0, lines.length - same).filter((line) => !line.startsWith("occupied") || !places.has(line))).toEqual([]);
  const open = (told: readonly Told[]): string[] => [...checkStory(told).values()].toSorted();
  expect(open(tale)).toEqual(open(whole.slice(0, last + 1)));
}

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

describe.each(await buses("workers are killed under load", KINDS))("over $kind", ({ kind, missing, start }) => {
  const times = TIMES[kind] ?? 5;

  it.skipIf(missing)(
    `${times} workers with 2,000 members each, then a whole server, are counted by nobody any more, and each group that ends with them ends once`,
    { timeout: 60_000 + times * 15_000 },
    async () => {
      const bus = await start();
      undo.push(() => bus.stop());
      const [server, other] = [new Server(bus, WORKERS), new Server(bus, 1)];
      undo.push(() => Promise.all([server.program.end(), other.program.end()]));
      await Promise.all([server.program.started(), other.program.started()]);
      await Promise.all([server.meet(), other.meet()]);
      const [observer] = other.workers as [Worker];
      await Promise.all([server.fill(CLIENTS * WORKERS), other.fill(FEW)]);

      const tookMs: number[] = [];
      const ended: string[] = [];
      for (let round = 0; round < times; round++) {
        const all = [...server.workers, observer];
        await untilExact(all);
        const before = rooms.map((name) => sum(all, name));
        const [victim] = server.workers as [Worker];
        expect([...victim.members.values()].reduce((total, count) => total + count)).toBeGreaterThan((CLIENTS * GROUPS) / 2);
        const name = `only of ${round}`;
        await server.join(victim.asker, [name]);
        ended.push(name);
        await untilTold(all, "occupied", name);
        server.killOldest();
        tookMs.push(await untilExact([...server.workers, observer], before));
        await server.meet();
        await server.fill(CLIENTS);
      }
      console.log(`${kind}: counts were exact after ${tookMs.map((ms) => Math.round(ms)).join(", ")} ms`);
      expect(tookMs.toSorted((a, b) => a - b)[Math.floor(times / 2)]).toBeLessThan(KILLED_WORKER_WITHIN_MS);
      expect(Math.max(...tookMs)).toBeLessThan(UNTOLD_AFTER_MS);
      for (const name of ended) await untilTold([observer], "vacated", name);
      const [witness] = server.workers as [Worker];
      await server.join(witness.asker, ["only of the server"]);
      await untilTold([...server.workers, observer], "occupied", "only of the server");
      const tales = await Promise.all(server.workers.map((worker) => worker.told()));
      expect(await Promise.all([...server.workers, observer].map((worker) => worker.ask("errors")))).toEqual(
        Array.from({ length: WORKERS + 1 }, () => []),
      );

      server.killAll();
      const serverTookMs = await untilExact([observer]);
      console.log(`${kind}: counts were exact ${Math.round(serverTookMs)} ms after the server`);
      expect(serverTookMs).toBeLessThan(KILLED_SERVER_WITHIN_MS);
      await observer.ask("rest");
      await untilTold([observer], "vacated", "only of the server");
      const isRoom = (name: string): boolean => name.startsWith("room ") || name.startsWith(`restless ${observer.pid} `);
      await until("every group that has ended is told", async () => [...checkStory(await observer.told()).keys()].every(isRoom));
      const whole = await observer.told();
      for (const tale of tales) checkTale(tale, whole);
      // Those with members of the one that is left have never ended.
      expect(whole.filter(({ event, name }) => event === "vacated" && name.startsWith("room ") && sum([observer], name) > 0)).toEqual([]);
      for (const name of [...ended, "only of the server"]) {
        expect(whole.filter((told) => told.name === name).map(({ event }) => event)).toEqual(["occupied", "vacated"]);
      }
      expect(await observer.ask("errors")).toEqual([]);
    },
  );
});
