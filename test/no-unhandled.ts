// No un-awaited call of ours may cause an unhandled rejection: one anywhere in a file fails that file.
import { afterAll } from "vitest";

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => void unhandled.push(reason));

afterAll(async () => {
  // Rejections are reported when the microtasks of a turn are done.
  await new Promise((resolve) => setImmediate(resolve));
  if (unhandled.length > 0) throw new AggregateError(unhandled, `${unhandled.length} unhandled rejections`);
});
