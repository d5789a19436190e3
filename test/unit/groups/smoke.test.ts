import { EventEmitter } from "node:events";
import { expect, it } from "vitest";
import { Connection, ConnectionsPool, GroupManager } from "../../../src/index.ts";

class S extends EventEmitter {
  readyState = 1;
  bufferedAmount = 0;
  sent: unknown[] = [];
  send(x: unknown) {
    this.sent.push(x);
  }
  close(code = 1005, reason = "") {
    this.readyState = 3;
    this.emit("close", code, Buffer.from(reason));
  }
  terminate() {
    this.close(1006);
  }
}
it("smoke", async () => {
  const groups = new GroupManager();
  const log: string[] = [];
  groups.on("created", (g) => {
    log.push("created");
    g.on("join", (c) => {
      log.push("join " + c.id);
      g.write("hi " + c.id);
    });
    g.on("leave", (c) => {
      log.push("leave " + c.id);
      g.write("bye " + c.id);
    });
  });
  groups.on("destroyed", (g) => log.push("destroyed " + g.size));
  const pool = new ConnectionsPool({ groups });
  const a = new S(),
    b = new S();
  const ca = new Connection("a", "default", a),
    cb = new Connection("b", "default", b);
  pool.newConnection(ca);
  pool.newConnection(cb);
  expect(ca.setGroup("x")).toBe(true);
  await cb.join("x");
  await groups.publish("x", "all", { except: "a" });
  expect(await groups.count("x")).toBe(2);
  await pool.broadcastMessage("default", "everyone");
  cb.leave("x");
  await new Promise((r) => setImmediate(r));
  expect(a.sent).toEqual(["hi a", "hi b", "everyone", "bye b"]);
  expect(b.sent).toEqual(["hi b", "all", "bye b", "everyone"]);
  const report = await pool.drainConnections(100);
  expect(report.closed).toBe(2);
  expect(log).toEqual(["created", "join a", "join b", "leave b", "leave a", "destroyed 0"]);
});
