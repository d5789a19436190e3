import { fc } from "../generate.ts";
import { expectInPlace } from "../in-place.ts";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { memoryChannel } from "../../../src/index.ts";
import { FakeSocket } from "../../../src/testing/index.ts";
import { Process, settle, StepBus, stepProcess, StreamSocket, texts, WebFake } from "../fakes.ts";

const PEOPLE = ["a", "b", "c", "d"];
const NAMES = ["x", "y"];

type Step =
  | { readonly do: "join" | "setGroup" | "leave"; readonly who: number; readonly name: number }
  | { readonly do: "publish" | "write"; readonly name: number; readonly except: readonly number[]; readonly bytes: number }
  | { readonly do: "send" | "close"; readonly who: number }
  | { readonly do: "endTurn" };

const who = fc.nat(PEOPLE.length - 1);
const name = fc.nat(NAMES.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("join", "join", "setGroup", "leave"), who, name }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constantFrom("publish", "write"),
      name,
      except: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(who, { maxLength: 2 }) }),
      // Some come near the 256 KiB that are written early.
      bytes: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(100_000, 300_000) }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("send"), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close"), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("endTurn") }) },
);

/** A message as the test knows it: the number of its call, and where it went. */
type Sent = { readonly call: number; readonly to: string };
const encode = ({ call, to }: Sent, bytes: number): string => `${call} ${to} ${"-".repeat(bytes)}`;
const decode = (text: unknown): Sent => {
  const [call, to] = String(text).split(" ");
  return { call: Number(call), to: String(to) };
};

describe("on a channel inside the process", () => {
  const sockets = (): (FakeSocket | WebFake)[] => [new StreamSocket(), new StreamSocket(), new FakeSocket(), new WebFake()];

  it("everybody gets exactly what was published while it was a member, in order, and direct sends in their place", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), fc.boolean(), async (steps, twoProcesses) => {
        const bus = new MemoryBus();
        const here = new Process({ channel: memoryChannel({ bus }) });
        const there = twoProcesses ? new Process({ channel: memoryChannel({ bus }), clock: here.clock }) : here;
        const people = sockets().map((socket, index) => (index % 2 === 0 ? here : there).connect(PEOPLE[index] ?? "", socket));
        // What each of them is to get: on this channel everything is decided at the moment of the call.
        const due: Sent[][] = people.map(() => []);
        steps.forEach((next, call) => {
          const groupName = NAMES["name" in next ? next.name : 0] ?? "";
          const index = "who" in next ? next.who : 0;
          const person = people[index];
          if (person === undefined) throw new Error("nobody");
          const { connection } = person;
          switch (next.do) {
            case "join":
              return void connection.join(groupName);
            case "setGroup":
              return void connection.setGroup(groupName);
            case "leave":
              return void connection.leave(groupName);
            case "close":
              return void connection.close();
            case "endTurn":
              return here.clock.endTurn();
            case "send": {
              if (connection.$open) due[index]?.push({ call, to: "you" });
              return void connection.send(encode({ call, to: "you" }, 0));
            }
            default: {
              const except = next.except.map((one) => PEOPLE[one] ?? "");
              const from = call % 2 === 0 ? here : there;
              const message = { call, to: groupName };
              const group = from.groups.get(groupName);
              if (next.do === "write" && group === undefined) return;
              people.forEach((one, at) => {
                if (one.connection.groups.has(groupName) && one.connection.$open && !except.includes(one.connection.id))
                  due[at]?.push(message);
              });
              if (next.do === "write") group?.write(encode(message, next.bytes), { except });
              else void from.groups.publish(groupName, encode(message, next.bytes), { except });
            }
          }
        });
        here.clock.advance();
        people.forEach(({ socket }, index) => {
          const got = socket.sent.map(decode);
          const expected = due[index] ?? [];
          expectInPlace(got, expected, NAMES);
        });
        await settle();
      }),
      { numRuns: 400 },
    );
  }, 60_000);
});

describe("on a channel between processes", () => {
  type AsyncStep = Step | { readonly do: "deliver" };
  const asyncStep: fc.Arbitrary<AsyncStep> = fc.oneof(
    { weight: 5, arbitrary: step },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("deliver") }) },
  );

  it("all members in all processes see one order, nobody gets anything twice, nobody in it misses anything, and what is left is left", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(asyncStep, { minLength: 1, maxLength: 60 }), async (steps) => {
        const bus = new StepBus();
        bus.delivers = false;
        const processes = [stepProcess(bus), stepProcess(bus)] as const;
        for (const one of processes) one.adapter.up();
        const people = PEOPLE.map((id, index) => (processes[index % 2] ?? processes[0]).connect(id));
        const published: Sent[] = [];
        /** From when to when each of them was in a group for certain, in calls; `out`: when leave had returned. */
        const stays: { who: number; to: string; in: number; out: number }[] = [];
        const excepted = new Map<number, readonly string[]>();
        let call = 0;
        const endTurns = () => Promise.all(processes.map(({ clock }) => clock.advanceAsync()));
        for (const next of steps) {
          call++;
          const groupName = NAMES["name" in next ? next.name : 0] ?? "";
          const index = "who" in next ? next.who : 0;
          const { connection } = people[index] ?? people[0] ?? processes[0].connect("nobody");
          const before = new Set(connection.groups.keys());
          switch (next.do) {
            case "join":
            case "setGroup":
              if (next.do === "join") await connection.join(groupName).catch(() => {});
              else if (connection.setGroup(groupName)) await connection.getGroup()?.ready;
              break;
            case "leave":
              connection.leave(groupName);
              break;
            case "close":
              await connection.close();
              break;
            case "send":
              connection.send("direct");
              break;
            case "endTurn":
              await endTurns();
              break;
            case "deliver":
              await endTurns();
              bus.deliver();
              break;
            default: {
              const except = next.except.map((one) => PEOPLE[one] ?? "");
              published.push({ call, to: groupName });
              excepted.set(call, except);
              void processes[call % 2]?.groups.publish(groupName, encode({ call, to: groupName }, next.bytes), { except });
            }
          }
          for (const to of NAMES) {
            if (!before.has(to) && connection.groups.has(to)) stays.push({ who: index, to, in: call, out: Infinity });
            if (!before.has(to) || connection.groups.has(to)) continue;
            const stay = stays.findLast((one) => one.who === index && one.to === to);
            if (stay !== undefined) stay.out = call;
          }
        }
        await endTurns();
        bus.deliver();
        await endTurns();
        const seen = people.map(({ socket }) => socket.sent.filter((text) => text !== "direct").map(decode));
        seen.forEach((got, index) => {
          const calls = got.map((one) => one.call);
          expect(new Set(calls).size).toBe(calls.length);
          for (const { call: at } of got) expect(excepted.get(at)).not.toContain(PEOPLE[index]);
          for (const { call: at, to } of got) {
            // Published before some stay of it ended: what was published after the last leave is for others.
            expect(stays.some((stay) => stay.who === index && stay.to === to && at <= stay.out)).toBe(true);
          }
          for (const stay of stays) {
            if (stay.who !== index || stay.out !== Infinity) continue;
            const missed = published.filter(
              ({ call: at, to }) => to === stay.to && at > stay.in && excepted.get(at)?.includes(PEOPLE[index] ?? "") !== true,
            );
            for (const message of missed) expect(calls).toContain(message.call);
          }
        });
        // One order: whatever two members have both seen of one group, they have seen in the same order.
        for (const to of NAMES) {
          const lists = seen.map((got) => got.filter((one) => one.to === to).map((one) => one.call));
          for (const one of lists) {
            for (const other of lists) {
              const [common, also] = [one.filter((at) => other.includes(at)), other.filter((at) => one.includes(at))];
              expect(common).toEqual(also);
            }
          }
        }
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  it("what one process publishes arrives in the order of its calls", async () => {
    const bus = new StepBus();
    const [one, other] = [stepProcess(bus), stepProcess(bus)];
    one.adapter.up();
    other.adapter.up();
    const a = other.connect("a");
    await a.connection.join("x");
    const expected: string[] = [];
    for (let turn = 0; turn < 5; turn++) {
      for (let message = 0; message < 5; message++) {
        expected.push(`${turn}.${message}`);
        void one.groups.publish("x", `${turn}.${message}`);
      }
      await one.clock.advanceAsync();
    }
    await other.clock.advanceAsync();
    expect(a.socket.sent).toEqual(expected);
  });
});

describe("in one turn", () => {
  const three = () => {
    const here = new Process();
    const members = ["a", "b", "c"].map((id) => here.connect(id));
    for (const { connection } of members) connection.setGroup("x");
    const group = here.groups.get("x");
    if (group === undefined) throw new Error("no group");
    return { here, members, group, sockets: members.map(({ socket }) => socket) };
  };
  const writes = (sockets: readonly StreamSocket[]) => sockets.map((socket) => socket.writes);
  afterEach(() => void vi.restoreAllMocks());

  it("a hundred messages are one write for each member, at its end", () => {
    const { here, group, sockets } = three();
    for (let message = 0; message < 100; message++) group.write(`message ${message}`);
    expect(writes(sockets)).toEqual([0, 0, 0]);
    here.clock.endTurn();
    expect(writes(sockets)).toEqual([1, 1, 1]);
    for (const { sent } of sockets) expect(sent).toEqual(Array.from({ length: 100 }, (_, message) => `message ${message}`));
    here.clock.endTurn();
    expect(writes(sockets)).toEqual([1, 1, 1]);
  });

  it("each member is written to at most once for each of its groups, whatever is published, if nobody comes or goes", () => {
    const message = fc.record({ name: fc.nat(NAMES.length - 1), bytes: fc.nat(1_000) });
    fc.assert(
      fc.property(fc.array(fc.array(message, { maxLength: 60 }), { maxLength: 8 }), (turns) => {
        const here = new Process();
        const people = PEOPLE.map((id) => here.connect(id));
        // a and b are in both groups, c in the first, d in none.
        people.forEach(({ connection }, index) => {
          for (const groupName of NAMES.slice(0, [2, 2, 1, 0][index])) void connection.join(groupName);
        });
        for (const turn of turns) {
          const before = people.map(({ socket }) => socket.writes);
          for (const { name: at, bytes } of turn) void here.groups.publish(NAMES[at] ?? "", "x".repeat(bytes));
          expect(people.map(({ socket }) => socket.writes)).toEqual(before);
          here.clock.endTurn();
          people.forEach(({ socket, connection }, index) => {
            const heard = NAMES.filter((groupName, at) => connection.groups.has(groupName) && turn.some((one) => one.name === at));
            expect(socket.writes - (before[index] ?? 0)).toBe(heard.length);
          });
        }
      }),
      { numRuns: 100 },
    );
  });

  it("all members get the very same bytes: one frame for each message, joined once", () => {
    const { here, group, sockets } = three();
    const encode = vi.spyOn(TextEncoder.prototype, "encode");
    group.write("one");
    expect(encode).toHaveBeenCalledTimes(1);
    here.clock.endTurn();
    group.write("two");
    group.write("three", { except: "nobody" });
    here.clock.endTurn();
    expect(encode).toHaveBeenCalledTimes(3);
    const [first] = sockets;
    expect(first?.runs).toHaveLength(3); // one; two; three, whose except list writes at once
    for (const { runs } of sockets) runs.forEach((run, index) => expect(run).toBe(first?.runs[index]));
  });

  it("sockets that take no frames get the messages, decoded once for all of them", () => {
    const here = new Process();
    const sockets = [new WebFake(), new WebFake(), new FakeSocket()];
    sockets.forEach((socket, index) => here.connect(String(index), socket).connection.setGroup("x"));
    const decode_ = vi.spyOn(TextDecoder.prototype, "decode");
    here.groups.get("x")?.write("one");
    here.groups.get("x")?.write(new Uint8Array([1, 2]));
    here.clock.endTurn();
    expect(decode_).toHaveBeenCalledTimes(1);
    for (const { sent } of sockets) expect(texts(sent)).toEqual(["one", "bytes 0102"]);
    expect(sockets[0]?.sent[1]).toBe(sockets[1]?.sent[1]);
  });

  it.each<[reason: string, act: (context: ReturnType<typeof three>) => unknown]>([
    ["a joiner", ({ here }) => here.connect("d").connection.setGroup("x")],
    ["a leaver", ({ members }) => members[2]?.connection.leave("x")],
    ["a message with except", ({ group }) => group.write("not for all", { except: "a" })],
  ])("%s writes what is pending before, once", (_, act) => {
    const context = three();
    context.group.write("pending");
    context.group.write("pending, too");
    act(context);
    const [a] = context.sockets;
    expect([a?.writes, a?.sent]).toEqual([1, ["pending", "pending, too"]]);
  });

  it("a direct send writes what is pending for all, and comes after it", () => {
    const { members, group, sockets, here } = three();
    group.write("pending");
    members[1]?.connection.send("direct");
    expect(sockets.map(({ sent }) => sent)).toEqual([["pending"], ["pending", "direct"], ["pending"]]);
    group.write("after");
    here.clock.endTurn();
    expect(sockets[1]?.sent).toEqual(["pending", "direct", "after"]);
  });

  it("a direct send comes after a broadcast to its namespace, too", async () => {
    const { members, here, sockets } = three();
    await here.pool.broadcastMessage("default", "broadcast");
    members[0]?.connection.send("direct");
    here.clock.endTurn();
    expect(sockets[0]?.sent).toEqual(["broadcast", "direct"]);
  });

  it("256 KiB are written before its end, in order with the rest", () => {
    const { here, group, sockets } = three();
    const big = "x".repeat(100_000);
    for (let message = 0; message < 3; message++) group.write(`${message} ${big}`);
    expect(writes(sockets)).toEqual([1, 1, 1]);
    group.write("rest");
    here.clock.endTurn();
    expect(writes(sockets)).toEqual([2, 2, 2]);
    expect(sockets[0]?.sent.map((text) => String(text).slice(0, 4))).toEqual(["0 xx", "1 xx", "2 xx", "rest"]);
  });

  it("what listeners write at its end waits for the next", () => {
    const { here, group, members, sockets } = three();
    members[0]?.connection.on("slow", () => void group.write("from a listener"));
    sockets[0]?.stall();
    group.write("x".repeat(70_000));
    here.clock.endTurn();
    expect(sockets[1]?.sent).toHaveLength(1);
    here.clock.endTurn();
    expect(sockets[1]?.sent.at(-1)).toBe("from a listener");
  });

  it("one record travels to other processes for each group, however many messages", async () => {
    const here = stepProcess();
    here.adapter.up();
    await here.clock.advanceAsync();
    here.adapter.bus.accepted.length = 0; // that this process is there
    for (let message = 0; message < 50; message++) {
      void here.groups.publish("x", String(message));
      void here.groups.publish("y", String(message));
    }
    await here.clock.advanceAsync();
    expect(here.adapter.bus.accepted.map(({ topic, record }) => [topic, record.count])).toEqual([
      ["g\0default\0x", 50],
      ["g\0default\0y", 50],
    ]);
  });
});

describe("one member's failure", () => {
  it("never keeps a message from the others: a socket that throws, one that is half dead, one that is closing", async () => {
    const here = new Process();
    const [good, throwing, dead, closing, last] = ["good", "throwing", "dead", "closing", "last"].map((id) => here.connect(id));
    if (good === undefined || throwing === undefined || dead === undefined || closing === undefined || last === undefined)
      throw new Error("nobody");
    for (const { connection } of [good, throwing, dead, closing, last]) connection.setGroup("x");
    const errors: string[] = [];
    throwing.connection.on("error", (error) => void errors.push(error.message));
    throwing.socket.sendError = new Error("EPIPE");
    dead.socket.readyState = 3; // its close event is still on its way
    closing.socket.answersClose = false;
    void closing.connection.close();
    for (let message = 0; message < 3; message++) {
      await here.groups.publish("x", `message ${message}`);
      here.clock.endTurn();
    }
    for (const { socket } of [good, last]) expect(socket.sent).toEqual(["message 0", "message 1", "message 2"]);
    for (const { socket } of [throwing, dead, closing]) expect(socket.sent).toEqual([]);
    await settle();
    expect(errors).toEqual(["EPIPE"]);
    expect(throwing.connection.closed).toBe(true);
    expect(here.groups.get("x")?.has(throwing.connection)).toBe(false);
  });
});
