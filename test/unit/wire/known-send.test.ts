// What is known of a client's commands must never make one mean anything else than its text says.
import { isUtf8 } from "node:buffer";
import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { readCommand } from "../../../src/wire/commands.ts";
import { KnownSend } from "../../../src/wire/known-send.ts";

const utf8 = new TextEncoder();
const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const learn = (text: string): KnownSend | undefined => KnownSend.from(text, readCommand(text) as Parameters<typeof KnownSend.from>[1]);

/** The law: where a message is said to begin, the whole text is a send of exactly that message. True if one was. */
function obeys(known: KnownSend, bytes: Uint8Array): boolean {
  const at = known.messageAt(bytes);
  if (at === -1) return false;
  expect(at).toBeGreaterThan(0);
  expect(readCommand(decode(bytes))).toEqual({
    cmd: "send_to_group",
    id: undefined,
    group: known.group,
    kind: "string",
    text: decode(bytes.subarray(at, bytes.length - 2)),
  });
  return true;
}

/** A text that is no text of lone surrogates: what arrives is UTF-8. */
const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(fc.string({ maxLength }), fc.string({ unit: "grapheme", maxLength }), fc.string({ unit: "binary", maxLength }));

/** A string as JSON, written in one of the ways there are. */
const written = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(value, fc.constantFrom("plain", "plain", "plain", "escaped", "slashes", "unicode")).map(([is, how]) => {
    const plain = JSON.stringify(is);
    if (how === "slashes") return plain.replaceAll("/", "\\/");
    if (how === "unicode") return plain.replace(/[^\0-~]/gu, escaped);
    return how === "escaped" ? `"${escaped(is)}"` : plain;
  });
const escaped = (some: string): string =>
  Array.from({ length: some.length }, (_, at) => `\\u${some.charCodeAt(at).toString(16).padStart(4, "0")}`).join("");

const space = fc.oneof({ weight: 4, arbitrary: fc.constant("") }, fc.constantFrom(" ", "\n", "\t\r\n  "));
/** Few, so that fields have the same value often. */
const FEW = ["x", "", "hello", 'say "message":"', "}", '"}', "\\", "ü€😀", "\ufeff", "\u0000\n", "message", "send_to_group"];
const few = fc.constantFrom(...FEW);
const nested = fc.constantFrom(
  '{"message":"x"}',
  '[{"message":"x"}]',
  '{"a":{"message":"x"},"message":"hello"}',
  "[]",
  "null",
  "true",
  "1e3",
);
const GROUPS = ["g", '"message":"', '"}', "grüße", "\u2028", "{", "a,"];

type Field = readonly [key: string, value: string];
const field: fc.Arbitrary<Field> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constant('"cmd"'), fc.constantFrom('"send_to_group"', '"send_to_group"', '"add_group"', '"x"')) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant('"group_id"'),
      fc.oneof(fc.constantFrom("123", "-1", "1e2", "1.5"), written(fc.constantFrom(...GROUPS))),
    ),
  },
  { weight: 3, arbitrary: fc.tuple(written(fc.constant("message")), fc.oneof(written(few), written(text(8)), nested)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('"id"'), fc.constantFrom("1", '"a"', "null", "{}", `"${"i".repeat(65)}"`)) },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.oneof(
        written(text(6)),
        fc.constantFrom('"meta"', '"\\"message"', '"{\\"message"', '", message"', '"__proto__"', '"Message"', '"message "'),
      ),
      fc.oneof(written(few), nested),
    ),
  },
);
const must: fc.Arbitrary<Field[]> = fc
  .tuple(written(fc.constantFrom(...GROUPS)), fc.constantFrom("123", ""), fc.boolean())
  .map(([group, number, turned]) => {
    const fields: Field[] = [
      ['"cmd"', '"send_to_group"'],
      ['"group_id"', number === "" ? group : number],
    ];
    return turned ? fields.toReversed() : fields;
  });
/** The key that stands last: the message's, or something that looks like it. */
const lastKey = fc.constantFrom(
  ...[
    '"message"',
    '"message"',
    '"message"',
    '"message"',
    '"message"',
    '"meta"',
    '"\\"message"',
    '"x,\\"message"',
    '"mess\\u0061ge"',
    '"message "',
    '" message"',
  ],
);

/** Commands as clients may write them, most of them sends; and others. */
const command: fc.Arbitrary<string> = fc
  .record({
    before: fc.array(field, { maxLength: 3 }),
    must: fc.oneof({ weight: 8, arbitrary: must }, fc.constant<Field[]>([])),
    between: fc.oneof({ weight: 2, arbitrary: fc.constant<Field[]>([]) }, fc.array(field, { maxLength: 2 })),
    last: fc.option(
      fc.tuple(lastKey, fc.oneof({ weight: 3, arbitrary: written(few) }, { weight: 3, arbitrary: written(text(12)) }, nested)),
      { freq: 12 },
    ),
    spaces: fc.array(space, { minLength: 8, maxLength: 8 }),
  })
  .map(({ before, must, between, last, spaces }) => {
    const fields = [...before, ...must, ...between, ...(last === null ? [] : [last])];
    let at = 0;
    const gap = (): string => spaces[at++ % spaces.length] ?? "";
    const body = fields.map(([key, value]) => `${gap()}${key}${gap()}:${gap()}${value}`).join(",");
    return `${gap()}{${body}}${last === null ? gap() : ""}`;
  });

/** What may stand in the place of a message: anything. */
const content: fc.Arbitrary<string> = fc.oneof(
  few,
  text(20),
  fc.constantFrom('"', '\\"', '","group_id":"other', '"},"message":{"a":"', "\\u0041", "\u0001", "\u001f", "\u007f", '"}\n', "\\", '\\\\"'),
  text(10).map((some) => JSON.stringify(some).slice(1, -1)),
);

describe("a known send", () => {
  it("finds a message only where the whole text says the same, however the first was written and whatever stands in its place", () => {
    let learned = 0;
    let matched = 0;
    fc.assert(
      fc.property(command, fc.array(content, { minLength: 1, maxLength: 6 }), (first, others) => {
        const known = learn(first);
        if (known === undefined) return;
        learned++;
        expect(obeys(known, utf8.encode(first))).toBe(true);
        const read = readCommand(first);
        if (read.cmd !== "send_to_group") throw new Error("learned from something that is no send");
        const head = first.slice(0, first.length - read.text.length - 2);
        for (const other of others) if (obeys(known, utf8.encode(`${head}${other}"}`))) matched++;
      }),
      { numRuns: 4_000 },
    );
    // Not for want of known sends.
    expect(learned).toBeGreaterThan(300);
    expect(matched).toBeGreaterThan(300);
  });

  it("is not taken in by any change of the bytes", () => {
    const change = fc.record({
      at: fc.oneof(fc.nat(12), fc.nat(120)),
      fromEnd: fc.boolean(),
      do: fc.constantFrom("set", "insert", "delete", "cut"),
      byte: fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('"\\{}:, x\n1'))),
    });
    let matched = 0;
    fc.assert(
      fc.property(command, fc.array(change, { minLength: 1, maxLength: 2 }), (first, changes) => {
        const known = learn(first);
        if (known === undefined) return;
        const bytes = [...utf8.encode(first)];
        for (const { at, fromEnd, do: what, byte } of changes) {
          const place = fromEnd ? bytes.length - 1 - at : at;
          if (place < 0 || place >= bytes.length) continue;
          if (what === "cut") bytes.length = place;
          else bytes.splice(place, what === "insert" ? 0 : 1, ...(what === "delete" ? [] : [byte]));
        }
        const changed = Uint8Array.from(bytes);
        if (isUtf8(changed) && obeys(known, changed)) matched++;
      }),
      { numRuns: 6_000 },
    );
    expect(matched).toBeGreaterThan(30);
  });

  it("is learned from whatever JSON.stringify makes with the message last, and finds every message that has no escapes", () => {
    const group = fc.oneof(fc.constantFrom(...GROUPS), fc.nat(), fc.string({ minLength: 1, maxLength: 20 }));
    const extra = fc.dictionary(
      text(6).filter((key) => !["id", "message", "cmd", "group_id"].includes(key)),
      fc.jsonValue({ maxDepth: 2 }),
      { maxKeys: 3 },
    );
    // What JSON.stringify leaves as it is.
    const asItIs = text(60).map((some) => some.replace(/["\\\p{Cc}\p{Surrogate}]/gu, "-"));
    fc.assert(
      fc.property(group, extra, asItIs, asItIs, (group_id, meta, first, second) => {
        const say = (message: string): string => JSON.stringify({ cmd: "send_to_group", ...meta, group_id, message });
        fc.pre(say("").length < 512);
        const known = learn(say(first));
        expect(known?.group).toBe(String(group_id));
        if (known !== undefined) expect(obeys(known, utf8.encode(say(second)))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is not learned from a command with much before its message: each connection would keep that", () => {
    const say = (length: number): string => `{"cmd":"send_to_group","group_id":"g","x":"${"x".repeat(length)}","message":"m"}`;
    const before = say(0).length - 3; // without the message and what is behind it
    expect(learn(say(512 - before))).toBeDefined();
    expect(learn(say(513 - before))).toBeUndefined();
  });

  it.each([
    ["an id", '{"cmd":"send_to_group","group_id":"g","id":1,"message":"x"}'],
    ["a message that is no string", '{"cmd":"send_to_group","group_id":"g","message":{"message":"x"}}'],
    ["a message with escapes", '{"cmd":"send_to_group","group_id":"g","message":"\\u0078"}'],
    ["another field behind the message", '{"cmd":"send_to_group","message":"x","group_id":"g"}'],
    ["another field behind the message, with the same value", '{"cmd":"send_to_group","group_id":"g","message":"x","meta":"x"}'],
    ["a name that ends like the message's", '{"cmd":"send_to_group","group_id":"g","message":"x","\\"message":"x"}'],
    ["white space at the end", '{"cmd":"send_to_group","group_id":"g","message":"x"} '],
    ["white space before the end", '{"cmd":"send_to_group","group_id":"g","message":"x" }'],
    ["another command", '{"cmd":"add_group","group_id":"g","message":"x"}'],
    ["no group", '{"cmd":"send_to_group","message":"x"}'],
  ])("is not learned from a command with %s", (_, first) => {
    expect(learn(first)).toBeUndefined();
  });

  it("does not find a message in the beginning of a command", () => {
    const first = '{"cmd":"send_to_group","group_id":"g","message":"hello"}';
    const known = learn(first);
    const bytes = utf8.encode(first);
    for (let length = 0; length < bytes.length; length++) expect(known?.messageAt(bytes.subarray(0, length))).toBe(-1);
    expect(known?.messageAt(bytes)).toBe(bytes.length - "hello".length - 2);
  });

  it("takes an empty message for a message", () => {
    const known = learn('{"cmd":"send_to_group","group_id":"g","message":"hello"}');
    const empty = utf8.encode('{"cmd":"send_to_group","group_id":"g","message":""}');
    expect(known?.messageAt(empty)).toBe(empty.length - 2);
    expect(learn(decode(empty))?.messageAt(empty)).toBe(empty.length - 2);
  });
});
