// Starts brokers, says where they are, and waits to be killed.
import { writeFileSync } from "node:fs";
import { it } from "vitest";
import { PrivateServer } from "../private-server.ts";
import { startNats, startRedis } from "../index.ts";

it("is killed", async () => {
  const servers = [await startRedis({ own: true }), await startRedis({ own: true }), await startNats({ own: true })];
  servers[1]?.pause();
  const folders = servers.map((server) => (server instanceof PrivateServer ? server.folder : ""));
  writeFileSync(process.env["BROKERS_SAID"] ?? "", JSON.stringify({ pid: process.pid, pids: servers.map(({ pid }) => pid), folders }));
  await new Promise(() => {});
});
