// The URLs of servers, and what may be shown of them.
import { describe, expect, it } from "vitest";
import { textOf } from "../../../src/redis/reasons.ts";
import { readServers } from "../../../src/redis/url.ts";

describe("a URL", () => {
  it.each([
    ["redis://localhost", { addresses: [{ host: "localhost", port: 6379 }] }],
    ["rediss://cache.example:6380/", { addresses: [{ host: "cache.example", port: 6380 }], tls: true }],
    ["redis://:p%40ss@10.0.0.1/3", { addresses: [{ host: "10.0.0.1", port: 6379 }], password: "p@ss" }],
    ["redis://us%3Aer:pass@[::1]:7000", { addresses: [{ host: "::1", port: 7000 }], username: "us:er", password: "pass" }],
    [
      "redis://u:p@a:1, redis://b, redis://u:p@c:3,d:4",
      {
        addresses: [
          { host: "a", port: 1 },
          { host: "b", port: 6379 },
          { host: "c", port: 3 },
          { host: "d", port: 4 },
        ],
        username: "u",
        password: "p",
      },
    ],
  ])("is read: %s", (text, expected) => {
    expect(readServers(text)).toEqual({ tls: false, username: undefined, password: undefined, ...expected });
  });

  it.each([
    ["", "it cannot be read"],
    ["localhost:6379", "it begins with redis:// or rediss://"],
    ["http://localhost", "it begins with redis:// or rediss://"],
    ["redis://", "it names no host"],
    ["redis:///tmp/redis.sock", "it names no host"],
    ["redis://a:70000", "it cannot be read"],
    ["redis://a/b", "behind the host there is at most the number of a database"],
    ["redis://a?family=6", "it has no options"],
    ["redis://:50%@a", "user and password are percent-encoded"],
    ["redis://a,", "it names no host"],
    ["redis://a,rediss://b", "all of them begin with redis:// or all with rediss://"],
    ["redis://u:p@a,redis://u:q@b", "all of them have one user"],
    ["redis://a,redis://u:p@b", "all of them have one user"],
  ])("is refused: %s", (text, why) => {
    expect(() => readServers(text)).toThrow(
      expect.objectContaining({ code: "bad_option", message: expect.stringContaining(why) as string }),
    );
  });

  it("is shown without who we are", () => {
    const wrong = [
      ...["redis://me:secret@host:x", "redis://me:secret@h,redis://me:se%40cret@h?", "redis://:sec@ret@h?x", "http://secret@h"],
      ...["redis://me:sec/ret@h", "redis://me:1?sec@h", "redis://me:1/sec@h", "redis://me:1#sec@h", "redis://me:sec,ret@h"],
    ];
    for (const url of wrong) {
      try {
        readServers(url);
        expect.unreachable();
      } catch (error) {
        expect(String(error)).toMatch(/redis:\/\/\*\*\*|http:\/\/\*\*\*/);
        expect(String(error)).not.toMatch(/me:|sec|ret/);
        expect((error as Error).cause).toBeUndefined();
      }
    }
  });
});

describe("the text of an error", () => {
  it("has stars for every secret that stands alone in it, and is else as it was", () => {
    const secrets = ["r", "p.w+d$", "alice"];
    expect(textOf(new Error("r: the Redis server refuses alice, alices and (p.w+d$)"), secrets)).toBe(
      "***: the Redis server refuses ***, alices and (***)",
    );
    expect(textOf(new Error("pxw+d$"), secrets)).toBe("pxw+d$");
  });

  it("is there whatever was thrown", () => {
    expect(textOf(new AggregateError([new Error("one"), new Error("other alice")]), ["alice"])).toBe("one, other ***");
    expect(textOf(new TypeError(""), [])).toBe("TypeError");
    expect(textOf("text", [])).toBe("text");
  });
});
