// Makes the channel of the processes of one machine.
import { Channel } from "../channel/channel.ts";
import { HubAdapter, type HubOptions } from "./adapter.ts";

/**
 * A channel through a `ChannelServer`. Begins to connect when its `GroupManager` is made.
 *
 * @throws GroupcastError `bad_option`
 */
export function hubChannel(options: HubOptions = {}): Channel {
  return new Channel(new HubAdapter(options), { clock: options.clock });
}
