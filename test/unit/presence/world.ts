// Several processes in one: managers on a bus between machines that is slow, loses what was on its way when a link is cut, and hands topics
// over in whichever order; processes that stop for a while, or for ever. Time is one fake clock.
import type { Adapter, AdapterEvents, Receipt } from "../../../src/channel/adapter.ts";
import { Channel } from "../../../src/channel/channel.ts";
import { decodeTopic } from "../../../src/channel/topics.ts";
import type { Cancel, Clock } from "../../../src/base/clock.ts";
import { type Deferred, deferred } from "../../../src/base/promises.ts";
import type { Random } from "../../../src/base/random.ts";
import { Connection, ConnectionsPool, GroupcastError, GroupManager, type GroupManagerOptions, type Page } from "../../../src/index.ts";
import { FakeClock, FakeSocket } from "../../../src/testing/index.ts";
import { Post } from "../../../src/presence/post.ts";
import { Presence } from "../../../src/presence/presence.ts";
import { readPayloads } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";

/** Chance that a seed repeats. */
export function chance(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A process' own clock: while the process is stopped nothing runs, and everything that was due runs when it goes on. */
class ProcessClock implements Clock {
  readonly #clock: FakeClock;
  #late: (() => void)[] | undefined;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  now = (): number => this.#clock.now();
  idleMs = (): number => this.#clock.idleMs();
  after = (ms: number, run: () => void): Cancel => {
    let isOver = false;
    const cancel = this.#clock.after(ms, () => this.#run(() => isOver || run()));
    return () => {
      isOver = true;
      cancel();
    };
  };
  every = (ms: number, run: () => void): Cancel => {
    let isOver = false;
    let isLate = false;
    const cancel = this.#clock.every(ms, () => {
      if (isLate) return; // a timer that is late is late once
      isLate = this.isStopped;
      this.#run(() => {
        isLate = false;
        if (!isOver) run();
      });
    });
    return () => {
      isOver = true;
      cancel();
    };
  };
  turnEnd = (run: () => void): void => this.#clock.turnEnd(() => this.#run(run));

  get isStopped(): boolean {
    return this.#late !== undefined;
  }

  stop(): void {
    this.#late ??= [];
  }

  goOn(): void {
    const late = this.#late ?? [];
    this.#late = undefined;
    for (const run of late) run();
  }

  #run(run: () => void): void {
    if (this.#late === undefined) run();
    else this.#late.push(run);
  }
}

export interface BusOptions {
  /** False: `publish` does not tell how many have heard it. */
  readonly tells?: boolean;
  /** False: nobody's will is done. */
  readonly hasWills?: boolean;
  /** A record is on its way for up to so long, to each and for each topic another time. */
  readonly delayMs?: number;
  /** See {@link Bus.loss}. */
  readonly loss?: number;
  readonly seed?: number;
}

/** What two machines and more have between them. */
export class Bus {
  readonly clock: FakeClock;
  readonly adapters = new Set<BusAdapter>();
  /** The share of records that are lost on the way to one of those who hear them, without a word. */
  loss: number;
  readonly options: Required<BusOptions>;
  readonly unit: () => number;
  /** False: it is down for everybody. */
  isUp = true;
  /** Every message of groupcast's own that was accepted, as `topic verb`, or for `changes` `changes rows` and `changes beat`. */
  readonly said: { readonly from: string; readonly what: string; readonly bytes: number; readonly text: string }[] = [];
  /** When the last record of a queue arrives: what follows arrives after it. */
  readonly #arrivals = new Map<string, number>();

  constructor(clock: FakeClock, options: BusOptions = {}) {
    this.clock = clock;
    this.options = { tells: true, hasWills: false, delayMs: 0, loss: 0, seed: 1, ...options };
    this.loss = this.options.loss;
    this.unit = chance(this.options.seed);
  }

  /** Runs `act` a while from now, after everything of the same queue. */
  later(queue: string, act: () => void): void {
    const { delayMs } = this.options;
    const now = this.clock.now();
    const at = Math.max(now + Math.floor(this.unit() * (delayMs + 1)), this.#arrivals.get(queue) ?? 0);
    this.#arrivals.set(queue, at);
    if (at > now) this.clock.after(at - now, act);
    else queueMicrotask(act);
  }

  accept(from: string, topic: string, bytes: Uint8Array): Receipt {
    this.#note(from, topic, bytes);
    let receivers = 0;
    for (const adapter of this.adapters) {
      if (!adapter.hears(topic)) continue;
      receivers++;
      if (this.unit() < this.loss) continue;
      const link = adapter.link;
      this.later(`to ${adapter.name} ${topic}`, () => adapter.link === link && adapter.receive(topic, bytes));
    }
    return { receivers: this.options.tells ? receivers : undefined };
  }

  #note(from: string, topic: string, bytes: Uint8Array): void {
    const { kind } = decodeTopic(topic) ?? {};
    for (const message of MessageRecord.read(bytes).messages()) {
      if (message.kind !== "control") continue;
      const text = String(readPayloads(message.frame)[0]);
      const { do: word, verb, rows } = JSON.parse(text) as { do?: string; verb?: string; rows?: unknown };
      const what = kind === "changes" ? `changes ${rows === undefined ? "beat" : "rows"}` : `${kind} ${word ?? verb ?? "answer"}`;
      this.said.push({ from, what, bytes: bytes.length, text });
    }
  }
}

export class BusAdapter implements Adapter {
  readonly immediate = false;
  readonly name: string;
  readonly #bus: Bus;
  /** Which link this is; what was on its way on another is lost. */
  link = 0;
  isUp = false;
  #events: AdapterEvents | undefined;
  readonly #wished = new Map<string, Deferred<void>>();
  readonly #inForce = new Set<string>();
  readonly #publishes = new Set<Deferred<Receipt>>();
  #will: { topic: string; bytes: Uint8Array } | undefined;
  #inbox: (() => void)[] | undefined;

  constructor(bus: Bus, name: string) {
    this.#bus = bus;
    this.name = name;
  }

  start(events: AdapterEvents): void {
    this.#events = events;
    this.#bus.adapters.add(this);
    this.restore();
  }

  hears(topic: string): boolean {
    return this.#inForce.has(topic);
  }

  subscribe(topic: string): Promise<void> {
    const wished = deferred();
    this.#wished.set(topic, wished);
    if (this.isUp) this.#enforce(topic);
    return wished.promise;
  }

  unsubscribe(topic: string): void {
    this.#wished.delete(topic);
    this.#inForce.delete(topic);
  }

  publish(topic: string, record: MessageRecord): Promise<Receipt> {
    const { bytes } = record;
    const accepted = deferred<Receipt>();
    if (!this.isUp) {
      accepted.reject(new GroupcastError("unavailable"));
      return accepted.promise;
    }
    const { link } = this;
    this.#publishes.add(accepted);
    this.#bus.later(`from ${this.name}`, () => {
      if (link !== this.link && this.#bus.unit() < 0.5) return; // it may have left before the link was cut
      const receipt = this.#bus.accept(this.name, topic, bytes);
      this.#bus.later(`from ${this.name}`, () => {
        if (link !== this.link) return;
        this.#publishes.delete(accepted);
        this.#go(() => accepted.resolve(receipt));
      });
    });
    return accepted.promise;
  }

  will(topic: string, record: MessageRecord | undefined): void {
    this.#will = record === undefined ? undefined : { topic, bytes: record.bytes };
  }

  stop(): Promise<void> {
    this.#will = undefined;
    this.#unlink("closed");
    this.#bus.adapters.delete(this);
    this.#events = undefined;
    for (const wished of this.#wished.values()) wished.reject(new GroupcastError("closed"));
    return Promise.resolve();
  }

  receive(topic: string, bytes: Uint8Array): void {
    this.#go(() => this.#events?.receive(topic, MessageRecord.read(bytes)));
  }

  // What befalls it.

  /** The link is cut. */
  cut(): void {
    if (!this.isUp) return;
    this.#unlink("unknown_outcome");
    this.#go(() => this.#events?.down(new Error("cut")));
  }

  /** There is a link again. */
  restore(): void {
    if (this.isUp || this.#events === undefined || !this.#bus.isUp) return;
    this.isUp = true;
    const { link } = this;
    for (const topic of this.#wished.keys()) this.#enforce(topic);
    this.#bus.later(`from ${this.name}`, () => link === this.link && this.#go(() => this.#events?.up()));
  }

  /** Its process is stopped: what comes waits. */
  hold(): void {
    this.#inbox ??= [];
  }

  release(): void {
    const inbox = this.#inbox ?? [];
    this.#inbox = undefined;
    for (const act of inbox) act();
  }

  /** Its process is dead. */
  kill(): void {
    this.#unlink("closed");
    this.#bus.adapters.delete(this);
    this.#events = undefined;
  }

  #enforce(topic: string): void {
    const { link } = this;
    this.#bus.later(`from ${this.name}`, () => {
      if (link !== this.link || !this.#wished.has(topic)) return;
      this.#inForce.add(topic);
      this.#bus.later(`from ${this.name}`, () => link === this.link && this.#go(() => this.#wished.get(topic)?.resolve()));
    });
  }

  #unlink(code: "unknown_outcome" | "closed"): void {
    this.isUp = false;
    this.link++;
    this.#inForce.clear();
    for (const publish of this.#publishes) publish.reject(new GroupcastError(code));
    this.#publishes.clear();
    const will = this.#will;
    if (will === undefined || !this.#bus.options.hasWills || !this.#bus.isUp) return;
    this.#bus.later(`will ${this.name}`, () => void this.#bus.accept(this.name, will.topic, will.bytes));
  }

  #go(act: () => void): void {
    if (this.#inbox === undefined) act();
    else this.#inbox.push(act);
  }
}

/** A process with a manager, a pool and connections. */
export class Node {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly adapter: BusAdapter;
  readonly groups: GroupManager;
  readonly pool: ConnectionsPool;
  readonly errors: Error[] = [];
  readonly sockets = new Map<string, FakeSocket>();
  isDead = false;
  #lastConnection = 0;

  constructor(world: World, name: string, options: GroupManagerOptions) {
    this.name = name;
    this.clock = new ProcessClock(world.clock);
    this.adapter = new BusAdapter(world.bus, name);
    let isNamed = false;
    const random: Random = {
      id: () => {
        if (isNamed)
          return Math.floor(world.bus.unit() * 2 ** 32)
            .toString(16)
            .padStart(8, "0");
        isNamed = true;
        return name;
      },
      unit: world.bus.unit,
    };
    const { clock } = this;
    this.groups = new GroupManager({ ...options, clock, random, channel: new Channel(this.adapter, { clock }) });
    this.groups.on("error", (error) => void this.errors.push(error));
    this.pool = new ConnectionsPool({ groups: this.groups });
  }

  /** A new connection in these groups; ids are `name-1`, `name-2` and so on. */
  connect(...groups: string[]): Connection {
    const id = `${this.name}-${++this.#lastConnection}`;
    const socket = new FakeSocket({ stream: true });
    const connection = new Connection(id, "default", socket);
    this.sockets.set(id, socket);
    this.pool.newConnection(connection);
    connection.on("close", () => void this.sockets.delete(id));
    for (const group of groups) void connection.join(group);
    return connection;
  }

  /** Its peer hangs up. */
  disconnect(connection: Connection): void {
    this.sockets.get(connection.id)?.hangUp();
  }

  /** kill -9. */
  kill(): void {
    this.isDead = true;
    this.clock.stop();
    this.adapter.kill();
  }

  /** kill -STOP. */
  stop(): void {
    this.clock.stop();
    this.adapter.hold();
  }

  /** kill -CONT. */
  goOn(): void {
    this.clock.goOn();
    this.adapter.release();
  }

  /** Groups as this process has them itself, with the ids of their members. */
  get own(): Map<string, string[]> {
    return new Map([...this.groups.groups()].map((group) => [group.name, [...group].map(({ id }) => id)]));
  }
}

/** A process without connections that follows which groups have members on other nodes, by what it is told. */
export class Observer {
  readonly adapter: BusAdapter;
  readonly presence: Presence;
  readonly occupied = new Set<string>();
  readonly gone: string[] = [];
  /** What was told that does not fit to what the index says. */
  readonly wrong: string[] = [];

  constructor(world: World, name: string) {
    this.adapter = new BusAdapter(world.bus, name);
    const { clock } = world;
    const channel = new Channel(this.adapter, { clock });
    const failed = (error: Error): void => void this.wrong.push(String(error));
    const post = new Post({ channel, clock, node: name, failed });
    const random: Random = { id: () => String(world.bus.unit()), unit: world.bus.unit };
    this.presence = new Presence({ channel, post, clock, random, failed });
    channel.start({ up: () => this.presence.up(), down: () => this.presence.down(), failed });
    post.start();
    this.presence.start();
    this.presence.onChanged((namespace, group) => {
      const isOccupied = this.presence.index.count(namespace, group) > 0;
      if (this.occupied.has(group) === isOccupied) this.wrong.push(`${group} is told again as ${isOccupied ? "occupied" : "vacant"}`);
      if (isOccupied) this.occupied.add(group);
      else this.occupied.delete(group);
    });
    this.presence.onNodeGone((node) => void this.gone.push(node));
    void this.presence.load();
  }

  /** What the index says of itself. */
  get said(): string[] {
    return [...this.presence.index.occupiedGroups()].map(({ name }) => name).sort();
  }

  /** What it has told. */
  get told(): string[] {
    return [...this.occupied].sort();
  }
}

export class World {
  readonly clock = new FakeClock();
  readonly bus: Bus;
  readonly nodes: Node[] = [];

  constructor(options: BusOptions = {}) {
    this.bus = new Bus(this.clock, options);
  }

  node(name: string, options: GroupManagerOptions = {}): Node {
    const node = new Node(this, name, options);
    this.nodes.push(node);
    return node;
  }

  get alive(): readonly Node[] {
    return this.nodes.filter(({ isDead }) => !isDead);
  }

  pass(ms = 0): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  /** What a promise comes to, while time passes in steps of 10 ms; at most 30 s. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = (): void => void (isSettled = true);
    promise.then(settled, settled);
    for (let steps = 0; !isSettled && steps < 3_000; steps++) await this.pass(steps === 0 ? 0 : 10);
    if (!isSettled) throw new Error("30 s have passed");
    return promise;
  }

  /** The members of all groups, by name, sorted: the truth. */
  get truth(): Record<string, string[]> {
    const all = new Map<string, string[]>();
    for (const { own } of this.alive) for (const [name, ids] of own) all.set(name, [...(all.get(name) ?? []), ...ids]);
    return sorted(all);
  }

  /** The same as a process answers it. Throws if answers are partial, or contradict each other. */
  async belief(node: Node): Promise<Record<string, string[]>> {
    const all = new Map<string, string[]>();
    const names = await this.walk((cursor) => node.groups.names({ cursor, limit: 1_000 }));
    for (const { name, members } of names.flatMap(({ names }) => names)) {
      const pages = await this.walk((cursor) => node.groups.members(name, { cursor, limit: 1_000 }));
      const ids = pages.flatMap(({ members }) => members.map(({ id }) => id));
      const figures = [members, await this.wait(node.groups.count(name)), pages[0]?.count, ids.length, new Set(ids).size];
      if (new Set(figures).size > 1) throw new Error(`${node.name} contradicts itself about ${name}: ${figures.join(" ")}`);
      all.set(name, ids);
    }
    return sorted(all);
  }

  /** All pages, none of them partial. */
  async walk<P extends Page>(ask: (cursor: string | null) => Promise<P>): Promise<P[]> {
    const pages: P[] = [];
    let cursor: string | null = null;
    do {
      const page: P = await this.wait(ask(cursor));
      if (page.partial === true) throw new Error("a page is partial");
      pages.push(page);
      ({ cursor } = page);
    } while (cursor !== null);
    return pages;
  }

  /** The users of all groups, each with his number of connections in it: the truth. */
  get users(): Record<string, Record<string, number>> {
    const all: Record<string, Record<string, number>> = {};
    for (const { groups } of this.alive) {
      for (const group of groups.groups()) {
        const users = (all[group.name] ??= {});
        for (const { user } of group) if (user !== null) users[user] = (users[user] ?? 0) + 1;
      }
    }
    return all;
  }

  /** The same as a process answers it, for all groups that it knows of. */
  async beliefOfUsers(node: Node): Promise<Record<string, Record<string, number>>> {
    const all: Record<string, Record<string, number>> = {};
    for (const { name } of (await this.wait(node.groups.names())).names) {
      const { users } = await this.wait(node.groups.users(name));
      all[name] = Object.fromEntries(users.map(({ user, connections }) => [user, connections]));
    }
    return all;
  }

  /** How often something was said, by its beginning. */
  said(what: string, from?: string): number {
    return this.bus.said.filter((one) => one.what.startsWith(what) && (from === undefined || one.from === from)).length;
  }
}

function sorted(groups: ReadonlyMap<string, readonly string[]>): Record<string, string[]> {
  return Object.fromEntries(
    [...groups]
      .filter(([, ids]) => ids.length > 0)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, ids]) => [name, [...ids].sort()]),
  );
}
