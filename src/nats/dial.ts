// Makes connections to NATS by its URL, one at a time. Must not know what they are used for, or when to try again.
import { connect as connectSocket } from "node:net";
import { GroupcastError } from "../base/errors.ts";
import { deferred } from "../base/promises.ts";
import type { Random } from "../base/random.ts";
import { hostPort } from "../wire/addresses.ts";
import { loadTransport, type NatsConnectionOptions } from "./client.ts";
import { type Link, type LinkEvents, ownLink, type Source } from "./link.ts";
import type { Server, Servers } from "./servers.ts";
import { toTrouble } from "./trouble.ts";

/** A server has this long to accept a connection and say who it is, ms, and as long again to let us in. */
const ANSWER_WITHIN_MS = 2_000;
/** A server that does not answer two pings is gone: it is noticed between 3 and 4.5 s after it was last heard. */
const PING_EVERY_MS = 1_500;
const PINGS_MAX = 2;

/** The links of a URL. Each attempt goes through all servers, in random order, until one lets us in. */
export class DialSource implements Source {
  readonly #servers: Servers;
  readonly #random: Random;
  #isStopped = false;
  /** Ends the attempt that is under way, as far as it can be ended. */
  #cancel: (() => void) | undefined;

  constructor(servers: Servers, random: Random) {
    this.#servers = servers;
    this.#random = random;
  }

  async open(events: LinkEvents): Promise<Link> {
    const { connect } = await loadTransport();
    let trouble: GroupcastError | undefined;
    for (const server of this.#shuffled()) {
      if (this.#isStopped) break;
      const place = hostPort(server.host, server.port);
      try {
        await this.#probe(server);
        const connection = await connect(this.#optionsFor(place));
        if (!this.#isStopped) return ownLink(connection, place, events);
        await connection.close();
        throw new GroupcastError("closed");
      } catch (thrown) {
        trouble = toTrouble(thrown, `no link to NATS at ${place}`);
        if (trouble.code !== "unavailable") break;
      }
    }
    throw trouble ?? new GroupcastError("unavailable");
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #shuffled(): Server[] {
    const keyed = this.#servers.servers.map((server) => ({ server, key: this.#random.unit() }));
    return keyed.sort((one, other) => one.key - other.key).map(({ server }) => server);
  }

  #optionsFor(place: string): NatsConnectionOptions {
    const { user, password, token, isTls } = this.#servers;
    return {
      name: "groupcast",
      servers: place,
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { pass: password }),
      ...(token === undefined ? {} : { token }),
      ...(isTls ? { tls: {} } : {}),
      // When it is lost, what the client keeps for a connection that is down would be lost in silence.
      reconnect: false,
      timeout: ANSWER_WITHIN_MS,
      pingInterval: PING_EVERY_MS,
      maxPingOut: PINGS_MAX,
      noAsyncTraces: true,
    };
  }

  /**
   * Resolves when a server has said something. The client, asked to connect to one that accepts and says nothing, would leave its socket
   * open for good.
   */
  #probe({ host, port }: Server): Promise<void> {
    const { promise, resolve, reject } = deferred();
    this.#cancel = () => reject(new GroupcastError("closed"));
    if (this.#isStopped) this.#cancel();
    const socket = connectSocket({ host, port, timeout: ANSWER_WITHIN_MS });
    socket.once("data", () => resolve());
    socket.on("error", reject);
    socket.once("timeout", () => reject(new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} s`)));
    socket.once("close", () => reject(new Error("the other side closed it")));
    return promise.finally(() => socket.destroy());
  }
}
