// One adapter on a bus as a promise sees it: calls that end in time, and a log of what arrived. Must not know where it runs.
import process from "node:process";
import { systemClock } from "../base/clock.ts";
import { type Deferred, deferred, quiet, within } from "../base/promises.ts";
import type { Adapter, Receipt } from "../channel/adapter.ts";
import { encodeFrame, readPayloads } from "../wire/frames.ts";
import type { Message } from "../wire/record.ts";
import { BrokenPromise, ensure } from "./check.ts";
import { type Call, type Outcome, PeerHost, type Told, type ToldRecord } from "./peer-host.ts";

/** Takes calls to wherever the adapter is. */
export interface PeerDriver {
  /** The process in which the adapter lives. */
  readonly pid: number;
  /** Makes the calls in one turn, in order; batches of calls in the order in which they are given. Each outcome comes by itself. */
  perform(calls: readonly Call[]): readonly Promise<Outcome>[];
  /** Ends the place where the adapter was, after its `stop`. Rejects with a {@link BrokenPromise} if something of it is left. */
  end(): Promise<void>;
  /** Kills that place, without a word to the bus. Undefined: it is this process. */
  kill: (() => Promise<void>) | undefined;
}

/** What a driver tells its peer. */
export interface PeerWatcher {
  told(told: Told): void;
  /** The place where the adapter was is gone, unasked. */
  lost(error: Error): void;
}

export interface PeerOptions {
  /** How long any single wait may take before the promise counts as broken. Default 10 s: patience, not a measure of speed. */
  readonly patienceMs?: number;
}

/** The default of {@link PeerOptions.patienceMs}. */
export const PATIENCE_MS = 10_000;

/**
 * One adapter under test. Made by {@link localPeer} or `processPeer`.
 *
 * Every wait ends: with a {@link BrokenPromise} once {@link patienceMs} are over. Calls go in the order in which they are made.
 * Methods of one call reject with a {@link BrokenPromise} if the adapter refuses it; `begin` and `turn` give its outcome.
 */
export class Peer {
  /** Everything that the adapter told, oldest first. */
  readonly told: Told[] = [];
  readonly patienceMs: number;
  readonly #driver: PeerDriver;
  readonly #waiting = new Set<{ readonly met: () => boolean; readonly done: Deferred<void> }>();
  #lost: Error | undefined;
  #stage: "made" | "started" | "stopped" | "ended" = "made";

  constructor(drive: (watcher: PeerWatcher) => PeerDriver, { patienceMs = PATIENCE_MS }: PeerOptions = {}) {
    this.patienceMs = patienceMs;
    this.#driver = drive({
      told: (told) => this.#tell(told),
      lost: (error) => {
        this.#lost = error;
        for (const { done } of this.#waiting) done.reject(error);
      },
    });
  }

  /** The process in which the adapter lives. */
  get pid(): number {
    return this.#driver.pid;
  }

  /** True between `start` and `stop`. */
  get running(): boolean {
    return this.#stage === "started";
  }

  /** Makes the calls in one turn, in order, without waiting. The outcomes never reject. */
  begin(...calls: readonly Call[]): readonly Promise<Outcome>[] {
    for (const { call } of calls) {
      if (call === "start") this.#stage = "started";
      if (call === "stop") this.#stage = "stopped";
    }
    return this.#driver.perform(calls);
  }

  /** Makes the calls in one turn, in order. Resolves when all have ended, however. */
  turn(...calls: readonly Call[]): Promise<readonly Outcome[]> {
    return this.inTime(calls.map(({ call }) => call).join(", "), Promise.all(this.begin(...calls)));
  }

  /** Starts the adapter, makes `calls` in the same turn, and waits for `up`. */
  async start(...calls: readonly Call[]): Promise<void> {
    accepted(await this.turn({ call: "start" }, ...calls));
    await this.untilTold("up");
  }

  /** Resolves when the adapter says that all of them are heard. */
  async subscribe(...topics: readonly string[]): Promise<void> {
    accepted(await this.turn(...topics.map((topic): Call => ({ call: "subscribe", topic }))));
  }

  /** Makes the call; when it takes effect is the adapter's affair. */
  async unsubscribe(topic: string): Promise<void> {
    accepted(await this.turn({ call: "unsubscribe", topic }));
  }

  /** Publishes one record of these messages. Resolves when it was accepted. */
  async publish(topic: string, ...messages: readonly Message[]): Promise<Receipt> {
    const [value] = accepted(await this.turn({ call: "publish", topic, messages }));
    return value as Receipt;
  }

  /** Makes the call; a {@link publish} that is made after it is accepted after the bus has been told. No messages: no will. */
  async will(topic: string, ...messages: readonly Message[]): Promise<void> {
    accepted(await this.turn({ call: "will", topic, messages }));
  }

  /** Resolves when every call so far has been made, and all that was settled or told by then is known here. */
  async catchUp(): Promise<void> {
    accepted(await this.turn({ call: "nothing" }));
  }

  /** Stops the adapter. Its process goes on, and shows whether it hears anything more. */
  async stop(): Promise<void> {
    accepted(await this.turn({ call: "stop" }));
  }

  /** Stops the adapter, if it runs, and ends the place where it was. Rejects if something of it is left. Called again it does nothing. */
  async end(): Promise<void> {
    if (this.#stage === "ended") return;
    const running = this.running && this.#lost === undefined;
    try {
      if (running) await this.stop();
    } finally {
      this.#stage = "ended";
      await this.#driver.end();
    }
  }

  /** Kills the process of the adapter. */
  async kill(): Promise<void> {
    ensure(this.#driver.kill !== undefined, "an adapter in the process of the test cannot be killed");
    this.#stage = "ended";
    await this.#driver.kill();
  }

  /** The records of a topic, as they arrived. */
  records(topic: string): readonly ToldRecord[] {
    return this.told.filter((told): told is ToldRecord => told.told === "record" && told.topic === topic);
  }

  /** Resolves when `met`, which is asked again whenever something was told. */
  async until(what: string, met: () => boolean): Promise<void> {
    if (met()) return;
    const waiting = { met, done: deferred() };
    this.#waiting.add(waiting);
    try {
      await this.inTime(what, waiting.done.promise);
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  /** Resolves when the last word about the link is `link`, and it was said at place `since` of {@link told} or later. */
  untilTold(link: "up" | "down", since = 0): Promise<void> {
    return this.until(`to be told "${link}"`, () => {
      const last = this.told.slice(since).findLast(({ told }) => told !== "record");
      return last?.told === link;
    });
  }

  /** Publishes again and again; resolves when so many receivers are told, or none are told at all. */
  async untilReceivers(topic: string, expected: number): Promise<void> {
    const message = { kind: "string", frame: encodeFrame("anybody there?"), except: [] } as const;
    const endMs = systemClock.now() + this.patienceMs;
    for (;;) {
      const { receivers } = await this.publish(topic, message);
      if (receivers === undefined || receivers === expected) return;
      ensure(systemClock.now() < endMs, `waited ${this.patienceMs} ms in vain: until a record has ${expected} receivers`);
      await new Promise<void>((resolve) => systemClock.turnEnd(resolve));
    }
  }

  /** The same promise; a {@link BrokenPromise} if it is not settled in time. */
  inTime<T>(what: string, promise: Promise<T>): Promise<T> {
    if (this.#lost !== undefined) return quiet(Promise.reject(this.#lost));
    const late = (): Error => new BrokenPromise(`waited ${this.patienceMs} ms in vain: ${what}`);
    return within(systemClock, this.patienceMs, promise, late);
  }

  #tell(told: Told): void {
    this.told.push(told);
    for (const { met, done } of this.#waiting) if (met()) done.resolve();
  }
}

/** An adapter in this process. */
export function localPeer(adapter: Adapter, options?: PeerOptions): Peer {
  return new Peer((watcher) => {
    const host = new PeerHost(adapter, (told) => watcher.told(told));
    return { pid: process.pid, perform: (calls) => host.perform(calls), end: () => Promise.resolve(), kill: undefined };
  }, options);
}

/** The values of calls that must not fail. */
export function accepted(outcomes: readonly Outcome[]): (Receipt | readonly ToldRecord[] | undefined)[] {
  return outcomes.map((outcome) => {
    if (!outcome.ok) throw new BrokenPromise(`a call was refused: ${outcome.code}: ${outcome.text}`);
    return outcome.value;
  });
}

const latin1 = new TextDecoder("latin1");

/** What a message says; bytes as one character each. */
export function textOf(message: Message): string {
  const [payload = ""] = readPayloads(message.frame);
  return typeof payload === "string" ? payload : latin1.decode(payload);
}
