import { describe, expect, it } from "vitest";
import { Channel } from "../../../src/channel/channel.ts";
import { GroupcastError, GroupManager } from "../../../src/index.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { CannotStart } from "../../../src/workers/cannot-start.ts";
import { ChannelWatch } from "../../../src/workers/channel-watch.ts";
import { NoteLogger, settle, stateOf, StepAdapter } from "../fakes.ts";

class Rig {
  readonly clock = new FakeClock();
  readonly adapter = new StepAdapter();
  readonly logger = new NoteLogger();
  readonly groups = new GroupManager({ channel: new Channel(this.adapter, { clock: this.clock }), clock: this.clock, logger: this.logger });
  readonly watch = new ChannelWatch(this.groups, "redis://u:secret@h:1", this.logger, this.clock);

  /** What was logged. */
  get lines(): string[] {
    return this.logger.lines.map(({ level, text }) => `${level} ${text}`);
  }

  down(code: "unavailable" | "unauthorized" | "bad_option", text: string): void {
    this.adapter.events.down(new GroupcastError(code, text));
  }
}

describe("ChannelWatch", () => {
  it("lets a start wait for the channel", async () => {
    const rig = new Rig();
    const word = rig.watch.firstWord();
    expect(await stateOf(word)).toBe("pending");
    rig.adapter.events.up();
    expect(await stateOf(word)).toBe("done");
    expect(rig.lines).toEqual([]);
  });

  it("does not wait for one that works", async () => {
    const groups = new GroupManager();
    expect(await stateOf(new ChannelWatch(groups, "memory", new NoteLogger()).firstWord())).toBe("done");
  });

  it("lets a start go on without a broker that is not there and does not come within 2 s, and says so once, without the password", async () => {
    const rig = new Rig();
    const word = rig.watch.firstWord();
    rig.down("unavailable", "nobody listens");
    await rig.clock.advanceAsync(1_999);
    expect(await stateOf(word)).toBe("pending");
    await rig.clock.advanceAsync(1);
    expect(await stateOf(word)).toBe("done");
    rig.adapter.events.up();
    expect(rig.lines).toEqual(["warn the channel redis://***@h:1 is down: nobody listens", "warn the channel redis://***@h:1 is up"]);
    expect(rig.clock.timers).toBe(0);
  });

  it("lets a start go on at once when the broker comes meanwhile", async () => {
    const rig = new Rig();
    const word = rig.watch.firstWord();
    rig.down("unavailable", "nobody listens");
    await rig.clock.advanceAsync(700);
    rig.adapter.events.up();
    expect(await stateOf(word)).toBe("done");
  });

  it("lets no process start if it turns out meanwhile that the channel is set up wrong", async () => {
    const rig = new Rig();
    const word = rig.watch.firstWord();
    rig.down("unavailable", "no answer");
    await rig.clock.advanceAsync(700);
    rig.down("unauthorized", "wrong password");
    await expect(word).rejects.toThrow(CannotStart);
  });

  it("waits 15 s for one that says nothing, and says so", async () => {
    const rig = new Rig();
    const word = rig.watch.firstWord();
    await rig.clock.advanceAsync(14_999);
    expect(await stateOf(word)).toBe("pending");
    await rig.clock.advanceAsync(1);
    expect(await stateOf(word)).toBe("done");
    expect(rig.lines).toEqual([expect.stringMatching(/^warn the channel redis:\/\/\*\*\*@h:1 has not answered within 15 s/)]);
    expect(rig.clock.timers).toBe(0);
  });

  it.each(["unauthorized", "bad_option"] as const)(
    "lets no process start with a channel that is down with %s, and leaves it to its end to say why",
    async (code) => {
      const rig = new Rig();
      const word = rig.watch.firstWord();
      rig.down(code, "wrong password");
      const error: unknown = await word.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CannotStart);
      expect((error as CannotStart).failure).toEqual({
        kind: "setting",
        text: "the channel redis://***@h:1 cannot be used: wrong password",
        port: 0,
      });
      expect(rig.lines).toEqual([]);
    },
  );

  it("only logs what is found to be set up wrong once the process has started", async () => {
    const rig = new Rig();
    const word = rig.watch.firstWord();
    rig.down("unavailable", "nobody listens");
    await rig.clock.advanceAsync(2_000);
    await word;
    rig.down("unauthorized", "wrong password");
    await settle();
    expect(rig.lines.at(-1)).toBe("warn the channel redis://***@h:1 is down: wrong password");
  });
});
