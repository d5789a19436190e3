// Adapters for tests of the processes themselves: one that ends its process, one that cannot be made.
import process from "node:process";
import { MemoryAdapter } from "../../../dist/testing/index.js";

export function makeAdapter({ how }) {
  if (how === "cannot be made") throw new Error("no such adapter");
  const adapter = new MemoryAdapter();
  adapter.subscribe = () => process.exit(3);
  return adapter;
}
