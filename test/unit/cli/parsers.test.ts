import { describe, expect, it } from "vitest";
import {
  BadSetting,
  bytes,
  channel,
  host,
  hostName,
  namespace,
  origin,
  type Parser,
  prefix,
  rate,
  seconds,
  whole,
} from "../../../src/cli/parsers.ts";

function takes<Value>(name: string, parser: Parser<Value>, good: readonly (readonly [string, Value])[], bad: readonly string[]): void {
  describe(name, () => {
    it.each(good)("takes %j as %j", (text, value) => {
      expect(parser.read(text)).toEqual(value);
    });
    it.each(bad)("refuses %j", (text) => {
      expect(parser.read(text)).toBeUndefined();
    });
    it("says what it allows", () => {
      expect(parser.allowed).not.toBe("");
    });
  });
}

const never = ["", " ", "abc", "-1", "NaN", "Infinity", "1e3", "0x10", "１２", "1 ", "1,5", "--", "1\n"];

takes(
  "a port",
  whole(0, 65_535),
  [
    ["0", 0],
    ["1234", 1234],
    ["65535", 65_535],
    ["007", 7],
  ],
  [...never, "65536", "1.5", "99999999999"],
);
takes(
  "a rate",
  rate(100),
  [
    ["0.5", 0.5],
    ["20", 20],
    ["100", 100],
  ],
  [...never, "0", "0.0", "101", "1..2", "500/s"],
);
takes(
  "seconds",
  seconds(3_600),
  [
    ["6", 6_000],
    ["0.5", 500],
    ["6s", 6_000],
    ["500ms", 500],
    ["1m", 60_000],
    ["0", 0],
    [".25", 250],
    ["60m", 3_600_000],
  ],
  [...never, "3601", "61m", "5h", "ms", "1 s", "1S", "1.2.3s", "s6"],
);
takes(
  "bytes",
  bytes(1, 1024 ** 2),
  [
    ["65536", 65_536],
    ["64KiB", 65_536],
    ["1MiB", 1024 ** 2],
    ["0.5KiB", 512],
    ["12B", 12],
  ],
  [...never, "0", "2MiB", "1GiB", "1.5", "64kb", "64K", "1MB", "0.0001KiB"],
);
takes(
  "a channel",
  channel,
  [
    ["hub", "hub"],
    ["memory", "memory"],
    ["redis://u:p@h:6379", "redis://u:p@h:6379"],
    ["rediss://h", "rediss://h"],
    ["nats://a:4222,b:4222", "nats://a:4222,b:4222"],
  ],
  ["", "Hub", "redis", "redis://", "amqp://h", "hub "],
);
takes(
  "a host",
  host,
  [
    ["127.0.0.1", "127.0.0.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["::1", "::1"],
    ["[::1]", "::1"],
    ["localhost", "localhost"],
    ["a-b.example", "a-b.example"],
    ["fe80::1%eth0", "fe80::1%eth0"],
  ],
  ["", " ", "a b", "http://h", "h:80", "h/x", "a\u0000b", "x".repeat(300)],
);
takes(
  "a prefix",
  prefix,
  [
    ["groupcast", "groupcast"],
    ["a.b-c_1", "a.b-c_1"],
  ],
  ["", "a b", "a:b", "a/b", "x".repeat(65)],
);
takes(
  "a namespace",
  namespace,
  [
    ["default", "default"],
    ["__proto__", "__proto__"],
    ["ä", "ä"],
  ],
  ["", "a\u0000", "x".repeat(201)],
);
takes(
  "an origin",
  origin,
  [
    ["https://a.example", "https://a.example"],
    ["http://localhost:8080", "http://localhost:8080"],
    ["https://A.example/", "https://a.example"],
    ["null", "null"],
    ["*", "*"],
    ["capacitor://localhost", "capacitor://localhost"],
  ],
  [
    "",
    "a.example",
    "https://a.example/x",
    "https://a.example?x",
    "https://user@a.example",
    "https://*.example",
    "//a.example",
    "https:a.example",
  ],
);
takes(
  "a host name",
  hostName,
  [
    ["A.example", "a.example"],
    ["a:80", "a:80"],
    ["[::1]:80", "[::1]:80"],
    ["*", "*"],
  ],
  ["", "a b", "http://a", "a:b", "*.a"],
);

describe("BadSetting", () => {
  it("is one line with the setting, what was given and what is allowed", () => {
    const { message } = new BadSetting("--port", `7\n${"x".repeat(200)}`, "a number");
    expect(message).toMatch(/^--port: given "7\\nx{78}", allowed: a number$/);
  });
});
