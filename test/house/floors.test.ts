// The floors of the house: a folder imports only lower floors, never a neighbour. See ARCHITECTURE.md.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { importsOf, offences, type Source } from "./floors.ts";

const root = new URL("../../src/", import.meta.url);
const sources: Source[] = readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({ path, text: readFileSync(new URL(path, root), "utf8") }));

describe("the house", () => {
  it("keeps its floors, exports by name only, and its front door only re-exports", () => {
    expect(sources.length).toBeGreaterThan(40);
    expect(offences(sources)).toEqual([]);
  });

  it("is really read", () => {
    expect(sources.flatMap(({ text }) => importsOf(text)).length).toBeGreaterThan(150);
    expect(importsOf(sources.find(({ path }) => path === "groups/pool.ts")?.text ?? "")).toEqual(
      expect.arrayContaining(["../base/clock.ts", "./connection.ts"]),
    );
  });
});

describe("the check", () => {
  const of = (path: string, text: string) => offences([{ path, text }]);

  it.each<[path: string, text: string, offence: string]>([
    ["wire/x.ts", 'import { a } from "../groups/pool.ts";', "wire/x.ts -> groups/pool.ts: groups is above wire"],
    [
      "groups/x.ts",
      'import type { A } from "../channel/channel.ts";',
      "groups/x.ts -> channel/channel.ts: channel and groups are neighbours",
    ],
    ["channel/x.ts", 'export { a } from "../groups/pool.ts";', "channel/x.ts -> groups/pool.ts: groups and channel are neighbours"],
    ["redis/x.ts", 'import "../hub/hub.ts";', "redis/x.ts -> hub/hub.ts: hub and redis are neighbours"],
    ["hub/x.ts", 'const a = await import("../workers/primary.ts");', "hub/x.ts -> workers/primary.ts: workers is above hub"],
    ["workers/x.ts", 'import {\n  a,\n  b,\n} from "../cli/main.ts";', "workers/x.ts -> cli/main.ts: cli is above workers"],
    ["base/x.ts", 'type A = import("../wire/names.ts").A;', "base/x.ts -> wire/names.ts: wire is above base"],
    ["groups/deep/x.ts", 'import { a } from "../../server/deliver.ts";', "groups/deep/x.ts -> server/deliver.ts: server is above groups"],
    ["server/x.ts", 'import { a } from "../testing/index.ts";', "server/x.ts -> testing/index.ts: testing has no floor"],
    ["testing/x.ts", 'import { a } from "../workers/primary.ts";', "testing/x.ts -> workers/primary.ts: testing may not import workers"],
    ["attic/x.ts", 'import { a } from "../base/errors.ts";', "attic/x.ts -> base/errors.ts: attic has no floor"],
    ["server/x.ts", 'import { a } from "../index.ts";', "server/x.ts -> index.ts: the front door is for users"],
    ["server/x.ts", 'import { a } from "../../test/house/floors.ts";', "server/x.ts -> ../../test/house/floors.ts: outside of src"],
    ["groups/x.ts", 'import { once } from "node:events";', "groups/x.ts -> node:events: the core imports no module of Node and no package"],
    ["sockets/x.ts", 'import ws from "ws";', "sockets/x.ts -> ws: the core imports no module of Node and no package"],
    ["wire/x.ts", "const b = Buffer.from([]);", "wire/x.ts: Buffer"],
    ["groups/x.ts", "setTimeout(run, 5);", "groups/x.ts: setTimeout"],
    ["channel/x.ts", "const now = Date.now();", "channel/x.ts: Date"],
    ["base/x.ts", "export default 7;", "base/x.ts: export default"],
    ["base/x.ts", "const a = 7;\nexport { a as default };", "base/x.ts: export default"],
    ["index.ts", 'export { a } from "./base/errors.ts";\nexport const b = 7;', "index.ts: more than named re-exports: export const b = 7;"],
    ["index.ts", 'export * from "./base/errors.ts";', 'index.ts: more than named re-exports: export * from "./base/errors.ts";'],
  ])("finds in %s: %s", (path, text, offence) => {
    expect(of(path, text)).toEqual([offence]);
  });

  it.each<[path: string, text: string]>([
    ["groups/x.ts", 'import { a } from "../base/errors.ts";\nimport { b } from "./pool.ts";'],
    [
      "server/x.ts",
      'import { WebSocketServer } from "ws";\nimport { createServer } from "node:http";\nimport { a } from "../channel/channel.ts";',
    ],
    ["workers/x.ts", 'import { a } from "../hub/link.ts";\nimport { b } from "../server/group-server.ts";'],
    ["cli/x.ts", 'import { a } from "../workers/primary.ts";'],
    ["testing/x.ts", 'import { a } from "../hub/link.ts";'],
    ["base/clock.ts", "setTimeout(run, 5);"],
    ["wire/x.ts", '// import { a } from "../groups/pool.ts";\n/* Buffer.from */\nconst text = "Buffer.from(x)";'],
    ["index.ts", 'export { type A, b } from "./base/errors.ts";\nexport type { C } from "./wire/names.ts";'],
  ])("finds nothing wrong in %s: %s", (path, text) => {
    expect(of(path, text)).toEqual([]);
  });
});
