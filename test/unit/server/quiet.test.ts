// Nothing here is awaited, and everything fails: test/no-unhandled.ts fails this file if a rejection is left over.
import { describe, expect, it } from "vitest";
import { ConnectionGroup } from "../../../src/index.ts";
import { Process, settle, stepProcess } from "../fakes.ts";

/** Calls everything that makes a promise. */
function callEverything(here: Process): void {
  const { connection } =
    here.pool.getConnection("default", "a") === undefined ? here.connect("a") : { connection: here.pool.connections()[0] };
  if (connection === undefined) throw new Error("nobody");
  const { groups, pool } = here;
  void connection.join("x");
  void connection.join("");
  void connection.join("y");
  for (const name of ["x", "", "never"]) {
    void groups.publish(name, "text");
    void groups.publish(name, 7 as unknown as string);
    void groups.publish(name, "text", { key: "k", namespace: "\0" });
    void groups.count(name);
    void groups.members(name, { limit: 0 });
    void groups.members(name);
    void groups.users(name);
    void groups.names({ namespace: name });
    void pool.isOnline("default", name);
    void pool.isUserOnline("default", name);
    void pool.connectionsOf("default", name);
  }
  const group = groups.get("x");
  void group?.ready;
  group?.write("text");
  void group?.publish("text");
  void group?.publish({} as unknown as string);
  void group?.closeAll();
  void new ConnectionGroup("x", "default").publish("text");
  void new ConnectionGroup("x", "default").ready;
  void pool.send("default", "a", 7 as unknown as string);
  void pool.send("default", "nobody", "text");
  void pool.broadcastMessage("", "text");
  void pool.broadcastMessage("default", "text");
  void pool.broadcastMessage("default", null as unknown as string);
  void pool.closeAll("default");
  void pool.drainConnections(1);
  void groups.closeAll();
  void connection.close();
  void connection.join("z");
}

describe("what nobody awaits", () => {
  it("is quiet on a channel that works", async () => {
    const here = new Process();
    callEverything(here);
    await here.clock.advanceAsync(20_000);
    expect(here.pool.size).toBe(0);
  });

  it("is quiet on a channel that is down, that comes back, and that is stopped", async () => {
    const here = stepProcess();
    callEverything(here);
    await here.clock.advanceAsync(20_000);
    callEverything(here);
    here.adapter.up();
    await here.clock.advanceAsync(20_000);
    callEverything(here);
    void here.groups.stop();
    callEverything(here);
    await here.clock.advanceAsync(20_000);
    await settle();
    expect(here.clock.timers).toBe(0);
  });

  it("is quiet when authorize rejects, and when every listener does", async () => {
    const here = new Process({ authorize: () => Promise.reject(new Error("no database")) });
    const allowed = new Process();
    const reject = () => Promise.reject(new Error("bad listener"));
    for (const { groups } of [here, allowed]) {
      for (const event of ["created", "destroyed", "refused", "error"] as const) groups.on(event, reject);
      groups.on("created", (group) => {
        for (const event of ["join", "leave", "error"] as const) group.on(event, reject);
      });
    }
    for (const one of [here, allowed]) {
      const { connection, socket } = one.connect("a");
      for (const event of ["message", "text", "binary", "close", "error"] as const) connection.on(event, reject);
      void connection.join("x");
      socket.receive("text");
      callEverything(one);
      await one.clock.advanceAsync(20_000);
    }
    expect(allowed.errors.length).toBeGreaterThan(0);
  });
});
