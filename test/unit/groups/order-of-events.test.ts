import { describe, expect, it } from "vitest";
import { type Connection, ConnectionGroup, GroupManager } from "../../../src/index.ts";
import { FakeSocket } from "../../../src/testing/index.ts";
import { Process, settle, stepProcess, texts } from "../fakes.ts";

describe("the words of the source documents", () => {
  it("name the events, also as constants", () => {
    expect([ConnectionGroup.EVENT_JOIN, ConnectionGroup.EVENT_LEAVE]).toEqual(["join", "leave"]);
    expect([GroupManager.EVENT_CREATED, GroupManager.EVENT_DESTROYED]).toEqual(["created", "destroyed"]);
  });
});

describe("joining", () => {
  it("tells created, then join, then nothing more for the second member", async () => {
    const here = new Process();
    const [a, b] = [here.connect("a").connection, here.connect("b").connection];
    a.setGroup("x");
    expect(here.told).toEqual(["created x", "join a x"]);
    await b.join("x");
    expect(here.told).toEqual(["created x", "join a x", "join b x"]);
  });

  it("tells created before anybody is in, and join when the joiner is: in the group, in its own list, and as its primary group", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    const seen: unknown[] = [];
    here.groups.on("created", (group) => {
      seen.push(["created", group.size, group.has(connection), connection.groups.size, here.groups.get("x") === group, here.groups.size]);
      group.on("join", (joiner) => {
        const { size } = group;
        seen.push(["join", joiner === connection, size, group.has(joiner), [...group].includes(joiner), joiner.groups.get("x") === group]);
        seen.push([joiner.getGroup() === group, joiner.getGroupName()]);
      });
    });
    connection.setGroup("x");
    expect(seen).toEqual([
      ["created", 0, false, 0, true, 1],
      ["join", true, 1, true, true, true],
      [true, "x"],
    ]);
  });

  it("lets what is written inside join reach the joiner", () => {
    const here = new Process();
    here.groups.on("created", (group) => group.on("join", (joiner) => void group.write(`hello ${joiner.id}`)));
    const [a, b] = [here.connect("a"), here.connect("b")];
    a.connection.setGroup("x");
    b.connection.setGroup("x");
    here.clock.advance();
    expect(texts(a.socket.sent)).toEqual(["hello a", "hello b"]);
    expect(texts(b.socket.sent)).toEqual(["hello b"]);
  });

  it("does not let what is written inside created reach the joiner: nobody is in yet", () => {
    const here = new Process();
    here.groups.on("created", (group) => void group.write("into the void"));
    const a = here.connect("a");
    a.connection.setGroup("x");
    here.clock.advance();
    expect(a.socket.sent).toEqual([]);
  });

  it("twice changes nothing and tells nothing", async () => {
    const here = new Process();
    const { connection } = here.connect("a");
    const group = await connection.join("x");
    expect(await connection.join("x")).toBe(group);
    expect(connection.setGroup("x")).toBe(true);
    expect(connection.setGroup("x")).toBe(true);
    expect(await connection.join("x")).toBe(group);
    expect(group.size).toBe(1);
    expect(here.told).toEqual(["created x", "join a x"]);
  });

  it("by setGroup has told all its events when setGroup returns, by join before the promise resolves", async () => {
    const here = stepProcess();
    here.adapter.up();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    expect(here.told).toEqual(["created x", "join a x"]);
    const joined = connection.join("y").then(() => void here.told.push("resolved"));
    await joined;
    expect(here.told).toEqual(["created x", "join a x", "created y", "join a y", "resolved"]);
  });
});

describe("leaving", () => {
  it("tells leave while the leaver is still a member, then destroyed with size 0", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    const seen: unknown[] = [];
    connection.setGroup("x");
    const group = connection.getGroup();
    group?.on("leave", (leaver) => {
      seen.push(["leave", leaver === connection, group.size, group.has(leaver), leaver.groups.has("x"), leaver.getGroup() === group]);
    });
    here.groups.on("destroyed", (gone) => {
      seen.push(["destroyed", gone === group, gone.size, gone.has(connection), [...gone].length, connection.groups.size, here.groups.size]);
      seen.push([here.groups.get("x"), gone.write("nobody"), connection.getGroup()]);
    });
    connection.setGroup(null);
    expect(seen).toEqual([
      ["leave", true, 1, true, true, true],
      ["destroyed", true, 0, false, 0, 0, 0],
      [undefined, false, null],
    ]);
  });

  it("has told all its events when leave returns, says whether there was anything to leave, and tells no destroyed while others stay", () => {
    const here = new Process();
    const [a, b] = [here.connect("a").connection, here.connect("b").connection];
    a.setGroup("x");
    b.setGroup("x");
    here.told.length = 0;
    expect(a.leave("x")).toBe(true);
    expect(here.told).toEqual(["leave a x"]);
    expect(a.leave("x")).toBe(false);
    expect(a.leave("never")).toBe(false);
    expect(b.leave("x")).toBe(true);
    expect(here.told).toEqual(["leave a x", "leave b x", "destroyed x"]);
  });

  const farewell = (here: Process, say: (group: ConnectionGroup, leaver: Connection) => unknown): void => {
    here.groups.on("created", (group) => group.on("leave", (leaver) => say(group, leaver)));
  };

  it.each<[how: string, say: (group: ConnectionGroup, leaver: Connection, manager: GroupManager) => unknown]>([
    ["write", (group, { id }) => group.write(`bye ${id}`)],
    ["writeAll", (group, { id }) => group.writeAll(`bye ${id}`)],
    ["publish", (group, { id }) => group.publish(`bye ${id}`)],
    ["the manager's publish", (group, { id }, manager) => manager.publish(group.name, `bye ${id}`)],
  ])("lets what %s sends inside leave reach the leaver exactly once, and the others once, on any channel", async (_, say) => {
    for (const here of [new Process(), stepProcess()]) {
      if ("adapter" in here) (here as ReturnType<typeof stepProcess>).adapter.up();
      farewell(here, (group, leaver) => say(group, leaver, here.groups));
      const [a, b] = [here.connect("a"), here.connect("b")];
      a.connection.setGroup("x");
      b.connection.setGroup("x");
      await here.clock.advanceAsync();
      a.connection.leave("x");
      expect(texts(a.socket.sent)).toEqual(["bye a"]); // handed over, without waiting for the channel
      await here.clock.advanceAsync();
      expect(texts(a.socket.sent)).toEqual(["bye a"]);
      expect(texts(b.socket.sent)).toEqual(["bye a"]);
      b.connection.setGroup(null);
      await here.clock.advanceAsync();
      expect(texts(b.socket.sent)).toEqual(["bye a", "bye b"]);
    }
  });

  it("hands the leaver what was published before, then the farewell, and nothing after", async () => {
    const here = new Process();
    farewell(here, (group, { id }) => group.write(`bye ${id}`));
    const [a, b] = [here.connect("a"), here.connect("b")];
    await Promise.all([a.connection.join("x"), b.connection.join("x")]);
    here.groups.get("x")?.write("before");
    a.connection.leave("x");
    here.groups.get("x")?.write("after");
    here.clock.advance();
    expect(texts(a.socket.sent)).toEqual(["before", "bye a"]);
    expect(texts(b.socket.sent)).toEqual(["before", "bye a", "after"]);
  });

  it("keeps except inside leave: a leaver that is left out gets nothing", () => {
    const here = new Process();
    farewell(here, (group, leaver) => group.write("without you", { except: leaver }));
    const [a, b] = [here.connect("a"), here.connect("b")];
    a.connection.setGroup("x");
    b.connection.setGroup("x");
    a.connection.setGroup(null);
    here.clock.advance();
    expect([texts(a.socket.sent), texts(b.socket.sent)]).toEqual([[], ["without you"]]);
  });

  it("reaches the others when the leaver's socket is gone", () => {
    const here = new Process();
    farewell(here, (group, { id }) => group.write(`bye ${id}`));
    const [a, b] = [here.connect("a"), here.connect("b")];
    a.connection.setGroup("x");
    b.connection.setGroup("x");
    a.socket.hangUp();
    here.clock.advance();
    expect([texts(a.socket.sent), texts(b.socket.sent)]).toEqual([[], ["bye a"]]);
  });

  it("works for two that leave inside each other's leave", () => {
    const here = new Process();
    const [a, b, c] = [here.connect("a"), here.connect("b"), here.connect("c")];
    farewell(here, (group, leaver) => {
      if (leaver.id === "a") b.connection.leave("x");
      group.write(`bye ${leaver.id}`);
    });
    for (const { connection } of [a, b, c]) connection.setGroup("x");
    a.connection.leave("x");
    here.clock.advance();
    expect(texts(a.socket.sent)).toEqual(["bye b", "bye a"]);
    expect(texts(b.socket.sent)).toEqual(["bye b"]);
    expect(texts(c.socket.sent)).toEqual(["bye b", "bye a"]);
    expect(here.told).toEqual(["created x", "join a x", "join b x", "join c x", "leave a x", "leave b x"]);
  });
});

describe("a closed connection", () => {
  it.each<[how: string, end: (socket: FakeSocket, connection: Connection) => unknown]>([
    ["the peer hangs up", (socket) => socket.hangUp()],
    ["the peer closes", (socket) => socket.hangUp(1000)],
    ["this side closes", (_, connection) => connection.close()],
    ["this side terminates", (_, connection) => connection.terminate()],
  ])("has left everything, the longest membership first, each with its events, when %s", async (_, end) => {
    const here = new Process();
    const { connection, socket } = here.connect("a");
    for (const name of ["x", "y", "z"]) await connection.join(name);
    connection.setGroup("y");
    here.told.length = 0;
    end(socket, connection);
    await settle();
    expect(here.told).toEqual(["leave a x", "destroyed x", "leave a y", "destroyed y", "leave a z", "destroyed z"]);
    expect([connection.groups.size, connection.getGroup(), here.groups.size]).toEqual([0, null, 0]);
  });

  it("leaves each group once, though a leave listener leaves the others by hand", () => {
    const here = new Process();
    const [a, b] = [here.connect("a"), here.connect("b")];
    for (const name of ["x", "y"]) {
      void a.connection.join(name);
      void b.connection.join(name);
    }
    here.groups.get("x")?.on("leave", (leaver) => void leaver.leave("y"));
    here.told.length = 0;
    a.socket.hangUp();
    expect(here.told).toEqual(["leave a x", "leave a y"]);
    expect(here.groups.get("y")?.size).toBe(1);
  });
});

describe("a group", () => {
  it("that is made again under an old name is a new object, and the old one stays dead", () => {
    const here = new Process();
    const { connection, socket } = here.connect("a");
    connection.setGroup("x");
    const old = here.groups.get("x");
    old?.on("join", () => void here.told.push("the old one's listener"));
    connection.setGroup(null);
    connection.setGroup("x");
    const again = here.groups.get("x");
    expect(again).not.toBe(old);
    expect([old?.size, old?.has(connection), old?.write("old"), [...(old ?? [])].length]).toEqual([0, false, false, 0]);
    here.clock.advance();
    expect(socket.sent).toEqual([]);
    expect(here.told).not.toContain("the old one's listener");
  });

  it("that dies while somebody is on the way into it is made anew for the comer", () => {
    const here = new Process();
    const [a, b] = [here.connect("a").connection, here.connect("b").connection];
    a.setGroup("from");
    b.setGroup("to");
    const old = here.groups.get("to");
    here.groups.get("from")?.on("leave", () => b.setGroup(null));
    expect(a.setGroup("to")).toBe(true);
    expect(a.getGroup()).not.toBe(old);
    expect(here.groups.get("to")?.has(a)).toBe(true);
    expect(here.told.slice(4)).toEqual(["leave a from", "leave b to", "destroyed to", "destroyed from", "created to", "join a to"]);
  });

  it("lives in its namespace: the same name in another is another group", async () => {
    const here = new Process();
    const a = here.connect("a", undefined, "one");
    const b = here.connect("b", undefined, "two");
    a.connection.setGroup("x");
    b.connection.setGroup("x");
    expect(here.groups.size).toBe(2);
    expect([here.groups.get("x", "one")?.namespace, here.groups.get("x", "two")?.namespace, here.groups.get("x")]).toEqual([
      "one",
      "two",
      undefined,
    ]);
    await here.groups.publish("x", "only one", { namespace: "one" });
    here.clock.advance();
    expect([texts(a.socket.sent), texts(b.socket.sent)]).toEqual([["only one"], []]);
    expect([...here.groups.groups("one")].map((group) => group.namespace)).toEqual(["one"]);
    expect([...here.groups.groups()].length).toBe(2);
  });
});

describe("walking a group", () => {
  const full = () => {
    const here = new Process();
    const members = ["a", "b", "c", "d"].map((id) => here.connect(id).connection);
    for (const member of members) member.setGroup("x");
    const group = here.groups.get("x");
    if (group === undefined) throw new Error("no group");
    return { here, members, group };
  };

  it("visits every member in this process, in the order in which they came", () => {
    const { group, members } = full();
    expect([...group]).toEqual(members);
  });

  it("does not visit a member that is removed before its turn", () => {
    const { group, members } = full();
    const visited: string[] = [];
    for (const member of group) {
      visited.push(member.id);
      members[2]?.leave("x");
    }
    expect(visited).toEqual(["a", "b", "d"]);
  });

  it("visits nobody twice, though every visited member leaves and comes back", () => {
    const { group, here } = full();
    here.connect("keeper").connection.setGroup("x");
    const visited: string[] = [];
    for (const member of group) {
      visited.push(member.id);
      if (member.id === "keeper") continue;
      member.leave("x");
      member.setGroup("x");
    }
    expect(visited).toEqual(["a", "b", "c", "d", "keeper"]);
    expect(group.size).toBe(5);
  });

  it("ends when everybody leaves at once, and does not meet who comes meanwhile", () => {
    const { group, members, here } = full();
    const visited: string[] = [];
    for (const member of group) {
      visited.push(member.id);
      for (const other of members) other.leave("x");
      here.connect(`late ${visited.length}`).connection.setGroup("x");
    }
    expect(visited).toEqual(["a"]);
    expect(group.size).toBe(0);
  });
});

describe("bad listeners", () => {
  it("harm neither membership nor other listeners, and are told as error", () => {
    const here = new Process();
    const bad = (what: string) => () => {
      throw new Error(what);
    };
    const errors: string[] = [];
    here.groups.on("created", bad("created"));
    here.groups.on("destroyed", bad("destroyed"));
    here.groups.on("created", (group) => {
      group.on("error", (error) => void errors.push(error.message));
      group.on("join", bad("join"));
      group.on("leave", bad("leave"));
      group.on("join", () => Promise.reject(new Error("join, later")));
    });
    const { connection } = here.connect("a");
    expect(connection.setGroup("x")).toBe(true);
    expect(here.groups.get("x")?.size).toBe(1);
    connection.setGroup(null);
    expect([here.groups.size, connection.groups.size]).toEqual([0, 0]);
    expect(errors).toEqual(["join", "leave"]);
    expect(here.errors.map((error) => error.message)).toEqual(["created", "destroyed"]);
    expect(here.told).toEqual(["created x", "join a x", "leave a x", "destroyed x"]);
  });
});
