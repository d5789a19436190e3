// What the tests of lives share: processes that are asked and killed, and what their stories must be.
import { type ChildProcess } from "node:child_process";
import { expect } from "vitest";
import type { HubOptions } from "../../../dist/hub/index.js";
import type { MembersPage } from "../../../dist/index.js";
import { kill, start } from "../hub/rig.ts";

export interface Told {
  readonly event: "occupied" | "vacated";
  readonly name: string;
  readonly life: string;
  readonly atMs: number;
}

/** What became of a call. */
export interface Outcome<T> {
  readonly value?: T;
  /** `ok`, or the error's. */
  readonly code: string;
  /** Whether the channel was up when it was called. */
  readonly wasUp: boolean;
  readonly tookMs: number;
}

/** A process with a manager. */
export class Node {
  readonly child: ChildProcess;
  #asks = 0;
  readonly #waiting = new Map<number, (answer: unknown) => void>();

  constructor(child: ChildProcess) {
    this.child = child;
    child.on("message", ({ ask, answer }: { ask: number; answer: unknown }) => this.#waiting.get(ask)?.(answer));
  }

  static async start(hub: HubOptions): Promise<Node> {
    const { child } = await start("../lives/node.mjs", { kind: "hub", at: hub });
    return new Node(child);
  }

  /** When it had happened, on everybody's clock. */
  join(name: string, count = 1): Promise<number> {
    return this.#ask("join", { name, count });
  }

  leave(name: string): Promise<number> {
    return this.#ask("leave", { name });
  }

  told(): Promise<Told[]> {
    return this.#ask("told");
  }

  errors(): Promise<string[]> {
    return this.#ask("errors");
  }

  /** The groups with members of its own. */
  open(): Promise<string[]> {
    return this.#ask("open");
  }

  isUp(): Promise<boolean> {
    return this.#ask("isUp");
  }

  publish(name: string, text: string): Promise<Outcome<unknown>> {
    return this.#ask("publish", { name, text });
  }

  count(name: string): Promise<Outcome<number>> {
    return this.#ask("count", { name });
  }

  page(name: string): Promise<Outcome<MembersPage>> {
    return this.#ask("page", { name });
  }

  load(names: readonly string[]): Promise<true> {
    return this.#ask("load", { names });
  }

  stopLoad(): Promise<true> {
    return this.#ask("stopLoad");
  }

  stop(): Promise<true> {
    return this.#ask("stop");
  }

  kill(): Promise<void> {
    return kill(this.child);
  }

  #ask<T>(deed: string, facts: object = {}): Promise<T> {
    const ask = ++this.#asks;
    this.child.send({ ask, do: deed, ...facts });
    return new Promise((resolve) => void this.#waiting.set(ask, resolve as (answer: unknown) => void));
  }
}

/** Resolves when each of these has been told this of a group so many times; with what was told last. */
export async function untilTold(nodes: readonly Node[], event: Told["event"], name: string, times = 1): Promise<Told[]> {
  const last: Told[] = [];
  await Promise.all(
    nodes.map(async (node, index) => {
      await expect
        .poll(async () => (await node.told()).filter((told) => told.event === event && told.name === name).length, {
          timeout: 20_000,
          interval: 20,
        })
        .toBe(times);
      const found = (await node.told()).findLast((told) => told.event === event && told.name === name);
      if (found !== undefined) last[index] = found;
    }),
  );
  return last;
}

/** Lives begin before they end, end once, and never come back. Returns what is open in the end. */
export function checkStory(told: readonly Told[]): Map<string, string> {
  const open = new Map<string, string>();
  const seen = new Set<string>();
  for (const { event, name, life } of told) {
    if (event === "occupied") {
      expect([name, open.get(name), seen.has(life)]).toEqual([name, undefined, false]);
      seen.add(life);
      open.set(name, life);
    } else {
      expect([name, open.get(name)]).toEqual([name, life]);
      open.delete(name);
    }
  }
  return open;
}

export const story = (told: readonly Told[]): string[] => told.map(({ event, name, life }) => `${event} ${name} ${life}`);
