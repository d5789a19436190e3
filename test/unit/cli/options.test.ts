import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { OPTIONS, readSettings, type StartSettings } from "../../../src/cli/options.ts";
import { DEFAULTS } from "../../../src/base/defaults.ts";

const read = (given: Readonly<Record<string, readonly string[]>> = {}): StartSettings => readSettings(new Map(Object.entries(given)));

describe("readSettings", () => {
  it("fills in the defaults", () => {
    const workers = availableParallelism();
    expect(read()).toEqual({
      host: "127.0.0.1",
      port: 1234,
      workers,
      channel: workers === 1 ? "memory" : "hub",
      prefix: "groupcast",
      natsCore: false,
      origins: [],
      allowHosts: [],
      namespaces: ["default"],
      drainPerSecond: 500,
      drainDeadlineMs: 25_000,
      drainDelayMs: 0,
      messageBytes: 65_536,
      batchDelayMs: 5,
      open: false,
    });
  });

  it("needs no hub with one worker, unless it is told so", () => {
    expect(read({ workers: ["1"] }).channel).toBe("memory");
    expect(read({ workers: ["1"], channel: ["hub"] }).channel).toBe("hub");
    expect(read({ workers: ["2"] }).channel).toBe("hub");
  });

  it("takes the last of several values, and all of several lists", () => {
    const settings = read({
      port: ["1", "2"],
      origin: ["https://a.example, null", "*"],
      namespaces: ["a,b", "c"],
      "allow-host": ["x,Y:80"],
    });
    expect(settings).toMatchObject({
      port: 2,
      origins: ["https://a.example", "null", "*"],
      namespaces: ["a", "b", "c"],
      allowHosts: ["x", "y:80"],
    });
  });

  it.each(["0.0.0.0", "::", "192.168.1.5", "example.org"])("refuses the public host %s, naming --open, unless it is given", (host) => {
    expect(() => read({ host: [host] })).toThrow(/--host: given .*--open/);
    expect(read({ host: [host], open: [] })).toMatchObject({ host, open: true });
  });

  it.each(["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"])("takes %s without --open", (host) => {
    expect(read({ host: [host] }).open).toBe(false);
  });

  it("refuses memory for more than one worker", () => {
    expect(() => read({ channel: ["memory"], workers: ["2"] })).toThrow(/--channel: given "memory"/);
  });

  it("takes the URL of a broker, with any number of workers", () => {
    expect(read({ channel: ["redis://u:p@h:6379"], prefix: ["mine"], workers: ["4"] })).toMatchObject({
      channel: "redis://u:p@h:6379",
      prefix: "mine",
    });
    expect(read({ channel: ["nats://h"], "nats-core": [], workers: ["1"] })).toMatchObject({ channel: "nats://h", natsCore: true });
  });

  it.each([
    ["amqp://u:secret@h", /^--channel: given "amqp:\/\/\*\*\*@h", allowed: hub, memory, redis:\/\/.*nats:\/\//],
    ["redis//:secret@h", /^--channel: given "\*\*\*@h", allowed: /],
    ["redis://:secret", /^--channel: given "redis:\/\/\*\*\*", allowed: /],
  ])("refuses the channel %s, and repeats no password", (given, line) => {
    expect(() => read({ channel: [given] })).toThrow(line);
  });

  it.each(["hub", "redis://u:secret@h"])("refuses --nats-core with %s", (given) => {
    expect(() => read({ channel: [given], "nats-core": [] })).toThrow(
      /^--channel: given "(hub|redis:\/\/\*\*\*@h)", allowed: nats:.*--nats-core$/,
    );
  });

  it("refuses an empty place in a list, and lists without end", () => {
    expect(() => read({ namespaces: ["a,,b"] })).toThrow(/--namespaces: given ""/);
    expect(() => read({ origin: [Array.from({ length: 1_001 }, () => "*").join(",")] })).toThrow(/1001 entries/);
  });
});

describe("OPTIONS", () => {
  it("shows the defaults that are used", () => {
    const shown = Object.fromEntries(OPTIONS.map(({ flag, standard }) => [flag, standard]));
    expect(shown).toMatchObject({
      host: DEFAULTS.host,
      port: String(DEFAULTS.port),
      "drain-rate": String(DEFAULTS.drainPerSecond),
      "drain-deadline": String(DEFAULTS.drainDeadlineMs / 1_000),
      "message-bytes": String(DEFAULTS.messageBytes),
      "batch-delay": String(DEFAULTS.batchDelayMs / 1_000),
    });
  });
});
