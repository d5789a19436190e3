// The hub: listens, keeps its links, and their exchanges apart by prefix. Routes nothing itself.
import { createServer, type Server, type Socket } from "node:net";
import { type Cancel, type Clock, systemClock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import { consoleLogger, type Logger } from "../base/logger.ts";
import { quiet } from "../base/promises.ts";
import { Turn } from "../base/turn.ts";
import { badOption, type HubAddress, isPrivate, shown, toAddress } from "./address.ts";
import { declaredChannelServers } from "./declared.ts";
import { Exchange, type Seat } from "./exchange.ts";
import { SECRET_LENGTH_MIN, secretOf } from "./handshake.ts";
import { HubLink, type HubLinkHost } from "./hub-link.ts";
import { PING_EVERY_MS, WAITING_BYTES_MAX } from "./link.ts";
import { listenAt } from "./listen.ts";
import { RollCall } from "./roll-call.ts";

/** Processes of one machine, and of some more; each needs one link, and one more for its ChannelClient. */
const LINKS_MAX = 1_024;
/** Peers that have not proved themselves; the one that has been there longest goes when another comes. */
const STRANGERS_MAX = 256;
/** What was accepted before `close` has this long to be written. */
const FINISH_WITHIN_MS = 1_000;

export interface ChannelServerOptions {
  /**
   * What every client must know, too. Needed, with at least 32 characters, where other machines can reach the address. Default:
   * the variable `GROUPCAST_CHANNEL_SECRET`, else none.
   */
  readonly secret?: string | undefined;
  /** The most links; default 1,024. Further ones are refused. */
  readonly linksMax?: number | undefined;
  /** Bytes that may wait for one link longer than a turn of the event loop; with more it is cut. Default 8 MiB. */
  readonly waitingBytesMax?: number | undefined;
  /** Where a failing listener socket is told; default: the console. Any pino logger will do. */
  readonly logger?: Logger | undefined;
  /** For tests. */
  readonly clock?: Clock | undefined;
  /** @internal Links that an earlier one had: nothing is forwarded before so many are back, or 1.5 s have passed. */
  readonly linksExpected?: number | undefined;
}

/** What a {@link ChannelServer} has seen since it was made. */
export interface ChannelServerCounters {
  /** Links in force now. */
  readonly links: number;
  /** Peers that were dropped before they had proved themselves: strangers, scanners, wrong secrets. */
  readonly dropped: number;
  /** Links that were in force and ended, whoever ended them. */
  readonly ended: number;
}

/**
 * What the processes of a machine hear each other through: forwards what is published to those who asked for its topic. Holds no
 * messages; one that nobody hears is gone.
 *
 * Making one declares it: `Worker.runAll()` starts it as a process of its own. Alone it is `await server.listen()`.
 *
 * A peer that sends anything but the handshake, or nothing for 5 s, is dropped and counted. Links that differ in their prefix
 * never hear each other.
 */
export class ChannelServer {
  readonly #at: HubAddress;
  readonly #options: ChannelServerOptions;
  readonly #clock: Clock;
  readonly #exchanges = new Map<string, Exchange>();
  readonly #strangers = new Set<HubLink>();
  readonly #links = new Set<HubLink>();
  #server: Server | undefined;
  #bound: HubAddress | undefined;
  #listening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #cancelTicks: Cancel | undefined;
  #dropped = 0;
  #ended = 0;

  /**
   * @param host a name, an address, or `unix:/path`: a socket file that only its owner may use.
   * @param port 0: any free one; see {@link address}.
   * @throws GroupcastError `bad_option`
   */
  constructor(host?: string, port?: number, options: ChannelServerOptions = {}) {
    this.#at = toAddress(host, port, 0);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    for (const name of ["linksMax", "waitingBytesMax"] as const) {
      const given = options[name] ?? 1;
      if (!Number.isSafeInteger(given) || given < 1) throw badOption(`${name} is a whole number from 1 up, not ${given}`);
    }
    declaredChannelServers.add(this);
  }

  /** Where it listens; before {@link listen} has resolved: where it is to. */
  get address(): HubAddress {
    return this.#bound ?? this.#at;
  }

  /** How many links there are, and how many peers have come and gone. */
  get counters(): ChannelServerCounters {
    return { links: this.#links.size, dropped: this.#dropped, ended: this.#ended };
  }

  /**
   * Resolves when clients can connect. While it listens, a second call does nothing; after a rejection it may be tried again.
   *
   * Rejects with `bad_option`: other machines can reach the address, and there is no `secret` of at least 32 characters;
   * `unavailable`: the address is taken, or the machine does not allow it; `closed`.
   */
  listen(): Promise<void> {
    this.#listening ??= quiet(
      this.#listen().catch((error: unknown) => {
        this.#listening = undefined;
        throw error;
      }),
    );
    return this.#listening;
  }

  /**
   * Stops listening and ends all links, each after what was accepted has been written; resolves when nothing is left, after
   * 1 s at the most. Its clients try to come back for as long as they live. It cannot listen again.
   */
  close(): Promise<void> {
    this.#closing ??= quiet(this.#close());
    return this.#closing;
  }

  async #listen(): Promise<void> {
    if (this.#closing !== undefined) throw closed();
    const secret = secretOf(this.#options.secret);
    if (!isPrivate(this.#at) && secret.length < SECRET_LENGTH_MIN) {
      const where = shown(this.#at);
      throw badOption(
        `other machines can reach ${where}: the channel server needs a secret of at least ${SECRET_LENGTH_MIN} characters there`,
      );
    }
    const host = this.#host(secret);
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket, host));
    this.#server = server;
    this.#bound = await listenAt(server, this.#at);
    // From here on it means that one connection could not be accepted, for want of descriptors, say: the others go on.
    const { logger = consoleLogger } = this.#options;
    server.on("error", (error) => logger.error({ err: error }, `the channel server could not accept a connection: ${error.message}`));
    this.#cancelTicks = this.#clock.every(PING_EVERY_MS, () => {
      for (const link of this.#links) link.tick();
    });
    if (this.#closing !== undefined) throw closed();
  }

  async #close(): Promise<void> {
    declaredChannelServers.delete(this);
    await this.#listening?.catch(() => {}); // who called it has been told
    this.#cancelTicks?.();
    const reason = new GroupcastError("closed", "the channel server is closed");
    const links = [...this.#strangers, ...this.#links];
    for (const link of links) link.finish(reason);
    const cancel = this.#clock.after(FINISH_WITHIN_MS, () => {
      for (const link of links) link.cut(reason);
    });
    const server = this.#server;
    await Promise.all([...links.map((link) => link.gone), server?.listening === true ? ended(server) : undefined]);
    cancel();
  }

  #host(secret: string): HubLinkHost {
    const { linksMax = LINKS_MAX, waitingBytesMax = WAITING_BYTES_MAX } = this.#options;
    return {
      clock: this.#clock,
      turn: new Turn(this.#clock),
      secret,
      waitingBytesMax,
      rollCall: new RollCall(this.#clock, this.#options.linksExpected ?? 0),
      welcome: (link, prefix) => {
        if (this.#links.size >= linksMax) return undefined;
        this.#strangers.delete(link);
        this.#links.add(link);
        return this.#seat(prefix, link);
      },
      ended: (link) => {
        if (this.#strangers.delete(link)) this.#dropped++;
        if (this.#links.delete(link)) this.#ended++;
      },
    };
  }

  #accept(socket: Socket, host: HubLinkHost): void {
    if (this.#closing !== undefined) {
      socket.destroy();
      return;
    }
    const [longest] = this.#strangers;
    if (longest !== undefined && this.#strangers.size >= STRANGERS_MAX) longest.cut(new GroupcastError("limit"));
    this.#strangers.add(new HubLink(socket, host));
  }

  #seat(prefix: string, link: HubLink): Seat {
    let exchange = this.#exchanges.get(prefix);
    if (exchange === undefined) {
      exchange = new Exchange(() => void this.#exchanges.delete(prefix));
      this.#exchanges.set(prefix, exchange);
    }
    return exchange.seat(link);
  }
}

function closed(): GroupcastError {
  return new GroupcastError("closed", "the channel server is closed");
}

function ended(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()));
}
