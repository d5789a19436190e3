// The front door: named re-exports, nothing else.
export { type ErrorCode, ERRORS, GroupcastError } from "./base/errors.ts";
export { Emitter } from "./base/emitter.ts";
export type { Logger } from "./base/logger.ts";
export type { Cancel, Clock } from "./base/clock.ts";
export type { Random } from "./base/random.ts";
export { CLOSE, type CloseArguments, type Goodbye } from "./wire/close-codes.ts";
export type { Payload } from "./wire/frames.ts";
export type { SocketLike } from "./sockets/socket.ts";
export { Connection, Connection as WebSocketConnection, type ConnectionEvents } from "./groups/connection.ts";
export { ConnectionGroup, type ConnectionGroupEvents, type Published } from "./groups/group.ts";
export type { Action, Refused, Verdict } from "./groups/memberships.ts";
export type { Except, SendOptions } from "./groups/message.ts";
export {
  ConnectionsPool,
  type ConnectionsPoolEvents,
  type ConnectionsPoolOptions,
  type DrainConnectionsOptions,
  type PoolHost,
} from "./groups/pool.ts";
export type { ReachOutcome } from "./groups/reach.ts";
export type { DrainReport } from "./groups/drain.ts";
export type { ConnectionsPage, MemberEntry, MembersPage, NamesPage, Page, PageOptions, UsersPage } from "./groups/pages.ts";
export { Channel, type ChannelOptions } from "./channel/channel.ts";
export type { Adapter, AdapterEvents, Receipt, WillAdapter } from "./channel/adapter.ts";
export { MemoryBus } from "./channel/memory.ts";
export { type Kind, type Message, MessageRecord } from "./wire/record.ts";
export { memoryChannel } from "./channel/memory-channel.ts";
export { GroupManager } from "./server/group-manager.ts";
export type {
  GroupImplementation,
  GroupManagerEvents,
  GroupManagerOptions,
  GroupPageOptions,
  InNamespace,
  PublishOptions,
} from "./server/manager-options.ts";
export type { GroupLife } from "./presence/lives.ts";
export type { DisconnectArguments, DisconnectOptions, DisconnectReport } from "./server/disconnect.ts";
export { DEFAULTS } from "./base/defaults.ts";
export type { Counters } from "./base/counters.ts";
export {
  type AcceptInfo,
  WebSocketMiddleware,
  type WebSocketMiddlewareEvents,
  type WebSocketMiddlewareOptions,
} from "./server/middleware.ts";
export { GroupServer, type GroupServerOptions, type ListeningAt, type ServerDrainOptions } from "./server/group-server.ts";
export type { HubAddress } from "./hub/address.ts";
export { ChannelServer, type ChannelServerCounters, type ChannelServerOptions } from "./hub/channel-server.ts";
export { ChannelClient, type ChannelClientOptions, type ChannelListener } from "./hub/channel-client.ts";
export { Worker, type WorkerOptions } from "./workers/worker.ts";
