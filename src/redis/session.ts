// One stay at a broker, from the first attempt to its end: two connections to the server, or to each master of a cluster, one that
// subscribes and one that publishes. If one of them is lost, or the cluster is no longer as it was, all of it ends. Must not know topics.
import type { Cancel, Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import { quiet } from "../base/promises.ts";
import type { Receipt } from "../channel/adapter.ts";
import { Link, PING_EVERY_MS } from "./link.ts";
import { endedBy, isMoved, textOf } from "./reasons.ts";
import { mapSlots, nameOf, readNodes, readShards, type Shard, slotOf } from "./slots.ts";
import type { Address, Dialler } from "./wire.ts";

/** Bytes that were published and not answered yet; with more, nothing is sent. */
const UNANSWERED_BYTES_MAX = 8 * 1024 * 1024;
/** A command that names topics ends at these; the next is another one, so that none holds the server up for long. */
const COMMAND_BYTES_MAX = 64 * 1024;
const COMMAND_NAMES_MAX = 1_000;
/** Sharded publishing came with this. */
const REDIS_MIN = 7;

const NOBODY_KNOWS: Receipt = Object.freeze({ receivers: undefined });

/** Whom a session tells. */
export interface SessionEvents {
  /** All connections are made; nothing is subscribed to. */
  ready(): void;
  message(name: string, bytes: Buffer): void;
  /** Told once, last. */
  ended(reason: GroupcastError): void;
}

/** A server that we talk to. */
interface Master {
  readonly address: Address | undefined;
  readonly publisher: Link;
  readonly subscriber: Link;
  /** What it serves, as a text to compare. */
  readonly ranges: string;
}

export class Session {
  readonly #clock: Clock;
  readonly #events: SessionEvents;
  readonly #links = new Set<Link>();
  readonly #run: Promise<void>;
  readonly #cancelTicks: Cancel;
  #dialler: Dialler | undefined;
  #place = "a Redis server";
  #masters: Master[] = [];
  /** Undefined: there is one server, and it serves all. */
  #owners: Uint16Array | undefined;
  #nodes: readonly Address[] = [];
  #isReady = false;
  #ended: GroupcastError | undefined;
  #unansweredBytes = 0;
  #ticks = 0;
  /** Settles with the last subscription that was given up. */
  #givenUp: Promise<unknown> | undefined;

  /**
   * `known`: nodes of the cluster as the last session found them, in case that those that the user named are gone. `attempt` counts up, so
   * that each time another node is asked.
   */
  constructor(load: () => Promise<Dialler>, known: readonly Address[], attempt: number, clock: Clock, events: SessionEvents) {
    this.#clock = clock;
    this.#events = events;
    this.#cancelTicks = clock.every(PING_EVERY_MS, () => this.#tick());
    this.#run = this.#open(load, known, attempt).catch((error: unknown) => this.#end(error));
  }

  /** Resolves when nothing of it is left, after its end. */
  get gone(): Promise<unknown> {
    return this.#run.then(() => Promise.all([...this.#links].map(({ gone }) => gone)));
  }

  /** Every node of the cluster that is known; none, if it is no cluster. */
  get nodes(): readonly Address[] {
    return this.#nodes;
  }

  /** True: more waits for answers than should. */
  get isFull(): boolean {
    return this.#unansweredBytes > UNANSWERED_BYTES_MAX;
  }

  /**
   * Rejects with `unavailable`: the server has refused it; `unknown_outcome`: this session ended before the answer; or with the reason for
   * the end, if that is `closed`. When it resolves, every {@link unsubscribe} before it is in force, too.
   */
  publish(name: string, bytes: Uint8Array): Promise<Receipt> {
    const size = name.length + bytes.length;
    this.#unansweredBytes += size;
    const link = this.#masterOf(name).publisher;
    const accepted = link.publish(name, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)).then(
      (receivers) => {
        link.isAlive();
        this.#unansweredBytes -= size;
        // A replica that was a master until now would not count those who are at the new one.
        return this.#owners === undefined && typeof receivers === "number" ? { receivers } : NOBODY_KNOWS;
      },
      (error: unknown) => {
        this.#unansweredBytes -= size;
        throw this.#refused(error);
      },
    );
    const givenUp = this.#givenUp;
    return quiet(givenUp === undefined ? accepted : accepted.then((receipt) => givenUp.then(() => receipt)));
  }

  /** Resolves when all are confirmed. What is refused ends the session. */
  subscribe(names: readonly string[]): Promise<void> {
    return this.#confirmed(this.#commands(names).map((command) => command.subscriber.subscribe(command.names)));
  }

  /** The same for the opposite. */
  unsubscribe(names: readonly string[]): Promise<void> {
    const asked = this.#confirmed(this.#commands(names).map((command) => command.subscriber.unsubscribe(command.names)));
    // They are confirmed in their order on each connection, but the connections of a cluster know nothing of each other.
    const before = this.#givenUp;
    const all = Promise.allSettled([before, asked]).then(() => {
      if (this.#givenUp === all) this.#givenUp = undefined;
    });
    this.#givenUp = all;
    return asked;
  }

  async #confirmed(asked: readonly Promise<unknown>[]): Promise<void> {
    await Promise.all(asked.map((one) => one.catch((error: unknown) => this.#end(error))));
    if (this.#ended !== undefined) throw this.#ended;
  }

  /** Ends it at once. */
  cut(reason: GroupcastError): void {
    this.#end(reason);
  }

  async #open(load: () => Promise<Dialler>, known: readonly Address[], attempt: number): Promise<void> {
    const dialler = await load();
    this.#dialler = dialler;
    const seeds = [...dialler.seeds, ...known];
    const seed = seeds[attempt % seeds.length];
    if (seed !== undefined) this.#place = nameOf(seed);
    const first = await this.#dial(seed);
    const facts = readFacts(await first.ask("HELLO"));
    checkServer(facts);
    if (dialler.seeds.length > 1 && facts.get("mode") !== "cluster")
      throw new GroupcastError("bad_option", "several Redis servers were named, and this one is in no cluster");
    if (facts.get("mode") === "cluster") await this.#meetCluster(first, seed);
    else this.#masters = [{ address: seed, publisher: first, subscriber: await this.#dial(seed), ranges: "" }];
    if (this.#ended !== undefined) return;
    this.#isReady = true;
    this.#events.ready();
  }

  async #meetCluster(first: Link, seed: Address | undefined): Promise<void> {
    const reply = await first.ask("CLUSTER", "SLOTS");
    const shards = readShards(reply);
    this.#nodes = readNodes(reply);
    this.#owners = mapSlots(shards);
    this.#masters = await Promise.all(
      shards.map(async (shard): Promise<Master> => {
        const address = shard.address ?? seed;
        const [publisher, subscriber] = await Promise.all([this.#dial(address), this.#dial(address)]);
        return { address, publisher, subscriber, ranges: shownRanges(shard) };
      }),
    );
    first.retire();
  }

  /** Resolves with a connection that can be used. */
  async #dial(address: Address | undefined): Promise<Link> {
    const dialler = this.#dialler;
    if (this.#ended !== undefined || dialler === undefined) throw this.#ended;
    const link = new Link((events) => dialler.dial(address, events), this.#clock, {
      message: (name, bytes) => this.#events.message(name.toString("latin1"), bytes),
      ended: (reason) => this.#end(reason, address),
    });
    this.#links.add(link);
    await link.ready;
    return link;
  }

  #masterOf(name: string): Master {
    const master = this.#masters[this.#owners?.[slotOf(name)] ?? 0];
    if (master === undefined) throw new GroupcastError("internal", "a slot of the cluster without a master");
    return master;
  }

  /** What one command each may name: on a cluster they share a slot. */
  #commands(names: readonly string[]): { readonly subscriber: Link; readonly names: readonly string[] }[] {
    const bySlot = new Map<number, string[]>();
    for (const name of names) {
      const slot = this.#owners === undefined ? 0 : slotOf(name);
      const group = bySlot.get(slot);
      if (group === undefined) bySlot.set(slot, [name]);
      else group.push(name);
    }
    return [...bySlot.values()].flatMap((group) => {
      const { subscriber } = this.#masterOf(group[0] ?? "");
      return split(group).map((some) => ({ subscriber, names: some }));
    });
  }

  #tick(): void {
    for (const link of this.#links) link.tick();
    const master = this.#isReady ? this.#masters[this.#ticks++ % this.#masters.length] : undefined;
    if (master !== undefined) void this.#look(master);
  }

  /**
   * Asks the master, of several each second another one, whether it still is one, and what it serves. One that has become a replica would
   * go on to publish what we send it, and those who are at the new master would not hear it. That a slot has moved a server says to its
   * subscribers, but libraries may take that for the answer to something else.
   */
  async #look(master: Master): Promise<void> {
    try {
      if (this.#owners === undefined) return checkServer(readFacts(await master.publisher.ask("HELLO")));
      const shards = readShards(await master.publisher.ask("CLUSTER", "SLOTS"));
      const own = shards.find(({ address = master.address }) => isSame(address, master.address));
      if (own === undefined || shownRanges(own) !== master.ranges) this.#end(new Error("the slots of the cluster have moved"));
    } catch (error) {
      this.#end(error);
    }
  }

  /** Why a publish has failed, in the words of the port. */
  #refused(error: unknown): GroupcastError {
    const ended = this.#ended;
    // As long as the connection lives, only the server can have refused it.
    if (ended !== undefined) return ended.code === "closed" ? ended : new GroupcastError("unknown_outcome", undefined, { cause: ended });
    if (isMoved(error)) this.#end(error);
    const text = `the Redis server has refused it, nothing was sent: ${textOf(error, this.#dialler?.secrets ?? [])}`;
    return new GroupcastError("unavailable", text);
  }

  #end(reason: unknown, address?: Address): void {
    if (this.#ended !== undefined) return;
    const place = address === undefined ? this.#place : nameOf(address);
    const what = this.#isReady ? `the connection to ${place} is lost` : `no connection to ${place}`;
    const ended = endedBy(reason, what, this.#dialler?.secrets ?? []);
    this.#ended = ended;
    this.#cancelTicks();
    for (const link of this.#links) link.cut(ended);
    this.#events.ended(ended);
  }
}

function split(names: readonly string[]): (readonly string[])[] {
  const lists: (readonly string[])[] = [];
  let bytes = 0;
  let from = 0;
  for (const [at, name] of names.entries()) {
    bytes += name.length;
    if (bytes <= COMMAND_BYTES_MAX && at - from < COMMAND_NAMES_MAX) continue;
    lists.push(names.slice(from, at));
    from = at;
    bytes = name.length;
  }
  lists.push(names.slice(from));
  return lists;
}

/** What `HELLO` says of the server; libraries give it as an object or as a list. */
function readFacts(reply: unknown): ReadonlyMap<unknown, unknown> {
  if (reply instanceof Map) return reply;
  if (!Array.isArray(reply)) return new Map(Object.entries(reply ?? {}));
  return new Map(reply.flatMap((key: unknown, at): [unknown, unknown][] => (at % 2 === 0 ? [[key, reply[at + 1]]] : [])));
}

function checkServer(facts: ReadonlyMap<unknown, unknown>): void {
  const [version, mode, role] = [String(facts.get("version")), facts.get("mode"), facts.get("role")];
  if (Number.parseInt(version, 10) < REDIS_MIN)
    throw new GroupcastError("bad_option", `Redis ${REDIS_MIN} or Valkey is needed, this is Redis ${version}`);
  if (mode === "sentinel") throw new GroupcastError("bad_option", "this is a Redis Sentinel, not the server that it watches");
  if (mode !== "cluster" && role === "replica")
    throw new GroupcastError("unavailable", "this Redis is a replica: nobody at its master would hear what is published here");
}

function shownRanges({ ranges }: Shard): string {
  return ranges.map(([from, to]) => `${from}-${to}`).join(" ");
}

function isSame(one: Address | undefined, other: Address | undefined): boolean {
  return one?.host === other?.host && one?.port === other?.port;
}
