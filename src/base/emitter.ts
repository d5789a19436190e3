// Typed events. One bad listener can stop neither the others nor the caller. Must not know what the events mean.
import { asError } from "./errors.ts";
import { consoleLogger } from "./logger.ts";
import { isPromiseLike } from "./promises.ts";

type Listener = (...args: never[]) => unknown;
/** One call of `on` or `once`. `spent`: it has had its only event. */
type Registration = { readonly listener: Listener; readonly once: boolean; spent: boolean };
const NONE: readonly Registration[] = [];

/**
 * Base class of everything that has events. `Events` maps a name to the arguments of its listeners.
 *
 * Listeners run in the order of their registration, in the same turn as the event. One that throws, or whose promise
 * rejects, is reported as the `error` event and the others still run. An `error` that nobody hears is logged, never thrown.
 */
export class Emitter<Events extends { error: [error: Error] } & { [Name in keyof Events]: unknown[] }> {
  // Made with the first listener: most groups and connections never have one. Replaced, not edited, so a listener may
  // add and remove listeners while an event is on its way.
  #listeners: Map<keyof Events, readonly Registration[]> | undefined;

  /** Calls `listener` at every `event` from now on. Returns its undo. */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => unknown): () => void {
    return this.#add(event, { listener, once: false, spent: false });
  }

  /** Calls `listener` at the next `event` only. Returns its undo. */
  once<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => unknown): () => void {
    return this.#add(event, { listener, once: true, spent: false });
  }

  /** Removes the latest registration of `listener`, by `on` or `once`; does nothing if there is none. */
  off<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => unknown): void {
    const latest = this.#listeners?.get(event)?.findLast((registration) => registration.listener === listener);
    if (latest !== undefined) this.#remove(event, latest);
  }

  /** How many listeners `event` has. */
  listenerCount(event: keyof Events): number {
    return this.#listeners?.get(event)?.length ?? 0;
  }

  /** Tells every listener of `event`; true if there was one. Never throws. */
  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): boolean {
    const listeners = this.#listeners?.get(event);
    if (listeners === undefined) {
      if (event === "error") this.#log(args[0] as Error);
      return false;
    }
    for (const registration of listeners) {
      if (registration.once) {
        if (registration.spent) continue; // a listener before it set off the same event
        registration.spent = true;
        this.#remove(event, registration);
      }
      try {
        const result = (registration.listener as (...args: Events[Name]) => unknown)(...args);
        if (isPromiseLike(result)) result.then(undefined, (thrown: unknown) => this.#failed(event, thrown));
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

  /** Somebody has begun to listen to `event`: for events that cost something. */
  protected listening(_event: keyof Events): void {}

  #add(event: keyof Events, registration: Registration): () => void {
    this.#listeners ??= new Map();
    // Not a spread, which leaves room for 16 more: there may be many emitters.
    this.#listeners.set(event, (this.#listeners.get(event) ?? NONE).concat(registration));
    this.listening(event);
    return () => this.#remove(event, registration);
  }

  #remove(event: keyof Events, registration: Registration): void {
    const left = this.#listeners?.get(event)?.filter((one) => one !== registration) ?? [];
    if (left.length === 0) this.#listeners?.delete(event);
    else this.#listeners?.set(event, left);
  }

  #log(error: Error): void {
    try {
      this.unheard(error);
    } catch {
      // A logger that throws has nowhere to say so.
    }
  }

  #failed(event: keyof Events, thrown: unknown): void {
    const error = asError(thrown);
    if (event === "error") this.#log(error);
    else this.emit("error", ...([error] as Events["error"]));
  }
}
