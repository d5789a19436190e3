// What the tests of the hub share: servers and adapters that are closed after each test, and records of text.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, onTestFinished } from "vitest";
import { systemClock } from "../../../dist/base/clock.js";
import { ChannelServer, type ChannelServerOptions, HubAdapter, type HubOptions } from "../../../dist/hub/index.js";
import { type Clock, FakeClock, MessageRecord } from "../../../dist/testing/index.js";
import { encodeFrame, readPayloads } from "../../../dist/wire/frames.js";

export const SECRET = "a secret that is long enough for the channel server";

const undos: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(undos.splice(0).map((undo) => undo()));
});

/** Done after the test. */
export function later(undo: () => unknown): void {
  undos.push(undo);
}

/** A server in this process, by default on a free port. */
export async function serve(
  host = "127.0.0.1",
  options: ChannelServerOptions = {},
): Promise<{ server: ChannelServer; at: HubOptions; port: number }> {
  const server = new ChannelServer(host, 0, options);
  later(() => server.close());
  await server.listen();
  const { address } = server;
  return { server, at: { ...address, secret: options.secret }, port: "port" in address ? address.port : 0 };
}

/** An adapter in this process, started, and what it has been told. */
export class Member {
  readonly adapter: HubAdapter;
  /** `topic text` of each message that came, and `up` and `down code`. */
  readonly told: string[] = [];
  readonly reasons: Error[] = [];
  readonly records: MessageRecord[] = [];
  #wakeUps: (() => void)[] = [];

  constructor(options: HubOptions) {
    this.adapter = new HubAdapter(options);
    later(() => this.adapter.stop());
    this.adapter.start({
      receive: (topic, record) => {
        this.records.push(record);
        this.#tell(...texts(record).map((text) => `${topic} ${text}`));
      },
      failed: (error) => this.#tell(`failed ${error.message}`),
      up: () => this.#tell("up"),
      down: (reason) => {
        this.reasons.push(reason);
        this.#tell(`down ${(reason as Error & { code?: string }).code}`);
      },
    });
  }

  /** One that is up. */
  static async join(options: HubOptions): Promise<Member> {
    const member = new Member(options);
    await member.until("up");
    return member;
  }

  /** What came, without `up` and `down`. */
  get got(): string[] {
    return this.told.filter((word) => word !== "up" && !word.startsWith("down"));
  }

  publish(topic: string, text: string): Promise<{ receivers: number | undefined }> {
    return this.adapter.publish(topic, record(text));
  }

  /** How many hear a topic; they get a message. */
  async hearers(topic: string): Promise<number | undefined> {
    return (await this.publish(topic, "anybody there?")).receivers;
  }

  /** Resolves when this has been told so many times. */
  async until(word: string, times = 1): Promise<void> {
    await this.when(() => this.told.filter((told) => told === word).length >= times);
  }

  /** Resolves when this is true, looked at whenever something is told. */
  async when(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => void this.#wakeUps.push(resolve));
  }

  #tell(...words: string[]): void {
    this.told.push(...words);
    for (const wakeUp of this.#wakeUps.splice(0)) wakeUp();
  }
}

export function record(...given: string[]): MessageRecord {
  return MessageRecord.of(given.map((text) => ({ kind: "string", frame: encodeFrame(text), except: [] })));
}

export function texts(given: MessageRecord): string[] {
  return [...given.messages()].map(({ frame }) => String(readPayloads(frame)[0]));
}

/** The machine's clock, but for what runs once: that waits until `pass` lets time pass. */
export function timersByHand(): { clock: Clock; asked: number[]; pass: (ms: number) => void } {
  const fake = new FakeClock();
  const asked: number[] = [];
  return {
    clock: {
      ...systemClock,
      after: (ms, run) => {
        asked.push(ms);
        return fake.after(ms, run);
      },
    },
    asked,
    pass: (ms) => fake.advance(ms),
  };
}

/** A folder of this test's own. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "groupcast-hub-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A program beside this file, in a process of its own. Resolves with it when it has said something, and with that. */
export async function start(program: string, ...given: unknown[]): Promise<{ child: ChildProcess; said: unknown }> {
  const child = fork(
    new URL(program, import.meta.url),
    given.map((one) => JSON.stringify(one)),
    { execArgv: [] },
  );
  later(() => kill(child));
  const [said] = (await once(child, "message")) as unknown[];
  return { child, said };
}

/** Ends a process without a chance to say anything. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

/** Asks a program for something. */
export async function ask<T>(child: ChildProcess, question: string): Promise<T> {
  child.send(question);
  const [answer] = (await once(child, "message")) as [T];
  return answer;
}

/** Lets everything that is under way on this machine go on for a moment. */
export function breath(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
