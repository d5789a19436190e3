import { describe, expect, it } from "vitest";
import type { AdapterEvents } from "../../../src/channel/adapter.ts";
import { MemoryAdapter, MemoryBus } from "../../../src/channel/memory.ts";
import { encodeFrame, readPayloads } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { stateOf } from "../fakes.ts";

const record = (text: string): MessageRecord => MessageRecord.of([{ kind: "string", frame: encodeFrame(text), except: [] }]);
const textOf = (one: MessageRecord): string => String(readPayloads(one.run ?? new Uint8Array())[0]);

function adapterOn(bus: MemoryBus, receive?: AdapterEvents["receive"]) {
  const adapter = new MemoryAdapter(bus);
  const heard: string[] = [];
  const told: string[] = [];
  adapter.start({
    receive: (topic, one) => {
      heard.push(`${topic} ${textOf(one)}`);
      receive?.(topic, one);
    },
    failed: (error) => void told.push(error.message),
    up: () => void told.push("up"),
    down: () => void told.push("down"),
  });
  return { adapter, heard, told };
}

describe("the memory adapter", () => {
  it("is up at once, and hands over in the same turn, to each that subscribed and the publisher's own, once", async () => {
    const bus = new MemoryBus();
    const [one, two, three] = [adapterOn(bus), adapterOn(bus), adapterOn(bus)];
    expect(one.told).toEqual(["up"]);
    expect(one.adapter.subscribe("x")).toBeUndefined();
    void one.adapter.subscribe("x");
    void two.adapter.subscribe("x");
    void three.adapter.subscribe("y");
    const receipt = one.adapter.publish("x", record("hi"));
    expect([one.heard, two.heard, three.heard]).toEqual([["x hi"], ["x hi"], []]);
    expect(await receipt).toEqual({ receivers: 2 });
    two.adapter.unsubscribe("x");
    two.adapter.unsubscribe("never");
    await three.adapter.publish("x", record("again"));
    expect([one.heard, two.heard]).toEqual([["x hi", "x again"], ["x hi"]]);
    expect(await one.adapter.publish("nobody", record("hi"))).toEqual({ receivers: 0 });
  });

  it("hands on the record itself", () => {
    const bus = new MemoryBus();
    const got: MessageRecord[] = [];
    const { adapter } = adapterOn(bus, (_, one) => void got.push(one));
    void adapter.subscribe("x");
    const sent = record("hi");
    void adapter.publish("x", sent);
    expect(got[0]).toBe(sent);
  });

  it("shows all adapters one order, though they publish while they receive", () => {
    const bus = new MemoryBus();
    const answers = (name: string) => (_: string, one: MessageRecord) => {
      if (textOf(one) === "question") void adapters.get(name)?.adapter.publish("x", record(`answer of ${name}`));
    };
    const adapters = new Map(["a", "b", "c"].map((name) => [name, adapterOn(bus, answers(name))]));
    for (const { adapter } of adapters.values()) void adapter.subscribe("x");
    void adapters.get("b")?.adapter.publish("x", record("question"));
    const [first, ...others] = [...adapters.values()].map(({ heard }) => heard);
    expect(first).toEqual(["x question", "x answer of a", "x answer of b", "x answer of c"]);
    for (const heard of others) expect(heard).toEqual(first);
  });

  it("that is stopped hears nothing, takes nothing, and is counted as no receiver", async () => {
    const bus = new MemoryBus();
    const [one, two] = [adapterOn(bus), adapterOn(bus)];
    void one.adapter.subscribe("x");
    await one.adapter.stop();
    void one.adapter.subscribe("x");
    expect(await two.adapter.publish("x", record("hi"))).toEqual({ receivers: 0 });
    expect(one.heard).toEqual([]);
    expect(await stateOf(one.adapter.publish("x", record("hi")))).toBe("closed");
    void one.adapter.publish("x", record("quiet"));
  });
});
