// Promises that harm nobody when they are not awaited, and waits that end.
import type { Clock } from "./clock.ts";

const ignore = (): void => {};

/** The same promise, with a no-op catch attached: un-awaited it is quiet, awaited it still rejects. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

/** True for a promise of any make: applications bring their own. */
export function isPromiseLike<T>(value: T | PromiseLike<Awaited<T>>): value is PromiseLike<Awaited<T>> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** A quiet promise with its two ends in hand. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = quiet(
    new Promise<T>((yes, no) => {
      resolve = yes;
      reject = no;
    }),
  );
  return { promise, resolve, reject };
}

/** Resolves after `ms`. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/** `promise`, or a rejection with `late()` if it is not settled after `ms`. The timer ends with the promise. */
export function within<T>(clock: Clock, ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  const { promise: result, resolve, reject } = deferred<T>();
  const cancel = clock.after(ms, () => reject(late()));
  promise.then(resolve, reject).finally(cancel);
  return result;
}
