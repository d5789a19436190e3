// What links of one hub hear of each other, in which order, and what each of them costs.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { ChannelServer } from "../../dist/hub/index.js";
import { MessageRecord, Relay } from "../../dist/testing/index.js";
import { encodeFrame } from "../../dist/wire/frames.js";
import { ask, folder, kill, later, Member, record, SECRET, serve, start } from "./hub/rig.ts";

describe("links of one hub", () => {
  it("hear what they subscribed to, the publisher's own copy included and before its answer", async () => {
    const { at } = await serve("127.0.0.1", { secret: SECRET });
    const [one, other] = await Promise.all([Member.join(at), Member.join(at)]);
    await Promise.all([one.adapter.subscribe("a"), other.adapter.subscribe("a"), other.adapter.subscribe("b")]);
    const receipt = await one.publish("a", "1").then((accepted) => ({ ...accepted, got: [...one.got] }));
    expect(receipt).toEqual({ receivers: 2, got: ["a 1"] });
    expect(await one.publish("b", "2")).toEqual({ receivers: 1 });
    expect(await one.publish("nobody", "3")).toEqual({ receivers: 0 });
    await other.until("b 2");
    expect([one.got, other.got]).toEqual([["a 1"], ["a 1", "b 2"]]);
  });

  it("see one order, however many publish at once", async () => {
    const { at } = await serve();
    const members = await Promise.all([Member.join(at), Member.join(at), Member.join(at)]);
    for (const { adapter } of members) await adapter.subscribe("a");
    for (let round = 0; round < 50; round++) {
      await Promise.all(
        members.map((member, index) => Promise.all([0, 1].map((part) => member.publish("a", `${index} ${round} ${part}`)))),
      );
    }
    await Promise.all(members.map((member) => member.when(() => member.got.length === 300)));
    const [first, ...others] = members.map(({ got }) => got);
    for (const got of others) expect(got).toEqual(first);
    for (const index of [0, 1, 2]) {
      const own = first?.filter((word) => word.startsWith(`a ${index} `));
      expect(own).toEqual(Array.from({ length: 100 }, (_, n) => `a ${index} ${Math.floor(n / 2)} ${n % 2}`));
    }
  });

  it("hear nothing of another prefix", async () => {
    const { at } = await serve();
    const [red, blue] = await Promise.all([Member.join({ ...at, prefix: "red" }), Member.join({ ...at, prefix: "blue" })]);
    for (const { adapter } of [red, blue]) await adapter.subscribe("a");
    expect(await red.publish("a", "r")).toEqual({ receivers: 1 });
    expect(await blue.publish("a", "b")).toEqual({ receivers: 1 });
    expect([red.got, blue.got]).toEqual([["a r"], ["a b"]]);
  });

  it("get no byte of a topic that they do not hear", async () => {
    const { port } = await serve();
    const relay = new Relay({ host: "127.0.0.1", port });
    later(() => relay.close());
    const idle = await Member.join({ port: await relay.listen() });
    const [busy] = [await Member.join({ port })];
    await busy.adapter.subscribe("theirs");
    await idle.adapter.subscribe("mine");
    const before = relay.bytesToClient;
    for (let count = 0; count < 100; count++) await busy.publish("theirs", "x".repeat(10_000));
    expect(busy.got.length).toBe(100);
    // Its own message comes after whatever was on its way; a ping is 5 bytes.
    await busy.publish("mine", "y");
    await idle.until("mine y");
    expect(relay.bytesToClient - before).toBeLessThan(500);
    expect(relay.bytesToClient - before).toBeGreaterThan(0);
  });

  it("hear everything from the moment at which a subscription is confirmed, and nothing after they have given it up", async () => {
    const { at } = await serve();
    const [one, other] = await Promise.all([Member.join(at), Member.join(at)]);
    for (let round = 0; round < 20; round++) {
      await other.adapter.subscribe("a");
      await one.publish("a", `${round}`);
      other.adapter.unsubscribe("a");
      await other.hearers("nothing"); // the hub has taken it in
      expect(await one.publish("a", "lost")).toEqual({ receivers: 0 });
    }
    expect(other.got).toEqual(Array.from({ length: 20 }, (_, round) => `a ${round}`));
  });

  it("do what they are asked in the order of the calls", async () => {
    const { at } = await serve();
    const one = await Member.join(at);
    const { adapter } = one;
    const told = [
      one.publish("a", "too early"),
      adapter.subscribe("a"),
      one.publish("a", "1"),
      adapter.unsubscribe("a"),
      one.publish("a", "too late"),
    ];
    expect(await Promise.all(told.map((answer) => Promise.resolve(answer)))).toEqual([
      { receivers: 0 },
      undefined,
      { receivers: 1 },
      undefined,
      { receivers: 0 },
    ]);
    expect(one.got).toEqual([]); // it was given up before it came
  });

  it("are no receivers any more once they are dead", async () => {
    const { at } = await serve("127.0.0.1", { secret: SECRET });
    const one = await Member.join(at);
    const { child } = await start("member.mjs", at, "a");
    expect(await one.hearers("a")).toBe(1);
    await kill(child);
    await expect.poll(() => one.hearers("a")).toBe(0);
  });

  it("carry records of every size up to their limit, byte for byte, and refuse longer ones", async () => {
    const { at } = await serve();
    const [one, other] = await Promise.all([Member.join(at), Member.join(at)]);
    const big = (bytes: number): MessageRecord => {
      const payload = new Uint8Array(bytes).map((_, index) => index * 31);
      return MessageRecord.of([{ kind: "bytes", frame: encodeFrame(payload), except: ["somebody", "😀\0"] }]);
    };
    await other.adapter.subscribe("a");
    const sent = [0, 1, 125, 126, 65_535, 65_536, 262_144, 1_000_000, 3_900_000].map(big);
    for (const record of sent) await one.adapter.publish("a", record);
    await other.when(() => other.records.length === sent.length);
    sent.forEach(({ bytes }, index) => expect(Buffer.compare(bytes, other.records[index]?.bytes ?? Buffer.alloc(0))).toBe(0));
    await expect(one.adapter.publish("a", big(4 * 1024 * 1024))).rejects.toMatchObject({ code: "too_large" });
    await expect(one.publish("x".repeat(513), "x")).rejects.toMatchObject({ code: "bad_option" });
    expect(one.told).toEqual(["up"]);
  });

  it("live on, and say so, when another link sends what is no record", async () => {
    const { at } = await serve();
    const [one, other] = await Promise.all([Member.join(at), Member.join(at)]);
    await other.adapter.subscribe("a");
    const broken = { bytes: Buffer.from("no record at all, but long enough to be one") } as unknown as MessageRecord;
    expect(await one.adapter.publish("a", broken)).toEqual({ receivers: 1 });
    await one.publish("a", "after");
    await other.until("a after");
    expect(other.told).toEqual(["up", "failed a record from another process is broken: its version", "a after"]);
  });
});

describe("a stopped adapter", () => {
  it("rejects what waits, and everything after", async () => {
    const { at } = await serve();
    const one = await Member.join(at);
    const waiting = [one.publish("a", "x"), one.adapter.subscribe("a")];
    void one.publish("a", "quiet");
    await Promise.all([one.adapter.stop(), one.adapter.stop()]);
    waiting.push(one.publish("a", "x"), one.adapter.subscribe("b"));
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: "closed" });
    one.adapter.will("a", record("x"));
    one.adapter.unsubscribe("a");
    expect(one.told).toEqual(["up"]);
  });

  it("leaves no will, however much is on its way to it", async () => {
    const path = join(folder(), "hub.sock");
    const { child: server } = await start("server.mjs", `unix:${path}`);
    const [hearer, publisher] = await Promise.all([Member.join({ path }), Member.join({ path })]);
    await hearer.adapter.subscribe("wills");
    for (let round = 0; round < 30; round++) {
      const one = await Member.join({ path });
      one.adapter.will("wills", record(`${round}`));
      await one.adapter.subscribe("a");
      const published = Array.from({ length: 20 }, () => publisher.publish("a", "x".repeat(50_000)));
      await Promise.all([published[round % 20], one.adapter.stop(), ...published]);
    }
    await expect.poll(async () => (await ask<{ links: number }>(server, "counters")).links).toBe(2);
    await publisher.publish("wills", "the end");
    await hearer.until("wills the end");
    expect(hearer.got).toEqual(["wills the end"]);
  });

  it("leaves nothing behind, nor does a closed server or client: the process ends by itself", async () => {
    const program = new URL("hub/ends-by-itself.mjs", import.meta.url).pathname;
    const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 30_000 });
    expect(stdout).toContain("everything is stopped");
  });
});

describe("a server", () => {
  it("delivers what it has accepted before it closes", async () => {
    const { server, at } = await serve();
    const [one, other] = await Promise.all([Member.join(at), Member.join(at)]);
    await other.adapter.subscribe("a");
    const text = "x".repeat(100_000);
    await Promise.all(Array.from({ length: 50 }, () => one.publish("a", text)));
    await server.close();
    await other.until("down unavailable");
    expect(other.got).toEqual(Array.from({ length: 50 }, () => `a ${text}`));
  });

  it("closes within its time though a link does not read", async () => {
    const { server, at } = await serve();
    const one = await Member.join(at);
    const { child } = await start("member.mjs", at, "a");
    child.kill("SIGSTOP");
    for (let count = 0; count < 40; count++) await one.publish("a", "x".repeat(100_000));
    const before = performance.now();
    await server.close();
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  it("listens on a Unix socket for its owner alone, whatever the process's mask is, and takes the file away", async () => {
    const path = join(folder(), "hub.sock");
    const mask = process.umask(0);
    later(() => process.umask(mask));
    const { server, at } = await serve(`unix:${path}`);
    expect(process.umask()).toBe(0);
    expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
    expect(statSync(path).isSocket()).toBe(true);
    expect(server.address).toEqual({ path });
    expect((await Member.join(at)).told).toEqual(["up"]);
    await server.close();
    expect(existsSync(path)).toBe(false);
  });

  it("takes the place of a socket file that a killed server has left, and not that of a living one", async () => {
    const path = join(folder(), "hub.sock");
    const { child } = await start("server.mjs", `unix:${path}`);
    await expect(new ChannelServer(`unix:${path}`).listen()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("is taken") as string,
    });
    expect((await Member.join({ path })).told).toEqual(["up"]);
    await kill(child);
    expect(statSync(path).isSocket()).toBe(true);
    await serve(`unix:${path}`);
    expect((await Member.join({ path })).told).toEqual(["up"]);
  });

  it("leaves a file alone that is no socket", async () => {
    const inside = folder();
    const path = join(inside, "notes.txt");
    writeFileSync(path, "dear diary");
    mkdirSync(join(inside, "folder"));
    for (const name of ["notes.txt", "folder"]) {
      await expect(new ChannelServer(`unix:${join(inside, name)}`).listen()).rejects.toMatchObject({ code: "unavailable" });
    }
    expect(statSync(path).size).toBe(10);
    await expect(new ChannelServer(`unix:${join(inside, "missing", "hub.sock")}`).listen()).rejects.toMatchObject({ code: "unavailable" });
    chmodSync(path, 0o600);
  });

  it("says which port is taken, and listens there once it is free", async () => {
    const other = createServer();
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const server = new ChannelServer("127.0.0.1", port);
    later(() => server.close());
    await expect(server.listen()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(`127.0.0.1:${port} is taken`) as string,
    });
    other.close();
    await once(other, "close");
    await server.listen();
    expect(server.address).toEqual({ host: "127.0.0.1", port });
    expect((await Member.join({ port })).told).toEqual(["up"]);
  });
});

it("a record keeps its text on the way", async () => {
  const { at } = await serve();
  const one = await Member.join(at);
  await one.adapter.subscribe("g\0default\0😀");
  await one.adapter.publish("g\0default\0😀", record("first", "", "\0", "😀"));
  expect(one.got).toEqual(["first", "", "\0", "😀"].map((text) => `g\0default\0😀 ${text}`));
});
