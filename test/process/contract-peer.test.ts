// An adapter in a process of its own: its end is told, and it never outlives the test.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { type Peer, processPeer } from "../../dist/testing/index.js";

function oddPeer(how: string): Peer {
  return processPeer(new URL("./contract/odd-peer.mjs", import.meta.url), { how });
}

it("starts, calls and ends an adapter in another process", async () => {
  const peer = oddPeer("all right");
  await peer.start();
  expect(peer.told).toEqual([{ told: "up" }]);
  expect(peer.pid).not.toBe(process.pid);
  expect(await peer.publish("topic")).toEqual({ receivers: 0 });
  await peer.end();
  await peer.end();
});

it("knows everything that was settled and told when it has caught up", async () => {
  const peer = oddPeer("all right");
  const settled: string[] = [];
  const messages = [{ kind: "json", frame: Uint8Array.of(0x81, 1, 49), except: ["id"] }] as const;
  const publishing = peer.begin({ call: "start" }, { call: "publish", topic: "topic", messages });
  for (const outcome of publishing) void outcome.then(({ ok }) => settled.push(String(ok)));
  await peer.catchUp();
  expect(settled).toEqual(["true", "true"]);
  expect(peer.told).toEqual([{ told: "up" }]);
  await peer.end();
});

it("says so when the process of an adapter ends unasked", async () => {
  const peer = oddPeer("all right");
  await peer.start();
  await expect(peer.subscribe("topic")).rejects.toThrow("its process ended: 3");
  await expect(peer.publish("topic")).rejects.toThrow("the process of an adapter ended unasked: 3");
  await expect(peer.end()).rejects.toThrow("ended with 3, not with 0");
});

it("says so when a module cannot make its adapter", async () => {
  const peer = oddPeer("cannot be made");
  await expect(peer.start()).rejects.toThrow("its process ended: 1");
  await expect(peer.end()).rejects.toThrow("ended with 1, not with 0");
});

it("kills an adapter's process when asked to", async () => {
  const peer = oddPeer("all right");
  await peer.start();
  await peer.kill();
  expect(() => process.kill(peer.pid, 0)).toThrow("ESRCH");
  await peer.end();
});

it("leaves no process behind when the test itself is killed", async () => {
  const program = new URL("./contract/orphan-maker.mjs", import.meta.url);
  const maker = spawn(process.execPath, [program.pathname], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(maker.stdout, "data")) as [Buffer];
  const pid = Number(line.toString());
  expect(() => process.kill(pid, 0)).not.toThrow();
  // The adapter's process holds the other end of this pipe, too: `close` comes when both are gone, and not before.
  const closed = once(maker, "close");
  maker.kill("SIGKILL");
  expect(await closed).toEqual([null, "SIGKILL"]);
});
