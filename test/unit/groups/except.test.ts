import { describe, expect, it, vi } from "vitest";
import { Turn } from "../../../src/base/turn.ts";
import { MemoryBus } from "../../../src/channel/memory.ts";
import { Fanout } from "../../../src/groups/fanout.ts";
import { memoryChannel } from "../../../src/index.ts";
import { FakeSocket } from "../../../src/testing/index.ts";
import { codeOf, Process, settle, StepBus, stepProcess, texts } from "../fakes.ts";
import { Connection, type Except } from "../../../src/index.ts";

/** Two processes that hear each other, with a and b in one and c and d in the other, all in x. */
async function world(kind: "memory" | "steps") {
  const bus = new MemoryBus();
  const steps = new StepBus();
  const processes = [0, 1].map(() => (kind === "memory" ? new Process({ channel: memoryChannel({ bus }) }) : stepProcess(steps)));
  const [here, there] = processes;
  if (here === undefined || there === undefined) throw new Error("no process");
  for (const one of processes) if ("adapter" in one) (one as ReturnType<typeof stepProcess>).adapter.up();
  const people = [here.connect("a"), here.connect("b"), there.connect("c"), there.connect("d")] as const;
  for (const { connection } of people) await connection.join("x");
  const turn = async () => {
    await Promise.all(processes.map(({ clock }) => clock.advanceAsync()));
    await settle();
    await Promise.all(processes.map(({ clock }) => clock.advanceAsync()));
  };
  const got = () => people.map(({ socket }) => texts(socket.sent).join(" "));
  return { here, there, people, turn, got };
}

describe.each(["memory", "steps"] as const)("except, across two processes (%s)", (kind) => {
  it("takes a connection, an id, or an array of both", async () => {
    const { here, people, turn, got } = await world(kind);
    const [a, , c] = people;
    const group = here.groups.get("x");
    if (group === undefined) throw new Error("no group");
    group.write("1", { except: a.connection });
    group.write("2", { except: "a" });
    group.write("3", { except: "c" }); // in the other process
    group.write("4", { except: [a.connection, "d"] });
    group.writeAll("5", { except: [] });
    await Promise.all([group.publish("6", { except: ["b", c.connection] }), turn()]);
    await Promise.all([here.groups.publish("x", "7", { except: "nobody" }), turn()]);
    await turn();
    expect(got()).toEqual(["3 5 6 7", "1 2 3 4 5 7", "1 2 4 5 7", "1 2 3 5 6 7"]);
  });

  it("includes the sender if nobody leaves it out", async () => {
    const { here, turn, got } = await world(kind);
    here.groups.get("x")?.write("all");
    await turn();
    await turn();
    expect(got()).toEqual(["all", "all", "all", "all"]);
  });

  it("keeps the order of messages with and without it", async () => {
    const { here, turn, got } = await world(kind);
    for (let message = 0; message < 6; message++) here.groups.get("x")?.write(String(message), message % 2 === 0 ? {} : { except: "a" });
    await turn();
    await turn();
    expect(got()).toEqual(["0 2 4", "0 1 2 3 4 5", "0 1 2 3 4 5", "0 1 2 3 4 5"]);
  });

  it("works for broadcasts to a namespace, in every process", async () => {
    const { there, turn, got } = await world(kind);
    await Promise.all([there.pool.broadcastMessage("default", "hello", ["b", "c"]), turn()]);
    await turn();
    expect(got()).toEqual(["hello", "", "", "hello"]);
  });

  it("binds to the id: who comes back under it is left out, too", async () => {
    const { here, people, turn } = await world(kind);
    const [a] = people;
    here.groups.get("x")?.write("not for a", { except: a.connection });
    a.socket.hangUp();
    const again = here.connect("a");
    await Promise.all([again.connection.join("x"), turn()]);
    here.groups.get("x")?.write("nor now", { except: a.connection });
    await turn();
    await turn();
    expect(again.socket.sent).toEqual([]);
  });
});

describe("an except that is none", () => {
  it("throws or rejects with bad_option, and nobody gets anything", async () => {
    const { here, turn, got } = await world("memory");
    const group = here.groups.get("x");
    for (const except of [7, null, {}, [7], [null], [undefined], [["a"]], true] as unknown as Except[]) {
      expect(codeOf(() => group?.write("x", { except }))).toBe("bad_option");
      await expect(group?.publish("x", { except })).rejects.toMatchObject({ code: "bad_option" });
      await expect(here.groups.publish("x", "x", { except })).rejects.toMatchObject({ code: "bad_option" });
      await expect(here.pool.broadcastMessage("default", "x", except)).rejects.toMatchObject({ code: "bad_option" });
    }
    await turn();
    expect(got()).toEqual(["", "", "", ""]);
  });

  it("throws too_large for more ids than a channel carries", async () => {
    const { here, turn, got } = await world("memory");
    const except = Array.from({ length: 10_000 }, (_, index) => String(index).padStart(32, "0"));
    expect(codeOf(() => here.groups.get("x")?.write("x", { except }))).toBe("too_large");
    expect(codeOf(() => here.groups.get("x")?.write("x", { except: except.slice(0, 5_000) }))).toBe("nothing thrown");
    await turn();
    expect(got()).toEqual(["x", "x", "x", "x"]);
  });

  it("may name a connection that was never in a group", async () => {
    const { here, turn, got } = await world("memory");
    here.groups.get("x")?.write("x", { except: new Connection("stranger", "other", new FakeSocket()) });
    await turn();
    expect(got()).toEqual(["x", "x", "x", "x"]);
  });
});

it("does not have a slow peer keep a whole record for one small message of it", () => {
  const here = new Process();
  const { connection } = here.connect("a");
  const deliver = vi.spyOn(connection, "$deliver");
  const fanout = new Fanout(new Turn(here.clock));
  fanout.add(connection);
  fanout.pushExcept(new Uint8Array(100_000).subarray(50, 100), ["b"]);
  expect(deliver.mock.calls.map(([{ frames }]) => [frames.length, frames.buffer.byteLength])).toEqual([[50, 50]]);
});
