import { describe, expect, it } from "vitest";
import { Turn } from "../../../src/base/turn.ts";
import { Exchange } from "../../../src/hub/exchange.ts";
import {
  encodeSubscribe,
  encodeTopicHead,
  encodeUnsubscribe,
  encodeWill,
  FRAME,
  NO_WILL,
  RESTORED,
  topicEnd,
  topicOf,
  typeOf,
  WILL_BYTES_MAX,
} from "../../../src/hub/frames.ts";
import { encodeHello, newNonce, readChallenge } from "../../../src/hub/handshake.ts";
import { HubLink, type HubLinkHost } from "../../../src/hub/hub-link.ts";
import { RollCall } from "../../../src/hub/roll-call.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { Pipe } from "./pipe.ts";

const LIMIT = 1_000_000;

/** A hub without a network, and links that have proved themselves. */
function hub(linksExpected = 0): {
  clock: FakeClock;
  ended: string[];
  links: HubLink[];
  link: (...topics: string[]) => Pipe;
  stranger: () => Pipe;
} {
  const clock = new FakeClock();
  const exchange = new Exchange(() => {});
  const ended: string[] = [];
  const links: HubLink[] = [];
  const host: HubLinkHost = {
    clock,
    turn: new Turn(clock),
    secret: "",
    waitingBytesMax: LIMIT,
    rollCall: new RollCall(clock, linksExpected),
    welcome: (link) => exchange.seat(link),
    ended: (_, reason) => void ended.push(reason.message),
  };
  const stranger = (): Pipe => {
    const pipe = new Pipe();
    links.push(new HubLink(pipe.asSocket(), host));
    clock.endTurn();
    return pipe;
  };
  const link = (...topics: string[]): Pipe => {
    const pipe = stranger();
    const hubNonce = readChallenge(pipe.written[0] ?? Buffer.alloc(0));
    pipe.emit("data", encodeHello("", { hubNonce, processNonce: newNonce(), prefix: Buffer.from("x") }));
    pipe.emit("data", encodeSubscribe(1, topics));
    clock.endTurn();
    pipe.written.length = 0;
    return pipe;
  };
  return { clock, ended, links, link, stranger };
}

function publish(from: Pipe, topic: string, bytes: number): void {
  from.emit("data", Buffer.concat([encodeTopicHead(FRAME.publish, 7, topic, bytes), Buffer.alloc(bytes)]));
}

describe("a link that is crowded", () => {
  it("holds back who publishes to it, and nobody else, until it has taken everything", () => {
    const { clock, link } = hub();
    const [slow, publisher, bystander] = [link("a"), link(), link("b")];
    slow.takes = false;
    publish(publisher, "a", 200_000);
    clock.endTurn();
    expect(publisher.paused).toBe(false);
    publish(publisher, "a", 100_000);
    publish(bystander, "b", 100_000);
    clock.endTurn();
    expect([publisher.paused, bystander.paused, slow.paused]).toEqual([true, false, false]);
    slow.take(250_000);
    expect(publisher.paused).toBe(true);
    slow.take();
    expect(publisher.paused).toBe(false);
  });

  it("is waited for as long as it takes something every 250 ms", () => {
    const { clock, link } = hub();
    const [slow, publisher] = [link("a"), link()];
    slow.takes = false;
    for (let parts = 0; parts < 3; parts++) publish(publisher, "a", 100_000);
    for (let times = 0; times < 10; times++) {
      slow.take(20_000);
      clock.advance(250);
      expect(publisher.paused).toBe(true);
    }
    clock.advance(249);
    expect(publisher.paused).toBe(true);
    clock.advance(1);
    expect(publisher.paused).toBe(false);
  });

  it("is not waited for again before it has taken everything, and is cut at its bound", () => {
    const { clock, ended, link } = hub();
    const [slow, publisher] = [link("a"), link()];
    slow.takes = false;
    for (let parts = 0; parts < 3; parts++) publish(publisher, "a", 100_000);
    clock.advance(250);
    for (let parts = 0; parts < 7; parts++) publish(publisher, "a", 100_000);
    clock.endTurn();
    expect([publisher.paused, ended]).toEqual([false, []]);
    publish(publisher, "a", 100_000);
    clock.endTurn();
    publish(publisher, "a", 1);
    clock.endTurn();
    expect(ended).toEqual([`it reads too slowly: over ${LIMIT} bytes waited for it`]);
    expect([slow.destroyed, publisher.destroyed, publisher.paused]).toEqual([true, false, false]);
    expect(clock.timers).toBe(0);
  });

  it("is waited for again once it has taken everything", () => {
    const { clock, link } = hub();
    const [slow, publisher] = [link("a"), link()];
    for (let times = 0; times < 3; times++) {
      slow.takes = false;
      for (let parts = 0; parts < 3; parts++) publish(publisher, "a", 100_000);
      expect(publisher.paused).toBe(true);
      clock.advance(250);
      expect(publisher.paused).toBe(false);
      slow.takes = true;
      slow.take();
    }
  });

  it("lets everybody go on when it ends", async () => {
    const { clock, link } = hub();
    const [slow, publisher] = [link("a"), link()];
    slow.takes = false;
    for (let parts = 0; parts < 3; parts++) publish(publisher, "a", 100_000);
    expect(publisher.paused).toBe(true);
    slow.destroy();
    await Promise.resolve();
    expect(publisher.paused).toBe(false);
    expect(clock.timers).toBe(0);
  });

  it("holds a publisher that two of them hold until both have taken everything", () => {
    const { link } = hub();
    const [one, other, publisher] = [link("a"), link("a"), link()];
    for (const slow of [one, other]) slow.takes = false;
    for (let parts = 0; parts < 3; parts++) publish(publisher, "a", 100_000);
    one.take();
    expect(publisher.paused).toBe(true);
    other.take();
    expect(publisher.paused).toBe(false);
  });

  it("may be the publisher's own", () => {
    const { link } = hub();
    const own = link("a");
    own.takes = false;
    for (let parts = 0; parts < 3; parts++) publish(own, "a", 100_000);
    expect(own.paused).toBe(true);
    own.take();
    expect(own.paused).toBe(false);
  });
});

it("a link forwards the bytes that it was given, with another type and nothing else", () => {
  const { clock, link } = hub();
  const [hearer, publisher] = [link("a"), link()];
  const published = Buffer.concat([encodeTopicHead(FRAME.publish, 7, "a", 5), Buffer.from("no rec")]).subarray(0, -1);
  publisher.emit("data", Buffer.from(published));
  clock.endTurn();
  const [message = Buffer.alloc(0)] = hearer.written;
  expect(typeOf(message)).toBe(FRAME.message);
  expect(message.subarray(5)).toEqual(published.subarray(5));
  expect(message.subarray(0, 4)).toEqual(published.subarray(0, 4));
});

describe("the will of a link", () => {
  it("is published when the link is lost, once, behind what came on it, to those who hear its topic", async () => {
    const { clock, link } = hub();
    const [hearer, bystander, publisher] = [link("a"), link("b"), link("a")];
    publisher.emit("data", encodeWill("a", Buffer.from("the will")));
    publish(publisher, "a", 10);
    clock.endTurn();
    expect(heard(hearer)).toEqual(["a \0\0\0\0\0\0\0\0\0\0"]);
    publish(publisher, "a", 2);
    publisher.destroy();
    publisher.emit("close");
    await clock.advanceAsync();
    clock.endTurn();
    expect(heard(hearer).slice(1)).toEqual(["a \0\0", "a the will"]);
    expect(heard(bystander)).toEqual([]);
  });

  it("is published when the hub cuts the link, for whatever reason", async () => {
    const { clock, ended, link } = hub();
    const [hearer, publisher] = [link("a"), link()];
    publisher.emit("data", encodeWill("a", Buffer.from("the will")));
    publisher.emit("data", encodeTopicHead(77, 0, "a", 0));
    await clock.advanceAsync();
    clock.endTurn();
    expect(ended).toEqual(["a broken frame: its type"]);
    expect(heard(hearer)).toEqual(["a the will"]);
  });

  it("of a link that is cut in the midst of a message comes behind that message, for everybody", async () => {
    const { clock, ended, link } = hub();
    const [first, slow, last, publisher] = [link("a"), link("a"), link("a"), link()];
    slow.emit("data", encodeWill("a", Buffer.from("the will")));
    slow.takes = false;
    let parts = 0;
    for (; parts < 100 && ended.length === 0; parts++) publish(publisher, "a", 3_500_000);
    expect(ended).toEqual([expect.stringMatching(/^it reads too slowly/)]);
    await clock.advanceAsync();
    clock.endTurn();
    for (const pipe of [first, last]) {
      const lengths = heard(pipe).map((text) => text.length);
      expect(lengths).toEqual([...Array<number>(parts).fill(3_500_002), "a the will".length]);
    }
  });

  it("is the last that it has told, and none when it was withdrawn", async () => {
    const { clock, link } = hub();
    const [hearer, one, other] = [link("a", "b"), link(), link()];
    for (const pipe of [one, other]) pipe.emit("data", encodeWill("a", Buffer.from("first")));
    one.emit("data", encodeWill("b", Buffer.from("second")));
    other.emit("data", NO_WILL);
    for (const pipe of [one, other]) pipe.destroy();
    await clock.advanceAsync();
    clock.endTurn();
    expect(heard(hearer)).toEqual(["b second"]);
  });

  it("is not published by a hub that closes", async () => {
    const { clock, ended, links, link } = hub();
    const [hearer, publisher] = [link("a"), link()];
    publisher.emit("data", encodeWill("a", Buffer.from("the will")));
    for (const one of links.toReversed()) one.finish(new Error("closed"));
    await clock.advanceAsync();
    clock.endTurn();
    expect([heard(hearer), ended]).toEqual([[], ["closed", "closed"]]);
  });

  it("cannot be left by a stranger", async () => {
    const { clock, ended, link, stranger } = hub();
    const [hearer, nobody] = [link("a"), stranger()];
    nobody.emit("data", encodeWill("a", Buffer.from("the will")));
    await clock.advanceAsync();
    clock.endTurn();
    expect([heard(hearer), ended]).toEqual([[], ["a broken frame: not a hello"]]);
  });

  it("over its limit, or cut short, costs the link", () => {
    const { ended, link } = hub();
    link().emit("data", encodeWill("a", Buffer.alloc(WILL_BYTES_MAX)));
    expect(ended).toEqual([]);
    link().emit("data", encodeWill("a", Buffer.alloc(WILL_BYTES_MAX + 1)));
    link().emit("data", Buffer.of(0, 0, 0, 3, FRAME.will, 0, 0));
    expect(ended).toEqual(["a broken frame: a will is over its limit", expect.any(String)]);
  });

  it("keeps nothing of what came with it", async () => {
    const { clock, link } = hub();
    const [hearer, publisher] = [link("a"), link()];
    const chunk = Buffer.concat([encodeWill("a", Buffer.from("the will")), Buffer.alloc(4)]);
    publisher.emit("data", chunk);
    chunk.fill(0);
    publisher.destroy();
    await clock.advanceAsync();
    clock.endTurn();
    expect(heard(hearer)).toEqual(["a the will"]);
  });
});

describe("a hub that was restarted", () => {
  it("publishes no will before everybody is back, and forgets none that came behind what waits", async () => {
    const { clock, link } = hub(2);
    const early = link("t");
    early.emit("data", encodeWill("t", Buffer.from("first")));
    early.emit("data", RESTORED);
    publish(early, "t", 10);
    early.emit("data", encodeWill("t", Buffer.from("second")));
    early.destroy();
    await clock.advanceAsync();
    const late = link("t");
    clock.endTurn();
    expect(heard(late)).toEqual([]);
    late.emit("data", RESTORED);
    await clock.advanceAsync();
    clock.endTurn();
    expect(heard(late)).toEqual(["t second"]); // what waits was never accepted
  });

  it("forwards nothing before everybody is back, and then everything in order", () => {
    const { clock, link } = hub(2);
    const early = link("t");
    early.emit("data", RESTORED);
    publish(early, "t", 10);
    early.emit("data", encodeUnsubscribe(["t"]));
    publish(early, "t", 20);
    clock.endTurn();
    expect(early.written).toEqual([]);

    const late = link("t");
    expect(early.written).toEqual([]);
    late.emit("data", RESTORED);
    return Promise.resolve().then(() => {
      clock.endTurn();
      const heard = (pipe: Pipe): number[] => types(pipe).filter((type) => type === FRAME.message);
      expect(heard(late)).toHaveLength(2);
      expect(heard(early)).toHaveLength(1); // it had given the topic up before the second
      expect(types(early).filter((type) => type === FRAME.accepted)).toHaveLength(2);
    });
  });

  it("does not wait for ever for who does not come back", async () => {
    const { clock, link } = hub(3);
    const only = link("t");
    only.emit("data", RESTORED);
    publish(only, "t", 10);
    await clock.advanceAsync(1_499);
    expect(types(only)).not.toContain(FRAME.message);
    await clock.advanceAsync(1);
    clock.endTurn();
    expect(types(only)).toContain(FRAME.message);
  });
});

/** Topic and record of each message that was written. */
function heard(pipe: Pipe): string[] {
  const all: string[] = [];
  const bytes = Buffer.concat(pipe.written);
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    const frame = bytes.subarray(at, at + 4 + bytes.readUInt32BE(at));
    if (typeOf(frame) !== FRAME.message) continue;
    const end = topicEnd(frame);
    all.push(`${topicOf(frame, end, "utf8")} ${frame.toString("utf8", end)}`);
  }
  return all;
}

/** The types of all frames that were written, pings left out. */
function types(pipe: Pipe): number[] {
  const all: number[] = [];
  const bytes = Buffer.concat(pipe.written);
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) all.push(bytes.readUInt8(at + 4));
  return all.filter((type) => type !== FRAME.ping);
}
