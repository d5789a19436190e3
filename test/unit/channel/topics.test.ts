import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { decodeTopic, encodeTopic, type Topic } from "../../../src/channel/topics.ts";
import { checkName } from "../../../src/wire/names.ts";
import { codeOf } from "../fakes.ts";

const unit = fc.oneof(
  fc.constantFrom("a", "g", "n", "/", ":", ".", " ", "\u00a0"),
  fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
);
const name = fc.string({ unit, minLength: 1, maxLength: 6 }).filter((text) => codeOf(() => checkName(text)) === "nothing thrown");
const topic: fc.Arbitrary<Topic> = fc.oneof(
  fc.record({ kind: fc.constant("group"), namespace: name, name }),
  fc.record({ kind: fc.constant("namespace"), namespace: name }),
  fc.record({ kind: fc.constant("replies"), node: name }),
  fc.record({ kind: fc.constant("event"), event: name }),
  fc.constantFrom<Topic>({ kind: "presence" }, { kind: "changes" }, { kind: "lives" }),
);

describe("the name of a topic", () => {
  it("leads back to the topic", () => {
    fc.assert(
      fc.property(topic, (one) => {
        expect(decodeTopic(encodeTopic(one))).toEqual(one);
      }),
    );
  });

  it("keeps its parts apart, whatever characters names bring", () => {
    for (const separator of ["/", ":", ".", ",", "|", " ", "\\", "\u00a0"]) {
      const one = encodeTopic({ kind: "group", namespace: `a${separator}b`, name: "c" });
      expect(one).not.toBe(encodeTopic({ kind: "group", namespace: "a", name: `b${separator}c` }));
      expect(one).not.toBe(encodeTopic({ kind: "namespace", namespace: `a${separator}b${separator}c` }));
    }
  });

  it("is never the same for two topics: no namespace, group or event can pose as another", () => {
    fc.assert(
      fc.property(topic, topic, (one, other) => {
        expect(encodeTopic(one) === encodeTopic(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });

  it.each(["", "g", "g\0a", "n", "n\0a\0b", "g\0a\0b\0c", "x\0a", "r\0a\0b"])("is refused if it is %j", (text) => {
    expect(decodeTopic(text)).toBeUndefined();
  });

  it("is refused or made by encodeTopic, whatever it is", () => {
    const anything = fc.string({ unit: fc.constantFrom("g", "n", "r", "e", "\0", "a"), maxLength: 8 });
    fc.assert(
      fc.property(anything, (text) => {
        const one = decodeTopic(text);
        if (one !== undefined) expect(encodeTopic(one)).toBe(text);
      }),
    );
  });
});
