// `groupcast start`: the primary of a hub and worker processes that all serve one port.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { GroupcastError } from "../base/errors.ts";
import { brokerOf } from "../channel/broker-url.ts";
import { toPath } from "../hub/address.ts";
import { forkHub, SharedPort, WorkerForks } from "../workers/forks.ts";
import { type Ending, Primary, type Row } from "../workers/primary.ts";
import { printTable } from "../workers/table.ts";
import type { HubSettings } from "./hub-process.ts";
import { makeLogger } from "./log.ts";
import type { StartSettings } from "./options.ts";
import type { WorkerSettings } from "./worker-process.ts";

const HUB_SOCKET = "hub.sock";

/** Runs the server until it is told to stop. Resolves when none of its processes is left. */
export async function start(settings: StartSettings): Promise<Ending> {
  const forks = new WorkerForks(settings.workers);
  const folder = settings.channel === "hub" ? makePrivateFolder() : undefined;
  const hubPath = folder === undefined ? undefined : join(folder, HUB_SOCKET);
  const tidy = (): void => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", tidy); // also after an error of our own
  const { host, port, workers, drainPerSecond, drainDeadlineMs, drainDelayMs } = settings;
  const shared = new SharedPort(host, port);
  const workerSettings: WorkerSettings = { ...settings, hubPath };
  const row: Row = {
    name: "server",
    processes: workers,
    fork: async () =>
      forks.fork({ file: fileOf("worker-process") }, { kind: "worker", index: 0, port: await shared.port, settings: workerSettings }),
    moved: shared.moved,
  };
  const primary = new Primary({
    hubs: hubPath === undefined ? [] : [hubRow(hubPath, workers)],
    workers: [row],
    drainPerSecond,
    drainDeadlineMs,
    drainDelayMs,
    logger: makeLogger("primary"),
    started: (rows) => printTable(brokerOf(settings.channel) === undefined ? [] : [settings.channel], rows),
  });
  const ending = await primary.run();
  tidy();
  return ending;
}

function hubRow(path: string, workers: number): Row {
  let linksExpected = 0; // nobody has heard anything when the first one starts
  return {
    name: "hub",
    processes: 1,
    fork: () => {
      const settings: HubSettings = { path, linksExpected };
      linksExpected = workers;
      return forkHub({ file: fileOf("hub-process") }, { kind: "hub", index: 0, port: 0, settings });
    },
  };
}

// Only its owner may enter it (mkdtemp: 0700), and nobody else's server meets it there.
function makePrivateFolder(): string {
  const given = tmpdir();
  try {
    toPath(join(given, "groupcast-XXXXXX", HUB_SOCKET)); // refuses one that is too long for a socket
    return mkdtempSync(join(given, "groupcast-"));
  } catch (cause) {
    const text = `TMPDIR: given ${JSON.stringify(given)}, allowed: a folder with a short path (a socket's has 103 bytes) that can be written to`;
    throw new GroupcastError("bad_option", text, { cause });
  }
}

function fileOf(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}
