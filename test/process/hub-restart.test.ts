// The hub dies, hangs, and comes back; so do its clients.
import { type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Relay } from "../../dist/testing/index.js";
import { ask, folder, kill, later, Member, SECRET, serve, start, timersByHand } from "./hub/rig.ts";

/** A hub in a process of its own, at the same place each time. */
function place(): { at: { path: string; secret: string }; begin: () => Promise<ChildProcess> } {
  const path = join(folder(), "hub.sock");
  return {
    at: { path, secret: SECRET },
    begin: async () => (await start("server.mjs", `unix:${path}`, { secret: SECRET })).child,
  };
}

describe("when the hub is killed and comes back", () => {
  it("everybody is subscribed again before they are told that it is up", async () => {
    const { at, begin } = place();
    let hub = await begin();
    const [one, other] = await Promise.all([Member.join(at), Member.join(at)]);
    for (let number = 0; number < 3_000; number++) void one.adapter.subscribe(`topic ${number}`);
    await one.adapter.subscribe("a");
    for (let times = 2; times <= 4; times++) {
      await kill(hub);
      await Promise.all([one, other].map((member) => member.until("down unavailable", times - 1)));
      hub = await begin();
      await Promise.all([one, other].map((member) => member.until("up", times)));
      const receipts = await Promise.all(["a", "topic 0", "topic 2999"].map((topic) => other.publish(topic, `${times}`)));
      expect(receipts).toEqual([{ receivers: 1 }, { receivers: 1 }, { receivers: 1 }]);
      await one.until(`topic 2999 ${times}`);
    }
    // Each outage is told once, however many attempts failed in it.
    expect(other.told).toEqual(["up", "down unavailable", "up", "down unavailable", "up", "down unavailable", "up"]);
  });

  it("what was wished for meanwhile holds, and what was given up does not", async () => {
    const { at, begin } = place();
    const hub = await begin();
    const one = await Member.join(at);
    await Promise.all([one.adapter.subscribe("old"), one.adapter.subscribe("kept")]);
    await kill(hub);
    await one.until("down unavailable");
    let isHeard = false;
    const heard = one.adapter.subscribe("new")?.then(() => void (isHeard = true));
    one.adapter.unsubscribe("old");
    await expect(one.publish("kept", "x")).rejects.toMatchObject({ code: "unavailable", retry: true });
    expect(isHeard).toBe(false);
    await begin();
    await heard;
    await one.until("up", 2);
    const receivers = await Promise.all(["old", "kept", "new"].map(async (topic) => (await one.publish(topic, "x")).receivers));
    expect(receivers).toEqual([0, 1, 1]);
  });

  it("a publish that was under way has an unknown outcome", async () => {
    const { at, begin } = place();
    const hub = await begin();
    const one = await Member.join(at);
    hub.kill("SIGSTOP");
    const published = one.publish("a", "x");
    await kill(hub);
    await expect(published).rejects.toMatchObject({ code: "unknown_outcome", retry: true });
  });
});

describe("when somebody hangs", () => {
  it("a hub that says nothing is taken for lost within seconds, and found again", async () => {
    const { at, begin } = place();
    const hub = await begin();
    const one = await Member.join(at);
    await one.adapter.subscribe("a");
    const before = performance.now();
    hub.kill("SIGSTOP");
    const published = one.publish("a", "x");
    await one.until("down unavailable");
    const silence = performance.now() - before;
    expect(silence).toBeGreaterThan(1_500); // not at the first ping that is late
    expect(silence).toBeLessThan(20_000);
    await expect(published).rejects.toMatchObject({ code: "unknown_outcome" });
    hub.kill("SIGCONT");
    await one.until("up", 2);
    expect(await one.publish("a", "y")).toEqual({ receivers: 1 });
  });

  it("a process that says nothing is no receiver any more, and comes back by itself", async () => {
    const { at } = await serve("127.0.0.1", { secret: SECRET });
    const one = await Member.join(at);
    const { child } = await start("member.mjs", at, "a");
    expect(await one.hearers("a")).toBe(1);
    child.kill("SIGSTOP");
    await expect.poll(() => one.hearers("a"), { timeout: 20_000 }).toBe(0);
    child.kill("SIGCONT");
    await expect.poll(() => one.hearers("a"), { timeout: 20_000 }).toBe(1);
    expect(await ask(child, "state")).toMatchObject({ ups: 2, downs: 1 });
    expect(one.told).toEqual(["up"]);
  });

  it("a process that was stopped itself for a while takes nobody for dead", async () => {
    const { at } = await serve("127.0.0.1", { secret: SECRET });
    const one = await Member.join(at);
    const until = performance.now() + 4_000;
    while (performance.now() < until); // neither end of the link can say or hear anything
    expect(await one.publish("a", "x")).toEqual({ receivers: 0 });
    expect(one.told).toEqual(["up"]);
  });

  it("a link that is held up on its way is given up", async () => {
    const { port } = await serve();
    const relay = new Relay({ host: "127.0.0.1", port });
    later(() => relay.close());
    const one = await Member.join({ port: await relay.listen() });
    await one.adapter.subscribe("a");
    const watcher = await Member.join({ port });
    expect(await watcher.hearers("a")).toBe(1);
    relay.hold();
    await expect.poll(() => watcher.hearers("a"), { timeout: 20_000 }).toBe(0);
    relay.release();
    await one.until("up", 2);
    await expect.poll(() => watcher.hearers("a")).toBe(1);
  });
});

describe("attempts to come back", () => {
  it("wait a random time, at most 50 ms at first and then twice as long each time, up to a second", async () => {
    const { clock, asked, pass } = timersByHand();
    const lost = new Member({ path: join(folder(), "nobody.sock"), clock, random: { id: () => "", unit: () => 0.5 } });
    const waits = (): number[] => asked.filter((ms) => ms !== 5_000); // the handshake's
    for (let attempts = 1; attempts <= 8; attempts++) {
      await expect.poll(() => waits().length).toBe(attempts);
      pass(1_000);
    }
    expect(waits().slice(0, 8)).toEqual([25, 50, 100, 200, 400, 500, 500, 500]);
    expect(lost.told).toEqual(["down unavailable"]);
    expect(lost.reasons[0]?.message).toContain("nobody.sock");
  });

  it("say what is wrong, also of a name with several addresses", async () => {
    const { server, port } = await serve();
    await server.close();
    for (const host of ["127.0.0.1", "localhost"]) {
      const lost = new Member({ host, port });
      await lost.until("down unavailable");
      expect(lost.reasons[0]?.message).toContain(`${host}:${port}: connect ECONNREFUSED`);
      await lost.adapter.stop();
    }
  });

  it("begin again with a short wait once a link was up", async () => {
    const { clock, asked, pass } = timersByHand();
    const { server, port } = await serve();
    const relay = new Relay({ host: "127.0.0.1", port });
    later(() => relay.close());
    const one = await Member.join({ port: await relay.listen(), clock, random: { id: () => "", unit: () => 0.5 } });
    for (const times of [2, 3]) {
      relay.cut();
      await one.until("down unavailable", times - 1);
      expect(asked.at(-1)).toBe(25);
      relay.restore();
      pass(25);
      await one.until("up", times);
    }
    expect(server.counters.ended).toBe(2);
  });
});
