// docs/side-by-side.md says of every line of the source documents what became of it. It must say so of the examples as they are.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

interface Row {
  readonly theirs: string;
  readonly ours: string;
  readonly why: string;
}

const root = new URL("../../", import.meta.url);
const page = readFileSync(new URL("docs/side-by-side.md", root), "utf8");
const tables = [...page.matchAll(/<!-- (\S+)#(\S+) -->\n\n((?:\|.*\n)+)/g)].map(([, file = "", region = "", table = ""]) => ({
  file,
  region,
  rows: table.trim().split("\n").slice(2).map(readRow),
}));

function readRow(line: string): Row {
  const [, theirs = "", ours = "", why = ""] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
  return { theirs: code(theirs), ours: code(ours), why };
}

function code(cell: string): string {
  return cell.replace(/^`+ ?/, "").replace(/ ?`+$/, "").replaceAll("\\|", "|").trim();
}

function readRegion(file: string, region: string): string[] {
  const lines = readFileSync(new URL(file, root), "utf8")
    .split("\n")
    .map((line) => line.trim());
  const from = lines.indexOf(`// region ${region}`);
  return from < 0 ? [] : lines.slice(from + 1, lines.indexOf("// endregion", from));
}

describe("the side-by-side page", () => {
  it("has every code block of the source documents", () => {
    expect(tables.map(({ region }) => region)).toEqual([
      "groups",
      "events",
      "program",
      "connection",
      "pool",
      "remove",
      "remove-last",
      "close-all",
      "drain",
    ]);
  });

  it.each(tables)("shows $file#$region as it is", ({ file, region, rows }) => {
    const shown = rows.filter(({ theirs, ours, why }) => ours !== "" || (theirs === "" && why === "")).map(({ ours }) => ours);
    expect(shown).toEqual(readRegion(file, region));
  });

  it.each(tables)("gives a reason for every line of $file#$region that differs", ({ rows }) => {
    expect(rows.filter(({ theirs, ours, why }) => theirs !== ours && why === "")).toEqual([]);
    expect(rows.filter(({ theirs, ours, why }) => theirs === ours && why !== "")).toEqual([]);
  });
});
