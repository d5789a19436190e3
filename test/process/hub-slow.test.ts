// A process that does not read: it is cut when its queue is full, and costs the others a moment at the most.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ask, folder, later, Member, record, SECRET, serve, start, timersByHand } from "./hub/rig.ts";

const LARGE = "x".repeat(50_000);

describe("a link that does not read", () => {
  it("is cut at its bound, while the others get everything", async () => {
    const path = join(folder(), "hub.sock"); // the kernel holds far less for it than for TCP
    const { server, at } = await serve(`unix:${path}`, { waitingBytesMax: 1_000_000 });
    const [good, publisher] = await Promise.all([Member.join(at), Member.join(at)]);
    await good.adapter.subscribe("a");
    const { child } = await start("member.mjs", at, "a");
    child.kill("SIGSTOP");
    let sent = 0;
    while (server.counters.links === 3 && sent < 200) await publisher.publish("a", `${sent++} ${LARGE}`);
    await publisher.publish("a", `last ${LARGE}`);
    await good.until(`a last ${LARGE}`);
    expect(server.counters).toMatchObject({ links: 2, ended: 1 });
    // It had its bound of 1 MB, and what the kernel holds.
    expect(sent).toBeGreaterThan(20);
    expect(sent).toBeLessThan(100);
    expect(good.got.length).toBe(sent + 1);
    expect([good.told[0], publisher.told]).toEqual(["up", ["up"]]);
    child.kill("SIGCONT");
    await expect.poll(() => publisher.hearers("a"), { timeout: 20_000 }).toBe(2);
    expect(await ask(child, "state")).toMatchObject({ ups: 2, downs: 1 });
  });

  it("delays those who publish to it only once, by 250 ms, and nobody else", async () => {
    const { clock, asked, pass } = timersByHand();
    const path = join(folder(), "hub.sock");
    const noPings = { ...clock, every: () => () => {} }; // it shall not be cut for its silence here
    const { server, at } = await serve(`unix:${path}`, { clock: noPings, waitingBytesMax: 4_000_000 });
    const [publisher, bystander] = await Promise.all([Member.join(at), Member.join(at)]);
    await bystander.adapter.subscribe("b");
    const { child } = await start("member.mjs", at, "a");
    child.kill("SIGSTOP");
    let answered = 0;
    const published = Array.from({ length: 60 }, () => publisher.publish("a", LARGE).then(() => void answered++));
    const waits = (): number[] => asked.filter((ms) => ms === 250);
    await expect.poll(() => waits().length).toBe(1);

    // What the hub had read by then is answered, and no more; the bystander gets its answers.
    await bystander.publish("b", "x");
    const before = answered;
    for (let times = 0; times < 100; times++) await bystander.publish("b", "x");
    expect(answered).toBe(before);
    expect(before).toBeLessThan(60);

    pass(249);
    await bystander.publish("b", "x");
    expect(answered).toBe(before);
    pass(1);
    await Promise.all(published);
    expect(server.counters.links).toBe(3);
    // From here on nobody waits for it: its queue fills, and it is cut.
    for (let sent = 0; server.counters.links === 3 && sent < 200; sent++) await publisher.publish("a", LARGE);
    expect(server.counters.links).toBe(2);
    expect(waits()).toEqual([250]);
    expect(publisher.told).toEqual(["up"]);
  });
});

describe("a burst", () => {
  it("far over what may wait reaches a process that reads, whole and in order", async () => {
    const { clock } = timersByHand(); // however busy this machine is: the hub's patience lasts
    const { server, at } = await serve("127.0.0.1", { secret: SECRET, waitingBytesMax: 1_000_000, clock });
    const publisher = await Member.join(at);
    const { child } = await start("member.mjs", at, "a");
    const sent = Array.from({ length: 400 }, () => publisher.publish("a", LARGE));
    await Promise.all(sent);
    await expect.poll(async () => (await ask<{ heard: number }>(child, "state")).heard, { timeout: 20_000 }).toBe(400);
    expect(server.counters).toMatchObject({ links: 2, ended: 0 });
  });

  it("over what a process may have waiting is refused with unavailable, and what was not refused arrives", async () => {
    const { child: server, said } = await start("server.mjs", "127.0.0.1", { secret: SECRET });
    const at = { port: (said as { port: number }).port, secret: SECRET };
    const one = await Member.join(at);
    await one.adapter.subscribe("a");
    server.kill("SIGSTOP");
    later(() => server.kill("SIGCONT"));
    const outcomes: Promise<string>[] = [];
    const text = "x".repeat(900_000);
    for (let turn = 0; turn < 40; turn++) {
      const published = one.adapter.publish("a", record(`${turn} ${text}`));
      outcomes.push(
        published.then(
          () => "accepted",
          ({ code }: { code: string }) => code,
        ),
      );
      await new Promise((resolve) => void setImmediate(resolve));
    }
    server.kill("SIGCONT");
    const all = await Promise.all(outcomes);
    const accepted = all.flatMap((outcome, turn) => (outcome === "accepted" ? [turn] : []));
    expect(new Set(all)).toEqual(new Set(["accepted", "unavailable"]));
    expect(accepted.length).toBeGreaterThan(8);
    expect(one.got.map((word) => Number(word.split(" ")[1]))).toEqual(accepted);
    expect(one.told.filter((word) => word.startsWith("down"))).toEqual([]);
  });
});
