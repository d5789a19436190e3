// A run of its own for brokers.test.ts, which kills it.
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["test/process/brokers/nested/*.nested.ts"], testTimeout: 60_000 } });
