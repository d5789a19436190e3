// A child process of a primary, without a process.
import { EventEmitter } from "node:events";
import type { Report } from "../../../src/workers/messages.ts";

/** A process that a test plays: what it is told is kept, and it says and ends as the test wants. */
export class FakeChild extends EventEmitter {
  readonly pid = 1;
  connected = true;
  readonly told: unknown[] = [];
  killed: string | undefined;

  send(message: { groupcast: unknown }): void {
    this.told.push(message.groupcast);
  }

  kill(signal: string): void {
    this.killed = signal;
    this.end(null, signal);
  }

  says(report: Report): void {
    this.emit("message", { groupcast: report });
  }

  end(code: number | null, signal: string | null = null): void {
    this.connected = false;
    this.emit("exit", code, signal);
  }
}
