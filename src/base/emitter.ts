// Typed events. One bad listener can stop neither the others nor the caller. Must not know what the events mean.
import { asError } from "./errors.ts";
import { consoleLogger } from "./logger.ts";

type Listener = (...args: never[]) => unknown;

/**
 * Base class of everything that has events. `Events` maps a name to the arguments of its listeners.
 *
 * Listeners run in the order of their registration, in the same turn as the event. One that throws, or whose promise
 * rejects, is reported as the `error` event and the others still run. An `error` that nobody hears is logged, never thrown.
 */
export class Emitter<Events extends { error: [error: Error] } & { [Name in keyof Events]: unknown[] }> {
  // Made with the first listener: most groups and connections never have one. Replaced, not edited, so a listener may
  // add and remove listeners while an event is on its way.
  #listeners: Map<keyof Events, readonly Listener[]> | undefined;

  /** Calls `listener` at every `event` from now on. Returns its undo. */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => unknown): () => void {
    this.#listeners ??= new Map();
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return () => this.off(event, listener);
  }

  /** Calls `listener` at the next `event` only. Returns its undo. */
  once<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => unknown): () => void {
    const undo = this.on(event, (...args) => {
      undo();
      return listener(...args);
    });
    return undo;
  }

  /** Removes one registration of `listener`; does nothing if there is none. */
  off<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => unknown): void {
    const present = this.#listeners?.get(event);
    const index = present?.lastIndexOf(listener) ?? -1;
    if (present === undefined || index < 0) return;
    if (present.length === 1) this.#listeners?.delete(event);
    else this.#listeners?.set(event, [...present.slice(0, index), ...present.slice(index + 1)]);
  }

  /** How many listeners `event` has. */
  listenerCount(event: keyof Events): number {
    return this.#listeners?.get(event)?.length ?? 0;
  }

  /** Tells every listener of `event`; true if there was one. Never throws. */
  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): boolean {
    const listeners = this.#listeners?.get(event);
    if (listeners === undefined) {
      if (event === "error") this.unheard(args[0] as Error);
      return false;
    }
    for (const listener of listeners) {
      try {
        const result = (listener as (...args: Events[Name]) => unknown)(...args);
        if (result instanceof Promise) result.catch((thrown: unknown) => this.#failed(event, thrown));
      } catch (thrown) {
        this.#failed(event, thrown);
      }
    }
    return true;
  }

  /** What becomes of an `error` that has no listener, or whose listener throws itself: it is logged. */
  protected unheard(error: Error): void {
    consoleLogger.error({ err: error }, `an error that nobody listens to: ${error.message}`);
  }

  #failed(event: keyof Events, thrown: unknown): void {
    const error = asError(thrown);
    if (event === "error") this.unheard(error);
    else this.emit("error", ...([error] as Events["error"]));
  }
}
