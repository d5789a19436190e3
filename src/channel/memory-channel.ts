// Makes the channel of a single process.
import { Channel, type ChannelOptions } from "./channel.ts";
import { MemoryAdapter, type MemoryBus } from "./memory.ts";

/** A channel inside this process; managers that share a bus hear each other as several processes would. */
export function memoryChannel(options: ChannelOptions & { readonly bus?: MemoryBus } = {}): Channel {
  return new Channel(new MemoryAdapter(options.bus), options);
}
