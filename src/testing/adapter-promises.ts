// The contract of the `Adapter` port as a list that any test runner can run over any adapter. Depends on no runner.
import { BrokenPromise } from "./check.ts";
import { deliveryPromises } from "./promises-delivery.ts";
import { linkPromises } from "./promises-link.ts";
import { orderPromises } from "./promises-order.ts";
import { subscriptionPromises } from "./promises-subscription.ts";
import { willPromises } from "./promises-will.ts";
import type { AdapterPromise } from "./stage.ts";

/**
 * Everything that an adapter promises. Each runs on a bus of its own or on a shared one, alone or beside others, with three
 * adapters that it ends. The order means nothing. One that does not hold rejects with a `BrokenPromise`, in any runner.
 *
 * What an adapter or a bus cannot do breaks the promises about it: an adapter that cannot leave a will breaks those about
 * wills, a bus without a `cut` those about lost links. They are excused by title, each with a reason.
 *
 * @example
 * ```ts
 * for (const { title, run, excuse } of promisesFor({ "a title": "why not" })) {
 *   it.skipIf(excuse !== undefined)(title, async () => {
 *     const bus = await makeBus();
 *     try {
 *       await run(bus);
 *     } finally {
 *       await bus.stop();
 *     }
 *   });
 * }
 * ```
 */
export const adapterPromises: readonly AdapterPromise[] = [
  ...deliveryPromises,
  ...orderPromises,
  ...subscriptionPromises,
  ...linkPromises,
  ...willPromises,
];

/** A promise, and the reason why a certain adapter does not keep it. */
export interface ExcusablePromise extends AdapterPromise {
  /** Undefined: it must hold. */
  readonly excuse: string | undefined;
}

/**
 * The promises that a certain adapter is held to. `excused` names those that it is not, by title, each with its reason.
 *
 * @throws BrokenPromise: an excuse for no promise of this list, or one without a reason.
 */
export function promisesFor(excused: Readonly<Record<string, string>>): readonly ExcusablePromise[] {
  for (const [title, reason] of Object.entries(excused)) {
    if (!adapterPromises.some((promise) => promise.title === title)) throw new BrokenPromise(`there is no promise "${title}" to excuse`);
    if (reason.trim() === "") throw new BrokenPromise(`the excuse for "${title}" gives no reason`);
  }
  return adapterPromises.map((promise) => ({ ...promise, excuse: excused[promise.title] }));
}
