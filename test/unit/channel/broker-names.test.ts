import { describe, expect, it } from "vitest";
import { decodeBrokerName, encodeBrokerName } from "../../../src/channel/broker-names.ts";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { fc } from "../generate.ts";

const special = fc.constantFrom(
  "*",
  ">",
  ".",
  " ",
  "\r\n",
  "{",
  "}",
  "?",
  "[",
  "]",
  "=",
  "=2a",
  "$",
  "%",
  "\\",
  "ä",
  "😀",
  "\ufeff",
  "a",
  "0",
);
const part = fc.array(fc.oneof(special, fc.string({ unit: "binary", maxLength: 2 })), { maxLength: 8 }).map((units) =>
  units
    .join("")
    .replaceAll("\0", "")
    .replaceAll(/\p{Surrogate}/gu, ""),
);
const topic = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("\0"));

describe("the name of a topic on a broker", () => {
  it("leads back to the topic, whatever it holds", () => {
    fc.assert(
      fc.property(part, topic, (prefix, one) => {
        expect(decodeBrokerName(prefix, encodeBrokerName(prefix, one))).toBe(one);
      }),
      { numRuns: 2_000 },
    );
  });

  it("has only letters, digits, dashes, equals signs and dots, and no empty part: no broker reads anything into it", () => {
    fc.assert(
      fc.property(part, topic, (prefix, one) => {
        expect(encodeBrokerName(prefix, one)).toMatch(/^[A-Za-z0-9_=-]+(?:\.[A-Za-z0-9_=-]+)+$/);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is never the same for two topics or two prefixes", () => {
    fc.assert(
      fc.property(part, topic, part, topic, (prefix, one, otherPrefix, other) => {
        const isSame = prefix === otherPrefix && one === other;
        expect(encodeBrokerName(prefix, one) === encodeBrokerName(otherPrefix, other)).toBe(isSame);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is read only if it was made: every other text leads nowhere", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(special, fc.constantFrom(".", "=c3", "=28", "=00", "=2A", "=61", "=")), { maxLength: 8 }), (units) => {
        const name = ["p", ...units].join("");
        const read = decodeBrokerName("p", name);
        if (read !== undefined) expect(encodeBrokerName("p", read)).toBe(name);
      }),
      { numRuns: 5_000 },
    );
    for (const name of ["", "p", "p.", "p..a", ".a", "q.a", "p.=61", "p.=2A", "p.=c3=28", "p.=00", "p.a=", "p.=2"]) {
      expect(decodeBrokerName("p", name), name).toBeUndefined();
    }
  });

  it("is at most three times as long as what it stands for, and plain names stay readable", () => {
    expect(encodeBrokerName("groupcast", encodeTopic({ kind: "group", namespace: "default", name: "room-1" }))).toBe(
      "groupcast.g.default.room-1",
    );
    expect(encodeBrokerName("p", encodeTopic({ kind: "group", namespace: "n", name: "*.>" }))).toBe("p.g.n.=2a=2e=3e");
    const longest = encodeTopic({ kind: "group", namespace: "ä".repeat(100), name: "*".repeat(200) });
    expect(encodeBrokerName("p", longest).length).toBeLessThanOrEqual(3 * 403);
  });
});
