// Processes that take part in the lives of groups, on one fake time: an ordered topic with delays, crashes, stops and outages, and an
// index that is late. What is random is drawn from one seed.
import type { Cancel, Clock } from "../../../src/base/clock.ts";
import { GroupcastError } from "../../../src/base/errors.ts";
import { type Deferred, deferred } from "../../../src/base/promises.ts";
import type { Receipt } from "../../../src/channel/adapter.ts";
import type { Index } from "../../../src/presence/known.ts";
import type { Words } from "../../../src/presence/letter.ts";
import { readStatements, type Statement } from "../../../src/presence/life-words.ts";
import { Lives, type LivesOptions } from "../../../src/presence/lives.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { type Message, MessageRecord } from "../../../src/wire/record.ts";

/** Others take a process that says nothing for dead after this, ms. */
export const DEAD_AFTER_MS = 10_000;
export const LINGER_MS = 2_000;

export interface WorldOptions {
  readonly seed?: number;
  /** The longest that a message takes, each way, ms. */
  readonly delayMs?: number;
  /** False: a channel that cannot tell how many have got a record. */
  readonly counts?: boolean;
}

export interface Told {
  readonly event: "occupied" | "vacated";
  readonly name: string;
  readonly life: string;
}

export class World {
  readonly clock = new FakeClock();
  readonly processes: FakeProcess[] = [];
  /** All that was ever said, in its order. */
  readonly log: Statement[] = [];
  readonly counts: boolean;
  /** Called with each statement that reaches the topic; false: it is lost on its way. */
  passes: (statement: Statement) => boolean = () => true;
  readonly #delayMs: number;
  #random: number;

  constructor({ seed = 1, delayMs = 20, counts = true }: WorldOptions = {}) {
    this.#random = seed;
    this.#delayMs = delayMs;
    this.counts = counts;
  }

  /** From 0 to 1: mulberry32. */
  unit(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  delay(): number {
    return this.unit() * this.#delayMs;
  }

  get alive(): FakeProcess[] {
    return this.processes.filter((process) => process.isAlive);
  }

  spawn(): FakeProcess {
    const process = new FakeProcess(this, `node${this.processes.length}`);
    this.processes.push(process);
    for (const other of this.alive) {
      other.learn(process);
      process.learn(other);
    }
    return process;
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advanceAsync(ms);
  }

  /** Everybody's link is cut; each is back after a time of its own, at most so long. */
  restartBroker(withinMs: number): void {
    for (const process of this.alive) process.cut(50 + this.unit() * withinMs);
  }

  /** Something of a process reaches the topic: it is told to everybody who hears it. */
  accept(record: MessageRecord): number {
    const statements = readStatements(record).filter((statement) => this.passes(statement));
    this.log.push(...statements);
    const hearers = this.alive.filter((process) => process.hears);
    if (statements.length > 0) for (const process of hearers) process.bring("lives", () => process.hearer?.(record));
    return hearers.length;
  }
}

export class FakeProcess {
  readonly node: string;
  readonly lives: Lives;
  readonly told: Told[] = [];
  readonly errors: Error[] = [];
  readonly groups = new Set<string>();
  /** What it knows of the others. */
  readonly view = new Map<FakeProcess, Set<string>>();
  isAlive = true;
  isUp = true;
  isStopped = false;
  /** True: it was stopped or cut off at some time. */
  wasAway = false;
  hearer: ((record: MessageRecord) => void) | undefined;
  hears = false;
  /** Called with everything that is told to it by post. */
  onPost: () => void = () => {};
  /** True: what it tells by post is lost, and nobody says so. */
  swallows = false;
  /** So many publishes are refused, though the link is up. */
  refuses = 0;
  readonly #world: World;
  readonly #heard = deferred();
  #link = 0;
  #stops = 0;
  // What has left it before this has left it, also if the link is cut now.
  #cutMs = Infinity;
  #timers: (() => void)[] = [];
  #messages: (() => void)[] = [];
  readonly #last = new Map<string, number>();
  readonly #held: { go: () => void; refuse: () => void }[] = [];
  readonly #unsettled = new Set<Deferred<Receipt>>();
  #post: ((words: Words, from: string) => void) | undefined;
  readonly #changed = new Set<(namespace: string, group: string) => void>();
  readonly #gone = new Set<(node: string) => void>();
  readonly #learning = new Set<FakeProcess>();

  constructor(world: World, node: string) {
    this.#world = world;
    this.node = node;
    this.lives = new Lives(this.#options());
    this.lives.start();
  }

  join(name: string): void {
    if (this.groups.has(name)) return;
    this.groups.add(name);
    this.lives.changed("default", name);
    this.#share();
  }

  leave(name: string): void {
    if (!this.groups.delete(name)) return;
    this.lives.changed("default", name);
    this.#share();
  }

  /** Nothing of it runs any more. The others know it after `knownMs`, each a little later than that. */
  crash(knownMs: number): void {
    this.isAlive = false;
    this.#cutMs = this.#world.clock.now() + this.#world.delay();
    this.#world.clock.after(knownMs, () => this.#dies());
  }

  /** It leaves as it should. */
  end(): void {
    void this.lives.stop();
    this.#world.clock.after(100, () => this.crash(10));
  }

  /** Nothing of it runs for so long. */
  stop(ms: number): void {
    this.isStopped = true;
    this.wasAway = true;
    const { clock } = this.#world;
    const stop = ++this.#stops;
    clock.after(DEAD_AFTER_MS, () => {
      if (this.isStopped && stop === this.#stops) this.#dies();
    });
    clock.after(ms, () => {
      if (stop === this.#stops) this.resume();
    });
  }

  resume(): void {
    if (!this.isStopped) return;
    this.isStopped = false;
    // What is due runs before what has come is read, or one of that is read first.
    const [timers, messages] = [this.#timers.splice(0), this.#messages.splice(0)];
    const first = this.#world.unit() < 0.5 ? messages.splice(0, 1) : [];
    for (const run of [...first, ...timers, ...messages]) this.#world.clock.after(0, () => this.#run(run, "message"));
    this.#world.clock.after(1, () => this.#returns());
  }

  /** Its link is cut for so long. */
  cut(ms: number): void {
    if (!this.isUp) return;
    const { clock } = this.#world;
    this.isUp = false;
    this.wasAway = true;
    this.hears = false;
    this.#link++;
    this.#cutMs = clock.now() + this.#world.delay();
    for (const unsettled of this.#unsettled) unsettled.reject(new GroupcastError("unknown_outcome"));
    this.#unsettled.clear();
    this.#run(() => this.lives.down(), "message");
    const link = this.#link;
    clock.after(DEAD_AFTER_MS, () => {
      if (!this.isUp && link === this.#link) this.#dies();
    });
    clock.after(ms, () => {
      if (link === this.#link) this.reconnect();
    });
  }

  reconnect(): void {
    if (this.isUp || !this.isAlive) return;
    if (this.isStopped) return void this.#messages.push(() => this.reconnect());
    this.isUp = true;
    this.#cutMs = Infinity;
    this.hears = this.hearer !== undefined;
    this.#heard.resolve();
    for (const held of this.#held.splice(0)) held.go();
    this.lives.up();
    this.#returns();
  }

  /** Gets to know what `other` has, after a while. */
  learn(other: FakeProcess): void {
    if (other === this) return;
    this.#learning.add(other);
    this.bring(`of ${other.node}`, () => {
      if (!other.isAlive || !other.isUp) return;
      this.#learning.delete(other);
      const before = this.view.get(other) ?? new Set();
      const now = new Set(other.groups);
      this.view.set(other, now);
      for (const name of new Set([...before, ...now])) if (before.has(name) !== now.has(name)) this.#tellChanged(name);
    });
  }

  /** Something comes to this process; what comes by one `road` stays in its order. */
  bring(road: string, run: () => void): void {
    const { clock } = this.#world;
    const dueMs = Math.max(clock.now() + this.#world.delay(), this.#last.get(road) ?? 0);
    this.#last.set(road, dueMs);
    const link = this.#link;
    clock.after(dueMs - clock.now(), () => {
      if (link === this.#link && this.isUp) this.#run(run, "message");
    });
  }

  /** Somebody tells it something by post. */
  receive(words: Words, from: string): void {
    this.bring("post", () => {
      this.onPost();
      this.#post?.(words, from);
    });
  }

  #options(): LivesOptions {
    const world = this.#world;
    const index: Index = {
      count: (_namespace, group) => [...this.view.values()].filter((groups) => groups.has(group)).length,
      find: () => undefined,
      nodes: () => [...this.view.keys()].map(({ node }) => node),
      nodesWith: (_namespace, group) => [...this.view].filter(([, groups]) => groups.has(group)).map(([{ node }]) => node),
      occupiedGroups: () => [...this.view.values()].flatMap((groups) => [...groups].map((name) => ({ namespace: "default", name }))),
      isWhole: true,
    };
    Object.defineProperty(index, "isWhole", { get: () => this.#learning.size === 0 });
    const isUp = (): boolean => this.isUp;
    return {
      channel: {
        get isUp(): boolean {
          return isUp();
        },
        hear: (_topic, hearer) => {
          this.hearer = hearer;
          const link = this.#link;
          world.clock.after(world.delay(), () => {
            if (link !== this.#link) return;
            this.hears = true;
            this.bring("lives", () => this.#heard.resolve());
          });
          return { ready: this.#heard.promise, stop: () => (this.hears = false) };
        },
        publish: (_topic, message) => this.#publish(message),
      },
      post: {
        node: this.node,
        ready: undefined,
        hear: (_verb, listener) => (this.#post = listener),
        tell: (node, _verb, words) => this.#tell(node, words),
      },
      presence: {
        index,
        load: () => undefined,
        onChanged: (listener) => {
          this.#changed.add(listener);
          return () => this.#changed.delete(listener);
        },
        onNodeGone: (listener) => {
          this.#gone.add(listener);
          return () => this.#gone.delete(listener);
        },
      },
      clock: this.#clock(),
      random: { id: () => Math.floor(world.unit() * 2 ** 48).toString(16), unit: () => world.unit() },
      vacatedAfterMs: LINGER_MS,
      host: {
        has: (_namespace, name) => this.groups.has(name),
        groups: () => [...this.groups].map((name) => ({ namespace: "default", name })),
        occupied: ({ name, life }) => void this.told.push({ event: "occupied", name, life }),
        vacated: ({ name, life }) => void this.told.push({ event: "vacated", name, life }),
        failed: (error) => void this.errors.push(error),
      },
    };
  }

  #publish(message: Message): Promise<Receipt> {
    const receipt = deferred<Receipt>();
    const record = MessageRecord.read(MessageRecord.of([message]).bytes);
    const go = (): void => {
      this.#unsettled.add(receipt);
      this.#send("out", () => {
        const receivers = this.#world.counts ? this.#world.accept(record) : (this.#world.accept(record), undefined);
        this.bring("receipts", () => {
          this.#unsettled.delete(receipt);
          receipt.resolve({ receivers });
        });
      });
    };
    if (this.refuses > 0) {
      this.refuses--;
      receipt.reject(new GroupcastError("unavailable"));
    } else if (this.isUp) go();
    else this.#hold(go, receipt);
    return receipt.promise;
  }

  #tell(node: string, words: Words): Promise<void> {
    const told = deferred();
    const copy = JSON.parse(JSON.stringify(words)) as Words;
    const go = (): void =>
      this.#send(`post ${node}`, () => {
        const target = this.#world.alive.find((process) => process.node === node);
        if (target?.isUp === true) target.receive(copy, this.node);
        this.bring("receipts", () => told.resolve());
      });
    if (this.swallows) return told.promise;
    if (this.isUp) go();
    else this.#hold(go, told);
    return told.promise;
  }

  #hold(go: () => void, { reject }: Pick<Deferred<never>, "reject">): void {
    const held = { go, refuse: () => reject(new GroupcastError("unavailable")) };
    this.#held.push(held);
    this.#world.clock.after(5_000, () => {
      const at = this.#held.indexOf(held);
      if (at < 0) return;
      this.#held.splice(at, 1);
      this.#run(held.refuse, "timer");
    });
  }

  #send(road: string, arrive: () => void): void {
    const { clock } = this.#world;
    const dueMs = Math.max(clock.now() + this.#world.delay(), this.#last.get(road) ?? 0);
    this.#last.set(road, dueMs);
    const link = this.#link;
    clock.after(dueMs - clock.now(), () => {
      if ((link === this.#link && this.isAlive) || dueMs <= this.#cutMs) arrive();
    });
  }

  #run(run: () => void, kind: "timer" | "message"): void {
    if (!this.isAlive) return;
    if (this.isStopped) (kind === "timer" ? this.#timers : this.#messages).push(run);
    else run();
  }

  #clock(): Clock {
    const { clock } = this.#world;
    const after = (ms: number, run: () => void): Cancel => {
      let isOff = false;
      const cancel = clock.after(ms, () =>
        this.#run(() => {
          if (!isOff) run();
        }, "timer"),
      );
      return () => {
        isOff = true;
        cancel();
      };
    };
    return {
      now: () => clock.now(),
      idleMs: () => clock.now(),
      after,
      every: (ms, run) => {
        const again = (): Cancel =>
          after(ms, () => {
            cancel = again();
            run();
          });
        let cancel = again();
        return () => cancel();
      },
      turnEnd: (run) => void after(0, run),
    };
  }

  /** Its members have changed. */
  #share(): void {
    if (!this.isUp) return; // it does when it is back
    for (const other of this.#world.alive) if (other.view.has(this)) other.learn(this);
  }

  #dies(): void {
    for (const other of this.#world.processes) if (other !== this) other.#bury(this);
  }

  #bury(dead: FakeProcess): void {
    this.bring(`of ${dead.node}`, () => {
      this.#learning.delete(dead);
      const groups = this.view.get(dead);
      if (groups === undefined) return;
      this.view.delete(dead);
      for (const name of groups) this.#tellChanged(name);
      for (const listener of this.#gone) listener(dead.node);
    });
  }

  #returns(): void {
    if (!this.isAlive || !this.isUp) return;
    for (const other of this.#world.processes) {
      if (!other.isAlive) {
        this.#bury(other); // what was told of that meanwhile was missed
        continue;
      }
      this.learn(other);
      other.learn(this);
    }
  }

  #tellChanged(name: string): void {
    for (const listener of this.#changed) listener("default", name);
  }
}
