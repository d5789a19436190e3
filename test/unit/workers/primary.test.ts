import type { ChildProcess } from "node:child_process";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { type Ending, Primary, type StartedRow } from "../../../src/workers/primary.ts";
import { NoteLogger, settle } from "../fakes.ts";
import { FakeChild } from "./fake-child.ts";

class Rig {
  readonly clock = new FakeClock();
  readonly hubs: FakeChild[] = [];
  readonly workers: FakeChild[] = [];
  readonly started: StartedRow[] = [];
  readonly ending: Promise<Ending>;

  constructor({ hubs = 0, workers = 2 }: { readonly hubs?: number; readonly workers?: number } = {}) {
    const fork = (children: FakeChild[]) => () => {
      const child = new FakeChild();
      children.push(child);
      return child as unknown as ChildProcess;
    };
    const primary = new Primary({
      hubs: hubs === 0 ? [] : [{ name: "hub", processes: hubs, fork: fork(this.hubs) }],
      workers: [{ name: "server", processes: workers, fork: fork(this.workers) }],
      drainPerSecond: 500,
      drainDeadlineMs: 25_000,
      drainDelayMs: 0,
      logger: new NoteLogger(),
      started: (rows) => void this.started.push(...rows),
      clock: this.clock,
    });
    this.ending = primary.run();
  }

  /** The process comes up, and is called `node`. */
  up(child: FakeChild, node?: string, isLinked?: boolean): void {
    child.says({ did: "hear" });
    child.says({ did: "listen", listen: "ws://h:1", node, isLinked });
  }
}

describe("Primary", () => {
  it("tells the other workers at once which one of them has died, and its successor when that is up", async () => {
    const rig = new Rig();
    await settle();
    const [a, b] = rig.workers;
    rig.up(a!, "a");
    rig.up(b!, "b");
    await settle();
    a!.end(null, "SIGKILL");
    expect(b!.told).toEqual([{ do: "bury", node: "a" }]);
    await rig.clock.advanceAsync(5_000);
    const [, , successor] = rig.workers;
    expect(successor!.told).toEqual([]);
    rig.up(successor!, "c");
    expect(successor!.told).toEqual([{ do: "bury", node: "a" }]);
    successor!.end(1);
    expect(b!.told).toEqual([
      { do: "bury", node: "a" },
      { do: "bury", node: "c" },
    ]);
  });

  it("has the only worker of a server bury its predecessor", async () => {
    const rig = new Rig({ workers: 1 });
    await settle();
    rig.up(rig.workers[0]!, "a");
    rig.workers[0]!.end(null, "SIGKILL");
    await rig.clock.advanceAsync(5_000);
    rig.up(rig.workers[1]!, "b");
    expect(rig.workers[1]!.told).toEqual([{ do: "bury", node: "a" }]);
  });

  it("buries no hub, and tells none of the dead", async () => {
    const rig = new Rig({ hubs: 1, workers: 1 });
    await settle();
    const [hub] = rig.hubs;
    rig.up(hub!);
    await settle();
    rig.up(rig.workers[0]!, "a");
    hub!.end(null, "SIGKILL");
    expect(rig.workers[0]!.told).toEqual([]);
    await rig.clock.advanceAsync(5_000);
    rig.workers[0]!.end(null, "SIGKILL");
    rig.up(rig.hubs[1]!);
    expect(rig.hubs[1]!.told).toEqual([]);
  });

  it("says of a row whether the channel of all its processes is there", async () => {
    for (const [linked, isLinked] of [
      [[true, true], true],
      [[true, false], false],
      [[false, true], false],
      [[undefined, undefined], true],
    ] as const) {
      const rig = new Rig();
      await settle();
      for (const [index, child] of rig.workers.entries()) rig.up(child, String(index), linked[index]);
      await settle();
      expect(rig.started).toEqual([{ name: "server", processes: 2, listen: "ws://h:1", url: undefined, isLinked }]);
    }
  });

  it("ends with 78 and one line if a worker says that a setting is at fault", async () => {
    const rig = new Rig();
    await settle();
    rig.workers[0]!.says({ did: "fail", kind: "setting", text: "the channel cannot be used", port: 0 });
    for (const child of rig.workers) child.end(1);
    expect(await rig.ending).toEqual({ code: 78, text: "the channel cannot be used" });
  });
});
