// Lines for people and log collectors, as JSON on stderr. The only file that loads pino.
import { pino } from "pino";
import type { Logger } from "../base/logger.ts";

/** A logger for this process; `part` says which of the server's processes it is. */
export function makeLogger(part: string): Logger {
  // Synchronous: what a process says last is why it ended.
  const destination = pino.destination({ dest: 2, sync: true });
  // Whoever read stderr may be gone: a closed terminal is no reason to end.
  destination.on("error", () => {});
  return pino({ base: { pid: process.pid, part }, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}
