// The application's own events between processes.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SECRET_VARIABLE } from "../../dist/hub/handshake.js";
import { ChannelClient, type ChannelClientOptions } from "../../dist/hub/index.js";
import { breath, folder, kill, later, SECRET, serve, start, timersByHand } from "./hub/rig.ts";

type Line = { readonly level: string; readonly text: string };

/** A logger that keeps its lines. */
function logbook(): { lines: Line[]; logger: NonNullable<ChannelClientOptions["logger"]> } {
  const lines: Line[] = [];
  const level = (name: string) => (_: object, text: string) => void lines.push({ level: name, text });
  return { lines, logger: { debug: level("debug"), info: level("info"), warn: level("warn"), error: level("error") } };
}

/** A client that is closed after the test. */
async function client(port: number, options: ChannelClientOptions = {}): Promise<ChannelClient> {
  const made = await ChannelClient.connect("127.0.0.1", port, options);
  later(() => made.close());
  return made;
}

/** The data of an event, as it comes. */
function hear(from: ChannelClient | typeof ChannelClient, event: string): { got: unknown[]; until: (count: number) => Promise<void> } {
  const got: unknown[] = [];
  from.on(event, (data) => void got.push(data));
  return { got, until: (count) => expect.poll(() => got.length, { timeout: 20_000 }).toBe(count) };
}

describe("an event", () => {
  it("reaches every listener in every process, the publisher's own included, in the order of publishing", async () => {
    const { port } = await serve();
    const one = await client(port);
    const other = await client(port, { prefix: "groupcast", secret: "" });
    const separate = await client(port, { prefix: "theirs" });
    expect(other).toBe(one);
    expect(separate).not.toBe(one);
    const [first, second] = [hear(one, "tick"), hear(one, "tick")];
    for (let count = 0; count < 50; count++) void one.publish("tick", count);
    await one.publish("tick", "last");
    const all = [...Array.from({ length: 50 }, (_, count) => count), "last"];
    expect([first.got, second.got]).toEqual([all, all]);
  });

  it("carries a string, bytes and any JSON value as what they are", async () => {
    const { port } = await serve();
    const one = await client(port);
    const { got } = hear(one, "data");
    const data = ["", "text", '{"not":"parsed"}', "\0😀\ufeff", 0, -1.5, true, null, [], {}, { deep: [{ er: "é" }] }, "x".repeat(500_000)];
    for (const value of data) await one.publish("data", value);
    expect(got).toEqual(data);
    got.length = 0;
    await one.publish("data", new Uint8Array([0, 255, 7]));
    await one.publish("data", Buffer.from("bytes"));
    expect(got).toEqual([new Uint8Array([0, 255, 7]), new Uint8Array(Buffer.from("bytes"))]);
    // The listener may keep it: it is no window into what came beside it.
    for (const bytes of got as Uint8Array[]) expect(bytes.buffer.byteLength).toBe(bytes.length);
  });

  it("goes to processes and back", async () => {
    const { port } = await serve();
    const children = await Promise.all([start("client.mjs", port), start("client.mjs", port)]);
    const one = await client(port);
    const { got, until } = hear(one, "answer");
    await one.publish("ask", { question: 1 });
    await until(2);
    await one.publish("ask", new Uint8Array([1]));
    await until(4);
    const pids = children.map(({ child }) => child.pid);
    const answers = got as { data: unknown; bytes: boolean; pid: number }[];
    expect(answers.slice(0, 2).map(({ pid }) => pid)).toEqual(expect.arrayContaining(pids));
    expect(answers[0]?.data).toEqual({ question: 1 });
    expect(answers[2]?.bytes).toBe(true);
    await Promise.all(children.map(({ child }) => kill(child)));
  });

  it("does not reach who has taken the listener back, nor another event's listeners", async () => {
    const { port } = await serve();
    const one = await client(port);
    const heard: string[] = [];
    const listener = (data: string): void => void heard.push(`first ${data}`);
    const undo = one.on("a", listener);
    one.on("a", listener);
    one.on("a", (data) => void heard.push(`second ${String(data)}`));
    one.on("b", () => void heard.push("b"));
    await one.publish("a", "1");
    undo();
    await one.publish("a", "2");
    one.off("a", listener);
    await one.publish("a", "3");
    expect(heard).toEqual(["first 1", "first 1", "second 1", "first 2", "second 2", "second 3"]);
  });

  it("reaches the others when one listener throws or rejects, and that is logged", async () => {
    const { port } = await serve();
    const { lines, logger } = logbook();
    const one = await client(port, { logger });
    one.on("a", () => {
      throw new Error("thrown");
    });
    one.on("a", () => Promise.reject(new Error("rejected")));
    const { got } = hear(one, "a");
    await one.publish("a", "1");
    await one.publish("a", "2");
    expect(got).toEqual(["1", "2"]);
    const texts = lines.map(({ level, text }) => `${level}: ${text}`);
    for (const why of ["thrown", "rejected"]) {
      expect(texts.filter((text) => text === `error: a listener of the event "a" failed: ${why}`).length).toBe(2);
    }
  });
});

describe("the process's one client", () => {
  it("loses nothing that was listened to or published before it was connected", async () => {
    const { port } = await serve();
    const { got, until } = hear(ChannelClient, "early");
    const published = ChannelClient.publish("early", "bird");
    later(() => ChannelClient.close());
    await breath();
    expect(got).toEqual([]);
    const one = await ChannelClient.connect("127.0.0.1", port);
    await published;
    expect(got).toEqual(["bird"]);
    void ChannelClient.publish("early", "static");
    void one.publish("early", "its own");
    await until(3);
    expect(got).toEqual(["bird", "static", "its own"]);
  });

  it("loses nothing that was listened to before the server was there", async () => {
    const path = join(folder(), "hub.sock");
    const { logger } = logbook();
    const connected = ChannelClient.connect(`unix:${path}`, undefined, { logger });
    later(() => ChannelClient.close());
    const { got, until } = hear(ChannelClient, "early");
    const published = ChannelClient.publish("early", "bird");
    await breath();
    await serve(`unix:${path}`);
    expect((await connected).isUp).toBe(true);
    await published;
    await until(1);
    expect(got).toEqual(["bird"]);
  });

  it("is the same for the same address, and a separate one for another", async () => {
    const [{ port }, { port: elsewhere }] = await Promise.all([serve(), serve()]);
    const [one, same, other] = await Promise.all([client(port), client(port), client(elsewhere)]);
    expect(same).toBe(one);
    expect(other).not.toBe(one);
    const [here, there] = [hear(ChannelClient, "where"), hear(other, "where")];
    await ChannelClient.publish("where", "here");
    await other.publish("where", "there");
    expect([here.got, there.got]).toEqual([["here"], ["there"]]);
  });

  it("is a new one, without listeners, after it was closed", async () => {
    const { port } = await serve();
    const one = await client(port);
    const { got } = hear(one, "a");
    await ChannelClient.close();
    await expect(one.publish("a", "x")).rejects.toMatchObject({ code: "closed" });
    expect(() => one.on("a", () => {})).toThrow(expect.objectContaining({ code: "closed" }) as Error);
    const next = await client(port);
    expect(next).not.toBe(one);
    const again = hear(next, "a");
    await ChannelClient.publish("a", "y");
    expect([got, again.got]).toEqual([[], ["y"]]);
  });

  it("takes the runner's secret when it is given none", async () => {
    const { port } = await serve("127.0.0.1", { secret: SECRET });
    process.env[SECRET_VARIABLE] = SECRET;
    later(() => delete process.env[SECRET_VARIABLE]);
    expect((await client(port)).isUp).toBe(true);
  });
});

describe("without a link", () => {
  it("publish waits 5 s and is then unavailable, quietly if nobody waits; connect goes on trying, and says why", async () => {
    const { clock, pass } = timersByHand();
    const { lines, logger } = logbook();
    const path = join(folder(), "nobody.sock");
    const connected = ChannelClient.connect(`unix:${path}`, undefined, { clock, logger, secret: "mine, not yours" });
    later(() => ChannelClient.close());
    void ChannelClient.publish("a", "quiet");
    let outcome = "waiting";
    const published = ChannelClient.publish("a", "x").catch(({ code }: { code: string }) => void (outcome = code));
    await expect.poll(() => lines.length).toBe(1);
    expect(lines[0]).toMatchObject({ level: "warn", text: expect.stringContaining("nobody.sock") as string });
    expect(JSON.stringify(lines)).not.toContain("mine, not yours");
    await breath();
    pass(4_900);
    await breath();
    expect(outcome).toBe("waiting");
    pass(100);
    await published;
    // The process's client was made by `connect`, so its time is the test's.
    expect(outcome).toBe("unavailable");
    await ChannelClient.close();
    await expect(connected).rejects.toMatchObject({ code: "closed" });
  });

  it("a lost one is found again with everything that is listened to; connect waits for that", async () => {
    const path = join(folder(), "hub.sock");
    const { child } = await start("server.mjs", `unix:${path}`);
    const { lines, logger } = logbook();
    const one = await ChannelClient.connect(`unix:${path}`, undefined, { logger });
    later(() => one.close());
    const { got } = hear(one, "a");
    await one.publish("a", 1);
    await kill(child);
    await expect.poll(() => one.isUp).toBe(false);
    const again = ChannelClient.connect(`unix:${path}`);
    const published = one.publish("a", 2);
    await start("server.mjs", `unix:${path}`);
    expect(await again).toBe(one);
    expect(one.isUp).toBe(true);
    await published;
    expect(got).toEqual([1, 2]);
    expect(lines.map(({ level }) => level)).toEqual(["warn"]);
  });
});
