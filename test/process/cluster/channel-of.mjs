// A channel, made in a process that was told in JSON which one: `{ kind, at }`.
import { memoryChannel } from "../../../dist/index.js";

export async function channelOf({ kind, at }) {
  switch (kind) {
    case "memory":
      return memoryChannel();
    case "hub": {
      const { hubChannel } = await import("../../../dist/hub/index.js");
      return hubChannel(at);
    }
    case "redis": {
      const { redisChannel } = await import("../../../dist/redis/index.js");
      return redisChannel(at);
    }
    case "nats": {
      const { natsChannel } = await import("../../../dist/nats/index.js");
      return natsChannel(at);
    }
  }
}
