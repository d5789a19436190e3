// Puts an adapter under test into a process of its own. Knows the messages of peer-process.ts; must not know which adapter it is.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { systemClock } from "../base/clock.ts";
import { type Deferred, deferred, within } from "../base/promises.ts";
import { BrokenPromise } from "./check.ts";
import { PATIENCE_MS, Peer, type PeerDriver, type PeerOptions, type PeerWatcher } from "./peer.ts";
import type { Call, Outcome } from "./peer-host.ts";
import type { FromPeer, ToPeer } from "./peer-process.ts";

/**
 * An adapter in a process of its own.
 *
 * `module` is the address (`file:` URL) of a JavaScript module that exports `makeAdapter(given): Adapter | Promise<Adapter>`;
 * `given` goes to it as JSON. What the process prints comes out beside the test's own.
 */
export function processPeer(module: URL | string, given: unknown, { patienceMs = PATIENCE_MS }: PeerOptions = {}): Peer {
  return new Peer((watcher) => new ProcessDriver(String(module), given, watcher, patienceMs), { patienceMs });
}

class ProcessDriver implements PeerDriver {
  readonly #child: ChildProcess;
  readonly #exit: Promise<string>;
  readonly #patienceMs: number;
  readonly #outcomes = new Map<number, Deferred<Outcome>>();
  #calls = 0;
  #goingToEnd = false;

  constructor(module: string, given: unknown, watcher: PeerWatcher, patienceMs: number) {
    this.#patienceMs = patienceMs;
    const program = new URL("./peer-process.js", import.meta.url);
    // "advanced": bytes cross as bytes.
    this.#child = fork(program, [module, JSON.stringify(given)], { serialization: "advanced" });
    this.#exit = once(this.#child, "exit").then(([code, signal]: unknown[]) => String(signal ?? code));
    this.#child.on("message", (message: FromPeer) => {
      if (message.send === "told") watcher.told(message.told);
      else this.#settle(message.number, message.outcome);
    });
    void this.#exit.then((how) => {
      for (const number of [...this.#outcomes.keys()]) this.#settle(number, { ok: false, code: "none", text: `its process ended: ${how}` });
      if (!this.#goingToEnd) watcher.lost(new BrokenPromise(`the process of an adapter ended unasked: ${how}`));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  perform(calls: readonly Call[]): readonly Promise<Outcome>[] {
    const first = this.#calls;
    this.#calls += calls.length;
    const outcomes = calls.map((_, index) => {
      const outcome = deferred<Outcome>();
      this.#outcomes.set(first + index, outcome);
      return outcome.promise;
    });
    this.#send({ send: "calls", first, calls });
    return outcomes;
  }

  async end(): Promise<void> {
    this.#goingToEnd = true;
    this.#send({ send: "end" });
    const late = (): Error =>
      new BrokenPromise(`the adapter is stopped, but something of it keeps its process alive for ${this.#patienceMs} ms`);
    try {
      const how = await within(systemClock, this.#patienceMs, this.#exit, late);
      if (how !== "0") throw new BrokenPromise(`the process of a stopped adapter ended with ${how}, not with 0`);
    } finally {
      this.#child.kill("SIGKILL");
    }
  }

  readonly kill = async (): Promise<void> => {
    this.#goingToEnd = true;
    this.#child.kill("SIGKILL");
    await this.#exit;
  };

  #send(message: ToPeer): void {
    // A process that is gone already has told so by its exit.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #settle(number: number, outcome: Outcome): void {
    this.#outcomes.get(number)?.resolve(outcome);
    this.#outcomes.delete(number);
  }
}
