// docs/errors.md and the tables in the code list the same codes.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { CLOSE, ERRORS } from "../../src/index.ts";

const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");

it("documents every error code with its retry and text", () => {
  const documented = Object.fromEntries(
    [...page.matchAll(/^\| `(\w+)` \| (yes|no) \| (.*) \|$/gm)].map(([, code, retry, text]) => [code, { retry: retry === "yes", text }]),
  );
  expect(documented).toEqual(ERRORS);
});

it("documents every close code that groupcast itself uses", () => {
  const documented = new Set([...page.matchAll(/^\| (\d{4}(?:, \d{4})*) \|/gm)].flatMap(([, codes = ""]) => codes.split(", ").map(Number)));
  expect(Object.values(CLOSE).filter((code) => !documented.has(code))).toEqual([]);
});
