// examples/cluster/compose.yaml cannot be run without Docker. What it tells groupcast is checked here.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { readSettings } from "../../src/cli/options.ts";

const text = readFileSync(new URL("../../examples/cluster/compose.yaml", import.meta.url), "utf8");

it("starts groupcast with options that there are", () => {
  const words = [...text.matchAll(/^ +- --([\w-]+)(?:=(.*))?$/gm)];
  const given = new Map(words.map(([, flag = "", value]): [string, string[]] => [flag, value === undefined ? [] : [value]]));
  const [, channel = ""] = /GROUPCAST_CHANNEL: \$\{GROUPCAST_CHANNEL:-(.*)\}/.exec(text) ?? [];
  expect(readSettings(given.set("channel", [channel]))).toMatchObject({
    host: "0.0.0.0",
    open: true,
    workers: 2,
    channel: "redis://valkey:6379",
  });
});

it("names brokers that are among its services", () => {
  const hosts = [...text.matchAll(/(?:redis|nats):\/\/(\w+)/g)].map(([, host]) => host);
  expect(new Set(hosts)).toEqual(new Set(["valkey", "nats"]));
  for (const host of hosts) expect(text).toMatch(new RegExp(`^  ${host}:$`, "m"));
});
