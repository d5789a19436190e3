// Listeners that join, leave, move and close while others do: whatever happens, "c in group" and "group in c.groups" are one fact.
import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import type { Connection, ConnectionGroup } from "../../../src/index.ts";
import type { FakeSocket } from "../../../src/testing/index.ts";
import { AbruptSocket, Process, settle, StreamSocket } from "../fakes.ts";

const NAMES = ["x", "y", "z"] as const;
const PEOPLE = ["a", "b", "c"] as const;

type Deed =
  | { readonly do: "join" | "setGroup" | "leave"; readonly who: number; readonly name: number }
  | { readonly do: "setNull" | "close" | "terminate" | "hangUp" | "send" | "stall" | "flow"; readonly who: number }
  | { readonly do: "write" | "publish" | "writeBig"; readonly name: number }
  | { readonly do: "endTurn" };

const who = fc.nat(PEOPLE.length - 1);
const name = fc.nat(NAMES.length - 1);
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constantFrom("join", "setGroup", "setGroup", "leave"), who, name }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("setNull", "send"), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("stall", "flow"), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("close", "terminate", "hangUp"), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("write", "publish", "writeBig"), name }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("endTurn") }) },
);

/** Everything that was told about one process, checked as it is told. */
class Witness {
  readonly here: Process;
  readonly people: { connection: Connection; socket: FakeSocket }[];
  readonly everyGroup = new Set<ConnectionGroup>();
  readonly #memberships = new Set<string>();
  readonly #alive = new Map<string, ConnectionGroup>();
  readonly #closed = new Set<string>();
  readonly broken: string[] = [];
  #listenersDeeds: Deed[];
  #depth = 0;

  constructor(listenersDeeds: readonly Deed[]) {
    this.#listenersDeeds = [...listenersDeeds];
    this.here = new Process({ groupsPerConnection: 2 });
    const { groups } = this.here;
    groups.on("created", (group) => {
      this.everyGroup.add(group);
      if (this.#alive.has(group.name)) this.broken.push(`created ${group.name} twice`);
      this.#alive.set(group.name, group);
      if (group.size !== 0) this.broken.push(`created ${group.name} with ${group.size} members`);
      group.on("join", (connection) => {
        const membership = `${connection.id} ${group.name}`;
        if (this.#memberships.has(membership)) this.broken.push(`join twice: ${membership}`);
        this.#memberships.add(membership);
        if (!group.has(connection) || connection.groups.get(group.name) !== group) this.broken.push(`join before it is in: ${membership}`);
        this.#meddle();
      });
      group.on("leave", (connection) => {
        const membership = `${connection.id} ${group.name}`;
        if (!this.#memberships.delete(membership)) this.broken.push(`leave without join: ${membership}`);
        if (!group.has(connection) || connection.groups.get(group.name) !== group) this.broken.push(`leave after it is out: ${membership}`);
        this.#meddle();
      });
      this.#meddle();
    });
    groups.on("destroyed", (group) => {
      if (this.#alive.get(group.name) !== group) this.broken.push(`destroyed ${group.name}, which is not alive`);
      this.#alive.delete(group.name);
      if (group.size !== 0) this.broken.push(`destroyed ${group.name} with ${group.size} members`);
      this.#meddle();
    });
    this.people = PEOPLE.map((id, index) => {
      const socket: FakeSocket = index === 0 ? new StreamSocket() : new AbruptSocket({ stream: index === 1 });
      const person = { connection: this.here.connect(id, socket).connection, socket };
      person.connection.on("slow", () => {
        if (this.#closed.has(id)) this.broken.push(`slow after close: ${id}`);
        this.#meddle();
      });
      person.connection.on("drain", () => this.#meddle());
      person.connection.on("close", () => {
        if (this.#closed.has(id)) this.broken.push(`close twice: ${id}`);
        this.#closed.add(id);
        // A socket that ends inside a listener of leave: that leave, further down the stack, is not over.
        const left = [...person.connection.groups.values()].every((group) => group.$isLeaving(person.connection));
        if (!left) this.broken.push(`close in groups: ${id}`);
        this.#meddle();
      });
      return person;
    });
  }

  // Listeners do something now and then, themselves in the midst of something, but not for ever.
  #meddle(): void {
    if (this.#depth >= 4) return;
    const next = this.#listenersDeeds.shift();
    if (next === undefined) return;
    this.#depth++;
    this.act(next);
    this.#depth--;
  }

  act(next: Deed): void {
    const person = this.people["who" in next ? next.who : 0];
    const groupName = NAMES["name" in next ? next.name : 0] ?? "x";
    if (person === undefined) throw new Error("nobody");
    const { connection, socket } = person;
    switch (next.do) {
      case "join":
        return void connection.join(groupName);
      case "setGroup":
        return void connection.setGroup(groupName);
      case "setNull":
        return void connection.setGroup(null);
      case "leave":
        return void connection.leave(groupName);
      case "close":
        return void connection.close();
      case "terminate":
        return connection.terminate();
      case "hangUp":
        return socket.hangUp();
      case "send":
        return void connection.send("direct");
      case "stall":
        socket.stall();
        socket.bufferedAmount = 100_000;
        return;
      case "flow":
        return socket.flow();
      case "write":
        return void this.here.groups.get(groupName)?.write("written");
      case "writeBig":
        return void this.here.groups.get(groupName)?.write("big".repeat(100_000));
      case "publish":
        return void this.here.groups.publish(groupName, "published", { except: "b" });
      case "endTurn":
        return this.here.clock.endTurn();
    }
  }

  check(): void {
    expect(this.broken).toEqual([]);
    const { groups } = this.here;
    const memberships = new Set<string>();
    let alive = 0;
    for (const group of groups.groups()) {
      alive++;
      expect(group.size).toBeGreaterThan(0);
      expect(groups.get(group.name)).toBe(group);
      expect(this.#alive.get(group.name)).toBe(group);
      const members = [...group];
      expect(members).toHaveLength(group.size);
      expect(new Set(members).size).toBe(group.size);
      for (const member of members) {
        expect(member.closed).toBe(false);
        expect(member.groups.get(group.name)).toBe(group);
        memberships.add(`${member.id} ${group.name}`);
      }
    }
    expect(groups.size).toBe(alive);
    expect(this.#alive.size).toBe(alive);
    for (const { connection } of this.people) {
      for (const [groupName, group] of connection.groups) {
        expect(groups.get(groupName)).toBe(group);
        expect(group.has(connection)).toBe(true);
      }
      const primary = connection.getGroup();
      if (primary !== null) expect(connection.groups.get(primary.name)).toBe(primary);
      expect(connection.getGroupName()).toBe(primary?.name ?? null);
      if (connection.closed) expect(connection.groups.size).toBe(0);
      expect(this.here.pool.getConnection("default", connection.id)).toBe(connection.closed ? undefined : connection);
    }
    // Each join has had its leave, or is still true.
    expect([...this.#memberships].sort()).toEqual([...memberships].sort());
    for (const group of this.everyGroup) if (groups.get(group.name) !== group) expect(group.size).toBe(0);
  }
}

describe("both sides of a membership", () => {
  it("are one fact after every step, whatever listeners do in the midst of it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(deed, { minLength: 1, maxLength: 25 }),
        fc.array(deed, { maxLength: 25 }),
        async (deeds, listenersDeeds) => {
          const witness = new Witness(listenersDeeds);
          for (const next of deeds) {
            witness.act(next);
            witness.check();
          }
          witness.here.clock.advance();
          witness.check();
          await settle();
          witness.check();
          for (const { socket } of witness.people) socket.hangUp();
          witness.check();
          expect([witness.here.groups.size, witness.here.pool.size, witness.here.pool.hasNamespace("default")]).toEqual([0, 0, false]);
          expect(witness.here.errors).toEqual([]);
        },
      ),
      { numRuns: 800 },
    );
  }, 60_000);
});

describe("a group that a listener of created fills and empties again", () => {
  it("lives on for the one that it was made for", () => {
    const here = new Process();
    const [a, b] = [here.connect("a").connection, here.connect("b").connection];
    here.groups.on("created", () => {
      b.setGroup("x");
      b.setGroup(null);
    });
    expect(a.setGroup("x")).toBe(true);
    expect(here.groups.get("x")?.has(a)).toBe(true);
    expect(here.told).toEqual(["created x", "join b x", "leave b x", "join a x"]);
  });

  it("is destroyed if that one closes meanwhile", () => {
    const here = new Process();
    const a = here.connect("a", new AbruptSocket());
    here.groups.on("created", () => a.connection.terminate());
    expect(a.connection.setGroup("x")).toBe(false);
    expect([here.groups.size, here.told]).toEqual([0, ["created x", "destroyed x"]]);
  });
});

describe("a listener of slow", () => {
  it("that throws the slow one out does it once, also when the backlog shows in a flush for a joiner or a leaver", () => {
    for (const change of ["join", "leave"] as const) {
      const here = new Process();
      const [a, b] = [here.connect("a"), here.connect("b")];
      a.connection.setGroup("x");
      if (change === "leave") b.connection.setGroup("x");
      a.connection.on("slow", () => void a.connection.leave("x"));
      b.connection.on("slow", () => void b.connection.leave("x"));
      a.socket.stall();
      b.socket.stall();
      here.groups.get("x")?.write("x".repeat(100_000));
      if (change === "join") b.connection.setGroup("x");
      else b.connection.leave("x");
      here.clock.advance();
      expect(here.told.filter((line) => line.startsWith("leave"))).toEqual(change === "join" ? ["leave a x"] : ["leave b x", "leave a x"]);
      expect(here.groups.size).toBe(change === "join" ? 1 : 0);
    }
  });

  it("that cuts the joiner leaves nobody behind", () => {
    const here = new Process();
    const a = here.connect("a");
    const b = here.connect("b", new AbruptSocket());
    a.connection.setGroup("x");
    a.connection.on("slow", () => b.connection.terminate());
    a.socket.stall();
    here.groups.get("x")?.write("x".repeat(100_000));
    b.connection.setGroup("x");
    here.clock.advance();
    expect([...(here.groups.get("x") ?? [])].map(({ id }) => id)).toEqual(["a"]);
  });
});
