// The hub process of `start`: a ChannelServer on a private Unix socket. Forked by start.ts, which tells it the path.
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { ChannelServer } from "../hub/channel-server.ts";
import { play } from "../workers/child.ts";
import { HUB_LINGERS_MS, HubPart } from "../workers/hub-part.ts";
import { takeRole } from "../workers/role.ts";
import { makeLogger } from "./log.ts";

/** What the hub is told. */
export interface HubSettings {
  readonly path: string;
  /** How many workers an earlier hub had: they are waited for. */
  readonly linksExpected: number;
}

const role = takeRole();
if (role === undefined) throw new Error("this file is run by `groupcast start`");
const { path, linksExpected } = role.settings as HubSettings;
const logger = makeLogger("hub");
// A primary that is gone cannot tidy up; one that is there may start the next hub in this folder.
process.once("exit", () => {
  if (!process.connected) rmSync(dirname(path), { recursive: true, force: true });
});
await play(new HubPart(new ChannelServer(`unix:${path}`, 0, { logger, linksExpected })), { logger, lingerMs: HUB_LINGERS_MS });
