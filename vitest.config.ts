import { defineConfig } from "vitest/config";

// unit: the sources, in parallel. process: the built output in real processes, one file at a time. browser: the page in Chromium.
export default defineConfig({
  test: {
    reporters: ["default", "./test/counting-reporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts", "test/house/**/*.test.ts"],
          setupFiles: ["test/no-unhandled.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "process",
          include: ["test/process/**/*.test.ts"],
          setupFiles: ["test/no-unhandled.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          execArgv: ["--expose-gc"],
          // They kill and cut real processes on a machine that others may keep busy. Whoever needs a second attempt is named at the end.
          retry: process.env["CI"] === undefined ? 0 : 1,
        },
      },
      {
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          setupFiles: ["test/no-unhandled.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
