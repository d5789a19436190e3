// Ten thousand clients come, join, and go in every way that a client can go: nothing of them stays.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";

interface Held {
  readonly connections: number;
  readonly groups: number;
  readonly members: number;
  readonly connectionObjects: number;
  readonly groupObjects: number;
  readonly descriptors: number;
  readonly timers: number;
  readonly listeners: number;
  readonly heapBytes: number;
}

let server: ChildProcess;
let port = 0;

beforeAll(async () => {
  server = fork(new URL("fixtures/soak-server.mjs", import.meta.url), { execArgv: ["--expose-gc", "--no-warnings"] });
  const [ready] = (await once(server, "message")) as [{ port: number }];
  port = ready.port;
});

afterAll(async () => {
  server.disconnect();
  await once(server, "exit");
});

async function held(): Promise<Held> {
  for (;;) {
    server.send("measure");
    const [answer] = (await once(server, "message")) as [Held];
    if (answer.connections === 0) return answer; // the last close frames may still be on their way
  }
}

async function cycle(index: number): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  await once(socket, "open");
  socket.send(`{"cmd":"add_group","group_id":"room","id":1}`);
  socket.send(`{"cmd":"add_group","group_id":"own ${index}"}`);
  await once(socket, "message");
  const closed = once(socket, "close");
  if (index % 3 === 0) socket.terminate();
  else if (index % 3 === 1) socket.close(1000, "bye");
  else socket.send(Buffer.alloc(70_000)); // over the limit: the server closes
  socket.on("error", () => {});
  await closed;
}

async function cycles(count: number): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      while (next < count) await cycle(next++);
    }),
  );
}

it("keeps nothing of 10,000 clients that came, joined and went", { timeout: 300_000 }, async () => {
  await cycles(2_000); // pools, caches and compiled code grow once
  const before = await held();
  await cycles(10_000);
  const after = await held();

  expect(after).toMatchObject({ connections: 0, groups: 0, members: 0, connectionObjects: 0, groupObjects: 0 });
  expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
  expect(after.timers).toBeLessThanOrEqual(before.timers);
  expect(after.listeners).toBe(before.listeners);
  // A connection that stayed would cost more than 1 kB, so 10,000 would cost 10 MB.
  expect(after.heapBytes - before.heapBytes).toBeLessThan(1024 * 1024);
});
