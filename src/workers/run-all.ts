// Worker.runAll(): this process plays the part that it was given, or is the primary of all that the program declares.
import { basename } from "node:path";
import { GroupcastError } from "../base/errors.ts";
import { consoleLogger, type Logger } from "../base/logger.ts";
import { brokerOf } from "../channel/broker-url.ts";
import { declaredChannelServers } from "../hub/declared.ts";
import { SECRET_VARIABLE } from "../hub/handshake.ts";
import { isLoopback } from "../server/admission.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { type Part, play } from "./child.ts";
import { EXIT } from "./exit-codes.ts";
import { HUB_LINGERS_MS, HubPart } from "./hub-part.ts";
import type { Row } from "./primary.ts";
import { type Role, takeRole } from "./role.ts";
import type { Worker } from "./worker.ts";
import { WorkerPart } from "./worker-part.ts";

/** Calls `started` when this process is up. Whatever goes wrong ends the process, with a line on stderr. */
export async function runAll(workers: readonly Worker[], started: () => void): Promise<void> {
  try {
    const role = takeRole();
    if (role === undefined) await supervise(workers, started);
    else {
      const part = partOf(role, workers);
      await play(part, { logger: loggerOf(workers), lingerMs: role.kind === "hub" ? HUB_LINGERS_MS : 0 });
      started();
    }
  } catch (thrown) {
    console.error(thrown);
    process.exit(EXIT.failure);
  }
}

function partOf({ kind, index, port }: Role, workers: readonly Worker[]): Part {
  const server = kind === "hub" ? [...declaredChannelServers][index] : undefined;
  if (server !== undefined) return new HubPart(server);
  const worker = kind === "worker" ? workers[index] : undefined;
  if (worker !== undefined) return new WorkerPart(worker, port);
  throw new GroupcastError(
    "bad_option",
    `this process is to be ${kind} ${index}, which the program did not declare this time: declare the same in every process`,
  );
}

async function supervise(workers: readonly Worker[], started: () => void): Promise<void> {
  const [, file, word] = process.argv;
  if (file === undefined) throw new GroupcastError("bad_option", "Worker.runAll() runs its program again, so the program has to be a file");
  checkWord(word, basename(file));
  // Only the first process needs these.
  const [{ Primary }, { forkHub, makeSecret, SharedPort, WorkerForks }, { printTable }] = await Promise.all([
    import("./primary.ts"),
    import("./forks.ts"),
    import("./table.ts"),
  ]);
  const program = { file, args: process.argv.slice(2), env: { [SECRET_VARIABLE]: process.env[SECRET_VARIABLE] ?? makeSecret() } };
  const hubs = [...declaredChannelServers].map((_, index): Row => ({
    name: "ChannelServer",
    processes: 1,
    fork: () => forkHub(program, { kind: "hub", index, port: 0 }),
  }));
  const forks = new WorkerForks(Math.max(...workers.map(({ count }) => count)));
  const rows = workers.map(({ name, count, address }, index): Row => {
    const shared = new SharedPort(address.host, address.port);
    const fork = async () => forks.fork(program, { kind: "worker", index, port: await shared.port });
    return { name, processes: count, fork, moved: shared.moved };
  });
  const logger = loggerOf(workers);
  warnOfPublic(workers, logger);
  const primary = new Primary({
    hubs,
    workers: rows,
    drainPerSecond: DEFAULTS.drainPerSecond,
    drainDeadlineMs: DEFAULTS.drainDeadlineMs,
    drainDelayMs: 0,
    logger,
    started: (up) => {
      printTable(brokersOf(workers), up);
      started();
    },
  });
  const { code, text } = await primary.run();
  if (code !== EXIT.done) console.error(`groupcast: ${text}`);
  process.exit(code);
}

// `start` is all there is; what begins with a dash is left to the program's own options.
function checkWord(word: string | undefined, name: string): void {
  if (word === undefined || word === "start" || (word.startsWith("-") && word !== "--help" && word !== "-h")) return;
  const asked = word === "--help" || word === "-h";
  const usage = `Usage: node ${name} [start]\n\nStarts the workers that the program declares; Ctrl-C drains and stops them.\n`;
  (asked ? process.stdout : process.stderr).write(usage);
  process.exit(asked ? EXIT.done : EXIT.usage);
}

function warnOfPublic(workers: readonly Worker[], logger: Logger): void {
  for (const { name, address } of workers) {
    if (isLoopback(address.host)) continue;
    logger.warn({ listen: address.text }, `worker ${name} can be reached by others at ${address.text}, and nobody is asked who they are`);
  }
}

function brokersOf(workers: readonly Worker[]): readonly string[] {
  const given = new Set(workers.map(({ options }) => options.channel));
  return [...given].filter((channel) => typeof channel === "string").filter((channel) => brokerOf(channel) !== undefined);
}

function loggerOf(workers: readonly Worker[]): Logger {
  return workers[0]?.options.logger ?? consoleLogger;
}
