// One client's commands: their order, what holds them back, and their bounds.
import { describe, expect, it } from "vitest";
import { newCounters } from "../../../src/base/counters.ts";
import { Channel } from "../../../src/channel/channel.ts";
import { MemoryAdapter } from "../../../src/channel/memory.ts";
import { Connection, GroupManager, type GroupManagerOptions } from "../../../src/index.ts";
import { PlainSession } from "../../../src/server/plain-session.ts";
import { FakeSocket } from "../../../src/testing/index.ts";
import { NoteLogger } from "../fakes.ts";

interface Session {
  readonly socket: FakeSocket;
  readonly connection: Connection;
  readonly groups: GroupManager;
  readonly counters: ReturnType<typeof newCounters>;
  readonly logger: NoteLogger;
}

function session(options: GroupManagerOptions & { requireMembership?: boolean; groups?: GroupManager; id?: string } = {}): Session {
  const groups = options.groups ?? new GroupManager(options);
  const socket = new FakeSocket();
  const connection = new Connection(options.id ?? "a", "default", socket);
  groups.adopt(connection);
  const counters = newCounters();
  const logger = new NoteLogger();
  void new PlainSession(connection, {
    groups,
    counters,
    logger,
    requireMembership: options.requireMembership ?? false,
    commandsPending: 8,
  });
  return { socket, connection, groups, counters, logger };
}

/** Everything that can run now has run: microtasks, and the end of the turn. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const answers = (socket: FakeSocket): Record<string, unknown>[] =>
  socket.sent.filter((text) => String(text).startsWith('{"id"')).map((text) => JSON.parse(String(text)) as Record<string, unknown>);
const send = (group: string, message: string, id?: unknown): string =>
  JSON.stringify({ cmd: "send_to_group", group_id: group, message, id });
const add = (group: string, id?: unknown): string => JSON.stringify({ cmd: "add_group", group_id: group, id });

describe("the commands of one client", () => {
  it("carries out the four lines of the source documents without an answer", async () => {
    const { socket } = session();
    socket.receive('{"cmd":"add_group", "group_id":"123"}');
    socket.receive('{"cmd":"send_to_group", "group_id":"123", "message":"Esta é a mensagem"}');
    await settled();
    expect(socket.sent).toEqual(["Esta é a mensagem"]);
  });

  it("counts as of the moment of the command, whatever follows it", async () => {
    const { socket } = session();
    socket.receive(add("g", 1));
    socket.receive(JSON.stringify({ cmd: "count_group", group_id: "g", id: 2 }));
    socket.receive(JSON.stringify({ cmd: "leave_group", group_id: "g", id: 3 }));
    socket.receive(JSON.stringify({ cmd: "count_group", group_id: "g", id: 4 }));
    await settled();
    expect(socket.sent.map((text) => JSON.parse(String(text)) as unknown)).toEqual([
      { id: 1, ok: true },
      { id: 2, ok: true, members: 1 },
      { id: 3, ok: true },
      { id: 4, ok: true, members: 0 },
    ]);
  });

  it("holds everything behind an authorize that takes its time, and answers in order", async () => {
    const verdicts: ((allowed: boolean) => void)[] = [];
    const { socket, counters } = session({ authorize: () => new Promise((resolve) => void verdicts.push(resolve)) });
    socket.receive(add("g", 1));
    socket.receive(send("g", "first", 2));
    socket.receive("not JSON");
    socket.receive(JSON.stringify({ cmd: "count_group", group_id: "g", id: 3 }));
    socket.receive(send("g", "second", 4));
    await settled();
    expect(socket.sent).toEqual([]);
    verdicts.shift()?.(true); // the join
    await settled();
    verdicts.shift()?.(true); // the first publish
    await settled();
    expect(socket.sent.filter((text) => text === "first")).toHaveLength(1);
    expect(verdicts).toHaveLength(1);
    verdicts.shift()?.(false); // the second
    await settled();
    expect(answers(socket)).toEqual([
      { id: 1, ok: true },
      { id: 2, ok: true },
      { id: 3, ok: true, members: 1 },
      expect.objectContaining({ id: 4, ok: false, error: "forbidden", retry: false }),
    ]);
    expect(counters).toMatchObject({ commands: 5, commandsIgnored: 1, commandsFailed: 1 });
    expect(socket.sent).not.toContain("second");
  });

  it("hands publishes over in order without waiting for each other's acknowledgement", async () => {
    const accept: (() => void)[] = [];
    class Slow extends MemoryAdapter {
      override async publish(...args: Parameters<MemoryAdapter["publish"]>): ReturnType<MemoryAdapter["publish"]> {
        const receipt = await super.publish(...args);
        if (!args[0].startsWith("g")) return receipt;
        await new Promise<void>((resolve) => void accept.push(resolve));
        return receipt;
      }
    }
    const { socket } = session({ channel: new Channel(new Slow()) });
    socket.receive(add("g"));
    await settled();
    for (const message of ["1", "2", "3"]) socket.receive(send("g", message, message));
    await settled();
    expect(socket.sent).toEqual(["1", "2", "3"]);
    accept[2]?.();
    accept[1]?.();
    await settled();
    expect(answers(socket)).toEqual([]); // the first is not accepted yet, and answers keep the order
    accept[0]?.();
    await settled();
    expect(answers(socket).map(({ id }) => id)).toEqual(["1", "2", "3"]);
  });

  it("goes on after a refused join", async () => {
    const { socket, connection, counters } = session({ authorize: (_connection, name) => name !== "secret" || "members only" });
    socket.receive(add("secret"));
    socket.receive(add("secret", "x"));
    socket.receive(add("open", "y"));
    await settled();
    expect(answers(socket)).toEqual([
      { id: "x", ok: false, error: "forbidden", detail: "members only", retry: false },
      { id: "y", ok: true },
    ]);
    expect([...connection.groups.keys()]).toEqual(["open"]);
    expect(counters).toMatchObject({ commandsIgnored: 1, commandsFailed: 1 });
  });

  it("lets anybody send by default, and only members with requireMembership", async () => {
    const { socket: member, groups } = session({ id: "member" });
    member.receive(add("g"));
    await settled();
    const outsider = session({ groups, id: "outsider" });
    outsider.socket.receive(send("g", "from outside", 1));
    const strict = session({ groups, id: "strict", requireMembership: true });
    strict.socket.receive(send("g", "refused", 1));
    strict.socket.receive(add("g"));
    strict.socket.receive(send("g", "from inside", 2));
    await settled();
    expect(member.sent).toEqual(["from outside", "from inside"]);
    expect(answers(outsider.socket)).toEqual([{ id: 1, ok: true }]);
    expect(answers(strict.socket)).toEqual([expect.objectContaining({ id: 1, error: "forbidden" }), { id: 2, ok: true }]);
  });

  it("tells nothing of an error of ours beyond its code", async () => {
    const errors: Error[] = [];
    const { socket, groups } = session({
      authorize: () => {
        throw new Error("database password is hunter2");
      },
    });
    groups.on("error", (error) => errors.push(error));
    socket.receive(add("g", 1));
    await settled();
    expect(answers(socket)).toEqual([expect.objectContaining({ id: 1, ok: false, error: "forbidden" })]);
    expect(JSON.stringify(socket.sent)).not.toContain("hunter2");
    expect(errors.map(({ message }) => message)).toEqual(["database password is hunter2"]);
  });

  it("stops reading with too many commands unanswered, and reads on when half of them are", async () => {
    const verdicts: ((allowed: boolean) => void)[] = [];
    const { socket } = session({ authorize: () => new Promise((resolve) => void verdicts.push(resolve)) });
    for (let count = 1; count <= 7; count++) socket.receive(add(`g${count}`, count));
    expect(socket.paused).toBe(false);
    socket.receive(add("g8", 8));
    expect(socket.paused).toBe(true);
    for (let answered = 1; answered <= 4; answered++) {
      verdicts.shift()?.(true);
      await settled();
      expect(socket.paused).toBe(true);
    }
    verdicts.shift()?.(true);
    await settled();
    expect(socket.paused).toBe(false);
    expect(answers(socket)).toHaveLength(5);
  });

  it("drops what still waits when the client is gone", async () => {
    const verdicts: ((allowed: boolean) => void)[] = [];
    const { socket, groups } = session({ authorize: () => new Promise((resolve) => void verdicts.push(resolve)) });
    const heard: string[] = [];
    const other = session({ groups, id: "other" });
    other.socket.receive(add("g"));
    verdicts.shift()?.(true);
    await settled();
    socket.receive(add("g", 1));
    socket.receive(send("g", "from the grave", 2));
    socket.hangUp();
    verdicts.shift()?.(true);
    await settled();
    heard.push(...other.socket.sent.map(String));
    expect(heard).toEqual([]);
    expect(socket.sent).toEqual([]);
    expect(groups.get("g")?.size).toBe(1);
  });

  it("says what went wrong with one client to the log, as a detail, unless the application listens", () => {
    const { socket, connection, logger } = session();
    socket.fail(new Error("reset"));
    expect(logger.lines).toMatchObject([{ level: "debug", facts: { connection: connection.id }, text: "reset" }]);
    const heard = session();
    heard.connection.on("error", () => {});
    heard.socket.fail(new Error("reset"));
    expect(heard.logger.lines).toEqual([]);
  });
});
