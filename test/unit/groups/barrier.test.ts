import { describe, expect, it } from "vitest";
import { settle, stateOf, StepBus, stepProcess, texts } from "../fakes.ts";

describe("join as a barrier", () => {
  it("resolves when the channel hears the group, and from then on no publish anywhere is missed", async () => {
    const bus = new StepBus();
    const here = stepProcess(bus);
    const there = stepProcess(bus);
    here.adapter.up();
    there.adapter.up();
    here.adapter.confirms = false;
    const a = here.connect("a");
    const joined = a.connection.join("x");
    expect(here.told).toEqual(["created x", "join a x"]); // a member at once, but not yet heard
    expect(await stateOf(joined)).toBe("pending");
    // A message from another process, on its way before the subscription is in force, may be missed.
    void there.groups.publish("x", "before");
    await there.clock.advanceAsync();
    here.adapter.confirm();
    const group = await joined;
    expect(group).toBe(here.groups.get("x"));
    void there.groups.publish("x", "after");
    await there.clock.advanceAsync();
    await here.clock.advanceAsync();
    expect(texts(a.socket.sent)).toEqual(["after"]);
  });

  it("of a second member waits for the same subscription, and of a third comes at once", async () => {
    const here = stepProcess();
    here.adapter.up();
    here.adapter.confirms = false;
    const [a, b, c] = [here.connect("a").connection, here.connect("b").connection, here.connect("c").connection];
    const joins = [a.join("x"), b.join("x")];
    expect(await Promise.all(joins.map(stateOf))).toEqual(["pending", "pending"]);
    here.adapter.confirm();
    await Promise.all(joins);
    expect(await stateOf(c.join("x"))).toBe("done");
    expect(here.adapter.calls.filter((call) => call === "subscribe g\0default\0x")).toHaveLength(1);
  });

  it("rejects with unavailable after 5 s, not before, and is undone with its events", async () => {
    const here = stepProcess();
    const { connection } = here.connect("a");
    const joined = connection.join("x");
    await here.clock.advanceAsync(4_999);
    expect(await stateOf(joined)).toBe("pending");
    expect(connection.groups.has("x")).toBe(true);
    await here.clock.advanceAsync(1);
    expect(await stateOf(joined)).toBe("unavailable");
    expect([connection.groups.size, here.groups.size]).toEqual([0, 0]);
    expect(here.told).toEqual(["created x", "join a x", "leave a x", "destroyed x"]);
    expect(here.clock.timers).toBe(0);
    expect(here.adapter.calls.at(-1)).toContain("unsubscribe");
  });

  it("that rejects does not undo a membership that was there before, or that setGroup has claimed since", async () => {
    const here = stepProcess();
    const [a, b] = [here.connect("a").connection, here.connect("b").connection];
    a.setGroup("x");
    const again = a.join("x");
    const joined = b.join("x");
    b.setGroup("x");
    await here.clock.advanceAsync(5_000);
    expect([await stateOf(again), await stateOf(joined)]).toEqual(["unavailable", "unavailable"]);
    expect([a.getGroupName(), b.getGroupName(), here.groups.get("x")?.size]).toEqual(["x", "x", 2]);
  });

  it("works again when the channel is back", async () => {
    const here = stepProcess();
    const { connection } = here.connect("a");
    const joined = connection.join("x");
    await here.clock.advanceAsync(5_000);
    expect(await stateOf(joined)).toBe("unavailable");
    here.adapter.up();
    expect(await stateOf(connection.join("x"))).toBe("done");
    expect(connection.groups.has("x")).toBe(true);
  });

  it("rejects with closed if the connection closes or leaves before it is heard", async () => {
    const here = stepProcess();
    const [a, b, c] = [here.connect("a"), here.connect("b"), here.connect("c")];
    c.connection.setGroup("x"); // keeps the group alive
    const joins = [a.connection.join("x"), b.connection.join("x"), b.connection.join("alone")];
    a.socket.hangUp();
    b.connection.leave("x");
    b.connection.leave("alone");
    here.adapter.up();
    expect(await Promise.all(joins.map(stateOf))).toEqual(["closed", "closed", "closed"]);
    expect(here.groups.get("x")?.size).toBe(1);
  });
});

describe("group.ready", () => {
  it("resolves when this process hears the group, and stays so when the group is gone", async () => {
    const here = stepProcess();
    here.adapter.confirms = false;
    here.adapter.up();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    const group = here.groups.get("x");
    if (group === undefined) throw new Error("no group");
    expect(await stateOf(group.ready)).toBe("pending");
    here.adapter.confirm();
    expect(await stateOf(group.ready)).toBe("done");
    connection.setGroup(null);
    expect(await stateOf(group.ready)).toBe("done");
  });

  it("rejects with closed, quietly, if the group is gone before it was heard, and whenever it is asked after that", async () => {
    const here = stepProcess();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    const group = here.groups.get("x");
    if (group === undefined) throw new Error("no group");
    void group.ready;
    connection.setGroup(null);
    await settle();
    expect(await stateOf(group.ready)).toBe("closed");
  });
});
