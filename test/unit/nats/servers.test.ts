import { describe, expect, it } from "vitest";
import { readServers } from "../../../src/nats/servers.ts";
import { fc } from "../generate.ts";

const nobody = { user: undefined, password: undefined, token: undefined, isTls: false };

describe("the URL of NATS", () => {
  it.each<[url: string, read: object]>([
    ["nats://localhost", { ...nobody, servers: [{ host: "localhost", port: 4222 }], shown: "localhost:4222" }],
    ["nats://h:1", { ...nobody, servers: [{ host: "h", port: 1 }], shown: "h:1" }],
    ["h:1", { ...nobody, servers: [{ host: "h", port: 1 }], shown: "h:1" }],
    ["nats://[::1]:5/", { ...nobody, servers: [{ host: "::1", port: 5 }], shown: "[::1]:5" }],
    ["tls://h", { ...nobody, isTls: true, servers: [{ host: "h", port: 4222 }], shown: "h:4222" }],
    ["nats://u:p%40%2f%2C@h", { ...nobody, user: "u", password: "p@/,", servers: [{ host: "h", port: 4222 }], shown: "h:4222" }],
    ["nats://t%20oken@h", { ...nobody, token: "t oken", servers: [{ host: "h", port: 4222 }], shown: "h:4222" }],
    [
      "nats://u:p@a:1, nats://b:2,c",
      {
        ...{ ...nobody, user: "u", password: "p", shown: "a:1, b:2, c:4222" },
        servers: [
          { host: "a", port: 1 },
          { host: "b", port: 2 },
          { host: "c", port: 4222 },
        ],
      },
    ],
    [
      "nats://u:p@a,nats://u:p@b",
      {
        ...{ ...nobody, user: "u", password: "p", shown: "a:4222, b:4222" },
        servers: [
          { host: "a", port: 4222 },
          { host: "b", port: 4222 },
        ],
      },
    ],
  ])("%s", (url, read) => {
    expect(readServers(url)).toEqual(read);
  });

  it.each([
    "",
    "nats://",
    "redis://h",
    "http://u:secret@h",
    "nats://:secret@h",
    "nats://u:secret@h/path",
    "nats://h?secret=1",
    "nats://h#secret",
    "nats://h:99999",
    "nats://u:secret%@h",
    "nats://u:secret%ff@h",
    "nats://u:secret@a,nats://v:secret@b",
    "nats://u:secret,x@h",
    "nats://a,,b",
    "nats://u:secret@ h",
  ])("%s is refused, without what is secret in it", (url) => {
    expect(() => readServers(url)).toThrow(expect.objectContaining({ code: "bad_option" }) as Error);
    try {
      readServers(url);
    } catch (error) {
      expect(String(error)).not.toContain("secret");
    }
  });

  it("shows nothing of who we are, whatever that is", () => {
    const word = fc.string({ minLength: 8, maxLength: 12 }).filter((text) => !/^[\dnats:,. ]*$/.test(text));
    fc.assert(
      fc.property(word, word, (user, password) => {
        const read = readServers(`nats://${encodeURIComponent(user)}:${encodeURIComponent(password)}@host:1`);
        expect(read).toEqual({ ...nobody, user, password, servers: [{ host: "host", port: 1 }], shown: "host:1" });
      }),
    );
  });
});
