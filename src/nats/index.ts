// The front door of groupcast/nats: named re-exports, nothing else.
export { natsChannel } from "./nats-channel.ts";
export type { NatsConnectionLike, NatsListener, NatsMessage, NatsStatus, NatsSubscription } from "./client.ts";
export { NatsAdapter, type NatsOptions } from "./adapter.ts";
