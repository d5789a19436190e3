// Everything that the front door shows has a docstring: classes and their methods, functions, constants, types.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const root = new URL("../../src/", import.meta.url);

/** The names that a front door hands out, and the file of each. */
function frontDoor(text: string): [name: string, path: string][] {
  return [...text.matchAll(/export\s(?:type\s)?\{([^}]*)\}\s*from\s*"\.\/([^"]+)"/g)].flatMap(([, names = "", path = ""]) =>
    names
      .split(",")
      .map((name) =>
        name
          .trim()
          .replace(/^type\s+/, "")
          .replace(/\s+as\s+.*$/, ""),
      )
      .filter((name) => name !== "")
      .map((name): [string, string] => [name, path]),
  );
}

/** What of the exported `name` in `text` is public and has no docstring. */
function undocumented(name: string, text: string): string[] {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => new RegExp(`^export (?:abstract )?(?:class|interface|function|const|type) ${name}\\b`).test(line));
  if (at < 0) return [`${name}: not found`];
  const hasDoc = (line: number): boolean => /^\s*(\/\*\*.*)?\*\/$/.test(lines[line - 1] ?? "");
  // Options are documented field by field, and where they are used.
  const missing = hasDoc(at) || name.endsWith("Options") ? [] : [name];
  if (!/^export (?:abstract )?class /.test(lines[at] ?? "")) return missing;
  for (let line = at + 1; line < lines.length && lines[line] !== "}"; line++) {
    // A method, accessor or property of the class itself: two spaces deep. `override` has the docstring of what it overrides.
    const member = /^ {2}(?:static |readonly |async |get |set |\*)*([a-zA-Z]\w*)\s*(?:[<(]|[?!]?:)/.exec(lines[line] ?? "")?.[1];
    const isProperty = /^ {2}(?:static )?readonly \w+(?:: | =)/.test(lines[line] ?? "");
    if (member === undefined || member === "constructor" || isProperty || hasDoc(line)) continue;
    missing.push(`${name}.${member}`);
  }
  return missing;
}

describe("the front door", () => {
  it("shows nothing without a docstring", () => {
    const names = frontDoor(readFileSync(new URL("index.ts", root), "utf8"));
    expect(names.length).toBeGreaterThan(30);
    const missing = names.flatMap(([name, path]) =>
      undocumented(name, readFileSync(new URL(path, root), "utf8")).map((what) => `${path}: ${what}`),
    );
    expect([...new Set(missing)]).toEqual([]);
  });
});

describe("the check", () => {
  it("finds what has no docstring, and nothing else", () => {
    const text = [
      "/** A class. */",
      "export class A extends B {",
      "  readonly id: string;",
      "  #secret = 1;",
      "  data: unknown;",
      "  constructor(id: string) {",
      "    this.id = id;",
      "  }",
      "  /** Documented. */",
      "  close(): void {",
      "    if (this.data) return;",
      "  }",
      "  open(): void {}",
      "  get size(): number {",
      "    return 1;",
      "  }",
      "  static make<T>(value: T): T {",
      "    return value;",
      "  }",
      "  protected override unheard(): void {}",
      "  #hidden(): void {}",
      "}",
      "",
      "export function b(): void {}",
    ].join("\n");
    expect(undocumented("A", text)).toEqual(["A.data", "A.open", "A.size", "A.make"]);
    expect(undocumented("b", text)).toEqual(["b"]);
    expect(undocumented("c", text)).toEqual(["c: not found"]);
  });

  it("reads the names of a front door", () => {
    expect(frontDoor('export { type A, B, B as C } from "./x.ts";\nexport type { D } from "./y.ts";')).toEqual([
      ["A", "x.ts"],
      ["B", "x.ts"],
      ["B", "x.ts"],
      ["D", "y.ts"],
    ]);
  });
});
