import { describe, expect, it } from "vitest";
import type { Adapter } from "../../../src/channel/adapter.ts";
import { Channel } from "../../../src/channel/channel.ts";
import { LateAdapter } from "../../../src/channel/late-adapter.ts";
import { MemoryAdapter, MemoryBus } from "../../../src/channel/memory.ts";
import { deferred } from "../../../src/base/promises.ts";
import { GroupcastError } from "../../../src/index.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { settle, stateOf } from "../fakes.ts";

const record = (): MessageRecord => MessageRecord.of([{ kind: "string", except: [], frame: encodeFrame("hi") }]);

/** An adapter on its way, and all that it tells. */
function makeLate(): {
  late: LateAdapter;
  loaded: (adapter: Adapter) => void;
  failed: (error: unknown) => void;
  told: string[];
  loads: () => number;
} {
  const loading = deferred<Adapter>();
  let loads = 0;
  const told: string[] = [];
  const late = new LateAdapter(() => {
    loads++;
    return loading.promise;
  });
  return { late, loaded: loading.resolve, failed: loading.reject, told, loads: () => loads };
}

function start({ late, told }: ReturnType<typeof makeLate>): void {
  late.start({
    receive: (topic) => void told.push(`receive ${topic}`),
    failed: ({ message }) => void told.push(`failed ${message}`),
    up: () => void told.push("up"),
    down: (reason) => void told.push(`down ${reason instanceof GroupcastError ? reason.code : "?"} ${reason.message}`),
  });
}

describe("LateAdapter", () => {
  it("loads nothing before it is started", () => {
    const rig = makeLate();
    expect(rig.loads()).toBe(0);
    start(rig);
    expect(rig.loads()).toBe(1);
  });

  it("is a link that is not up yet while it loads: publishing rejects, subscribing waits", async () => {
    const rig = makeLate();
    start(rig);
    expect(await stateOf(rig.late.publish("t", record()))).toBe("unavailable");
    expect(await stateOf(rig.late.subscribe("t")!)).toBe("pending");
    expect(rig.told).toEqual([]);
  });

  it("is the adapter that it has loaded from then on, with what was subscribed to meanwhile and not given up", async () => {
    const bus = new MemoryBus();
    const rig = makeLate();
    start(rig);
    const [kept, given] = [rig.late.subscribe("kept")!, rig.late.subscribe("given up")!];
    expect(rig.late.subscribe("kept")).toBe(kept);
    rig.late.unsubscribe("given up");
    expect(await stateOf(given)).toBe("done");
    rig.loaded(new MemoryAdapter(bus));
    await kept;
    expect(rig.told).toEqual(["up"]);
    expect(rig.late.subscribe("later")).toBeUndefined();
    for (const topic of ["kept", "given up", "later"]) await rig.late.publish(topic, record());
    expect(rig.told).toEqual(["up", "receive kept", "receive later"]);
    rig.late.unsubscribe("kept");
    await rig.late.publish("kept", record());
    expect(rig.told).toHaveLength(3);
    await rig.late.stop();
    expect(await stateOf(rig.late.publish("later", record()))).toBe("closed");
  });

  it("says why it cannot be loaded, once, and stays down", async () => {
    const rig = makeLate();
    start(rig);
    const wish = rig.late.subscribe("t")!;
    rig.failed(new Error("no such file"));
    await settle();
    expect(rig.told).toEqual(["down bad_option the channel cannot be loaded: no such file"]);
    expect(await stateOf(rig.late.publish("t", record()))).toBe("unavailable");
    expect(await stateOf(wish)).toBe("pending");
    await rig.late.stop();
    expect(await stateOf(wish)).toBe("closed");
  });

  it("hands on an error of ours as it is, also one that the adapter throws when it is started", async () => {
    const rig = makeLate();
    start(rig);
    const adapter = new MemoryAdapter();
    adapter.start = () => {
      throw new GroupcastError("bad_option", "not like this");
    };
    rig.loaded(adapter);
    await settle();
    expect(rig.told).toEqual(["down bad_option not like this"]);
  });

  it("that is stopped while it loads starts nothing, and tells nothing", async () => {
    const rig = makeLate();
    start(rig);
    const wish = rig.late.subscribe("t")!;
    const stopping = rig.late.stop();
    expect(await stateOf(wish)).toBe("closed");
    const adapter = new MemoryAdapter();
    rig.loaded(adapter);
    await stopping;
    expect(rig.told).toEqual([]);
    expect(await stateOf(adapter.publish("t", record()))).toBe("closed"); // it was never started
    expect(await stateOf(rig.late.subscribe("t")!)).toBe("closed");
  });

  it("that was stopped before it was started loads nothing", async () => {
    const rig = makeLate();
    await rig.late.stop();
    start(rig);
    expect(rig.loads()).toBe(0);
  });

  it("lets a channel hold what is published while it loads, and send it when it is there", async () => {
    const clock = new FakeClock();
    const bus = new MemoryBus();
    const loading = deferred<Adapter>();
    const channel = new Channel(new LateAdapter(() => loading.promise), { clock });
    const heard: string[] = [];
    channel.start({ up: () => void heard.push("up"), down: () => {}, failed: () => {} });
    const { ready } = channel.hear("t", () => void heard.push("message"));
    const published = channel.publish("t", { kind: "string", except: [], frame: encodeFrame("hi") });
    await clock.advanceAsync(4_000);
    expect(await stateOf(published)).toBe("pending");
    loading.resolve(new MemoryAdapter(bus));
    await ready;
    await clock.advanceAsync(0);
    expect(await stateOf(published)).toBe("done");
    expect(heard).toEqual(["up", "message"]);
  });
});
