// Makes the channel of many machines over NATS.
import { Channel } from "../channel/channel.ts";
import { NatsAdapter, type NatsOptions } from "./adapter.ts";
import type { NatsConnectionLike } from "./client.ts";

/**
 * A channel through NATS 2.9 or later, with JetStream unless `core` is set. Begins to connect when its `GroupManager` is made. Needs the packages
 * `@nats-io/transport-node` and `@nats-io/jetstream`.
 *
 * `urlOrConnection`: `nats://user:password@host:4222`, `nats://token@host` or `tls://host`, several with commas between (name all servers of a
 * cluster); or a connection of the program's own, which is used as it is and never closed.
 *
 * @throws GroupcastError `bad_option`
 */
export function natsChannel(urlOrConnection: string | NatsConnectionLike, options: NatsOptions = {}): Channel {
  return new Channel(new NatsAdapter(urlOrConnection, options), { clock: options.clock });
}
