import { describe, expect, it } from "vitest";
import { Channel } from "../../../src/channel/channel.ts";
import { GroupcastError, GroupManager, memoryChannel } from "../../../src/index.ts";
import { redisChannel } from "../../../src/redis/index.ts";
import { channelOf } from "../../../src/server/channel-of.ts";
import { codeOf, NoteLogger, StepAdapter } from "../fakes.ts";

const messageOf = (given: unknown, prefix?: string): string => {
  try {
    channelOf(given as string, { prefix });
  } catch (error) {
    return (error as Error).message;
  }
  return "taken";
};

describe("channelOf", () => {
  it.each(["redis://h", "rediss://h:1/2", "nats://h", "tls://h:4222", "nats://a,b"])(
    "makes a channel of %s, which is not up yet",
    (url) => {
      const channel = channelOf(url, { prefix: "mine" });
      expect(channel).toBeInstanceOf(Channel);
      expect(channel.isUp).toBe(false);
    },
  );

  it("leaves a channel as it is, and takes no prefix for it, which would do nothing", () => {
    const channel = memoryChannel();
    expect(channelOf(channel)).toBe(channel);
    expect(codeOf(() => channelOf(channel, { prefix: "mine" }))).toBe("bad_option");
    expect(codeOf(() => new GroupManager({ channel: memoryChannel(), prefix: "mine" }))).toBe("bad_option");
  });

  it.each([
    ["redis//:secret@h", `not "***@h"`],
    ["amqp://u:secret@h", `not "amqp://***@h"`],
    ["redis://u:secret", `not "redis://***"`],
    ["hub", `not "hub"`],
    [7, "not number"],
    [null, "not object"],
  ])("refuses %j, says what is allowed, and repeats no password", (given, end) => {
    const message = messageOf(given);
    expect(message).toMatch(/"memory".*redis:\/\/.*nats:\/\//);
    expect(message.endsWith(end)).toBe(true);
  });

  it.each(["", "x".repeat(201), "ä".repeat(101), 7])("refuses the prefix %j", (prefix) => {
    expect(messageOf("redis://h", prefix as string)).toBe("a prefix has 1 to 200 bytes");
    expect(messageOf("memory", prefix as string)).toBe("a prefix has 1 to 200 bytes");
  });
});

describe("a channel made by hand", () => {
  it.each(["redis://u:sec/ret@h", "redis://u:sec?ret@h", "redis://u:secret@h?sec=ret", "redis://:secret"])(
    "repeats no password of %s",
    (url) => {
      const thrown = ((): unknown => {
        try {
          return redisChannel(url);
        } catch (error) {
          return error;
        }
      })();
      expect(thrown).toMatchObject({ code: "bad_option" });
      expect(String(thrown)).not.toMatch(/sec|ret/);
    },
  );
});

describe("a manager whose channel is down for good", () => {
  const wrong = new GroupcastError("bad_option", "its client is not installed: npm i redis");
  const rig = (): { adapter: StepAdapter; groups: GroupManager; logger: NoteLogger } => {
    const adapter = new StepAdapter();
    const logger = new NoteLogger();
    return { adapter, logger, groups: new GroupManager({ channel: new Channel(adapter), logger }) };
  };

  it("logs why if nobody listens; an outage that may pass is not logged", () => {
    const { adapter, logger } = rig();
    adapter.events.down(new GroupcastError("unavailable"));
    expect(logger.lines).toEqual([]);
    adapter.events.down(wrong);
    expect(logger.lines.map(({ level, text }) => `${level} ${text}`)).toEqual([`error ${wrong.message}`]);
  });

  it("leaves that to listeners of degraded", () => {
    const { adapter, groups, logger } = rig();
    const told: unknown[] = [];
    groups.on("degraded", ({ reason }) => told.push(reason));
    groups.on("error", (error) => told.push(error));
    adapter.events.down(wrong);
    expect(told).toEqual([wrong]);
    expect(logger.lines).toEqual([]);
  });

  it("tells listeners of error if there are none of degraded", () => {
    const { adapter, groups, logger } = rig();
    const told: unknown[] = [];
    groups.on("error", (error) => told.push(error));
    adapter.events.down(wrong);
    expect(told).toEqual([wrong]);
    expect(logger.lines).toEqual([]);
  });
});
