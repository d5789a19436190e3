import { afterEach, describe, expect, it } from "vitest";
import { ChannelClient } from "../../../src/hub/channel-client.ts";
import { PUBLISH_BYTES_MAX } from "../../../src/groups/message.ts";

afterEach(() => ChannelClient.close());

describe("the process's ChannelClient, before it is connected", () => {
  it("refuses a name that no event can have", async () => {
    for (const name of ["", "a\nb", "x".repeat(201), 5 as unknown as string]) {
      expect(() => ChannelClient.on(name, () => {})).toThrow(expect.objectContaining({ code: "bad_group" }) as Error);
      await expect(ChannelClient.publish(name, "x")).rejects.toMatchObject({ code: "bad_group" });
    }
  });

  it("refuses what is no listener", () => {
    expect(() => ChannelClient.on("event", "x" as unknown as () => void)).toThrow(expect.objectContaining({ code: "bad_option" }) as Error);
  });

  it("refuses data that JSON cannot say, quietly if nobody waits", async () => {
    const circular: { self?: unknown } = {};
    circular.self = circular;
    for (const data of [undefined, () => {}, Symbol("x"), 1n, circular]) {
      void ChannelClient.publish("event", data);
      await expect(ChannelClient.publish("event", data)).rejects.toMatchObject({ code: "bad_option" });
    }
  });

  it("refuses more than every channel can carry", async () => {
    await expect(ChannelClient.publish("event", "x".repeat(PUBLISH_BYTES_MAX))).rejects.toMatchObject({ code: "too_large" });
  });

  it("takes back a listener that it does not have", () => {
    expect(() => ChannelClient.off("event", () => {})).not.toThrow();
    const undo = ChannelClient.on("event", () => {});
    undo();
    expect(undo).not.toThrow();
  });

  it("rejects what waits when it is closed, and can be closed when there is none", async () => {
    const published = ChannelClient.publish("event", "x");
    await ChannelClient.close();
    await expect(published).rejects.toMatchObject({ code: "closed" });
    await ChannelClient.close();
  });

  it("rejects a connect to an address that is none", async () => {
    await expect(ChannelClient.connect("127.0.0.1", 65_536)).rejects.toMatchObject({ code: "bad_option" });
    await expect(ChannelClient.connect("unix:")).rejects.toMatchObject({ code: "bad_option" });
  });
});
