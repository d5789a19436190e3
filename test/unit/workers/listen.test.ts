import { describe, expect, it } from "vitest";
import { readListen } from "../../../src/workers/listen.ts";

describe("readListen", () => {
  it.each([
    ["websocket://0.0.0.0:1234", "0.0.0.0", 1234],
    ["websocket://localhost:0", "localhost", 0],
    ["websocket://[::1]:65535", "::1", 65_535],
    ["WebSocket://a-b.example:80/", "a-b.example", 80],
  ])("takes %s", (text, host, port) => {
    expect(readListen(text)).toMatchObject({ host, port });
  });

  it("shows an address as it is written", () => {
    expect(readListen("websocket://[::]:1").text).toBe("websocket://[::]:1");
    expect(readListen("websocket://127.0.0.1:1/").text).toBe("websocket://127.0.0.1:1");
  });

  it.each([
    "",
    "1234",
    "ws://0.0.0.0:1234",
    "http://h:1",
    "websocket://h",
    "websocket://:1",
    "websocket://h:65536",
    "websocket://h:1/path",
    "websocket://::1:80",
    1234,
    undefined,
    null,
    {},
  ])("refuses %j", (given) => {
    expect(() => readListen(given)).toThrow(expect.objectContaining({ code: "bad_option" }));
  });
});
