import { describe, expect, it } from "vitest";
import { Peer } from "../../../src/presence/peer.ts";
import type { Row } from "../../../src/presence/rows.ts";
import { Teller } from "../../../src/presence/teller.ts";
import type { News, Share } from "../../../src/presence/words.ts";
import { FakeClock } from "../../../src/testing/index.ts";
import { fc } from "../generate.ts";
import { chance } from "./world.ts";

const nobodyMinds = (): void => {};

const here = (serial: number, ...groups: string[]): Row => [serial, "default", `c${serial}`, null, groups];
const share = (after: number, version: number, next: number | null, ...rows: Row[]): Share => ({
  incarnation: 1,
  version,
  after,
  piece: 0,
  rows,
  more: false,
  next,
});

/** Who of these is a member of x. */
const members = (peer: Peer): string[] => [...(peer.part?.membersAfter("default", "x", undefined) ?? [])].map(({ id }) => id);

/** One that is known as of version 5, with c1 and c2 in x. */
function known(): Peer {
  const peer = new Peer("b", 1, 0);
  peer.asked(0);
  peer.shares(share(0, 5, null, here(1, "x"), here(2, "x")), nobodyMinds);
  return peer;
}

describe("a node as an index follows it", () => {
  it("is asked at first, and sure once it has answered", () => {
    const peer = new Peer("b", 1, 0);
    expect([peer.toAsk(0), peer.isSure, peer.part]).toEqual([0, false, undefined]);
    peer.asked(0);
    expect([peer.toAsk(999), peer.isAsked(999), peer.toAsk(1_000)]).toEqual([undefined, true, 0]);
    peer.asked(1_000); // the second time it has twice as long
    expect([peer.toAsk(2_999), peer.toAsk(3_000)]).toEqual([undefined, 0]);
    peer.shares(share(0, 5, null, here(1, "x"), here(2, "x")), nobodyMinds);
    expect([peer.toAsk(9_999), peer.isSure, peer.isLoading, members(peer)]).toEqual([undefined, true, false, ["c1", "c2"]]);
  });

  it("is led on by each record in turn, and by no record twice", () => {
    const peer = known();
    peer.tells({ version: 5, rows: [here(3, "x")] }, nobodyMinds);
    expect(members(peer)).toEqual(["c1", "c2"]);
    peer.tells({ version: 6, rows: [here(3, "x"), 1, [2, ["y"], ["x"]]] }, nobodyMinds);
    peer.tells({ version: 6, rows: [3] }, nobodyMinds);
    expect([peer.isSure, members(peer)]).toEqual([true, ["c3"]]);
  });

  it("is asked again after a gap; what was known stays until all of the new state is there, and goes in one step", () => {
    const peer = known();
    peer.tells({ version: 7, rows: [here(4, "x")] }, nobodyMinds);
    expect([peer.isSure, peer.toAsk(0), members(peer)]).toEqual([false, 0, ["c1", "c2"]]);
    peer.asked(0);
    peer.shares(share(0, 6, 2, here(2, "x")), nobodyMinds);
    expect([peer.isSure, peer.toAsk(0), members(peer)]).toEqual([false, 2, ["c1", "c2"]]);
    peer.asked(0);
    const turned: unknown[] = [];
    peer.shares(share(2, 7, null, here(3, "y"), here(4, "x")), (...all) => void turned.push(all));
    expect([peer.isSure, members(peer), turned]).toEqual([true, ["c2", "c4"], [["default", "y", false]]]);
  });

  it("is asked again when it says that it is further on, and not sure because it says where it was", () => {
    const peer = known();
    peer.doubt();
    peer.says(4); // on its way for long
    expect([peer.isSure, peer.isLoading]).toEqual([false, false]);
    peer.says(5);
    expect([peer.isSure, peer.isLoading]).toEqual([true, false]);
    peer.says(6);
    expect([peer.isSure, peer.isLoading, members(peer)]).toEqual([false, true, ["c1", "c2"]]);
  });

  it("leaves out of a record what no share has brought yet, for that share will", () => {
    const peer = new Peer("b", 1, 0);
    peer.asked(0);
    peer.shares(share(0, 5, 1, here(1, "x")), nobodyMinds);
    peer.tells({ version: 6, rows: [[1, ["y"], []], [2, ["y"], []], here(3, "x")] }, nobodyMinds); // prettier-ignore
    peer.asked(0);
    peer.shares(share(1, 6, null, here(2, "x", "y"), here(3, "x")), nobodyMinds);
    expect([peer.isSure, members(peer), peer.part?.count("default", "y")]).toEqual([true, ["c1", "c2", "c3"], 2]);
  });

  it("keeps a share that came before the records that lead to it, until they come", () => {
    const peer = new Peer("b", 1, 0);
    peer.asked(0);
    peer.shares(share(0, 5, 1, here(1, "x")), nobodyMinds);
    peer.asked(0);
    peer.shares(share(1, 7, null, here(2, "x")), nobodyMinds);
    expect([peer.part, peer.isSure]).toEqual([undefined, false]);
    peer.tells({ version: 6, rows: [[1, ["y"], []]] }, nobodyMinds);
    expect(peer.part).toBeUndefined();
    peer.tells({ version: 7, rows: [[1, [], ["y"]]] }, nobodyMinds);
    expect([peer.isSure, members(peer), peer.part?.count("default", "y")]).toEqual([true, ["c1", "c2"], 0]);
  });

  it("begins anew when those records do not come, or leave a gap", () => {
    for (const lost of ["all", "one"]) {
      const peer = new Peer("b", 1, 0);
      peer.asked(0);
      peer.shares(share(0, 5, 1, here(1, "x")), nobodyMinds);
      peer.asked(0);
      peer.shares(share(1, 7, null, here(2, "x")), nobodyMinds);
      if (lost === "one") peer.tells({ version: 7, rows: [] }, nobodyMinds);
      expect(peer.toAsk(999)).toBeUndefined();
      if (lost === "one") expect(peer.toAsk(1_999)).toBeUndefined(); // it has failed: not at once again
      expect(peer.toAsk(lost === "one" ? 2_000 : 1_000)).toBe(0);
    }
  });

  it("begins anew when its rows contradict what is known", () => {
    const wrong: Row[] = [here(1), 7, [7, [], []], [1, ["x"], []], [1, [], ["y"]]];
    for (const row of wrong) {
      const peer = known();
      peer.tells({ version: 6, rows: [row] }, nobodyMinds);
      expect([peer.isSure, peer.toAsk(0)]).toEqual([false, 0]);
    }
    const peer = new Peer("b", 1, 0);
    peer.asked(0);
    peer.shares(share(0, 5, null, here(1), here(1)), nobodyMinds);
    expect([peer.part, peer.toAsk(1_999), peer.toAsk(2_000)]).toEqual([undefined, undefined, 0]);
  });

  it("is asked for the share again that was lost, and takes no other", () => {
    const peer = new Peer("b", 1, 0);
    peer.asked(0);
    peer.shares(share(0, 5, 1, here(1, "x")), nobodyMinds);
    peer.asked(0);
    peer.shares(share(0, 5, 1, here(1, "x")), nobodyMinds); // asked twice, it has answered twice
    expect(peer.toAsk(1_000)).toBe(1);
    peer.doubt(); // the link was cut
    expect([peer.toAsk(0), peer.isSure]).toEqual([0, false]);
  });

  it("takes a share of several pieces once all are there, in their order", () => {
    const peer = new Peer("b", 1, 0);
    const piece = (number: number, ...rows: Row[]): Share => ({ ...share(0, 5, null, ...rows), piece: number, more: number < 2 });
    peer.asked(0);
    peer.shares(piece(1, here(9)), nobodyMinds);
    peer.shares(piece(0, here(1, "x")), nobodyMinds);
    peer.shares(piece(2, here(9)), nobodyMinds);
    peer.shares({ ...piece(1, here(9)), version: 6 }, nobodyMinds);
    peer.shares(piece(1, [1, ["y"], []]), nobodyMinds);
    expect(peer.part).toBeUndefined();
    peer.shares(piece(2, here(2, "x")), nobodyMinds);
    expect([members(peer), peer.part?.size]).toEqual([["c1", "c2"], 2]);
  });

  it("does not keep records without end while its state is awaited", () => {
    const peer = new Peer("b", 1, 0);
    for (let version = 6; version < 2_000; version++) peer.tells({ version, rows: [] }, nobodyMinds);
    peer.shares(share(0, 5, null, here(1, "x")), nobodyMinds);
    expect([members(peer), peer.isSure, peer.isLoading]).toEqual([["c1"], false, true]);
  });
});

describe("two streams, of records and of shares, each in its order", () => {
  it("lead to the truth, however they are interleaved, and whatever is lost", () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom("come", "go", "join", "leave", "name") },
      { weight: 6, arbitrary: fc.constantFrom("record", "share", "record", "share", "lose record", "lose share") },
      { weight: 4, arbitrary: fc.constantFrom("pass", "pass long", "doubt") },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), fc.nat(), (steps, seed) => {
        const node = new Talking(seed);
        for (const step of steps) node.take(step);
        node.end();
        expect(node.believed).toEqual(node.truth);
        expect(node.peer.isSure).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

/** A node that tells, and what another makes of what it hears. Rows are so long that a share holds five connections. */
class Talking {
  readonly peer = new Peer("b", 1, 0);
  readonly #clock = new FakeClock();
  readonly #unit: () => number;
  readonly #present: { $serial: number; id: string; namespace: string; user: string | null; groups: Map<string, true> }[] = [];
  readonly #news: Omit<News, "node" | "incarnation">[] = [];
  readonly #shares: Share[] = [];
  readonly #teller: Teller<Talking["present"][number]>;
  #last = 0;

  constructor(seed: number) {
    this.#unit = chance(seed);
    this.#teller = new Teller({
      clock: this.#clock,
      random: { id: () => "", unit: () => 0.5 },
      publish: (news) => void this.#news.push(structuredClone(news)),
      give: (_, share) => void this.#shares.push(structuredClone({ incarnation: 1, ...share })),
    });
    for (let index = 0; index < 12; index++) this.take("come");
    this.#teller.up();
    this.#teller.wantedBy("a");
  }

  get present(): readonly { $serial: number; id: string; namespace: string; user: string | null; groups: Map<string, true> }[] {
    return this.#present;
  }

  take(step: string): void {
    const some = this.#present[Math.floor(this.#unit() * this.#present.length)];
    const group = `g${Math.floor(this.#unit() * 4)}`;
    if (step === "come") this.#come();
    else if (step === "record") this.#hear(this.#news.shift());
    else if (step === "lose record") this.#news.shift();
    else if (step === "share") this.#read(this.#shares.shift());
    else if (step === "lose share") this.#shares.shift();
    else if (step === "pass") this.#pass(100);
    else if (step === "pass long") this.#pass(2_500);
    else if (step === "doubt") this.peer.doubt();
    else if (some !== undefined) this.#change(step, some, group);
  }

  /** Nothing is lost any more, nothing changes, and time passes. */
  end(): void {
    for (let round = 0; round < 200; round++) {
      this.#pass(500);
      while (this.#news.length > 0) this.#hear(this.#news.shift());
      while (this.#shares.length > 0) this.#read(this.#shares.shift());
      this.#teller.wantedBy("a");
    }
  }

  get truth(): Record<string, string[]> {
    return Object.fromEntries(this.#names.map((name) => [name, this.#present.filter(({ groups }) => groups.has(name)).map(({ id, user }) => `${id} ${user}`)])); // prettier-ignore
  }

  get believed(): Record<string, string[]> {
    const { part } = this.peer;
    return Object.fromEntries(this.#names.map((name) => [name, [...(part?.membersAfter("default", name, undefined) ?? [])].map(({ id, user }) => `${id} ${user}`)])); // prettier-ignore
  }

  get #names(): string[] {
    return ["g0", "g1", "g2", "g3"];
  }

  #come(): void {
    const groups = new Map<string, true>([[`g${this.#last % 4}`, true]]);
    for (let index = 0; index < 110; index++) groups.set(`${"long".repeat(45)} ${index}`, true);
    const one = { $serial: 0, id: `c${++this.#last}`, namespace: "default", user: null, groups };
    this.#present.push(one);
    this.#teller.came(one);
  }

  #change(step: string, one: Talking["present"][number], group: string): void {
    if (step === "go") {
      this.#present.splice(this.#present.indexOf(one), 1);
      this.#teller.went(one);
      this.#teller.left(one, "g0"); // it leaves its groups then
    } else if (step === "join" && !one.groups.has(group)) {
      one.groups.set(group, true);
      this.#teller.joined(one, group);
    } else if (step === "leave" && one.groups.delete(group)) this.#teller.left(one, group);
    else if (step === "name") {
      one.user = one.user === null ? "ann" : null;
      this.#teller.renamed(one);
    }
  }

  #pass(ms: number): void {
    this.#clock.advance(ms);
    const after = this.peer.toAsk(this.#clock.now());
    if (after === undefined) return;
    this.peer.asked(this.#clock.now());
    this.#teller.share("a", after, undefined);
  }

  #hear(news: Omit<News, "node" | "incarnation"> | undefined): void {
    if (news?.rows !== undefined) this.peer.tells({ version: news.version, rows: news.rows }, nobodyMinds);
    else if (news !== undefined) this.peer.says(news.version);
  }

  #read(share: Share | undefined): void {
    if (share !== undefined) this.peer.shares(share, nobodyMinds);
  }
}
