// Room that is used again: what somebody still holds is never overwritten, and what nobody holds is.
import { describe, expect, it } from "vitest";
import { Buffers } from "../../../src/base/buffers.ts";
import { Turn } from "../../../src/base/turn.ts";
import type { Connection } from "../../../src/groups/connection.ts";
import { Fanout } from "../../../src/groups/fanout.ts";
import { Batch, type Outcome } from "../../../src/sockets/socket.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { fc } from "../generate.ts";

/** A member whose socket takes everything, takes nothing now, or takes no frames at all; it holds what it was given. */
class Member {
  outcome: Outcome = "done";
  readonly held: { readonly bytes: Uint8Array; readonly was: string }[] = [];
  got = "";
  readonly rooms = new Set<ArrayBufferLike>();

  readonly $carrier = {
    writeNow: (frames: Uint8Array): Outcome => {
      if (this.outcome === "refused") return "refused";
      this.#get(frames);
      if (this.outcome === "underway") this.#hold(frames);
      return this.outcome;
    },
  };

  $fellBehind(): { kind: "slow" } {
    return { kind: "slow" };
  }

  $deliver({ frames }: Batch): undefined {
    this.#get(frames);
    this.#hold(frames);
    return undefined;
  }

  $settle(): void {}

  #get(frames: Uint8Array): void {
    this.got += text(frames);
    this.rooms.add(frames.buffer);
  }

  #hold(bytes: Uint8Array): void {
    this.held.push({ bytes, was: text(bytes) });
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ to: fc.nat(2), bytes: fc.constantFrom(1, 100, 3_000, 5_000, 16_380, 20_000), own: fc.boolean() }) },
    { weight: 3, arbitrary: fc.constant("end of turn" as const) },
    { weight: 1, arbitrary: fc.record({ who: fc.nat(2), outcome: fc.constantFrom("done", "underway", "refused") }) },
  ),
  { maxLength: 40 },
);

describe("room that is used again", () => {
  it("is never room that a socket still holds, whatever is sent, and everybody gets every byte", () => {
    fc.assert(
      fc.property(steps, (given) => {
        const clock = new FakeClock();
        const turn = new Turn(clock);
        const members = [new Member(), new Member(), new Member()];
        const fanouts = [0, 1, 2].map((at) => {
          const fanout = new Fanout(turn);
          for (const member of members.slice(at)) fanout.add(member as unknown as Connection);
          return fanout;
        });
        const sent = ["", "", ""];
        let count = 0;
        for (const step of given) {
          if (step === "end of turn") clock.endTurn();
          else if ("who" in step) (members[step.who] as Member).outcome = step.outcome;
          else {
            const frame = encodeFrame(String.fromCharCode(97 + (count++ % 26)).repeat(step.bytes));
            // As it comes from a record: in room that its owner uses again as soon as `push` has returned, unless it is long.
            const room = step.own ? frame : turn.buffers.take(frame.length);
            room.set(frame);
            fanouts[step.to]?.push(room.subarray(0, frame.length));
            sent[step.to] += text(frame);
            if (room !== frame && room.length <= Buffers.BYTES_MAX) turn.buffers.give(room.fill(0));
          }
        }
        clock.endTurn();
        for (const { held } of members) for (const { bytes, was } of held) expect(text(bytes) === was).toBe(true);
        const letters = (all: string | undefined): string => (all ?? "").split("").sort().join("");
        expect(letters(members[0]?.got)).toBe(letters(sent[0]));
        expect(letters(members[2]?.got)).toBe(letters(sent.join("")));
      }),
      { numRuns: 200 },
    );
  });

  it("is the same room for one turn after the other, when the kernel takes everything", () => {
    const clock = new FakeClock();
    const fanout = new Fanout(new Turn(clock));
    const member = new Member();
    fanout.add(member as unknown as Connection);
    for (let turns = 0; turns < 50; turns++) {
      fanout.push(encodeFrame(`message ${turns}`));
      clock.endTurn();
    }
    expect(member.rooms.size).toBe(1);
  });

  it("is no larger than what it holds, for a socket with a queue of its own", () => {
    const clock = new FakeClock();
    const fanout = new Fanout(new Turn(clock));
    const member = new Member();
    member.outcome = "refused";
    fanout.add(member as unknown as Connection);
    fanout.push(encodeFrame("short"));
    clock.endTurn();
    expect(member.held.map(({ bytes }) => bytes.buffer.byteLength)).toEqual([7]);
  });
});

describe("buffers", () => {
  it("are kept in two sizes, the last that was given back first, and larger ones not at all", () => {
    const buffers = new Buffers();
    const [small, other, large, huge] = [buffers.take(1), buffers.take(4_096), buffers.take(4_097), buffers.take(16_385)];
    expect([small, other, large, huge].map((room) => room?.length)).toEqual([4_096, 4_096, 16_384, 16_385]);
    for (const room of [small, other, large, huge]) buffers.give(room);
    expect([buffers.take(10), buffers.take(10), buffers.take(5_000)]).toEqual([other, small, large]);
    expect(buffers.take(10)).not.toBe(small);
    expect(buffers.take(16_385)).not.toBe(huge);
  });

  it("are as long as what was asked for when 8 MiB are out; what is given back or lost makes room", () => {
    const buffers = new Buffers();
    const out = Array.from({ length: 512 }, () => buffers.take(10_000));
    expect(out.every(({ length }) => length === 16_384)).toBe(true);
    expect(buffers.take(10).length).toBe(10);
    buffers.give(out[0] as Uint8Array);
    expect(buffers.take(10_000)).toBe(out[0]);
    expect(buffers.take(10).length).toBe(10);
    buffers.lose(out[1] as Uint8Array);
    expect(buffers.take(10).length).toBe(4_096);
  });
});
