// From what an option `channel` was given to a channel. The only file of the library that loads the folders of brokers, and does so only
// when a URL asks for one.
import type { Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import type { Adapter } from "../channel/adapter.ts";
import { BROKER_URLS, type BrokerKind, brokerOf, maskUrl } from "../channel/broker-url.ts";
import { Channel } from "../channel/channel.ts";
import { LateAdapter } from "../channel/late-adapter.ts";
import { memoryChannel } from "../channel/memory-channel.ts";

/** What goes along with a channel that is given as a text. */
export interface ChannelOfOptions {
  /** Only channels of the same prefix hear each other. */
  readonly prefix?: string | undefined;
  /** NATS without JetStream: order per publisher only. */
  readonly core?: boolean | undefined;
  readonly clock?: Clock | undefined;
}

/** Characters of what was given that an error repeats. */
const SHOWN_MAX = 80;
/** Bytes of a prefix: as many as of a name. */
const PREFIX_BYTES_MAX = 200;

const LOAD: Readonly<Record<BrokerKind, (url: string, options: ChannelOfOptions) => Promise<Adapter>>> = {
  redis: async (url, { prefix, clock }) => new (await import("../redis/index.ts")).RedisAdapter(url, { prefix, clock }),
  nats: async (url, options) => new (await import("../nats/index.ts")).NatsAdapter(url, options),
};

/** @throws GroupcastError `bad_option` */
export function channelOf(given: Channel | string, options: ChannelOfOptions = {}): Channel {
  const { prefix, clock } = options;
  if (given instanceof Channel) {
    if (prefix === undefined) return given;
    throw new GroupcastError("bad_option", "prefix goes with a channel that is given as a URL: tell it to whoever makes this channel");
  }
  checkPrefix(prefix);
  if (given === "memory") return memoryChannel({ clock });
  const kind = typeof given === "string" ? brokerOf(given) : undefined;
  if (kind !== undefined) return new Channel(new LateAdapter(() => LOAD[kind](given, options)), { clock });
  const shown = typeof given === "string" ? JSON.stringify(maskUrl(given).slice(0, SHOWN_MAX)) : typeof given;
  throw new GroupcastError(
    "bad_option",
    `channel is "memory", a URL (${BROKER_URLS}) or a Channel made by hubChannel() and its like, not ${shown}`,
  );
}

function checkPrefix(prefix: string | undefined): void {
  if (prefix === undefined) return;
  const bytes = typeof prefix === "string" ? new TextEncoder().encode(prefix).length : 0;
  if (bytes > 0 && bytes <= PREFIX_BYTES_MAX) return;
  throw new GroupcastError("bad_option", `a prefix has 1 to ${PREFIX_BYTES_MAX} bytes`);
}
