import { describe, expect, it } from "vitest";
import { GroupcastError } from "../../../src/base/errors.ts";
import { readServers } from "../../../src/nats/servers.ts";

function refusal(url: string): GroupcastError {
  try {
    readServers(url);
  } catch (error) {
    if (error instanceof GroupcastError) return error;
  }
  throw new Error(`${url} was not refused`);
}

describe("the URL of a NATS", () => {
  it("names its servers, and who we are: a user and a password, or a token", () => {
    expect(readServers("nats://h")).toMatchObject({
      servers: [{ host: "h", port: 4222 }],
      user: undefined,
      token: undefined,
      isTls: false,
    });
    expect(readServers("tls://u:p%40@[::1]:1, nats://b")).toMatchObject({
      servers: [
        { host: "::1", port: 1 },
        { host: "b", port: 4222 },
      ],
      user: "u",
      password: "p@",
      isTls: true,
      shown: "[::1]:1, b:4222",
    });
    expect(readServers("nats://secret@h")).toMatchObject({ token: "secret", user: undefined, password: undefined });
  });

  it.each([
    "nats://:secret@h",
    "nats://u:secret@a,nats://v:secret@b",
    "nats://u:50%secret@a",
    "nats://u:secret@h/path",
    "http://u:secret@h",
    "nats://u:secret@",
  ])("is refused without a word of what is secret: %s", (url) => {
    const { code, message } = refusal(url);
    expect(code).toBe("bad_option");
    expect(message).not.toContain("secret");
  });
});
