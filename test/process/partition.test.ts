// A network that falls apart: a process that is cut off from its broker knows it, the others do without it, and afterwards all agree again.
import { type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { findServer } from "./brokers/find.ts";
import { brokers } from "./brokers/index.ts";
import { Network, networks } from "./cluster/net.ts";
import { SECRET } from "./hub/rig.ts";
import { checkStory, Node, type Outcome, story, untilTold } from "./lives/rig.ts";
import { until } from "./workers-harness.ts";

/** The goals, and how much later a machine that is busy with other things may be, ms. */
const REFUSED_WITHIN_MS = 5_000;
const DROPPED_WITHIN_MS = 10_000;
const EQUAL_WITHIN_MS = 5_000;
const LATE_MS = 5_000;

/** Of what a broker says, for the error that it did not start. */
const KEPT_CHARACTERS = 8_192;

const { missing: noNetwork } = await networks("a network that falls apart");
const none = { missing: noNetwork };
const own = { own: true };

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

interface Kind {
  readonly kind: string;
  readonly missing: boolean;
  /** Starts it in the place `broker`. Resolves with how a process is told of it. */
  readonly start: (network: Network) => Promise<object>;
}

const KINDS: readonly Kind[] = [
  {
    kind: "the hub",
    ...none,
    async start(network) {
      const address = network.addressOf("broker");
      const hub = node(network, "broker", "hub/server.mjs", address, { secret: SECRET });
      const [{ port }] = (await once(hub, "message")) as [{ port: number }];
      return { kind: "hub", at: { host: address, port, secret: SECRET } };
    },
  },
  {
    kind: "Redis",
    ...(noNetwork ? none : await brokers.redis("Redis behind a network that falls apart", own)),
    async start(network) {
      const address = network.addressOf("broker");
      const words = ["--bind", address, "--protected-mode", "no", "--port", "6379", "--save", "", "--dir", scratch()];
      await server(network, "redis-server", words, /Ready to accept connections/);
      return { kind: "redis", at: `redis://${address}:6379` };
    },
  },
  {
    kind: "NATS",
    ...(noNetwork ? none : await brokers.nats("NATS behind a network that falls apart", own)),
    async start(network) {
      const address = network.addressOf("broker");
      await server(network, "nats-server", ["-a", address, "-p", "4222", "-js", "-sd", scratch()], /Server is ready/);
      return { kind: "nats", at: `nats://${address}:4222` };
    },
  },
];

/** A program of the tests, there. */
function node(network: Network, place: string, program: string, ...given: readonly unknown[]): ChildProcess {
  const file = fileURLToPath(new URL(program, import.meta.url));
  return network.fork(place, [file, ...given.map((one) => JSON.stringify(one))]);
}

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "groupcast-partition-"));
  undo.unshift(() => rmSync(folder, { recursive: true, force: true })); // after the network
  return folder;
}

async function server(network: Network, name: "redis-server" | "nats-server", words: readonly string[], listens: RegExp): Promise<void> {
  const { command, env } = await findServer(name);
  const child = network.spawn("broker", [command, ...words], env);
  let said = "";
  const hear = (chunk: Buffer): void => void (said = (said + chunk.toString()).slice(-KEPT_CHARACTERS));
  child.stdout?.on("data", hear);
  child.stderr?.on("data", hear);
  await until(`${name} starts`, () => {
    if (child.exitCode !== null) throw new Error(`${name} has ended:\n${said}`);
    return listens.test(said);
  });
}

/** A process, and what its members are in. */
interface Side {
  readonly place: string;
  readonly node: Node;
  readonly members: Map<string, number>;
}

async function enter(side: Side, name: string, count: number): Promise<void> {
  await side.node.join(name, count);
  side.members.set(name, (side.members.get(name) ?? 0) + count);
}

async function leave(side: Side, name: string): Promise<void> {
  await side.node.leave(name);
  side.members.delete(name);
}

/** Resolves, with how long it took, when all count what there is, show the same pages, and miss nothing. */
async function untilEqual(sides: readonly Side[]): Promise<number> {
  const since = performance.now();
  const names = [...new Set(sides.flatMap(({ members }) => [...members.keys()]))];
  await until("both sides are equal", async () => {
    for (const name of names) {
      const there = sides.reduce((total, { members }) => total + (members.get(name) ?? 0), 0);
      const pages = await Promise.all(sides.map(async ({ node: one }) => one.page(name)));
      const counts = await Promise.all(sides.map(async ({ node: one }) => one.count(name)));
      if (counts.some(({ value }) => value !== there)) return false;
      if (pages.some(({ value }) => value?.partial === true || value?.count !== there || value.members.length !== there)) return false;
      if (new Set(pages.map(({ value }) => JSON.stringify(value))).size > 1) return false;
    }
    return true;
  });
  return performance.now() - since;
}

/** Resolves, with how long after `since` it was, when the other side counts its own members only. */
async function untilDropped(other: Side, since: number): Promise<number> {
  await until("the lost ones are dropped", async () => (await other.node.count("both")).value === other.members.get("both"));
  return performance.now() - since;
}

/** Resolves when all have been told of the same lives, of the groups that have members, each once. */
async function untilSameLives(sides: readonly Side[]): Promise<void> {
  const names = [...new Set(sides.flatMap(({ members }) => [...members.keys()]))].toSorted();
  await until("both sides know the same lives", async () => {
    const open = await Promise.all(sides.map(async ({ node: one }) => checkStory(await one.told())));
    const [first = new Map<string, string>()] = open;
    return (
      String([...first.keys()].toSorted()) === String(names) &&
      open.every((lives) => lives.size === first.size && names.every((name) => lives.get(name) === first.get(name)))
    );
  });
}

const codes = (outcomes: readonly Outcome<unknown>[]): Set<string> => new Set(outcomes.map(({ code }) => code));

describe.each(KINDS)("over $kind", ({ kind, missing, start }) => {
  it.skipIf(missing)(
    "who is cut off is told so, is dropped by the others, and after that both sides count, show and tell the same",
    { timeout: 120_000 },
    async () => {
      const network = await Network.make(["broker", "one", "two"]);
      undo.push(() => network.remove());
      const given = await start(network);
      const sides = await Promise.all(
        ["one", "two"].map(async (place): Promise<Side> => {
          const child = node(network, place, "lives/node.mjs", given);
          await once(child, "message");
          return { place, node: new Node(child), members: new Map() };
        }),
      );
      const [one, two] = sides as [Side, Side];
      for (const side of sides) {
        await enter(side, "both", 20);
        await enter(side, `only ${side.place}`, 10);
      }
      await untilEqual(sides);
      await untilSameLives(sides);

      for (const [lost, other] of [
        [one, two],
        [two, one],
      ] as const) {
        const ends = `ends while ${lost.place} is away`;
        const begins = `begins while ${lost.place} is away`;
        await enter(lost, ends, 5);
        await enter(other, ends, 5);
        await untilEqual(sides);

        await network.cut(lost.place);
        const cutAt = performance.now();
        const dropped = untilDropped(other, cutAt);
        const early = lost.node.publish("both", "into the void");
        await until("it is known", async () => !(await lost.node.isUp()));
        const knownMs = performance.now() - cutAt;
        const late = await Promise.all([lost.node.publish("both", "refused"), lost.node.publish("nobody", "refused")]);
        expect(late.filter(({ wasUp }) => wasUp)).toEqual([]);
        expect(codes(late)).toEqual(new Set(["unavailable"]));
        for (const { tookMs } of late) expect(tookMs).toBeLessThan(REFUSED_WITHIN_MS + LATE_MS);
        expect(["unavailable", "unknown_outcome"]).toContain((await early).code);
        // What cannot be known is not guessed.
        expect(codes(await Promise.all([lost.node.count("both"), lost.node.page("both")]))).toEqual(new Set(["unavailable"]));

        const droppedMs = await dropped;
        expect(droppedMs).toBeLessThan(DROPPED_WITHIN_MS);
        expect((await other.node.page(`only ${lost.place}`)).value).toMatchObject({ count: 0, members: [] });
        // Life goes on, on both sides.
        await leave(lost, ends);
        await leave(other, ends);
        await enter(other, begins, 7);
        await untilTold([other.node], "vacated", `only ${lost.place}`);
        await untilTold([other.node], "occupied", begins);
        expect((await other.node.publish("both", "without them")).code).toBe("ok");
        const awayMs = performance.now() - cutAt;

        await network.heal(lost.place);
        const equalMs = await untilEqual(sides);
        console.log(
          `${kind}: known after ${Math.round(knownMs)} ms, dropped after ${Math.round(droppedMs)}, healed after ${Math.round(awayMs)}, equal ${Math.round(equalMs)} ms later`,
        );
        expect(equalMs).toBeLessThan(EQUAL_WITHIN_MS + LATE_MS);
        await untilTold(
          sides.map((side) => side.node),
          "vacated",
          ends,
        );
        await untilSameLives(sides);
        expect(codes(await Promise.all(sides.map((side) => side.node.publish("both", "again"))))).toEqual(new Set(["ok"]));
      }

      for (const { node: each } of sides) {
        const told = await each.told();
        // Each was away once: its group has had another life since. What had members on both sides has had one.
        const events = (name: string): string[] => told.filter((line) => line.name === name).map(({ event }) => event);
        expect(events("only one")).toEqual(["occupied", "vacated", "occupied"]);
        expect(events("only two")).toEqual(["occupied", "vacated", "occupied"]);
        expect(events("both")).toEqual(["occupied"]);
        expect(await each.errors()).toEqual([]);
      }
      const stories = await Promise.all(sides.map(async ({ node: each }) => story(await each.told()).toSorted()));
      expect(stories[0]).toEqual(stories[1]);
    },
  );
});
