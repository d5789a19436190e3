import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { type CloseArguments, cutReason, readCloseArguments } from "../../../src/wire/close-codes.ts";
import { codeOf } from "../fakes.ts";

const read = (...args: unknown[]) => readCloseArguments(args as unknown as CloseArguments, 1000);
const utf8Bytes = (text: string): number => new TextEncoder().encode(text).length;

describe("the arguments of close and closeAll", () => {
  it.each<[args: unknown[], code: number, reason: string]>([
    [[], 1000, ""],
    [[undefined, undefined], 1000, ""],
    [[4000], 4000, ""],
    [["bye"], 1000, "bye"],
    [[4000, "bye"], 4000, "bye"],
    [["bye", 4000], 4000, "bye"],
    [[undefined, "bye"], 1000, "bye"],
    [[undefined, 4000], 4000, ""],
    [["", 4000], 4000, ""],
    [[{}], 1000, ""],
    [[{ code: 4000 }], 4000, ""],
    [[{ reason: "bye" }], 1000, "bye"],
    [[{ code: 4000, reason: "bye" }], 4000, "bye"],
    [[{ code: undefined, reason: undefined }], 1000, ""],
  ])("%j are code %i, reason %j", (args, code, reason) => {
    expect(read(...args)).toEqual({ code, reason });
  });

  it("take the default code of whoever asks", () => {
    expect(readCloseArguments([], 1012)).toEqual({ code: 1012, reason: "" });
    expect(readCloseArguments(["moving"], 1012)).toEqual({ code: 1012, reason: "moving" });
  });

  it.each<[args: unknown[]]>([
    [[1000, 1000]],
    [[1000, 4000]],
    [["bye", "bye"]],
    [["bye", "now"]],
    [[1n, 2n]],
    [[null]],
    [[true]],
    [[1000, null]],
    [[1000, {}]],
    [[{ code: "4000" }]],
    [[{ reason: 4000 }]],
    [[{ code: 4000 }, "bye"]],
    [[{ reason: "bye" }, 4000]],
    [[[4000, "bye"]]],
    [[() => {}]],
    [[Symbol("code"), Symbol("reason")]],
  ])("throw bad_option for what is neither one code and one reason nor one object", (args) => {
    expect(codeOf(() => read(...args))).toBe("bad_option");
  });
});

describe("close codes", () => {
  const invalid = [0, -1, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535, NaN, Infinity, -Infinity, 1000.5, 4000.0001];
  it.each(invalid)("throw bad_option for %d, in either order and in the object", (code) => {
    expect(codeOf(() => read(code))).toBe("bad_option");
    expect(codeOf(() => read(code, "bye"))).toBe("bad_option");
    expect(codeOf(() => read("bye", code))).toBe("bad_option");
    expect(codeOf(() => read({ code, reason: "bye" }))).toBe("bad_option");
  });

  it("are exactly those that may stand in a close frame (RFC 6455 §7.4)", () => {
    const sendable: number[] = [];
    for (let code = 0; code <= 6000; code++) if (codeOf(() => read(code)) === "nothing thrown") sendable.push(code);
    const expected = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    for (let code = 3000; code <= 4999; code++) expected.push(code);
    expect(sendable).toEqual(expected);
  });
});

describe("a reason", () => {
  // All of UTF-16: characters of 1 to 4 bytes, and surrogates that have lost their partner.
  const anyText = fc.string({
    unit: fc.oneof(fc.string({ unit: "binary", minLength: 1 }), fc.constantFrom("\ud83d", "\ude00", "é", "€", "😀")),
    maxLength: 300,
  });

  it("has at most 123 bytes, is a prefix of what was given, and cuts no character", () => {
    fc.assert(
      fc.property(anyText, (reason) => {
        const cut = cutReason(reason);
        expect(utf8Bytes(cut)).toBeLessThanOrEqual(123);
        expect(reason.startsWith(cut)).toBe(true);
        expect(cutReason(cut)).toBe(cut);
        const rest = reason.slice(cut.length);
        const splits = /[\ud800-\udbff]$/.test(cut) && /^[\udc00-\udfff]/.test(rest);
        expect(splits).toBe(false);
        // Not cut shorter than needed: the next character would not have fitted.
        if (rest !== "") expect(utf8Bytes(cut) + utf8Bytes(String.fromCodePoint(rest.codePointAt(0) ?? 0))).toBeGreaterThan(123);
      }),
      { numRuns: 1000 },
    );
  });

  it("of 123 bytes is left alone, and one of 124 is not", () => {
    expect(cutReason("a".repeat(123))).toBe("a".repeat(123));
    expect(cutReason("a".repeat(124))).toBe("a".repeat(123));
    expect(cutReason("a".repeat(122) + "é")).toBe("a".repeat(122));
    expect(cutReason("😀".repeat(31))).toBe("😀".repeat(30));
  });

  it("is cut in every form of the arguments", () => {
    const long = "€".repeat(100);
    const cut = "€".repeat(41);
    expect(read(4000, long).reason).toBe(cut);
    expect(read(long, 4000).reason).toBe(cut);
    expect(read({ reason: long }).reason).toBe(cut);
  });
});
