// What the process of a hub does: it listens, and stays until the workers are gone.
import type { ChannelServer } from "../hub/channel-server.ts";
import { hostPort } from "../wire/addresses.ts";
import { explain } from "./cannot-start.ts";
import type { Part } from "./child.ts";

/** If the primary dies, workers have this long to say goodbye through the hub: nobody of this server shall be left after 2 s. */
export const HUB_LINGERS_MS = 1_500;

export class HubPart implements Part {
  readonly #server: ChannelServer;

  constructor(server: ChannelServer) {
    this.#server = server;
  }

  async start(): Promise<{ readonly listen: string }> {
    const { address } = this.#server;
    try {
      await this.#server.listen();
    } catch (thrown) {
      throw "path" in address ? thrown : explain(thrown, address.host, address.port);
    }
    const at = this.#server.address;
    return { listen: "path" in at ? `unix:${at.path}` : `tcp://${hostPort(at.host, at.port)}` };
  }

  drain(): Promise<void> {
    return this.close();
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
