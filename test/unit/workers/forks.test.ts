import type { ChildProcess } from "node:child_process";
import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { SharedPort } from "../../../src/workers/forks.ts";
import { Handoffs } from "../../../src/workers/handoffs.ts";

describe("SharedPort", () => {
  it("is the port that was given, and does not move", async () => {
    const shared = new SharedPort("127.0.0.1", 1234);
    expect(await shared.port).toBe(1234);
    expect(shared.moved(1234)).toBe(false);
  });

  it("is one free port for all, if any will do", async () => {
    const shared = new SharedPort("127.0.0.1", 0);
    const port = await shared.port;
    expect(port).toBeGreaterThan(0);
    expect(await shared.port).toBe(port);
  });

  it("moves once for all workers that found it taken, and not without end", async () => {
    const shared = new SharedPort("127.0.0.1", 0);
    const first = await shared.port;
    expect([shared.moved(first), shared.moved(first), shared.moved(first)]).toEqual([true, true, true]);
    for (let moves = 1; moves < 5; moves++) expect(shared.moved(await shared.port)).toBe(true);
    expect(shared.moved(await shared.port)).toBe(false);
  });
});

class FakeWorker extends EventEmitter {
  readonly sent: unknown[] = [];
  send(...words: readonly unknown[]): boolean {
    this.sent.push(words);
    return true;
  }
}

function watched(handoffs: Handoffs): FakeWorker {
  const worker = new FakeWorker();
  handoffs.watch(worker as unknown as ChildProcess);
  return worker;
}

class FakeHandle {
  closed = 0;
  close(): void {
    this.closed++;
  }
}

describe("Handoffs", () => {
  const offer = (worker: FakeWorker, handle: FakeHandle): boolean => worker.send({ cmd: "NODE_CLUSTER", act: "newconn", key: "k" }, handle);

  it("sends everything on as it is", () => {
    const worker = watched(new Handoffs());
    const handle = new FakeHandle();
    worker.send("a", undefined, undefined, "callback");
    offer(worker, handle);
    expect(worker.sent).toEqual([
      ["a", undefined, undefined, "callback"],
      [{ cmd: "NODE_CLUSTER", act: "newconn", key: "k" }, handle],
    ]);
  });

  it("closes the connection that was on its way to a worker that ended", () => {
    const worker = watched(new Handoffs());
    const [taken, lost] = [new FakeHandle(), new FakeHandle()];
    offer(worker, taken);
    offer(worker, lost);
    worker.emit("exit");
    expect(lost.closed).toBe(1);
    expect(taken.closed).toBe(0);
  });

  it("leaves alone what another worker was offered since", () => {
    const handoffs = new Handoffs();
    const [one, other] = [watched(handoffs), watched(handoffs)];
    const handle = new FakeHandle();
    offer(one, handle);
    offer(other, handle);
    one.emit("exit");
    expect(handle.closed).toBe(0);
    other.emit("exit");
    expect(handle.closed).toBe(1);
  });
});
