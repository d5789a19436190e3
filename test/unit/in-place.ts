// What a connection has got, held against what was due to it.
import { expect } from "vitest";

/** A message as a test has sent it: the number of its call, and to whom: a group, or "you" for a direct send. */
export interface Sent {
  readonly call: number;
  readonly to: string;
}

/** Everything that was due has come, once; in order for each of the groups `names`; and direct sends stand where they were made. */
export function expectInPlace(got: readonly Sent[], expected: readonly Sent[], names: readonly string[]): void {
  expect([...got].sort((one, other) => one.call - other.call)).toEqual(expected);
  for (const to of names) expect(got.filter((one) => one.to === to)).toEqual(expected.filter((one) => one.to === to));
  // A direct send stands behind all that came before it, and before all that came after.
  got.forEach((one, at) => {
    if (one.to !== "you") return;
    expect(got.slice(0, at).every(({ call }) => call < one.call)).toBe(true);
    expect(got.slice(at + 1).every(({ call }) => call > one.call)).toBe(true);
  });
}
