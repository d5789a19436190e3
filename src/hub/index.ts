// The front door of groupcast/hub: named re-exports, nothing else.
export { hubChannel } from "./hub-channel.ts";
export { HubAdapter, type HubOptions } from "./adapter.ts";
export type { HubAddress } from "./address.ts";
export { ChannelServer, type ChannelServerCounters, type ChannelServerOptions } from "./channel-server.ts";
export { ChannelClient, type ChannelClientOptions, type ChannelListener } from "./channel-client.ts";
