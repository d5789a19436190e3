import { describe, expect, it, vi } from "vitest";

/** A module of its own for each test: what is declared is remembered by the module. */
async function freshWorker(): Promise<typeof import("../../../src/workers/worker.ts").Worker> {
  vi.resetModules();
  return (await import("../../../src/workers/worker.ts")).Worker;
}

describe("Worker", () => {
  it("is one process without a name until it is told otherwise", async () => {
    const Worker = await freshWorker();
    const worker = new Worker("websocket://127.0.0.1:0");
    expect([worker.count, worker.name]).toEqual([1, "none"]);
  });

  it("refuses an address that it cannot listen on", async () => {
    const Worker = await freshWorker();
    expect(() => new Worker("http://127.0.0.1:1")).toThrow(expect.objectContaining({ code: "bad_option" }));
  });

  it("has groups and a pool only in its own processes", async () => {
    const Worker = await freshWorker();
    const worker = new Worker("websocket://127.0.0.1:0");
    expect(() => worker.groups).toThrow(/only in its own processes/);
    expect(() => worker.pool).toThrow(/only in its own processes/);
  });

  it("runs nothing when nothing is declared", async () => {
    const Worker = await freshWorker();
    expect(() => Worker.runAll()).toThrow(/declare a Worker/);
  });

  it.each([0, -1, 1.5, NaN, 1_025, "4" as unknown as number])("refuses a count of %s before anything runs", async (count) => {
    const Worker = await freshWorker();
    new Worker("websocket://127.0.0.1:0").count = count;
    expect(() => Worker.runAll()).toThrow(/count/);
  });

  it("refuses two workers on one address before anything runs", async () => {
    const Worker = await freshWorker();
    const two = [new Worker("websocket://127.0.0.1:1"), new Worker("websocket://127.0.0.1:1")];
    expect(two[0]).not.toBe(two[1]);
    expect(() => Worker.runAll()).toThrow(/two workers listen on websocket:\/\/127\.0\.0\.1:1/);
  });
});
