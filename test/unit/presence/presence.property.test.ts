import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import type { Connection } from "../../../src/index.ts";
import { type Node, Observer, World } from "./world.ts";

/** A step of a history. Numbers choose among what is there, whatever that is by then. */
type Step =
  | { readonly do: "connect" | "join" | "leave"; readonly who: number; readonly group: number }
  | {
      readonly do: "hang up" | "name" | "ask" | "cut" | "restore" | "hold" | "go on" | "kill" | "bury" | "stop" | "slander";
      readonly who: number;
    }
  | { readonly do: "start" | "bus down" | "bus up" }
  | { readonly do: "pass"; readonly ms: number };

const GROUPS = ["x", "y", "z"];
const NODES_MAX = 5;

const who = fc.nat(1_000);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constantFrom("connect", "join", "leave"), who, group: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("hang up", "name"), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("ask"), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("cut", "restore", "restore", "hold", "go on", "go on"), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("kill", "bury", "stop", "slander"), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("start", "start", "bus down", "bus up", "bus up") }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("pass"), ms: fc.oneof(fc.nat(200), fc.nat(9_000)) }) },
);

class History {
  readonly world: World;
  #started = 0;

  constructor(world: World) {
    this.world = world;
    this.#start();
    this.#start();
  }

  async take(step: Step): Promise<void> {
    const { world } = this;
    if (step.do === "pass") return world.pass(step.ms);
    if (step.do === "start") return this.#start();
    if (step.do === "bus down") {
      world.bus.isUp = false;
      for (const adapter of world.bus.adapters) adapter.cut();
      return;
    }
    if (step.do === "bus up") return this.#busUp();
    if (!("who" in step)) return;
    const { alive } = world;
    const node = alive[step.who % alive.length];
    if (node === undefined) return;
    const connections = node.pool.connections();
    const connection = connections[step.who % Math.max(1, connections.length)];
    switch (step.do) {
      case "connect":
        // A process that is stopped does nothing.
        if (!node.clock.isStopped) node.connect(GROUPS[step.group] ?? "x", GROUPS[(step.group + step.who) % 3] ?? "x");
        return;
      case "ask":
        if (!node.clock.isStopped) node.groups.count("x").catch(() => {});
        return;
      case "cut":
        return node.adapter.cut();
      case "restore":
        return node.adapter.restore();
      case "hold":
        return node.stop();
      case "go on":
        return node.goOn();
      case "kill":
      case "bury":
      case "stop":
        return this.#end(node, step.do, step.who);
      case "slander":
        // Somebody takes a process for dead that is not.
        return alive.find((other) => other !== node && !other.clock.isStopped)?.groups.$bury(node.name);
      default:
        if (connection !== undefined && !node.clock.isStopped) this.#change(step, node, connection);
    }
  }

  /** All that can be repaired is, and some time passes. */
  async heal(): Promise<void> {
    for (const node of this.world.alive) if (node.clock.isStopped) node.goOn();
    this.#busUp();
    this.world.bus.loss = 0;
    await this.world.pass(25_000);
  }

  #change(step: Step, node: Node, connection: Connection): void {
    if (step.do === "join") connection.join(GROUPS[step.group] ?? "x").catch(() => {});
    else if (step.do === "leave") connection.leave(GROUPS[step.group] ?? "x");
    else if (step.do === "hang up") node.disconnect(connection);
    else if (step.do === "name") connection.user = [null, "ann", "bob"][step.who % 3] ?? null;
  }

  async #end(node: Node, how: "kill" | "bury" | "stop", who: number): Promise<void> {
    if (this.world.alive.length < 3) return;
    if (how === "stop") {
      if (node.clock.isStopped) return;
      for (const connection of node.pool.connections()) node.disconnect(connection);
      await this.world.wait(node.groups.stop());
    }
    node.kill();
    const other = this.world.alive[who % this.world.alive.length];
    if (how === "bury" && other?.clock.isStopped === false) other.groups.$bury(node.name);
  }

  #start(): void {
    if (this.world.alive.length >= NODES_MAX) return;
    // Names that are not in the order of their coming; every other process keeps an index from the start.
    this.world.node(`n${(this.#started * 7) % 10}${this.#started}`, { presence: this.#started % 2 === 0 ? "always" : "asked" });
    this.#started++;
  }

  #busUp(): void {
    this.world.bus.isUp = true;
    for (const adapter of this.world.bus.adapters) adapter.restore();
  }
}

describe.each([
  { name: "that tells how many have heard something", tells: true, hasWills: true, loss: 0 },
  { name: "that tells nothing, and does no wills", tells: false, hasWills: false, loss: 0 },
  { name: "that loses some of it without a word", tells: true, hasWills: false, loss: 0.05 },
])("whatever befalls the processes on a bus $name", (options) => {
  it("all of them believe the truth in the end", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 80, size: "max" }), fc.nat(), async (steps, seed) => {
        const world = new World({ ...options, delayMs: 20, seed });
        const history = new History(world);
        const observer = new Observer(world, "observer");
        for (const [index, step] of steps.entries()) {
          await history.take(step);
          if (index % 10 === 3) observer.adapter.cut();
          if (index % 10 === 5) observer.adapter.restore();
          expect(observer.told).toEqual(observer.said); // at any time
        }
        await history.heal();
        const { truth } = world;
        expect(observer.wrong).toEqual([]);
        expect(observer.told).toEqual(Object.keys(truth));
        expect([...observer.presence.index.nodes()].sort()).toEqual(world.alive.map(({ name }) => name).sort());
        for (const node of world.alive) {
          expect(await world.belief(node)).toEqual(truth);
          expect(await world.beliefOfUsers(node)).toEqual(world.users);
          expect([...node.errors]).toEqual([]);
        }
        for (const node of world.alive) void node.groups.stop();
        void observer.presence.stop();
      }),
      { numRuns: Number(process.env["RUNS"] ?? 40), endOnFailure: false },
    );
  }, 120_000);
});
