import { afterEach, describe, expect, it, vi } from "vitest";
import { isPrivate, shown, toAddress, toPath } from "../../../src/hub/address.ts";
import { ChannelServer } from "../../../src/hub/channel-server.ts";
import { declaredChannelServers } from "../../../src/hub/declared.ts";
import { hubChannel } from "../../../src/hub/hub-channel.ts";

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all([...declaredChannelServers].map((server) => server.close()));
});

describe("an address", () => {
  it("is the port of the source documents on this machine, unless it is said otherwise", () => {
    expect(toAddress()).toEqual({ host: "127.0.0.1", port: 2206 });
    expect(toAddress("unix:/run/hub.sock")).toEqual({ path: "/run/hub.sock" });
    expect(toAddress("unix:///run/hub.sock")).toEqual({ path: "///run/hub.sock" });
  });

  it("is private if only this machine can reach it", () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost", "unix:/x"]) expect(isPrivate(toAddress(host)), host).toBe(true);
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com", "127.example", "::ffff:10.0.0.1"]) {
      expect(isPrivate(toAddress(host)), host).toBe(false);
    }
  });

  it("is refused where nothing can be", () => {
    const badOption = expect.objectContaining({ code: "bad_option" }) as Error;
    for (const port of [0, -1, 1.5, 65_536, Number.NaN, "2206" as unknown as number]) {
      expect(() => toAddress("127.0.0.1", port), String(port)).toThrow(badOption);
    }
    for (const host of ["", "unix:", "unix:a\0b", `unix:/${"x".repeat(103)}`, null as unknown as string]) {
      expect(() => toAddress(host), host).toThrow(badOption);
    }
    expect(() => toPath("")).toThrow(badOption);
    expect(() => hubChannel({ prefix: "" })).toThrow(badOption);
    expect(() => hubChannel({ prefix: "x".repeat(201) })).toThrow(badOption);
  });

  it("is shown in one word", () => {
    expect([toAddress("::1", 1), toAddress("h", 2), toAddress("unix:/p")].map(shown)).toEqual(["[::1]:1", "h:2", "unix:/p"]);
  });
});

describe("a ChannelServer", () => {
  it("is declared from its making until it is closed", async () => {
    const [one, other] = [new ChannelServer(), new ChannelServer("0.0.0.0", 2206)];
    expect([...declaredChannelServers]).toEqual([one, other]);
    await one.close();
    expect([...declaredChannelServers]).toEqual([other]);
    await other.close();
    expect(declaredChannelServers.size).toBe(0);
  });

  it("does not listen where other machines can reach it without a secret of 32 characters", async () => {
    vi.stubEnv("GROUPCAST_CHANNEL_SECRET", undefined);
    const wanted = { code: "bad_option", message: expect.stringContaining("secret") as string };
    for (const host of ["0.0.0.0", "::", "192.0.2.1"]) {
      for (const secret of [undefined, "", "x".repeat(31)]) {
        await expect(new ChannelServer(host, 0, { secret }).listen()).rejects.toMatchObject(wanted);
      }
    }
    vi.stubEnv("GROUPCAST_CHANNEL_SECRET", "too short, too");
    await expect(new ChannelServer("0.0.0.0", 0).listen()).rejects.toMatchObject(wanted);
    vi.stubEnv("GROUPCAST_CHANNEL_SECRET", "x".repeat(40));
    await expect(new ChannelServer("0.0.0.0", 0, { secret: "" }).listen()).rejects.toMatchObject(wanted); // it was given one, though an empty one
  });

  it("refuses options that make no sense", () => {
    const badOption = expect.objectContaining({ code: "bad_option" }) as Error;
    expect(() => new ChannelServer("127.0.0.1", 65_536)).toThrow(badOption);
    for (const value of [0, -1, 1.5, Number.NaN, Infinity]) {
      expect(() => new ChannelServer("127.0.0.1", 0, { linksMax: value }), String(value)).toThrow(badOption);
      expect(() => new ChannelServer("127.0.0.1", 0, { waitingBytesMax: value }), String(value)).toThrow(badOption);
    }
  });

  it("does not listen once it is closed, and may be closed twice", async () => {
    const server = new ChannelServer("127.0.0.1", 0);
    await Promise.all([server.close(), server.close()]);
    await expect(server.listen()).rejects.toMatchObject({ code: "closed" });
  });
});
