import { describe, expect, it } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { CannotStart, explain } from "../../../src/workers/cannot-start.ts";

const systemError = (code: string): Error => Object.assign(new Error(code), { code });

describe("explain", () => {
  it.each([
    ["EADDRINUSE", "taken", /h:1 is taken/],
    ["EACCES", "taken", /may not be listened on/],
    ["EADDRNOTAVAIL", "setting", /host: given "h", allowed/],
    ["ENOTFOUND", "setting", /host: given "h", allowed/],
  ])("puts %s into words, also below an error of ours", (code, kind, text) => {
    for (const thrown of [systemError(code), new GroupcastError("unavailable", "x", { cause: systemError(code) })]) {
      const explained = explain(thrown, "h", 1);
      expect(explained).toBeInstanceOf(CannotStart);
      expect((explained as CannotStart).failure).toMatchObject({ kind, port: 1, text: expect.stringMatching(text) as string });
    }
  });

  it("takes an option that is not allowed for a setting", () => {
    expect((explain(new GroupcastError("bad_option", "no such thing"), "h", 1) as CannotStart).failure).toEqual({
      kind: "setting",
      text: "no such thing",
      port: 1,
    });
  });

  it("leaves everything else as it is", () => {
    for (const thrown of [new Error("boom"), "boom", undefined, systemError("EMFILE"), new GroupcastError("unavailable")]) {
      expect(explain(thrown, "h", 1)).toBe(thrown);
    }
  });
});
