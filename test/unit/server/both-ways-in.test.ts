// A command means the same whether it comes as bytes through the fast lane or as a text message from the socket.
import { once } from "node:events";
import { afterEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { newCounters } from "../../../src/base/counters.ts";
import { HELD_BYTES_MAX } from "../../../src/channel/channel.ts";
import { Connection, GroupManager, type GroupManagerOptions, GroupServer } from "../../../src/index.ts";
import { PlainSession } from "../../../src/server/plain-session.ts";
import type { FakeSocket } from "../../../src/testing/index.ts";
import { fc } from "../generate.ts";
import { NoteLogger, Process, settle, StepAdapter, StepBus, stepProcess, texts } from "../fakes.ts";

type Way = "bytes" | "string";
const WAYS: readonly Way[] = ["bytes", "string"];
const utf8 = new TextEncoder();

afterEach(() => void vi.restoreAllMocks());

/** The client sends a text. As bytes: as the fast lane tells it, in a buffer that is used again. */
function say({ connection, socket }: { connection: Connection; socket: FakeSocket }, text: string, way: Way): void {
  if (way === "string") return socket.receive(text);
  const bytes = utf8.encode(`  ${text}`).subarray(2);
  connection.$hear(bytes);
  bytes.fill(0x21);
}

/** Clients of one process that speak the plain protocol. */
function speak(process: Process, ids: readonly string[], { requireMembership = false, commandsPending = 256 } = {}) {
  const counters = newCounters();
  const clients = ids.map((id) => {
    const client = process.connect(id);
    void new PlainSession(client.connection, {
      groups: process.groups,
      counters,
      logger: new NoteLogger(),
      requireMembership,
      commandsPending,
    });
    return client;
  });
  return { clients, counters };
}

const send = (group: string, message: unknown, id?: unknown): string =>
  JSON.stringify(
    id === undefined ? { cmd: "send_to_group", group_id: group, message } : { cmd: "send_to_group", group_id: group, id, message },
  );
const add = (group: string, id?: unknown): string => JSON.stringify({ cmd: "add_group", group_id: group, id });

const PEOPLE = ["a", "b", "c"];
const NAMES = ["x", "y"];

type Step =
  | { readonly do: "say"; readonly who: number; readonly texts: readonly ((call: number) => string)[] }
  | { readonly do: "turn" | "down" | "up" | "decide" }
  | { readonly do: "pass"; readonly ms: number };

const groupName = fc.constantFrom(...NAMES);
/** How a command is marked, by the number of its call. */
const id = fc.oneof(
  { weight: 2, arbitrary: fc.constant(() => undefined) },
  fc.constantFrom<((call: number) => unknown)[]>(
    Number,
    String,
    (call) => call + 0.5,
    () => null,
  ),
);
/** What a message has beside its number and its group. */
const extra = fc.oneof(
  fc.constantFrom("", "hello", '"quoted"', "\\", "\n\u0001", "ü€😀", "\ufeff", '"}', "x".repeat(3_000)),
  fc.string({ unit: "grapheme", maxLength: 10 }),
);
const marked = (call: number, group: string, more: string): string => `${call}:${group}:${more}`;
/** Of one client one after the other, all of them written in the same way. */
const sends = fc
  .record({
    group: groupName,
    how: fc.constantFrom("plain", "plain", "plain", "spaces", "meta", "not last"),
    more: fc.array(extra, { minLength: 1, maxLength: 6 }),
  })
  .map(({ group, how, more }) =>
    more.map((one) => (call: number): string => {
      const message = marked(call, group, one);
      if (how === "spaces") return `{ "cmd":"send_to_group" , "group_id" : "${group}",\n"message": ${JSON.stringify(message)}}`;
      if (how === "meta") return JSON.stringify({ meta: { message }, cmd: "send_to_group", group_id: group, message });
      if (how === "not last") return JSON.stringify({ cmd: "send_to_group", message, group_id: group });
      return send(group, message);
    }),
  );
const other = fc.oneof(
  fc.record({ group: groupName, id, more: extra }).map(
    ({ group, id: mark, more }) =>
      (call: number) =>
        send(group, marked(call, group, more), mark(call)),
  ),
  fc.record({ group: groupName, id }).map(
    ({ group, id: mark }) =>
      (call: number) =>
        send(group, { of: marked(call, group, ""), n: [1e21] }, mark(call)),
  ),
  fc.record({ cmd: fc.constantFrom("add_group", "add_group", "leave_group", "count_group"), group: groupName, id }).map(
    ({ cmd, group, id: mark }) =>
      (call: number) =>
        JSON.stringify({ cmd, group_id: group, id: mark(call) }),
  ),
  // CALL: the number of the call.
  fc
    .constantFrom(
      ...["", "not JSON", "{", "[]", "null", '{"cmd":"nope","id":CALL}', '{"cmd":"send_to_group","group_id":"","message":"x","id":CALL}'],
      ...[
        '{"cmd":"send_to_group","group_id":"x"}',
        '{"cmd":"send_to_group","group_id":"x","message":"}',
        `\ufeff${send("x", "CALL:x:mark")}`,
      ],
      ...[`${send("x", "CALL:x:blank")} `, `{"cmd":"send_to_group","group_id":"x","id":CALL,"message":${"[".repeat(40)}${"]".repeat(40)}}`],
    )
    .map((text) => (call: number) => text.replace("CALL", String(call))),
);
const saying = fc.record({
  do: fc.constant("say"),
  who: fc.nat(PEOPLE.length - 1),
  texts: fc.oneof({ weight: 3, arbitrary: sends }, { weight: 2, arbitrary: fc.array(other, { minLength: 1, maxLength: 3 }) }),
});
const turn = fc.record({ do: fc.constant("turn") });
const step: fc.Arbitrary<Step> = fc.oneof({ weight: 6, arbitrary: saying }, { weight: 2, arbitrary: turn });
const roughStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: step },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("down", "up") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("pass"), ms: fc.constantFrom(1, 3_000, 6_000) }) },
);
const askedStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: step },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("decide") }) },
);

interface World {
  readonly process: Process;
  readonly clients: ReturnType<typeof speak>["clients"];
  readonly counters: ReturnType<typeof speak>["counters"];
  readonly act: (step: Step) => Promise<void> | void;
}

/** The numbers of the calls whose messages or answers these are. */
const callsOf = (got: readonly string[], pattern: RegExp): number[] =>
  got.flatMap((text) => {
    const call = pattern.exec(text)?.[1];
    return call === undefined ? [] : [Number(call)];
  });
const ANSWER = /^\{"id":"?(\d+)/;
const messageOf = (group: string): RegExp => new RegExp(`^(?:\\{"of":")?(\\d+):${group}:`);

/** Inside a process, whoever is answered has got all its own messages of earlier commands that it gets at all. */
function inOrder(got: readonly string[], who: number, says: readonly number[]): void {
  got.forEach((text, at) => {
    const answered = ANSWER.exec(text)?.[1];
    if (answered === undefined) return;
    const later = NAMES.flatMap((name) => callsOf(got.slice(at), messageOf(name)));
    expect(later.filter((call) => says[call] === who && call < Number(answered))).toEqual([]);
  });
}

/** What everybody has got, and what was counted, when all steps were taken. */
async function outcome({ process, clients, counters, act }: World, steps: readonly Step[], way: Way) {
  /** Who has said what: by call, the first is 1. */
  const says: number[] = [-1];
  for (const next of steps) {
    if (next.do === "say") {
      const client = clients[next.who];
      if (client === undefined) throw new Error("nobody");
      for (const text of next.texts) say(client, text(says.push(next.who) - 1), way);
    } else if (next.do === "turn") await process.clock.advanceAsync();
    else if (next.do === "pass") await process.clock.advanceAsync(next.ms);
    else await act(next);
  }
  await process.clock.advanceAsync(6_000);
  const got = clients.map(({ socket }) => texts(socket.sent));
  if (process.groups.isImmediate) got.forEach((list, at) => inOrder(list, at, says));
  return {
    got,
    counters: { ...counters },
    paused: clients.map(({ socket }) => socket.paused),
    groups: clients.map(({ connection }) => [...connection.groups.keys()]),
  };
}

/** Takes the same steps both ways in two worlds that are the same. Returns how often the fast way was taken. */
async function compare(make: () => World | Promise<World>, steps: readonly Step[]): Promise<number> {
  const publishText = vi.spyOn(GroupManager.prototype, "publishText");
  const [bytes, string] = [await make(), await make()];
  const one = await outcome(bytes, steps, "bytes");
  const quick = publishText.mock.results.filter(({ value }) => value !== null).length;
  const before = publishText.mock.calls.length;
  const two = await outcome(string, steps, "string");
  expect(publishText.mock.calls.length).toBe(before);
  publishText.mockRestore();
  const { got, ...rest } = one;
  const { got: gotToo, ...restToo } = two;
  expect(rest).toEqual(restToo);
  got.forEach((list, at) => {
    expect([...list].sort()).toEqual([...(gotToo[at] ?? [])].sort());
    // Messages of different groups have no order between them, nor have answers and the messages of later commands.
    for (const pattern of [ANSWER, ...NAMES.map(messageOf)]) expect(callsOf(list, pattern)).toEqual(callsOf(gotToo[at] ?? [], pattern));
  });
  return quick;
}

describe("the same commands as bytes and as text", () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 25 });

  it("bring the same to everybody in the same order, with the same answers and the same counts, inside one process", async () => {
    let quick = 0;
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), fc.boolean(), async (all, requireMembership, joined) => {
        const make = (): World => {
          const process = new Process();
          const world = { process, ...speak(process, PEOPLE, { requireMembership }), act: () => {} };
          if (joined) world.clients.forEach(({ connection }, at) => void connection.join(NAMES[at % 2] ?? ""));
          return world;
        };
        quick += await compare(make, all);
      }),
      { numRuns: 150 },
    );
    expect(quick).toBeGreaterThan(100);
  }, 60_000);

  it("do so between processes, with a link that comes and goes", async () => {
    let quick = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(roughStep, { minLength: 1, maxLength: 25 }), fc.boolean(), async (all, requireMembership) => {
        const make = async (): Promise<World> => {
          const bus = new StepBus();
          const process = stepProcess(bus);
          const far = stepProcess(bus);
          process.adapter.up();
          far.adapter.up();
          const world = speak(process, PEOPLE, { requireMembership });
          // Somebody in another process, in both groups.
          const watcher = far.connect("watcher");
          for (const name of NAMES) await watcher.connection.join(name);
          await world.clients[0]?.connection.join("x");
          const act = async ({ do: what }: Step): Promise<void> => {
            if (what === "down" && process.adapter.isUp) process.adapter.down();
            if (what === "up" && !process.adapter.isUp) process.adapter.up();
            await far.clock.advanceAsync();
          };
          // The process there flushes when this one's time passes.
          const { clock } = process;
          const advanceAsync = clock.advanceAsync.bind(clock);
          clock.advanceAsync = async (ms) => {
            await advanceAsync(ms);
            await far.clock.advanceAsync();
          };
          return { process, counters: world.counters, clients: [...world.clients, watcher], act };
        };
        quick += await compare(make, all);
      }),
      { numRuns: 60 },
    );
    expect(quick).toBeGreaterThan(50);
  }, 60_000);

  it("do so where somebody is asked first, who takes his time", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(askedStep, { minLength: 1, maxLength: 25 }),
        fc.array(fc.boolean(), { maxLength: 8 }),
        async (all, verdicts) => {
          const make = (): World => {
            const waiting: (() => void)[] = [];
            let asked = 0;
            const authorize: GroupManagerOptions["authorize"] = () => {
              const verdict = verdicts[asked++ % (verdicts.length + 1)] ?? true;
              return new Promise((resolve) => void waiting.push(() => resolve(verdict)));
            };
            const process = new Process({ authorize });
            const act = async (): Promise<void> => {
              waiting.shift()?.();
              await settle();
            };
            return { process, ...speak(process, PEOPLE), act };
          };
          expect(await compare(make, all)).toBe(0); // nobody may send without being asked
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  it.each(WAYS)("a byte order mark before a command is no part of it (%s)", async (way) => {
    const process = new Process();
    const { clients, counters } = speak(process, ["a"]);
    const [a] = clients;
    if (a === undefined) throw new Error("nobody");
    a.connection.setGroup("x");
    for (const message of ["1", "2"]) say(a, send("x", message), way);
    say(a, `\ufeff${send("x", "marked")}`, way);
    say(a, send("x", "\ufeffinside"), way);
    await process.clock.advanceAsync();
    expect(a.socket.sent).toEqual(["1", "2", "\ufeffinside"]);
    expect(counters).toMatchObject({ commands: 4, commandsIgnored: 1, commandsFailed: 0 });
  });

  it.each(WAYS)("what is longer than any channel carries is refused (%s)", async (way) => {
    const process = new Process();
    const { clients, counters } = speak(process, ["a"]);
    const [a] = clients;
    if (a === undefined) throw new Error("nobody");
    a.connection.setGroup("x");
    say(a, send("x", "short"), way);
    say(a, send("x", "short, too"), way);
    say(a, send("x", "x".repeat(1_000_000)), way);
    say(a, send("x", "x".repeat(500_000)), way);
    say(a, send("x", "short again"), way);
    await process.clock.advanceAsync();
    expect(a.socket.sent.map((text) => text.length)).toEqual([5, 10, 500_000, 11]);
    expect(counters).toMatchObject({ commands: 5, commandsIgnored: 1, commandsFailed: 0 });
  });

  it.each(WAYS)("a listener of the application hears each of them once, after it has taken effect (%s)", async (way) => {
    const process = new Process();
    const { clients } = speak(process, ["a"]);
    const [a] = clients;
    if (a === undefined) throw new Error("nobody");
    const said = [add("x"), send("x", "1"), send("x", "zwei: ü"), send("x", "3")];
    say(a, said[0] ?? "", way);
    await process.clock.advanceAsync();
    say(a, said[1] ?? "", way);
    const heard: unknown[] = [];
    a.connection.on("message", (data, isBinary) => void heard.push(["message", data, isBinary]));
    const undo = a.connection.on("text", (text) => void heard.push(["text", text]));
    say(a, said[2] ?? "", way);
    undo();
    say(a, said[3] ?? "", way);
    expect(heard).toEqual([
      ["message", said[2], false],
      ["text", said[2]],
      ["message", said[3], false],
    ]);
    a.connection.once("text", () => void a.connection.send("direct"));
    say(a, send("x", "4"), way);
    await process.clock.advanceAsync();
    expect(a.socket.sent).toEqual(["1", "zwei: ü", "3", "4", "direct"]);
  });

  it.each(WAYS)("are carried out in the order in which they came, around a join that takes its time (%s)", async (way) => {
    const process = stepProcess();
    process.adapter.up();
    const { clients } = speak(process, ["a", "b"]);
    const [a, b] = clients;
    if (a === undefined || b === undefined) throw new Error("nobody");
    await b.connection.join("x");
    say(a, send("x", "0"), way);
    say(a, send("x", "1"), way);
    process.adapter.confirms = false;
    say(a, add("y", "joined"), way);
    say(a, send("x", "2"), way);
    say(a, send("x", "3", "sent"), way);
    await process.clock.advanceAsync();
    expect(b.socket.sent).toEqual(["0", "1"]);
    process.adapter.confirm();
    await process.clock.advanceAsync();
    say(a, send("x", "4"), way);
    await process.clock.advanceAsync();
    expect(b.socket.sent).toEqual(["0", "1", "2", "3", "4"]);
    expect(a.socket.sent).toEqual(['{"id":"joined","ok":true}', '{"id":"sent","ok":true}']);
  });

  it.each(WAYS)("are heard no more from a client that is gone (%s)", async (way) => {
    const process = new Process();
    const { clients, counters } = speak(process, ["a", "b"]);
    const [a, b] = clients;
    if (a === undefined || b === undefined) throw new Error("nobody");
    b.connection.setGroup("x");
    for (const message of ["1", "2"]) say(a, send("x", message), way);
    a.socket.hangUp();
    say(a, send("x", "from the grave"), way);
    await process.clock.advanceAsync();
    expect([b.socket.sent, counters.commands]).toEqual([["1", "2"], 2]);
  });

  const PLACES = WAYS.flatMap((way) => [
    { way, where: "inside one process", make: () => new Process() },
    { way, where: "between processes", make: () => stepProcess() },
  ]);
  it.each(PLACES)(
    "a message sent while a leave is told reaches the leaver once, and what is sent later does not ($way, $where)",
    async ({ way, make }) => {
      const process = make();
      if ("adapter" in process && process.adapter instanceof StepAdapter) process.adapter.up();
      const { clients } = speak(process, ["a", "b"]);
      const [a, b] = clients;
      if (a === undefined || b === undefined) throw new Error("nobody");
      await Promise.all(clients.map(({ connection }) => connection.join("x")));
      for (const message of ["1", "2"]) say(a, send("x", message), way);
      await process.clock.advanceAsync();
      process.groups.get("x")?.on("leave", () => say(a, send("x", "goodbye"), way));
      b.connection.leave("x");
      say(a, send("x", "3"), way);
      await process.clock.advanceAsync();
      expect(a.socket.sent).toEqual(["1", "2", "goodbye", "3"]);
      expect(b.socket.sent).toEqual(["1", "2", "goodbye"]);
    },
  );

  it.each(WAYS)("only members send where that is asked for, from the moment of the join to that of the leave (%s)", async (way) => {
    const process = new Process();
    const { clients, counters } = speak(process, ["a", "b"], { requireMembership: true });
    const [a, b] = clients;
    if (a === undefined || b === undefined) throw new Error("nobody");
    b.connection.setGroup("x");
    const both = (message: string): void => [1, 2].forEach((part) => say(a, send("x", `${message} ${part}`), way));
    both("before");
    a.connection.setGroup("x");
    both("within");
    a.connection.leave("x");
    both("after");
    await process.clock.advanceAsync();
    expect(b.socket.sent).toEqual(["within 1", "within 2"]);
    expect(counters).toMatchObject({ commands: 6, commandsIgnored: 4, commandsFailed: 0 });
  });
});

describe("messages that are not accepted yet", () => {
  const waiting = (way: Way) => {
    const process = stepProcess();
    process.adapter.up();
    const { clients, counters } = speak(process, ["a", "b"]);
    const [a, b] = clients;
    if (a === undefined || b === undefined) throw new Error("nobody");
    const many = (count: number, message = "x"): void => {
      for (let left = count; left > 0; left--) say(a, send("x", message), way);
    };
    return { process, counters, a, b, many };
  };

  it.each(WAYS)("pause their sender's socket when there are 256, and nobody else's, until they are accepted (%s)", async (way) => {
    const { process, a, b, many } = waiting(way);
    many(255);
    expect(a.socket.paused).toBe(false);
    many(1);
    expect([a.socket.paused, b.socket.paused]).toEqual([true, false]);
    await process.clock.advanceAsync();
    expect(a.socket.paused).toBe(false);
    process.adapter.down();
    many(256);
    await process.clock.advanceAsync(4_000);
    expect(a.socket.paused).toBe(true);
    process.adapter.up();
    await process.clock.advanceAsync();
    expect(a.socket.paused).toBe(false);
  });

  it.each(WAYS)("pause it when they have 256 KiB, until less than half of that is left (%s)", async (way) => {
    const { process, a, many } = waiting(way);
    process.adapter.down();
    many(4, "x".repeat(65_000));
    expect(a.socket.paused).toBe(false);
    many(1, "x".repeat(3_000));
    expect(a.socket.paused).toBe(true);
    await process.clock.advanceAsync();
    expect(a.socket.paused).toBe(true);
    process.adapter.up();
    await process.clock.advanceAsync();
    expect(a.socket.paused).toBe(false);
  });

  it.each(WAYS)("are counted as ignored, each, when the channel does not take them, and the socket is read on (%s)", async (way) => {
    const { process, counters, a, many } = waiting(way);
    process.adapter.down();
    many(200);
    await process.clock.advanceAsync(1_000);
    many(100);
    expect(a.socket.paused).toBe(true);
    await process.clock.advanceAsync(5_000);
    expect(counters).toMatchObject({ commands: 300, commandsIgnored: 300, commandsFailed: 0 });
    expect(a.socket.paused).toBe(false);
    process.adapter.up();
    many(3);
    await process.clock.advanceAsync();
    expect(counters).toMatchObject({ commands: 303, commandsIgnored: 300 });
  });

  it.each(WAYS)("are refused and counted as ignored at once when 8 MiB wait already, or the channel is stopped (%s)", async (way) => {
    const { process, counters, many } = waiting(way);
    process.adapter.down();
    many(200, "x".repeat(60_000));
    await process.clock.advanceAsync();
    const fit = Math.floor(HELD_BYTES_MAX / 60_044);
    expect(counters).toMatchObject({ commands: 200, commandsIgnored: 200 - fit, commandsFailed: 0 });
    process.adapter.up();
    await process.clock.advanceAsync();
    const ofGroups = process.adapter.bus.accepted.filter(({ topic }) => topic.startsWith("g"));
    expect(ofGroups.reduce((count, { record }) => count + record.count, 0)).toBe(fit);
    many(2);
    await process.clock.advanceAsync();
    expect(counters.commandsIgnored).toBe(200 - fit);
    await process.groups.stop();
    many(3);
    await process.clock.advanceAsync();
    expect(counters).toMatchObject({ commands: 205, commandsIgnored: 203 - fit, commandsFailed: 0 });
  });

  it.each(WAYS)("are counted apart for each group, and for each turn (%s)", async (way) => {
    const { process, a } = waiting(way);
    const answers: ((how: "taken" | "lost") => void)[] = [];
    await process.clock.advanceAsync(); // it has said that it is there
    process.adapter.publish = () =>
      new Promise((resolve, reject) => {
        answers.push((how) => (how === "taken" ? resolve({ receivers: 1 }) : reject(new Error("lost"))));
      });
    for (const group of ["x", "y", "x"]) for (let count = 0; count < 50; count++) say(a, send(group, "1"), way);
    await process.clock.advanceAsync();
    for (let count = 0; count < 106; count++) say(a, send("x", "2"), way);
    await process.clock.advanceAsync();
    expect(answers).toHaveLength(3);
    expect(a.socket.paused).toBe(true); // 256
    answers[1]?.("taken"); // y
    await settle();
    expect(a.socket.paused).toBe(true);
    answers[2]?.("lost"); // the second turn of x
    await settle();
    // Answers have an order, so those of commands in between are not known yet when they come as text; messages have none.
    if (way === "bytes") expect(a.socket.paused).toBe(false);
    answers[0]?.("taken");
    await settle();
    expect(a.socket.paused).toBe(false);
  });
});

describe("a server", () => {
  it("takes the fast way for what a client says again and again, beside all else that it says, and brings it to everybody in order", async () => {
    const server = new GroupServer({ port: 0, logger: new NoteLogger() });
    const clients: WebSocket[] = [];
    try {
      const { port } = await server.listen();
      const heard: string[][] = [];
      for (let count = 0; count < 2; count++) {
        const client = new WebSocket(`ws://127.0.0.1:${port}/`);
        const texts: string[] = [];
        clients.push(client);
        heard.push(texts);
        client.on("message", (data: Buffer) => void texts.push(data.toString()));
        await once(client, "open");
        client.send(add("x", "joined"));
        await once(client, "message");
      }
      const [a] = clients;
      if (a === undefined) throw new Error("nobody");
      const publishText = vi.spyOn(server.groups, "publishText");
      const last = clients.map(
        (client) => new Promise<void>((resolve) => client.on("message", (data: Buffer) => data.toString() === "last" && resolve())),
      );
      const said = ["1", "2", "3", "\ufeffvier: ü", "5", "6", "7", "8", "last"];
      said.forEach((message, at) => {
        if (at === 4) a.send(Buffer.from(send("x", message)));
        else if (at === 6) a.send(send("x", message, "answered"));
        else a.send(send("x", message));
      });
      await Promise.all(last);
      const answer = '{"id":"answered","ok":true}';
      for (const texts of heard) expect(texts.filter((text) => text !== answer)).toEqual(['{"id":"joined","ok":true}', ...said]);
      expect(heard[0]).toContain(answer);
      // The first two of their kind, the binary one, the one with an id and the one behind that go the slow way.
      expect(publishText.mock.results.filter(({ value }) => value instanceof Promise)).toHaveLength(4);
      expect(server.counters).toMatchObject({ commands: 11, commandsIgnored: 0, commandsFailed: 0 });
    } finally {
      for (const client of clients) client.terminate();
      await server.close();
    }
  });
});
