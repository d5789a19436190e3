import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { brokerOf, maskUrl } from "../../../src/channel/broker-url.ts";

describe("brokerOf", () => {
  it.each([
    ["redis://127.0.0.1:6379", "redis"],
    ["redis://h", "redis"],
    ["REDIS://H:1", "redis"],
    ["redis://user:p%40ss@h:6379/2", "redis"],
    ["redis://:p@ss@h:6379", "redis"],
    ["redis://[::1]:6379", "redis"],
    ["rediss://h?x=1", "redis"],
    ["redis://a:1,b:2,c:3", "redis"],
    ["nats://h:4222", "nats"],
    ["nats://token@h", "nats"],
    ["nats://a:4222,nats://b:4222", "nats"],
    ["nats://u:p@a:4222,u:p@b:4222", "nats"],
    ["tls://h:4222", "nats"],
  ])("reads %j as %s", (url, kind) => {
    expect(brokerOf(url)).toBe(kind);
  });

  it.each([
    "",
    "hub",
    "memory",
    "redis",
    "redis:h",
    "redis:/h",
    "redis://",
    "redis:///0",
    "redis://:secret",
    "redis://u:p@",
    "redis://h:99999",
    "redis://h:x",
    "redis://a,,b",
    "redis://h\n",
    "redis://:p/ss@h",
    "redis://:p?ss@h",
    "redis://:p#ss@h",
    "redis://:p,ss@h",
    "redis://h h",
    "http://h",
    "amqp://h",
    "constructor://h",
    "__proto__://h",
    ` redis://h`,
    `redis://${"x".repeat(9_000)}`,
  ])("does not take %j for one", (text) => {
    expect(brokerOf(text)).toBeUndefined();
  });
});

describe("maskUrl", () => {
  it.each([
    ["redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"],
    ["redis://user:secret@h:6379", "redis://***@h:6379"],
    ["redis://:secret@h", "redis://***@h"],
    ["nats://secret@h:4222", "nats://***@h:4222"],
    ["nats://a:4222,b:4222", "nats://a:4222,b:4222"],
    ["redis://:sec@ret@h", "redis://***@h"],
    ["redis://:sec/ret@h", "redis://***@h"],
    ["redis://:sec?ret@h", "redis://***@h"],
    ["redis://:sec#ret@h", "redis://***@h"],
    ["redis://:sec,ret@h", "redis://***@h"],
    ["redis://:sec ret@h", "redis://***@h"],
    ["redis://h:1?password=secret", "redis://h:1?***"],
    ["redis://h#secret", "redis://h?***"],
    ["redis://:secret", "redis://***"],
    ["redis://user:secret", "redis://***"],
    ["redis://u:secret\n@h", "redis://***@h"],
    ["rdis//:secret@h", "***@h"],
    ["amqp://u:secret@h", "amqp://***@h"],
    ["hub", "hub"],
  ])("shows %j as %j", (text, shown) => {
    expect(maskUrl(text)).toBe(shown);
  });

  it("shows nothing that stands before an @ or behind a ?, whatever it is", () => {
    const secret = fc.string({ unit: "binary", minLength: 1 }).map((text) => `secret${text}`);
    fc.assert(
      fc.property(fc.constantFrom("redis://", "nats://", "tls://u:", "redis:/", "", "x:"), secret, secret, (scheme, password, query) => {
        expect(maskUrl(`${scheme}${password}@h:1?${query}`)).not.toContain("secret");
      }),
    );
  });
});
