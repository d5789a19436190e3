import { describe, expect, it } from "vitest";
import { Subjects } from "../../../src/nats/subjects.ts";
import { fc } from "../generate.ts";

const PLAIN = /^[A-Za-z0-9_=-]+(?:\.[A-Za-z0-9_=-]+)*$/;
const part = fc.string({ unit: fc.constantFrom("a", "B", "7", "-", "_", "=", "*", ">", ".", " ", "\r\n", "$", "é", "😀"), maxLength: 8 });
const topic = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("\0"));
const prefix = part.filter((text) => text !== "");

describe("subjects", () => {
  it("of topics have NATS' alphabet only, lie in the trees of their prefix, and differ only in their first letters", () => {
    fc.assert(
      fc.property(prefix, topic, (one, name) => {
        const subjects = new Subjects(one);
        const [stored, live] = [subjects.stored(name), subjects.live(name)];
        expect(stored).toMatch(PLAIN);
        expect(live).toBe(stored.replace(/^gcp/, "gcl"));
        expect(stored.startsWith(subjects.allStored.slice(0, -1))).toBe(true);
        expect(live.startsWith(subjects.allLive.slice(0, -1))).toBe(true);
        expect(subjects.stored(name)).toBe(stored);
        expect(stored).not.toBe(subjects.marker);
      }),
    );
  });

  it("of two prefixes, and their streams, have nothing in common", () => {
    fc.assert(
      fc.property(prefix, prefix, topic, topic, (one, other, name, otherName) => {
        const [a, b] = [new Subjects(one), new Subjects(other)];
        const isSame = one === other;
        expect(a.stream === b.stream).toBe(isSame);
        expect(a.stored(name).startsWith(b.allStored.slice(0, -1))).toBe(isSame);
        expect(a.live(name) === b.live(otherName)).toBe(isSame && name === otherName);
        expect(a.answers("x") === b.answers("x")).toBe(isSame);
        expect(a.stream).toMatch(/^gc-[A-Za-z0-9_=-]+$/);
      }),
    );
  });

  it("of a few topics are remembered, of the others they are the same", () => {
    const subjects = new Subjects("p");
    const first = subjects.stored("t0");
    for (let index = 0; index < 40_000; index++) expect(subjects.stored(`t${index}`)).toBe(`gcp.p.t${index}`);
    expect(subjects.stored("t0")).toBe(first);
  });

  it("are refused beyond what a line of the protocol holds", () => {
    const subjects = new Subjects("p");
    expect(subjects.check("x".repeat(2_990))).toBeUndefined();
    expect(subjects.check("x".repeat(3_000))).toMatchObject({ code: "bad_option" });
    expect(subjects.check("*".repeat(1_000))).toMatchObject({ code: "bad_option" });
  });
});
