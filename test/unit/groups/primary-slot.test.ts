import { describe, expect, it } from "vitest";
import { Process, settle, stateOf, stepProcess } from "../fakes.ts";

describe("setGroup", () => {
  it("puts the connection in a group, and getGroup and getGroupName say which", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    expect([connection.getGroup(), connection.getGroupName()]).toEqual([null, null]);
    expect(connection.setGroup("x")).toBe(true);
    expect(connection.getGroup()).toBe(here.groups.get("x"));
    expect(connection.getGroupName()).toBe("x");
    expect([...connection.groups.keys()]).toEqual(["x"]);
  });

  it("leaves the previous primary group and joins the next: leave, destroyed, created, join", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    connection.setGroup("y");
    expect(here.told).toEqual(["created x", "join a x", "leave a x", "destroyed x", "created y", "join a y"]);
    expect([...connection.groups.keys()]).toEqual(["y"]);
    expect(here.groups.size).toBe(1);
  });

  it("asks about the next group before it leaves the previous one", () => {
    const told: string[] = [];
    const here = new Process({
      authorize: (connection, name, action) => {
        told.push(`${action} ${name}?`);
        told.push(`still in ${connection.getGroupName()}`);
        return true;
      },
    });
    const { connection } = here.connect("a");
    connection.setGroup("x");
    told.length = 0;
    here.groups.get("x")?.on("leave", () => void told.push("leave x"));
    connection.setGroup("y");
    expect(told).toEqual(["join y?", "still in x", "leave x"]);
  });

  it("never touches other groups", async () => {
    const here = new Process();
    const { connection } = here.connect("a");
    await connection.join("other");
    connection.setGroup("x");
    connection.setGroup("y");
    connection.setGroup(null);
    expect([...connection.groups.keys()]).toEqual(["other"]);
    expect(here.told.filter((line) => line.includes("other"))).toEqual(["created other", "join a other"]);
  });

  it("on a group that was joined marks it as the primary one, without an event, and leaves the previous primary one", async () => {
    const here = new Process();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    await connection.join("y");
    here.told.length = 0;
    expect(connection.setGroup("y")).toBe(true);
    expect(here.told).toEqual(["leave a x", "destroyed x"]);
    expect(connection.getGroupName()).toBe("y");
    connection.setGroup("z");
    expect([...connection.groups.keys()]).toEqual(["z"]); // y was left, as the previous primary group
  });

  it("does not ask again about a group that was joined", async () => {
    let asked = 0;
    const here = new Process({ authorize: () => (asked++, true) });
    const { connection } = here.connect("a");
    await connection.join("y");
    connection.setGroup("y");
    connection.setGroup("y");
    expect(asked).toBe(1);
  });

  it("with null leaves the primary group, and does nothing without one", async () => {
    const here = new Process();
    const { connection } = here.connect("a");
    expect(connection.setGroup(null)).toBe(true);
    await connection.join("y");
    expect(connection.setGroup(null)).toBe(true);
    expect(connection.groups.has("y")).toBe(true);
    connection.setGroup("x");
    expect(connection.setGroup(null)).toBe(true);
    expect([connection.getGroup(), [...connection.groups.keys()]]).toEqual([null, ["y"]]);
    expect(here.told).toEqual(["created y", "join a y", "created x", "join a x", "leave a x", "destroyed x"]);
  });

  it("loses its group to leave as to any other end of the membership", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    expect(connection.leave("x")).toBe(true);
    expect([connection.getGroup(), connection.getGroupName()]).toEqual([null, null]);
    expect(connection.setGroup("x")).toBe(true);
  });

  it("throws bad_group for what is no name, and changes nothing", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    for (const name of ["", "a\nb", "x".repeat(201), 7, undefined, {}]) {
      expect(() => connection.setGroup(name as string)).toThrow(expect.objectContaining({ code: "bad_group" }));
    }
    expect([connection.getGroupName(), here.told]).toEqual(["x", ["created x", "join a x"]]);
  });

  it("takes 0 and __proto__ for ordinary names", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    for (const name of ["0", "__proto__", "constructor"]) {
      expect(connection.setGroup(name)).toBe(true);
      expect(connection.getGroupName()).toBe(name);
      expect(here.groups.get(name)?.has(connection)).toBe(true);
    }
    expect(here.groups.get("toString")).toBeUndefined();
  });

  it("returns false for a closed or closing connection, and tells nothing", async () => {
    const here = new Process();
    const { connection } = here.connect("a");
    const closed = connection.close();
    expect(connection.setGroup("x")).toBe(false);
    await closed;
    expect(connection.setGroup("x")).toBe(false);
    expect(connection.setGroup(null)).toBe(true);
    await expect(connection.join("x")).rejects.toMatchObject({ code: "closed" });
    expect([here.told, here.groups.size]).toEqual([[], 0]);
  });
});

describe("setGroup inside listeners", () => {
  it("of join moves the joiner on: it ends in one group, with every event once", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    here.groups.on("created", (group) => {
      if (group.name === "gate") group.on("join", (joiner) => joiner.setGroup("lobby"));
    });
    expect(connection.setGroup("gate")).toBe(true);
    expect([connection.getGroupName(), [...connection.groups.keys()], here.groups.size]).toEqual(["lobby", ["lobby"], 1]);
    expect(here.told).toEqual(["created gate", "join a gate", "leave a gate", "destroyed gate", "created lobby", "join a lobby"]);
  });

  it("of created takes the slot: the later word counts", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    here.groups.on("created", (group) => {
      if (group.name === "gate") connection.setGroup("lobby");
    });
    connection.setGroup("gate");
    expect([connection.getGroupName(), [...connection.groups.keys()], here.groups.size]).toEqual(["lobby", ["lobby"], 1]);
    expect(here.told).toEqual(["created gate", "created lobby", "join a lobby", "destroyed gate"]);
  });

  it("of leave takes the slot: the later word counts", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    here.groups.get("x")?.on("leave", (leaver) => void here.told.push(`moved: ${leaver.setGroup("z")}`));
    connection.setGroup("y");
    expect([connection.getGroupName(), [...connection.groups.keys()], here.groups.size]).toEqual(["z", ["z"], 1]);
    expect(here.told).toEqual(["created x", "join a x", "leave a x", "created z", "join a z", "moved: true", "destroyed x"]);
  });

  it("of destroyed takes the slot, too", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    here.groups.on("destroyed", (group) => {
      if (group.name === "x") connection.setGroup("z");
    });
    expect(connection.setGroup("y")).toBe(false);
    expect([connection.getGroupName(), [...connection.groups.keys()]]).toEqual(["z", ["z"]]);
  });

  it("of leave, back into the group that is being left, does not keep it there", () => {
    const here = new Process();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    here.groups.get("x")?.on("leave", (leaver) => void here.told.push(`stays: ${leaver.setGroup("x")}`));
    connection.setGroup(null);
    expect([connection.getGroup(), connection.groups.size, here.groups.size]).toEqual([null, 0, 0]);
    expect(here.told).toEqual(["created x", "join a x", "leave a x", "stays: false", "destroyed x"]);
  });

  it("of leave by somebody else does not bring a joined group back that was left there", async () => {
    const here = new Process();
    const { connection } = here.connect("a");
    connection.setGroup("x");
    await connection.join("y");
    here.groups.get("x")?.on("leave", () => void connection.leave("y"));
    expect(connection.setGroup("y")).toBe(false);
    expect([connection.getGroup(), connection.groups.size, here.groups.size]).toEqual([null, 0, 0]);
  });
});

describe("setGroup while the channel is down", () => {
  it("joins here at once, is heard when the channel is back, and group.ready tells when", async () => {
    const here = stepProcess();
    const { connection, socket } = here.connect("a");
    expect(connection.setGroup("x")).toBe(true);
    expect(here.told).toEqual(["created x", "join a x"]);
    const { ready } = connection.getGroup() ?? {};
    if (ready === undefined) throw new Error("no group");
    await here.clock.advanceAsync(60_000);
    expect(await stateOf(ready)).toBe("pending");
    expect(connection.getGroupName()).toBe("x");
    here.adapter.up();
    expect(await stateOf(ready)).toBe("done");
    await Promise.all([here.groups.publish("x", "back"), here.clock.advanceAsync()]);
    await settle();
    expect(socket.sent).toEqual(["back"]);
  });
});
