import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { areRows } from "../../../src/presence/rows.ts";
import { readNews, readShare, readWant, readWord, toMessage, type Word } from "../../../src/presence/words.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";
import { World } from "./world.ts";

const frame = (value: unknown): Uint8Array => encodeFrame(JSON.stringify(value) ?? "");

describe("a word", () => {
  it("is read as it was written", () => {
    const words: Word[] = [
      { do: "hello", node: "a", incarnation: 1, version: 0 },
      { do: "want", node: "a", incarnation: 2, ask: "12345678" },
      { do: "want", node: "a", incarnation: 2 },
      { do: "bye", node: "a", incarnation: 3 },
      { do: "dead", node: "a", incarnation: 0 },
      { do: "dead", node: "a" },
    ];
    for (const word of words) expect(readWord(toMessage(word).frame)).toEqual(word);
    const news = { node: "a", incarnation: 1, version: 7, rows: [3, [4, "default", "id", null, ["x"]], [5, ["y"], [], "ann"]] as const, to: ["1"] }; // prettier-ignore
    expect(readNews(toMessage({ ...news, rows: [...news.rows] }).frame)).toEqual(news);
  });

  it.each([
    ["no JSON", encodeFrame("{")],
    ["bytes", encodeFrame(new Uint8Array([1, 2, 3]))],
    ["nothing", new Uint8Array(0)],
    ["a list", frame([])],
    ["null", frame(null)],
    ["unknown", frame({ do: "sing", node: "a", incarnation: 1 })],
    ["without a node", frame({ do: "bye", incarnation: 1 })],
    ["of a node that is no name", frame({ do: "bye", node: "a\0b", incarnation: 1 })],
    ["without an incarnation", frame({ do: "bye", node: "a" })],
    ["of half an incarnation", frame({ do: "dead", node: "a", incarnation: 0.5 })],
    ["of a negative version", frame({ do: "hello", node: "a", incarnation: 1, version: -1 })],
    ["with an endless question", frame({ do: "want", node: "a", incarnation: 1, ask: "x".repeat(65) })],
  ])("that is %s is none", (_, bytes) => {
    expect(readWord(bytes)).toBeUndefined();
  });

  it.each([
    [[0]],
    [[-1]],
    [[1.5]],
    [["1"]],
    [[null]],
    [[[1]]],
    [[[1, "default"]]],
    [[[1, "default", "id", null]]],
    [[[1, "default", "id", 7, []]]],
    [[[1, "default", "id", "", []]]],
    [[[1, "default", "\n", null, []]]],
    [[[1, "default", "id", null, [""]]]],
    [[[1, "default", "id", null, "x"]]],
    [[[1, "default", "id", null, [], 1]]],
    [[[1, ["x"]]]],
    [[[1, ["x"], [7]]]],
    [[[1, ["x"], [], 7]]],
    [[[1, ["x"], [], undefined]]],
    [{}],
    ["rows"],
  ])("with the rows %j is none", (rows) => {
    expect(areRows(rows)).toBe(false);
  });

  it("in a letter that is none is left out", () => {
    const share = { incarnation: 1, version: 1, after: 0, piece: 0, rows: [], more: false, next: null };
    expect(readShare(share)).toEqual({ ...share, nodes: undefined });
    for (const wrong of [
      { after: -1 },
      { rows: [0] },
      { next: "1" },
      { next: undefined },
      { nodes: [""] },
      { nodes: {} },
      { piece: null },
      { version: NaN },
    ]) {
      expect(readShare({ ...share, ...wrong })).toBeUndefined();
    }
    expect(readWant({ incarnation: 1, after: 0 })).toEqual({ incarnation: 1, after: 0, nodes: false });
    for (const wrong of [{}, { incarnation: 1 }, { incarnation: 1, after: -1 }, { incarnation: "1", after: 0 }])
      expect(readWant(wrong)).toBeUndefined();
  });
});

describe("whatever comes over the bus", () => {
  const name = fc.oneof(fc.constantFrom("a", "b", "c", "__proto__", ""), fc.string({ maxLength: 5 }));
  const count = fc.oneof(fc.nat(5), fc.constantFrom(-1, 1e300, 0.5, null, "1"));
  const row = fc.oneof(count, fc.tuple(count, name, name, fc.option(name), fc.array(name, { maxLength: 3 })), fc.tuple(count, fc.array(name), fc.array(name))); // prettier-ignore
  const fields = fc.record(
    {
      do: fc.constantFrom("hello", "want", "bye", "dead", "sing"),
      node: name,
      incarnation: count,
      version: count,
      ask: name,
      to: fc.array(name),
      rows: fc.array(row, { maxLength: 4 }),
      from: name,
      verb: fc.constantFrom("want", "share", "send"),
      words: fc.record({ incarnation: count, version: count, after: count, piece: count, rows: fc.array(row), more: fc.boolean(), next: count, nodes: fc.array(name) }, { requiredKeys: [] }), // prettier-ignore
    },
    { requiredKeys: [] },
  );

  it("ends no process, throws nothing, and is forgotten in time", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(2), fc.oneof(fields, fc.jsonValue())), { maxLength: 30 }), async (strange) => {
        const world = new World({ delayMs: 2 });
        const [a, b] = [world.node("a"), world.node("b")];
        await world.pass(50);
        a.connect("x");
        b.connect("x");
        await world.wait(a.groups.count("x"));
        const topics = [encodeTopic({ kind: "presence" }), encodeTopic({ kind: "changes" }), encodeTopic({ kind: "replies", node: "a" })];
        for (const [topic, value] of strange) {
          const record = MessageRecord.of([{ kind: "control", frame: frame(value), except: [] }]);
          for (const { adapter } of world.nodes) if (adapter.hears(topics[topic] ?? "")) adapter.receive(topics[topic] ?? "", record.bytes);
          await world.pass(1);
        }
        // Words in the name of a and b count for as long as a word may be on its way.
        await world.pass(40_000);
        expect([a.errors, b.errors]).toEqual([[], []]);
        const fresh = world.node("d", { presence: "always" });
        await world.pass(1_500);
        expect(await world.belief(fresh)).toEqual(world.truth);
        void fresh.groups.stop();
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});
