// The path of a message from whoever sends it to every member: one frame, one write, one order, and nobody gets what is not for him.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newCounters } from "../../../src/base/counters.ts";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { type Connection, type ConnectionGroup, memoryChannel } from "../../../src/index.ts";
import { PlainSession } from "../../../src/server/plain-session.ts";
import { FakeClock, FakeSocket } from "../../../src/testing/index.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { fc } from "../generate.ts";
import { expectInPlace } from "../in-place.ts";
import { NoteLogger, Process, settle, StepBus, stepProcess, StreamSocket } from "../fakes.ts";

const command = (group: string, message: string): string => JSON.stringify({ cmd: "send_to_group", group_id: group, message });

/** A client of the plain protocol. What it says to the same group goes the fast way from the third time on. */
function speaker(process: Process, id: string, socket = new StreamSocket()) {
  const client = process.connect(id, socket);
  void new PlainSession(client.connection, {
    groups: process.groups,
    counters: newCounters(),
    logger: new NoteLogger(),
    requireMembership: false,
    commandsPending: 256,
  });
  const say = (text: string): void => client.connection.$hear(Buffer.from(text)); // not by a TextEncoder: its calls are counted
  return { ...client, say };
}

/** One that is in no group, and has said something to one twice already: all that it says from now on goes the fast way. */
function fastSpeaker(process: Process, group: string) {
  const { say } = speaker(process, `to ${group}`);
  for (const text of ["nobody is here yet", "nor now"]) say(command(group, text));
  process.clock.endTurn();
  return (message: string): void => say(command(group, message));
}

afterEach(() => void vi.restoreAllMocks());

describe("for each message one frame is encoded", () => {
  const BIG = "x".repeat(300); // more than what a record adds: the frame is no small piece of it
  const members = (process: Process, ids: readonly string[]) =>
    ids.map((id) => {
      const member = process.connect(id);
      void member.connection.join("x");
      return member;
    });
  let encodes: () => number;
  beforeEach(() => {
    const encode = vi.spyOn(TextEncoder.prototype, "encode");
    const encodeInto = vi.spyOn(TextEncoder.prototype, "encodeInto");
    encodes = () => encode.mock.calls.length + encodeInto.mock.calls.length;
  });

  it("inside one process, whoever sends it, and all members that a manager has get the very same bytes", () => {
    const bus = new MemoryBus();
    const here = new Process({ channel: memoryChannel({ bus }) });
    const there = new Process({ channel: memoryChannel({ bus }), clock: here.clock });
    const say = fastSpeaker(here, "x");
    const all = [...members(here, ["a", "b"]), ...members(there, ["c", "d"])];
    const sendings: [encoded: number, send: () => void][] = [
      [1, () => void here.groups.publish("x", BIG)],
      [1, () => void there.groups.get("x")?.write(BIG)],
      [0, () => void here.groups.publish("x", new Uint8Array(300))],
      [0, () => say(BIG)], // what the client has sent is UTF-8 already
    ];
    for (const [encoded, send] of sendings) {
      const before = encodes();
      send();
      here.clock.endTurn();
      expect(encodes() - before).toBe(encoded);
    }
    here.clock.endTurn(); // the other manager's
    const [first] = all;
    expect(first?.socket.runs).toHaveLength(sendings.length);
    for (const { socket } of all)
      expect(socket.runs.map((run) => Buffer.from(run).toString())).toEqual(first?.socket.runs.map((run) => Buffer.from(run).toString()));
    const [a, b, c, d] = all;
    for (const at of sendings.keys()) {
      expect(a?.socket.runs[at]).toBe(b?.socket.runs[at]);
      expect(c?.socket.runs[at]).toBe(d?.socket.runs[at]);
    }
  });

  it("and several that go together are joined once for all members of a process", () => {
    const here = new Process();
    const say = fastSpeaker(here, "x");
    const all = members(here, ["a", "b", "c"]);
    const before = encodes();
    void here.groups.publish("x", "one");
    say("two");
    say("three");
    void here.groups.publish("x", "four");
    here.clock.endTurn();
    expect(encodes() - before).toBe(2);
    const [first] = all;
    expect(first?.socket.sent).toEqual(["one", "two", "three", "four"]);
    for (const { socket } of all) expect(socket.runs).toEqual([first?.socket.runs[0]]);
    for (const { socket } of all) expect(socket.runs[0]).toBe(first?.socket.runs[0]);
  });

  it("between processes, and every process writes the record's frames, unread", async () => {
    const bus = new StepBus();
    const [here, there] = [stepProcess(bus), stepProcess(bus)];
    here.adapter.up();
    there.adapter.up();
    const say = fastSpeaker(here, "x");
    const all = [...members(here, ["a", "b"]), ...members(there, ["c", "d"])];
    await here.clock.advanceAsync();
    await there.clock.advanceAsync();
    const walked = vi.spyOn(MessageRecord.prototype, "messages");
    const sendings: [encoded: number, send: () => void][] = [
      [1, () => void here.groups.publish("x", BIG)],
      [0, () => say(BIG)],
    ];
    for (const [encoded, send] of sendings) {
      const before = encodes();
      send();
      await here.clock.advanceAsync();
      await there.clock.advanceAsync();
      expect(encodes() - before).toBe(encoded);
      for (const { socket } of all) {
        expect(Buffer.compare(socket.runs.at(-1) ?? new Uint8Array(0), encodeFrame(BIG))).toBe(0);
      }
      const [a, b, c, d] = all;
      expect(a?.socket.runs.at(-1)).toBe(b?.socket.runs.at(-1));
      expect(c?.socket.runs.at(-1)).toBe(d?.socket.runs.at(-1));
    }
    expect(walked).not.toHaveBeenCalled();
    for (const { socket } of all) expect(socket.runs).toHaveLength(sendings.length);
  });
});

const PEOPLE = ["a", "b", "c", "d"];
const NAMES = ["x", "y"];
const EARLY_BYTES = 256 * 1024;
/** What a record adds to each message. */
const ROW_BYTES = 40;
const sum = (all: readonly number[]): number => all.reduce((total, one) => total + one, 0);

type Step =
  | { readonly do: "join" | "setGroup" | "leave"; readonly who: number; readonly name: number }
  | { readonly do: "publish" | "write"; readonly name: number; readonly except: readonly number[]; readonly bytes: number }
  /** A command of somebody who is in no group, or of a member; as bytes through the lane, or as text. */
  | {
      readonly do: "command";
      readonly name: number;
      readonly from: number | "outside";
      readonly way: "bytes" | "string";
      readonly bytes: number;
    }
  | { readonly do: "direct" | "close"; readonly who: number }
  | { readonly do: "broadcast" | "endTurn" }
  | { readonly do: "work" | "pass"; readonly ms: number };

const who = fc.nat(PEOPLE.length - 1);
const name = fc.nat(NAMES.length - 1);
const bytes = fc.oneof({ weight: 8, arbitrary: fc.nat(100) }, { weight: 1, arbitrary: fc.constantFrom(9_000, 60_000) });
const coming: fc.Arbitrary<Step> = fc.record({ do: fc.constantFrom("join", "join", "setGroup", "leave"), who, name });
const publishing: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom("publish", "write"),
  name,
  except: fc.oneof({ weight: 5, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(who, { minLength: 1, maxLength: 2 }) }),
  bytes: fc.oneof({ weight: 8, arbitrary: bytes }, { weight: 1, arbitrary: fc.constantFrom(100_000, 270_000) }),
});
const commanding: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("command"),
  name,
  from: fc.oneof({ weight: 3, arbitrary: fc.constant("outside" as const) }, { weight: 2, arbitrary: who }),
  way: fc.constantFrom("bytes", "bytes", "bytes", "string"),
  bytes,
});
const direct: fc.Arbitrary<Step> = fc.record({ do: fc.constant("direct"), who });
const endTurn: fc.Arbitrary<Step> = fc.record({ do: fc.constant("endTurn") });

/** A message as the test knows it: the number of its call, and where it went. */
const encode = (call: number, to: string, size: number): string => `${call} ${to} ${"-".repeat(size)}`;
const decode = (text: unknown): { readonly call: number; readonly to: string } => {
  const [call, to] = String(text).split(" ");
  return { call: Number(call), to: String(to) };
};

/** A socket that takes its time to be written to. */
class BusySocket extends StreamSocket {
  readonly #work: () => void;

  constructor(work: () => void) {
    super();
    this.#work = work;
  }

  override sendFrames(frames: Uint8Array): void {
    this.#work();
    super.sendFrames(frames);
  }
}

/** A process with four people that all speak the plain protocol, and one for each group that sends from outside. */
function scene(process: Process, sockets: readonly StreamSocket[] = PEOPLE.map(() => new StreamSocket())) {
  const fast = NAMES.map((groupName) => fastSpeaker(process, groupName));
  const people = PEOPLE.map((id, at) => speaker(process, id, sockets[at]));
  const sendCommand = ({ name: at, from, way }: Step & { do: "command" }, message: string): void => {
    const person = from === "outside" ? undefined : people[from];
    if (person === undefined) return fast[at]?.(message);
    if (way === "string") person.socket.receive(command(NAMES[at] ?? "", message));
    else person.say(command(NAMES[at] ?? "", message));
  };
  return { people, sendCommand };
}

function personAt<T>(people: readonly T[], index: number): T {
  const person = people[index];
  if (person === undefined) throw new Error("nobody");
  return person;
}

describe("each member is written to once for each of its groups and turn, unless there is a reason", () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: publishing },
    { weight: 8, arbitrary: commanding },
    { weight: 2, arbitrary: coming },
    { weight: 2, arbitrary: direct },
    { weight: 3, arbitrary: endTurn },
  );

  it("that is: somebody joins or leaves the group, a message has an except list, a member gets a direct send, or 256 KiB have gathered", () => {
    let total = 0;
    let messages = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
        const here = new Process();
        const { people, sendCommand } = scene(here);
        const due = people.map(() => 0);
        /** By group: bytes that wait for its members; undefined: none. */
        const waiting: (number | undefined)[] = NAMES.map(() => undefined);
        /** By group: frames that came the fast way and have not come back from the channel. */
        const underway: number[][] = NAMES.map(() => []);
        const isIn = (connection: Connection, at: number): boolean => connection.groups.has(NAMES[at] ?? "");
        const push = (at: number, size: number): void => {
          if (!people.some(({ connection }) => isIn(connection, at))) return;
          waiting[at] = (waiting[at] ?? 0) + size;
          if (waiting[at] >= EARLY_BYTES) writeAll(at);
        };
        const writeAll = (at: number): void => {
          if (waiting[at] === undefined) return;
          waiting[at] = undefined;
          people.forEach(({ connection }, index) => {
            if (isIn(connection, at)) due[index] = (due[index] ?? 0) + 1;
          });
        };
        const catchUp = (at: number): void => {
          const frames = underway[at] ?? [];
          underway[at] = [];
          if (frames.length > 0) push(at, sum(frames));
        };
        /** What is a reason to write. */
        const flush = (at: number): void => {
          catchUp(at);
          writeAll(at);
        };
        steps.forEach((next, call) => {
          switch (next.do) {
            case "join":
            case "setGroup":
            case "leave": {
              const { connection } = personAt(people, next.who);
              const left = next.do === "setGroup" ? connection.getGroup() : null;
              const groupName = NAMES[next.name] ?? "";
              if (isIn(connection, next.name) === (next.do === "leave")) flush(next.name);
              if (left !== null && left.name !== groupName) flush(NAMES.indexOf(left.name));
              if (next.do === "join") void connection.join(groupName);
              else if (next.do === "setGroup") connection.setGroup(groupName);
              else connection.leave(groupName);
              return;
            }
            case "direct": {
              const { connection } = personAt(people, next.who);
              for (const at of NAMES.keys()) if (isIn(connection, at)) flush(at);
              due[next.who] = (due[next.who] ?? 0) + 1;
              return void connection.send("direct");
            }
            case "publish":
            case "write": {
              const groupName = NAMES[next.name] ?? "";
              const message = encode(call, groupName, next.bytes);
              const except = next.except.map((one) => PEOPLE[one] ?? "");
              messages++;
              catchUp(next.name);
              if (except.length === 0) push(next.name, encodeFrame(message).length);
              else {
                writeAll(next.name);
                people.forEach(({ connection }, index) => {
                  if (isIn(connection, next.name) && !except.includes(connection.id)) due[index] = (due[index] ?? 0) + 1;
                });
              }
              return void here.groups.publish(groupName, message, { except });
            }
            case "command": {
              const message = encode(call, NAMES[next.name] ?? "", next.bytes);
              const size = encodeFrame(message).length;
              messages++;
              if (next.from === "outside") {
                underway[next.name]?.push(size);
                const gathered = underway[next.name] ?? [];
                if (sum(gathered) + gathered.length * ROW_BYTES >= EARLY_BYTES) catchUp(next.name);
              } else {
                catchUp(next.name);
                push(next.name, size);
              }
              return sendCommand({ ...next, way: "string" }, message); // those outside go the fast way in any case
            }
            default:
              here.clock.endTurn();
              for (const at of NAMES.keys()) flush(at);
              expect(people.map(({ socket }) => socket.writes)).toEqual(due);
          }
        });
        here.clock.endTurn();
        for (const at of NAMES.keys()) flush(at);
        expect(people.map(({ socket }) => socket.writes)).toEqual(due);
        for (const { socket } of people) expect(socket.runs).toHaveLength(socket.writes);
        total += sum(due);
      }),
      { numRuns: 300 },
    );
    expect(total).toBeGreaterThan(1_000);
    expect(messages).toBeGreaterThan(1_000);
  });

  it("between processes, too: one write for what one record brings, whatever it is made of", async () => {
    const bus = new StepBus();
    const [here, there] = [stepProcess(bus), stepProcess(bus)];
    here.adapter.up();
    there.adapter.up();
    const say = fastSpeaker(here, "x");
    const [a, b] = [here.connect("a"), there.connect("b")];
    await Promise.all([a.connection.join("x"), b.connection.join("x")]);
    for (let turn = 1; turn <= 3; turn++) {
      for (let count = 0; count < 20; count++) {
        say("from a client");
        void here.groups.publish("x", "from the application");
      }
      await here.clock.advanceAsync();
      await there.clock.advanceAsync();
      expect([a.socket.writes, b.socket.writes]).toEqual([turn, turn]);
    }
    expect(b.socket.sent).toHaveLength(120);
  });
});

describe("whatever is sent in whichever way, while people come and go", () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: coming },
    { weight: 6, arbitrary: publishing },
    { weight: 10, arbitrary: commanding },
    { weight: 3, arbitrary: direct },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("close"), who }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("broadcast") }) },
    { weight: 4, arbitrary: endTurn },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("work", "pass"), ms: fc.nat(8) }) },
  );

  it("everybody gets exactly what was sent while it was a member, in order, and direct sends in their place", async () => {
    let quick = 0;
    let waits = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 80 }),
        fc.constantFrom(0, 5, 100),
        fc.constantFrom(0, 0.1, 1, 4),
        async (steps, batchDelayMs, writeMs) => {
          const clock = new FakeClock();
          const here = new Process({ clock, batchDelayMs });
          const fast = vi.spyOn(here.groups, "publishText");
          const { people, sendCommand } = scene(
            here,
            PEOPLE.map((_, index) => (index === 0 ? new BusySocket(() => clock.work(writeMs)) : new StreamSocket())),
          );
          // What each of them is to get: everything is decided at the moment of the call.
          const due: { call: number; to: string }[][] = people.map(() => []);
          const isDue = (call: number, to: string, except: readonly string[] = []): void => {
            people.forEach(({ connection }, index) => {
              const isFor = to === "all" || connection.groups.has(to);
              if (isFor && connection.$open && !except.includes(connection.id)) due[index]?.push({ call, to });
            });
          };
          for (const [call, next] of steps.entries()) {
            const to = NAMES["name" in next ? next.name : 0] ?? "";
            const { connection } = personAt(people, "who" in next ? next.who : 0);
            switch (next.do) {
              case "join":
                void connection.join(to);
                break;
              case "setGroup":
                connection.setGroup(to);
                break;
              case "leave":
                connection.leave(to);
                break;
              case "close":
                void connection.close();
                break;
              case "direct":
                if (connection.$open) due[next.who]?.push({ call, to: "you" });
                connection.send(encode(call, "you", 0));
                break;
              case "broadcast":
                isDue(call, "all");
                void here.pool.broadcastMessage("default", encode(call, "all", 0));
                break;
              case "endTurn":
                clock.endTurn();
                if (clock.timers > 0) waits++;
                break;
              case "work":
                clock.work(next.ms);
                break;
              case "pass":
                clock.advance(next.ms);
                break;
              case "command":
                isDue(call, to);
                sendCommand(next, encode(call, to, next.bytes));
                break;
              default: {
                const except = next.except.map((one) => PEOPLE[one] ?? "");
                const group: ConnectionGroup | undefined = here.groups.get(to);
                if (next.do === "write" && group === undefined) continue;
                isDue(call, to, except);
                if (next.do === "write") group?.write(encode(call, to, next.bytes), { except });
                else void here.groups.publish(to, encode(call, to, next.bytes), { except });
              }
            }
          }
          clock.advance(batchDelayMs + 10);
          quick += fast.mock.results.filter(({ value }) => value instanceof Promise).length;
          people.forEach(({ socket }, index) => {
            const got = socket.sent.map(decode);
            const expected = due[index] ?? [];
            expectInPlace(got, expected, [...NAMES, "all"]);
          });
          await settle();
        },
      ),
      { numRuns: 400 },
    );
    expect(quick).toBeGreaterThan(500);
    expect(waits).toBeGreaterThan(50);
  }, 60_000);

  it("on a bus of several processes all see one order, nobody gets anything twice, and what is sent while one is in it for good is not missed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
        const bus = new MemoryBus();
        const clock = new FakeClock();
        const processes = [0, 1].map(() => new Process({ clock, channel: memoryChannel({ bus }) }));
        const scenes = processes.map((process) => scene(process));
        // a and c of the first process, b and d of the second.
        const people = PEOPLE.map((_, index) => personAt(personAt(scenes, index % 2).people, index));
        const stays: { who: number; to: string; since: number; until: number }[] = [];
        const sent: { call: number; to: string; except: readonly string[] }[] = [];
        for (const [call, next] of steps.entries()) {
          const to = NAMES["name" in next ? next.name : 0] ?? "";
          const index = "who" in next ? next.who : 0;
          const { connection } = personAt(people, index);
          const before = new Set(connection.groups.keys());
          if (next.do === "join") void connection.join(to);
          else if (next.do === "setGroup") connection.setGroup(to);
          else if (next.do === "leave") connection.leave(to);
          else if (next.do === "direct") connection.send("direct");
          else if (next.do === "endTurn" || next.do === "pass") clock.endTurn();
          else if (next.do === "command") {
            sent.push({ call, to, except: [] });
            personAt(scenes, call % 2).sendCommand({ ...next, from: "outside" }, encode(call, to, next.bytes));
          } else if (next.do === "publish" || next.do === "write") {
            const except = next.except.map((one) => PEOPLE[one] ?? "");
            sent.push({ call, to, except });
            void personAt(processes, call % 2).groups.publish(to, encode(call, to, next.bytes), { except });
          }
          for (const group of NAMES) {
            if (connection.groups.has(group) && !before.has(group)) stays.push({ who: index, to: group, since: call, until: Infinity });
            const stay = stays.findLast((one) => one.who === index && one.to === group);
            if (before.has(group) && !connection.groups.has(group) && stay !== undefined) stay.until = call;
          }
        }
        clock.advance(1_000);
        const seen = people.map(({ socket }) => socket.sent.filter((text) => text !== "direct").map(decode));
        seen.forEach((got, index) => {
          const calls = got.map(({ call }) => call);
          expect(new Set(calls).size).toBe(calls.length);
          for (const { call, to } of got) {
            // What was sent after the last leave is for others, wherever it was sent.
            expect(stays.some((stay) => stay.who === index && stay.to === to && call <= stay.until)).toBe(true);
            expect(sent.find((one) => one.call === call)?.except).not.toContain(PEOPLE[index]);
          }
          for (const { who: whose, to, since, until } of stays) {
            if (whose !== index || until !== Infinity) continue;
            for (const one of sent) {
              if (one.to === to && one.call > since && !one.except.includes(PEOPLE[index] ?? "")) expect(calls).toContain(one.call);
            }
          }
        });
        for (const to of NAMES) {
          const lists = seen.map((got) => got.filter((one) => one.to === to).map(({ call }) => call));
          for (const one of lists) {
            for (const other of lists) expect(one.filter((at) => other.includes(at))).toEqual(other.filter((at) => one.includes(at)));
          }
        }
        await settle();
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  it("a close of the whole group comes after every command that came before it", async () => {
    const here = new Process();
    const say = fastSpeaker(here, "x");
    const { connection, socket } = here.connect("a");
    connection.setGroup("x");
    say("one");
    say("two");
    const closed = here.groups.get("x")?.closeAll("bye");
    await here.clock.advanceAsync(6_000);
    await closed;
    expect(socket.sent).toEqual(["one", "two"]);
    expect(socket.closeSent).toEqual({ code: 1000, reason: "bye" });
  });

  it("sockets that take no frames get the same", () => {
    const here = new Process();
    const say = fastSpeaker(here, "x");
    const socket = new FakeSocket();
    here.connect("a", socket).connection.setGroup("x");
    say("");
    say("zwei: ü€😀");
    here.groups.get("x")?.write("three");
    say("\ufefffour");
    here.clock.endTurn();
    expect(socket.sent).toEqual(["", "zwei: ü€😀", "three", "\ufefffour"]);
  });
});

describe("a group that is closed", () => {
  it("takes nothing from its members that another group has gathered for them, in any process", async () => {
    const bus = new MemoryBus();
    const here = new Process({ channel: memoryChannel({ bus }) });
    const there = new Process({ channel: memoryChannel({ bus }), clock: here.clock });
    const members = [here.connect("a"), there.connect("b")];
    for (const { connection } of members) await Promise.all([connection.join("x"), connection.join("closed")]);
    const say = [here, there].map((process) => fastSpeaker(process, "x"));
    for (const one of say) one("last words");
    void here.groups.get("closed")?.closeAll("bye");
    await settle(); // it asks before the turn ends
    await here.clock.advanceAsync();
    for (const { socket } of members) expect(socket.closeSent).toEqual({ code: 1000, reason: "bye" });
    // What is on its way from another process may come too late; what was said in one's own does not.
    for (const { socket } of members) expect(socket.sent).toContain("last words");
  });
});
