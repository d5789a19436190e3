// Connections that were on their way to a worker when it died: node:cluster forgets them, open and unanswered, so they are closed here.
// The only file that looks at messages of node's own.
import type { ChildProcess } from "node:child_process";

type Handle = { close(): void };
type Send = (message: unknown, handle: unknown, ...rest: readonly unknown[]) => boolean;

/** Closes what was handed to a worker that has not taken it, when that worker ends: the client sees it at once and tries again. */
export class Handoffs {
  // Whoever a connection was offered to last: a worker that is stopping declines, and it goes to another.
  readonly #offeredTo = new WeakMap<Handle, ChildProcess>();

  watch(worker: ChildProcess): void {
    // Per listening socket, the next one is sent when the last one was answered: one is all that can be lost.
    const latest = new Map<unknown, Handle>();
    const send = worker.send.bind(worker) as Send;
    worker.send = (message: unknown, handle: unknown, ...rest: readonly unknown[]): boolean => {
      if (isNewConnection(message) && isHandle(handle)) {
        latest.set(message.key, handle);
        this.#offeredTo.set(handle, worker);
      }
      return send(message, handle, ...rest);
    };
    worker.once("exit", () => {
      // One that the worker had taken is closed on this side already; to close it again does nothing.
      for (const handle of latest.values()) if (this.#offeredTo.get(handle) === worker) handle.close();
    });
  }
}

function isNewConnection(message: unknown): message is { readonly key: unknown } {
  return typeof message === "object" && message !== null && "act" in message && message.act === "newconn" && "key" in message;
}

function isHandle(handle: unknown): handle is Handle {
  return typeof handle === "object" && handle !== null && "close" in handle && typeof handle.close === "function";
}
