// The load generator of the bench finds what a server does wrong, and nothing in one that does right: else its figures are worth nothing.
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Children } from "../../bench/children.ts";
import { compileLoad, runLoad, type Shape, type Step } from "../../bench/load.ts";
import type { Peer } from "../../bench/peers.ts";
import { startServer } from "../../bench/server.ts";

const hasCompiler = spawnSync("cc", ["--version"]).status === 0;
if (!hasCompiler) console.warn("SKIPPED: the load generator of the bench: there is no C compiler (cc)");

const FAULTLESS = { missing: 0, gaps: 0, duplicates: 0, wrong: 0, closed: 0, drained: true };
const SHORT: Shape = {
  name: "short",
  clients: 20,
  publishers: 2,
  window: 4,
  seconds: 0.3,
  warmSeconds: 0.1,
  settleMs: 200,
  patienceMs: 1_000,
};

const children = new Children();

/** One run against the server that is wrong on purpose. */
async function load(fault: string, shape: Partial<Shape> = {}): Promise<readonly Step[]> {
  const peer: Peer = {
    family: "faulty",
    title: "faulty",
    file: "faulty.mjs",
    runtime: "node",
    protocol: "plain",
    hasManyProcesses: false,
    env: { FAULT: fault, EVERY: "10" },
    package: undefined,
    broker: undefined,
  };
  const settings = { runtimes: { node: process.execPath, bun: undefined }, pinning: undefined, brokers: {}, collects: true };
  const server = await startServer(children, peer, settings);
  try {
    return await runLoad(children, { ...SHORT, ...shape }, { ...server, protocol: peer.protocol });
  } finally {
    await server.end();
  }
}

async function only(steps: Promise<readonly Step[]>): Promise<Step> {
  const [step, ...more] = await steps;
  if (step === undefined || more.length > 0)
    throw new Error(`one step was expected, there are ${more.length + (step === undefined ? 0 : 1)}`);
  return step;
}

// In CI there has to be a compiler.
describe.skipIf(!hasCompiler && process.env["CI"] === undefined)("the load generator", () => {
  beforeAll(() => compileLoad());
  afterAll(() => children.killAll());

  it("finds nothing wrong with a server that does right", async () => {
    const step = await only(load("none"));
    expect(step).toMatchObject({ ...FAULTLESS, unsent: 0 });
    expect(step["deliveriesPerSecond"]).toBeGreaterThan(1_000);
    expect(step["serverCpuSeconds"]).toBeGreaterThan(0);
    expect(step["p50Us"]).toBeGreaterThan(0);
    expect(Number(step["maxUs"])).toBeGreaterThanOrEqual(Number(step["p99Us"]));
  });

  it("takes messages that fill several reads", async () => {
    expect(await only(load("none", { size: 300_000, window: 1, clients: 4 }))).toMatchObject(FAULTLESS);
  });

  it("counts a message that a member does not get as a gap, and the last one as missing", async () => {
    const step = await only(load("drop"));
    expect(step).toMatchObject({ duplicates: 0, wrong: 0, closed: 0, drained: false });
    expect(step.gaps + step.missing).toBeGreaterThan(0);
  });

  it("counts a message that comes twice", async () => {
    const step = await only(load("duplicate"));
    expect(step).toMatchObject({ ...FAULTLESS, duplicates: expect.any(Number) as number });
    expect(step.duplicates).toBeGreaterThan(0);
  });

  it("counts messages that have changed places: one comes too early, the other too late", async () => {
    const step = await only(load("swap", { publishers: 1 }));
    expect(step.gaps).toBeGreaterThan(0);
    expect(step.duplicates).toBeGreaterThan(0);
    expect(step).toMatchObject({ wrong: 0, closed: 0 });
  });

  it("counts a message with one wrong byte, the last", async () => {
    const step = await only(load("corrupt"));
    expect(step.wrong).toBeGreaterThan(0);
    expect(step).toMatchObject({ missing: 0, duplicates: 0, closed: 0 });
  });

  it("counts a connection that the server ends", async () => {
    expect(await only(load("close"))).toMatchObject({ closed: 1 });
  });

  it("gives up rising rates after two that were not held", async () => {
    const rates = [50, 100, 900_000, 950_000, 999_999];
    const steps = await load("none", { rates, clients: 50, publishers: 1, capMs: 10_000, drainSeconds: 1 });
    expect(steps.slice(0, 2).map(({ held }) => held)).toEqual([true, true]);
    expect(steps.slice(2).some(({ held }) => held)).toBe(false);
    expect(steps.length).toBeLessThanOrEqual(4);
  });

  it("says what idle connections and memberships cost", async () => {
    const step = await only(load("none", { mode: "idle", clients: 1_000, groups: 4, groupsPerClient: 2 }));
    expect(step).toMatchObject({ ...FAULTLESS, mode: "idle", memberships: 2_000 });
    expect(step["handshakesPerSecond"]).toBeGreaterThan(0);
    expect(step["bytesPerConnection"]).toBeGreaterThan(0);
  });

  it("refuses what makes no sense, and says why", async () => {
    await expect(load("none", { size: 8 })).rejects.toThrow("--size: 32 to 900000");
    await expect(load("none", { groupsPerClient: 1 })).rejects.toThrow("--mode idle");
  });
});
