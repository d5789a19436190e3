// Ends every run with the one line that scripts read: `N passed, N failed, N skipped`.
import type { Reporter, TestModule } from "vitest/node";

export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0 };
    const repeated: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed" && (test.diagnostic()?.retryCount ?? 0) > 0) repeated.push(test.fullName);
        count[state === "passed" ? "passed" : state === "failed" ? "failed" : "skipped"]++;
      }
      // A file that does not load, and a hook that fails, may leave no test that has failed.
      for (const suite of [module, ...module.children.allSuites()]) count.failed += suite.errors().length;
    }
    count.failed += unhandledErrors.length;
    // After the default reporter's own summary.
    process.once("beforeExit", () => {
      for (const name of repeated) process.stdout.write(`PASSED AT THE SECOND ATTEMPT ONLY: ${name}\n`);
      process.stdout.write(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
    });
  }
}
