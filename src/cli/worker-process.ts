// One worker process of `start`: a GroupServer that obeys the primary. Forked by start.ts, which tells it its settings.
import type { Channel } from "../channel/channel.ts";
import { hubChannel } from "../hub/hub-channel.ts";
import { channelOf } from "../server/channel-of.ts";
import { GroupServer } from "../server/group-server.ts";
import { explain } from "../workers/cannot-start.ts";
import { ChannelWatch } from "../workers/channel-watch.ts";
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
const { hubPath, channel, prefix, natsCore, ...settings } = role.settings as WorkerSettings;
const { port } = role;
const { host } = settings;
const logger = makeLogger("worker");
let server: GroupServer | undefined;
const part: Part = {
  async start() {
    try {
      server = new GroupServer({ ...settings, port, channel: makeChannel(), logger });
      const { groups } = server;
      await new ChannelWatch(groups, channel, logger).firstWord();
      const { url } = await server.listen();
      return { listen: url.replace(/^http/, "ws").replace(/\/$/, ""), url, node: groups.node, isLinked: groups.isUp };
    } catch (thrown) {
      throw explain(thrown, host, port);
    }
  },
  drain: async (options) => server?.drain(options),
  close: async () => server?.close(),
  bury: (node) => server?.groups.$bury(node),
};
await play(part, { logger });

function makeChannel(): Channel {
  return hubPath === undefined ? channelOf(channel, { prefix, core: natsCore }) : hubChannel({ path: hubPath, prefix });
}
