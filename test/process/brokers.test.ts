// The brokers that other tests use: each starts, answers, can be ended in every way, and leaves nothing behind.
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Broker, brokers, startNats, startRedis, startRedisCluster, startValkey } from "./brokers/index.ts";
import { findServer } from "./brokers/find.ts";
import { gate } from "./brokers/gate.ts";
import { freePort, type Launch, PrivateServer } from "./brokers/private-server.ts";
import { readInfo } from "./brokers/nats.ts";
import { command } from "./brokers/redis.ts";
import { isAlive, Program, until } from "./workers-harness.ts";

const redis = await brokers.redis("brokers for tests, Redis", { own: true });
const valkey = await brokers.valkey("brokers for tests, Valkey", { own: true });
const nats = await brokers.nats("brokers for tests, NATS", { own: true });

/** True once a connection to it is accepted and it says, or answers, something. */
async function answers({ port }: Broker, isAsked: boolean): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    if (isAsked) socket.write("PING\r\n");
    await once(socket, "data");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function own(broker: Broker): PrivateServer {
  if (!(broker instanceof PrivateServer)) throw new Error("it is not a private server");
  onTestFinished(() => broker.stop());
  return broker;
}

describe.each<[string, boolean, () => Promise<Broker>]>([
  ["Redis", redis.missing, () => startRedis({ own: true })],
  ["Valkey", valkey.missing, () => startValkey({ own: true })],
  ["NATS", nats.missing, () => startNats({ own: true })],
])("a private %s", (kind, missing, start) => {
  const isAsked = kind !== "NATS";

  it.skipIf(missing)("is killed and comes back on its port, in its folder, as another process, and stops without a trace", async () => {
    const broker = own(await start());
    const { pid, port, folder } = broker;
    expect(await answers(broker, isAsked)).toBe(true);
    await broker.kill();
    expect(isAlive(pid)).toBe(false);
    expect(await answers(broker, isAsked)).toBe(false);
    expect(existsSync(folder)).toBe(true);
    await broker.restart();
    expect(broker.port).toBe(port);
    expect(broker.folder).toBe(folder);
    expect(broker.pid).not.toBe(pid);
    expect(await answers(broker, isAsked)).toBe(true);
    const { pid: second } = broker;
    await broker.stop();
    expect(isAlive(second)).toBe(false);
    expect(existsSync(folder)).toBe(false);
    await broker.stop();
    await expect(broker.restart()).rejects.toThrow("was stopped");
  });

  it.skipIf(missing)("restarts also while it runs, and stands still while it is paused", async () => {
    const broker = own(await start());
    const { pid } = broker;
    await broker.restart();
    expect(isAlive(pid)).toBe(false);
    broker.pause();
    const answer = answers(broker, isAsked);
    await until("it stands still", () => /^State:\s+T/m.test(readFileSync(`/proc/${broker.pid}/status`, "utf8")));
    broker.resume();
    expect(await answer).toBe(true);
  });

  it.skipIf(missing)("leaves several of its kind alone", async () => {
    const all = (await Promise.all([start(), start(), start()])).map((broker) => own(broker));
    expect(new Set(all.map(({ port }) => port)).size).toBe(3);
    await all[0]?.stop();
    expect(await Promise.all(all.map((broker) => answers(broker, isAsked)))).toEqual([false, true, true]);
  });
});

describe("what a server is asked for", () => {
  it.skipIf(redis.missing)("a password, users, and a log that outlives a kill", async () => {
    const broker = own(await startRedis({ password: "open sesame/?", appendonly: true, config: ["user alice on >secret ~* &* +@all"] }));
    expect(await command(broker.url, "SET", "a", "1")).toBe("OK");
    await expect(command(`redis://127.0.0.1:${broker.port}`, "PING")).rejects.toThrow("NOAUTH");
    expect(await command(`redis://alice:secret@127.0.0.1:${broker.port}`, "ACL", "WHOAMI")).toBe("alice");
    // `everysec` is the default: within a second it is on the disk.
    await until("it is written", async () => /aof_pending_bio_fsync:0/.test(String(await command(broker.url, "INFO", "persistence"))));
    await broker.kill();
    await broker.restart();
    expect(await command(broker.url, "GET", "a")).toBe("1");
  });

  it.skipIf(nats.missing)("users with permissions, JetStream or none, any setting, and figures", async () => {
    const users = [
      { user: "a", password: "x y" },
      { user: "b", password: "z", permissions: { publish: { deny: [">"] } } },
    ];
    const broker = await startNats({ users, config: { max_payload: 1000 } });
    own(broker);
    expect(broker.url).toContain("nats://a:x%20y@127.0.0.1:");
    expect(await readInfo(broker.url)).toMatchObject({ jetstream: true, max_payload: 1000, auth_required: true });
    const figures = (await (await fetch(`${broker.monitorUrl}/varz`)).json()) as { port: number };
    expect(figures.port).toBe(broker.port);
    const plain = await startNats({ own: true, jetstream: false });
    own(plain);
    expect(await readInfo(plain.url)).not.toMatchObject({ jetstream: true });
  });

  it.skipIf(redis.missing)("a cluster whose nodes serve all slots, with replicas that follow", async () => {
    const cluster = await startRedisCluster({ masters: 3, replicas: 1 });
    onTestFinished(() => cluster.stop());
    expect(cluster.nodes).toHaveLength(6);
    for (const { url } of cluster.nodes) {
      const info = String(await command(url, "CLUSTER", "INFO"));
      expect(info).toContain("cluster_state:ok");
      expect(info).toContain("cluster_slots_ok:16384");
    }
    expect(String(await command(cluster.nodes[5]?.url ?? "", "INFO", "replication"))).toContain("role:slave");
    const pids = cluster.nodes.map(({ pid }) => pid);
    await cluster.stop();
    expect(pids.filter((pid) => isAlive(pid))).toEqual([]);
  });
});

describe("a server that does not start", () => {
  let folder = "";
  /** A shell instead of a server. */
  const launch = (script: (folder: string) => string, speak: Launch["speak"] = () => Promise.resolve()): Launch => ({
    command: "/bin/sh",
    env: process.env,
    words: (_port, given) => ["-c", script((folder = given))],
    listens: /here I am/,
    url: String,
    speak,
  });

  it("is an error that says what it said, and leaves nothing behind", async () => {
    await expect(PrivateServer.start(launch(() => "echo no such thing; exit 3"))).rejects.toThrow("no such thing");
    expect(existsSync(folder)).toBe(false);
  });

  it("or does not answer as it should, is ended", async () => {
    let pid = 0;
    const given = launch(
      (folder) => `echo $$ > ${folder}/pid; echo here I am; exec sleep 600`,
      () => {
        pid = Number(readFileSync(join(folder, "pid"), "utf8"));
        return Promise.reject(new Error("it answered nonsense"));
      },
    );
    await expect(PrivateServer.start(given)).rejects.toThrow("it answered nonsense");
    expect(pid).toBeGreaterThan(0);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(folder)).toBe(false);
  });

  it("because its port was taken, is tried on another one", async () => {
    let tries = 0;
    const given = launch(() => (++tries < 3 ? "echo Address already in use; exit 1" : "echo here I am; exec sleep 600"));
    await own(await PrivateServer.start(given)).stop();
    expect(tries).toBe(3);
  });
});

it.skipIf(redis.missing || nats.missing)("all is gone when the test process is killed, also a server that stands still", async () => {
  const folder = mkdtempSync(join(tmpdir(), "groupcast-nested-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const said = join(folder, "said");
  const vitest = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));
  const config = fileURLToPath(new URL("brokers/nested/vitest.config.ts", import.meta.url));
  const run = new Program([vitest, "run", "--config", config], { BROKERS_SAID: said });
  onTestFinished(() => run.end());
  await until("it says where its brokers are", () => existsSync(said) && readFileSync(said, "utf8").endsWith("}"));
  const { pid, pids, folders } = JSON.parse(readFileSync(said, "utf8")) as { pid: number; pids: number[]; folders: string[] };
  expect(pids.map((one) => isAlive(one))).toEqual([true, true, true]);
  expect(folders.map((one) => existsSync(one))).toEqual([true, true, true]);
  process.kill(pid, "SIGKILL");
  await until("its brokers end", () => !pids.some((one) => isAlive(one)));
  await until("its folders go", () => !folders.some((one) => existsSync(one)));
});

describe("where a broker is", () => {
  beforeEach(() => {
    for (const name of ["GROUPCAST_TEST_REDIS_URL", "GROUPCAST_TEST_NATS_URL", "CI"]) vi.stubEnv(name, "");
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  it("given by its URL, it is used as it is and not ours to end", async () => {
    vi.stubEnv("GROUPCAST_TEST_REDIS_URL", "redis://:secret@broker.example:7000/2");
    vi.stubEnv("GROUPCAST_TEST_NATS_URL", "nats://broker.example:4000");
    expect(await brokers.redis("x")).toEqual({ missing: false });
    const given = await startRedis();
    expect(given).toMatchObject({ url: "redis://:secret@broker.example:7000/2", host: "broker.example", port: 7000, isOwn: false });
    await expect(given.kill()).rejects.toThrow("own: true");
    await expect(given.restart()).rejects.toThrow("own: true");
    expect(() => given.pause()).toThrow("own: true");
    expect(() => given.pid).toThrow("own: true");
    await given.stop();
    expect(await startNats()).toMatchObject({ port: 4000, isOwn: false, monitorUrl: undefined });
  });

  it.skipIf(redis.missing)("given by its URL, it is left alone by who asks for one of his own", async () => {
    vi.stubEnv("GROUPCAST_TEST_REDIS_URL", "redis://broker.example:7000");
    expect(own(await startRedis({ own: true })).isOwn).toBe(true);
    expect(own(await startRedis({ password: "secret" })).isOwn).toBe(true);
  });

  it("on a machine that has none and no packages it is skipped with one line, and an error in CI", async () => {
    const said: string[] = [];
    vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
    expect(await gate("redis-server", "GROUPCAST_TEST_REDIS_URL", "a test of it", {}, missingServer)).toEqual({ missing: true });
    expect(said).toHaveLength(1);
    expect(said[0]).toContain("*** SKIPPED: a test of it: not tested, there is no redis-server here");
    expect(said[0]).toContain("brew install redis");
    vi.stubEnv("CI", "true");
    await expect(gate("redis-server", "GROUPCAST_TEST_REDIS_URL", "a test of it", {}, missingServer)).rejects.toThrow(
      "a test of it: not tested",
    );
  });

  it("is on the PATH before it is anywhere else", async () => {
    const folder = mkdtempSync(join(tmpdir(), "groupcast-path-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, "nats-server"), "", { mode: 0o755 });
    writeFileSync(join(folder, "redis-server"), "", { mode: 0o644 });
    expect((await findServer("nats-server", `/nowhere:${folder}`)).command).toBe(join(folder, "nats-server"));
    if (!redis.missing) expect((await findServer("redis-server", folder)).command).not.toBe(join(folder, "redis-server"));
  });
});

function missingServer(): Promise<never> {
  return Promise.reject(new Error("spawn apt-get ENOENT"));
}

it("free ports are not those that clients get", async () => {
  for (const port of await Promise.all(Array.from({ length: 20 }, () => freePort()))) {
    expect(port).toBeGreaterThanOrEqual(12_000);
    expect(port).toBeLessThan(30_000);
  }
});
