import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { checkName, NAME_BYTES_MAX } from "../../../src/wire/names.ts";
import { codeOf } from "../fakes.ts";

const verdict = (name: unknown): string => codeOf(() => checkName(name));

describe("a name", () => {
  it.each([
    "0",
    "a",
    " ",
    "__proto__",
    "constructor",
    "toString",
    "a/b?c=d",
    "Grüße, 世界 😀",
    "‮",
    "a".repeat(200),
    "é".repeat(100),
    "😀".repeat(50),
  ])("may be %j, and comes back as it is", (name) => {
    expect(checkName(name)).toBe(name);
  });

  it.each([
    ["empty", ""],
    ["201 bytes", "a".repeat(201)],
    ["202 bytes in 101 characters", "é".repeat(101)],
    ["201 bytes in 67 characters", "€".repeat(67)],
    ["204 bytes in 51 characters", "😀".repeat(51)],
    ["a NUL", "a\0b"],
    ["a tab", "a\tb"],
    ["a line feed", "a\n"],
    ["DEL", "a\u007f"],
    ["a control character of Latin-1", "a\u0085"],
    ["half a character", "a\ud83d"],
    ["the other half", "\ude00a"],
    ["a number", 123],
    ["null", null],
    ["undefined", undefined],
    ["an object", {}],
    ["an array", ["a"]],
    ["a String object", Object("a")],
    ["true", true],
  ])("that is %s throws bad_group", (_, name) => {
    expect(verdict(name)).toBe("bad_group");
  });

  it("is allowed exactly if it is 1 to 200 bytes of well-formed text without control characters", () => {
    const anything = fc.string({
      unit: fc.oneof(fc.string({ unit: "binary", maxLength: 3 }), fc.constantFrom("\ud800", "\udfff", "\0", "\u009f", "a")),
      maxLength: 120,
    });
    fc.assert(
      fc.property(anything, (name) => {
        const bytes = Buffer.from(name, "utf8");
        const wellFormed = bytes.toString("utf8") === name;
        const hasControl = Array.from(name).some((character) => {
          const code = character.codePointAt(0) ?? 0;
          return code < 0x20 || (code >= 0x7f && code < 0xa0);
        });
        const allowed = name !== "" && wellFormed && !hasControl && bytes.length <= NAME_BYTES_MAX;
        expect(verdict(name)).toBe(allowed ? "nothing thrown" : "bad_group");
      }),
      { numRuns: 1000 },
    );
  });

  it("that is refused is shown in the error, shortened", () => {
    expect(() => checkName("x".repeat(100_000))).toThrow(/^.{0,200}$/);
    expect(() => checkName("a\nb", "namespace")).toThrow(/namespace.*"a\\nb"/);
  });
});
