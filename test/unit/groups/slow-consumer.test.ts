import { describe, expect, it } from "vitest";
import { DEFAULTS } from "../../../src/index.ts";
import { Process, settle } from "../fakes.ts";

const MIB = 1024 * 1024;

/** A slow member and two quick ones of one group, and what the slow one told. */
function stalled() {
  const here = new Process();
  const [slow, quick, other] = [here.connect("slow"), here.connect("quick"), here.connect("other")];
  for (const { connection } of [slow, quick, other]) connection.setGroup("x");
  const group = here.groups.get("x");
  if (group === undefined) throw new Error("no group");
  const told: string[] = [];
  slow.connection.on("slow", () => void told.push("slow"));
  slow.connection.on("drain", () => void told.push("drain"));
  slow.connection.on("close", (code, reason) => void told.push(`close ${code} ${reason}`));
  slow.socket.stall();
  return { here, slow, quick, other, group, told };
}

describe("a member that reads more slowly than it is sent to", () => {
  it("is told of by slow, once, and by drain when the backlog is gone", () => {
    const { here, slow, group, told } = stalled();
    for (let message = 0; message < 5; message++) {
      group.write("x".repeat(100_000));
      here.clock.endTurn();
    }
    expect(told).toEqual(["slow"]);
    expect(slow.connection.bufferedAmount).toBeGreaterThan(500_000);
    slow.socket.flow();
    expect(told).toEqual(["slow", "drain"]);
    slow.socket.stall();
    group.write("x".repeat(100_000));
    here.clock.endTurn();
    expect(told).toEqual(["slow", "drain", "slow"]);
  });

  it("is told of once though a backlog went and another came before anything could be told", () => {
    const { here, slow, group, told } = stalled();
    for (let times = 0; times < 3; times++) {
      slow.socket.stall();
      group.write("x".repeat(100_000), { except: "nobody" }); // is written at once
      if (times < 2) slow.socket.flow();
    }
    expect(told).toEqual([]);
    here.clock.endTurn();
    expect(told).toEqual(["slow"]);
    slow.socket.flow();
    expect(told).toEqual(["slow", "drain"]);
  });

  it("is closed with 4002 when more than 1 MiB has waited for longer than a turn, and nobody else is disturbed", async () => {
    const { here, slow, quick, other, group, told } = stalled();
    slow.socket.answersClose = false;
    let sent = 0;
    while (slow.socket.closeSent === undefined && sent < 50) {
      group.write("x".repeat(200_000));
      sent++;
      here.clock.endTurn();
    }
    expect(slow.socket.closeSent).toEqual({ code: 4002, reason: "slow" });
    // Not before the limit, and not long after it.
    expect(slow.connection.bufferedAmount).toBeGreaterThan(DEFAULTS.queueBytes);
    expect(slow.connection.bufferedAmount).toBeLessThan(2 * MIB);
    expect(quick.socket.sent).toHaveLength(sent);
    expect(other.socket.sent).toHaveLength(sent);
    // A peer that reads nothing cannot read the close frame either: it has a second.
    await here.clock.advanceAsync(1_000);
    expect(slow.connection.closed).toBe(true);
    expect(told).toEqual(["slow", "close 4002 slow"]);
    group.write("after");
    here.clock.endTurn();
    expect([quick, other].map(({ socket }) => socket.sent.at(-1))).toEqual(["after", "after"]);
    expect([...group].map(({ id }) => id)).toEqual(["quick", "other"]);
  });

  it("sees no gap: once a message was kept from it, it gets nothing more but the close", async () => {
    const { here, slow, group } = stalled();
    for (let message = 0; slow.socket.closeSent === undefined && message < 50; message++) {
      group.write(`${message} ${"x".repeat(300_000)}`);
      if (message % 2 === 1) here.connect(`joiner ${message}`).connection.setGroup("x"); // a flush in the midst of a join
      here.clock.endTurn();
    }
    slow.socket.flow(); // the kernel takes it all, a moment too late
    group.write("after the gap");
    slow.connection.send("direct");
    here.clock.endTurn();
    await settle();
    const numbers = slow.socket.sent.map((text) => parseInt(String(text), 10));
    expect(numbers).toEqual(numbers.map((_, index) => index));
    expect(slow.connection.closed).toBe(true);
  });

  it("sees no gap even within one turn, when the kernel takes the backlog right after a message was kept from it", () => {
    const { here, slow, group } = stalled();
    for (let turn = 0; turn < 4; turn++) {
      group.write("x".repeat(500_000));
      here.clock.endTurn();
    }
    const before = slow.socket.sent.length;
    group.write("lost");
    here.connect("joiner").connection.setGroup("x"); // writes what is pending
    slow.socket.flow();
    group.write("after the gap");
    here.connect("another").connection.setGroup("x");
    expect(slow.connection.send("direct, after the gap")).toBe(false);
    here.clock.endTurn();
    expect(slow.socket.sent.slice(before)).toEqual([]);
    expect(slow.socket.closeSent).toEqual({ code: 4002, reason: "slow" });
  });

  it("may be sent 4 MiB in one turn, if its kernel takes them in the next", () => {
    const { here, slow, group, told } = stalled();
    for (let message = 0; message < 8; message++) group.write(new Uint8Array(MIB / 2));
    expect(slow.connection.bufferedAmount).toBeGreaterThan(3 * MIB);
    here.clock.endTurn();
    slow.socket.flow();
    group.write("next");
    here.clock.endTurn();
    expect(told).toEqual(["slow", "drain"]);
    expect(slow.socket.closeSent).toBeUndefined();
    expect(slow.socket.sent.at(-1)).toBe("next");
  });

  it("may be sent more in that next turn before the kernel has taken them: they have not waited for a whole turn yet", () => {
    const { here, slow, group, told } = stalled();
    for (let message = 0; message < 8; message++) group.write(new Uint8Array(MIB / 2));
    here.clock.endTurn();
    group.write("at once", { except: "nobody" }); // written at once, before the kernel is asked
    expect(slow.connection.send("direct")).toBe(true);
    slow.socket.flow();
    here.clock.endTurn();
    group.write("next");
    here.clock.endTurn();
    expect(slow.socket.closeSent).toBeUndefined();
    expect(slow.socket.sent.slice(-3)).toEqual(["at once", "direct", "next"]);
    expect(told).toEqual(["slow", "drain"]);
  });

  it("is not sent more than 16 MiB even within one turn: a loop that sends until it is told not to ends", () => {
    const { slow } = stalled();
    const message = new Uint8Array(MIB);
    let sent = 0;
    while (sent < 64 && slow.connection.send(message)) sent++;
    expect(sent).toBe(16);
    expect(slow.socket.closeSent).toBeUndefined();
  });

  it("is closed if a burst still waits when the next turn has passed", () => {
    const { here, slow, group } = stalled();
    for (let message = 0; message < 8; message++) group.write(new Uint8Array(MIB / 2));
    for (let turn = 0; turn < 3; turn++) {
      here.clock.endTurn();
      group.write("more");
    }
    here.clock.endTurn();
    expect(slow.socket.closeSent).toEqual({ code: 4002, reason: "slow" });
  });

  it("is not closed if less than 1 MiB is left of what had waited", () => {
    const { here, slow, group } = stalled();
    for (let turn = 0; turn < 4; turn++) {
      group.write("x".repeat(500_000));
      here.clock.endTurn();
    }
    expect(slow.connection.bufferedAmount).toBeGreaterThan(MIB);
    slow.socket.bufferedAmount = 500_000; // the kernel has taken a part; there is no drain event for that
    group.write("next");
    here.clock.endTurn();
    expect([slow.socket.sent.at(-1), slow.socket.closeSent]).toEqual(["next", undefined]);
  });

  it("is not closed for what it has read meanwhile", () => {
    const { here, slow, group, told } = stalled();
    for (let round = 0; round < 20; round++) {
      slow.socket.stall();
      group.write("x".repeat(900_000));
      here.clock.endTurn();
      group.write("more");
      here.clock.endTurn();
      slow.socket.flow();
    }
    expect(slow.socket.closeSent).toBeUndefined();
    expect(told.filter((word) => word === "drain")).toHaveLength(20);
  });
});

describe("a direct send to it", () => {
  it("returns false over the limit, and the connection stays", () => {
    const { here, slow, told } = stalled();
    const results: boolean[] = [];
    for (let message = 0; message < 10; message++) {
      results.push(slow.connection.send(new Uint8Array(300_000)));
      here.clock.endTurn();
    }
    expect(results[0]).toBe(true);
    expect(results.at(-1)).toBe(false);
    const accepted = results.filter(Boolean).length;
    expect(slow.socket.sent).toHaveLength(accepted);
    expect(slow.connection.bufferedAmount).toBeGreaterThan(MIB);
    expect(slow.connection.bufferedAmount).toBeLessThan(2 * MIB);
    expect([slow.connection.closed, slow.socket.closeSent]).toEqual([false, undefined]);
    expect(told).toEqual(["slow"]);
    slow.socket.flow();
    expect(slow.connection.send("again")).toBe(true);
  });

  it("returns true when it only becomes slow", () => {
    const { slow, told } = stalled();
    expect(slow.connection.send(new Uint8Array(100_000))).toBe(true);
    expect(told).toEqual(["slow"]);
  });
});

describe("a listener of slow", () => {
  it("may close the member: the others have the message already", async () => {
    const { here, slow, quick, other, group, told } = stalled();
    slow.connection.on("slow", () => void slow.connection.close(4002, "too slow for us"));
    group.write("x".repeat(100_000));
    here.clock.endTurn();
    expect([quick, other].map(({ socket }) => socket.sent.length)).toEqual([1, 1]);
    await settle();
    expect(told).toEqual(["slow", "close 4002 too slow for us"]);
  });
});
