// How a promise says that it is broken. Any test runner shows a thrown error.

/** Thrown by a promise of a contract suite that does not hold. The message says what was expected and what came. */
export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
}

/** @throws BrokenPromise unless `condition`. */
export function ensure(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new BrokenPromise(otherwise);
}

/** @throws BrokenPromise if the two lists differ, naming the first difference. */
export function ensureSame(what: string, actual: readonly string[], expected: readonly string[]): void {
  const length = Math.max(actual.length, expected.length);
  for (let index = 0; index < length; index++) {
    if (actual[index] === expected[index]) continue;
    throw new BrokenPromise(
      `${what}: ${actual.length} came, ${expected.length} were expected; number ${index + 1} is ` +
        `${shown(actual[index])}, expected ${shown(expected[index])}`,
    );
  }
}

const SHOWN_CHARACTERS = 100;

function shown(text: string | undefined): string {
  if (text === undefined) return "missing";
  const whole = JSON.stringify(text.slice(0, SHOWN_CHARACTERS));
  return text.length <= SHOWN_CHARACTERS ? whole : `${whole}… (${text.length} characters)`;
}
