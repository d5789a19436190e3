// Members that do not read, or are only half there, cost the others nothing.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Client } from "./client.ts";

let server: ChildProcess;
let port = 0;

beforeAll(async () => {
  server = fork(new URL("fixtures/plain-server.mjs", import.meta.url), [JSON.stringify({ pingEveryMs: 2_000, pongWithinMs: 500 })]);
  const [ready] = (await once(server, "message")) as [{ port: number }];
  port = ready.port;
});

afterAll(async () => {
  server.disconnect();
  await once(server, "exit");
});

it("closes a member that does not read, and the others get every message", async () => {
  const [reader, stalled, publisher] = await Promise.all([Client.open(port), Client.open(port), Client.open(port)]);
  for (const member of [reader, stalled]) await member.ask({ cmd: "add_group", group_id: "busy" });
  reader.got.length = 0;
  stalled.socket.pause();

  // Far more than the kernel's buffers and the queue of 1 MiB together.
  const messages = Array.from({ length: 500 }, (_, index) => `${index} ${"x".repeat(60_000)}`);
  for (const [index, message] of messages.entries()) {
    publisher.send(JSON.stringify({ cmd: "send_to_group", group_id: "busy", message }));
    // The reader lives in this process: it needs its turn, or it would be the slow one.
    if (index % 5 === 4) await reader.untilCount(index + 1);
  }

  expect(reader.got).toEqual(messages);
  await expect.poll(async () => (await publisher.ask({ cmd: "count_group", group_id: "busy" }))["members"], { timeout: 20_000 }).toBe(1);
  stalled.socket.resume();
  // It was told 4002, if its buffers had room for the close frame; it got an unbroken beginning in any case.
  expect([4002, 1006]).toContain((await stalled.closed).code);
  expect(stalled.got.slice(1)).toEqual(messages.slice(0, stalled.got.length - 1));
  await Promise.all([reader.close(), publisher.close()]);
});

it("finds a half-open peer by its missing pong, and the others stay", async () => {
  const [living, dead] = await Promise.all([Client.open(port), Client.open(port, "/", { autoPong: false })]);
  for (const member of [living, dead]) await member.ask({ cmd: "add_group", group_id: "quiet" });
  expect((await dead.closed).code).toBe(4003);
  // It is cut at once, and leaves when its socket has gone.
  await expect.poll(async () => (await living.ask({ cmd: "count_group", group_id: "quiet" }))["members"], { timeout: 20_000 }).toBe(1);
  await living.close();
});
