// One worker process of `start`: a GroupServer that obeys the primary. Forked by start.ts, which tells it its settings.
import type { Channel } from "../channel/channel.ts";
import { hubChannel } from "../hub/hub-channel.ts";
import { GroupServer } from "../server/group-server.ts";
import { explain } from "../workers/cannot-start.ts";
import { type Part, play } from "../workers/child.ts";
import { takeRole } from "../workers/role.ts";
import { makeLogger } from "./log.ts";
import type { StartSettings } from "./options.ts";

/** What a worker is told. */
export interface WorkerSettings extends StartSettings {
  /** The hub's socket; undefined: there is no hub. */
  readonly hubPath: string | undefined;
}

const role = takeRole();
if (role === undefined) throw new Error("this file is run by `groupcast start`");
const { hubPath, ...settings } = role.settings as WorkerSettings;
const { port } = role;
const { host, prefix } = settings;
const logger = makeLogger("worker");
let server: GroupServer | undefined;
const part: Part = {
  async start() {
    try {
      server = new GroupServer({ ...settings, port, channel: makeChannel(), logger });
      server.groups.on("degraded", ({ reason }) => logger.warn({ err: reason }, `the channel is down: ${reason.message}`));
      server.groups.on("restored", ({ downMs }) => logger.warn({ downMs: Math.round(downMs) }, "the channel is back"));
      const { url } = await server.listen();
      return { listen: url.replace(/^http/, "ws").replace(/\/$/, ""), url };
    } catch (thrown) {
      throw explain(thrown, host, port);
    }
  },
  drain: async (options) => server?.drain(options),
  close: async () => server?.close(),
};
await play(part, { logger });

function makeChannel(): Channel | "memory" {
  return hubPath === undefined ? "memory" : hubChannel({ path: hubPath, prefix });
}
