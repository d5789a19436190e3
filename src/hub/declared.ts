// The ChannelServers that this program has made and not closed: what a runner starts. One of the three things that a module of
// groupcast remembers, beside the declared workers and the process's one ChannelClient.
import type { ChannelServer } from "./channel-server.ts";

/** In the order in which they were made. Changed only by ChannelServer itself. */
export const declaredChannelServers: Set<ChannelServer> = new Set();
