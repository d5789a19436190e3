import { describe, expect, it } from "vitest";
import {
  type Answer,
  lifeId,
  PART_ENTRIES_MAX,
  readAnswer,
  readLifeId,
  readStatements,
  type Statement,
  writeStatement,
} from "../../../src/presence/life-words.ts";
import { LETTER_BYTES_MAX, writeLetter } from "../../../src/presence/letter.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { type Kind, MessageRecord } from "../../../src/wire/record.ts";
import { fc } from "../generate.ts";

const life = { namespace: "n", name: "a", life: "e.1" };
const statements: Statement[] = [
  { say: "sync", node: "a", nonce: "b", attempt: 2 },
  { say: "lead", nonce: "b" },
  { say: "gone", nonce: "b" },
  { say: "occupied", by: "b", ...life },
  { say: "vacated", by: "b", ...life },
  { say: "over", ...life },
];
const state = {
  is: "state",
  nonce: "b",
  part: 0,
  isLast: true,
  epoch: "e",
  last: 3,
  past: [["d", 1]],
  participants: [["b", "a"]],
  open: [["n", "a", "e.1"]],
};

function ofTexts(kind: Kind, ...texts: string[]): MessageRecord {
  return MessageRecord.read(MessageRecord.of(texts.map((text) => ({ kind, frame: encodeFrame(text), except: [] }))).bytes);
}

describe("statements", () => {
  it("are read as they were written, in order", () => {
    expect(readStatements(MessageRecord.read(MessageRecord.of(statements.map(writeStatement)).bytes))).toEqual(statements);
  });

  it("with anything missing, of another type or out of its range are left out, and the others are read", () => {
    for (const statement of statements) {
      for (const field of Object.keys(statement)) {
        for (const value of [undefined, null, 7.5, -1, "", "x".repeat(500), [], {}]) {
          const text = JSON.stringify({ ...statement, [field]: value });
          expect(readStatements(ofTexts("control", text, JSON.stringify({ say: "gone", nonce: "b" }))), text).toHaveLength(1);
        }
      }
    }
    expect(readStatements(ofTexts("control", JSON.stringify({ ...statements[0], attempt: 3 })))).toEqual([]);
    expect(readStatements(ofTexts("control", JSON.stringify({ ...statements[3], life: "e" })))).toEqual([]);
  });

  it("are none, whatever else it is", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(readStatements(ofTexts("control", text))).toEqual([]);
      }),
    );
    expect(readStatements(ofTexts("json", JSON.stringify(statements[1])))).toEqual([]);
  });
});

describe("answers", () => {
  it("are read as they were written", () => {
    for (const answer of [state, { is: "none", nonce: "b" }, { is: "busy", nonce: "b" }]) {
      expect(readAnswer(JSON.parse(JSON.stringify(answer)))).toEqual(answer);
    }
  });

  it("with anything missing, of another type or out of its range are none", () => {
    for (const field of Object.keys(state)) {
      for (const value of [undefined, null, 7.5, -1, "", [[]], [7], ["x"], {}, [["x"]], [[{}, "a", "nonsense"]], [["", 0]]]) {
        expect(readAnswer({ ...state, [field]: value }), `${field}: ${JSON.stringify(value)}`).toBeUndefined();
      }
    }
    const long = Array.from({ length: PART_ENTRIES_MAX + 1 }, () => ["n", "a", "e.1"]);
    expect(readAnswer({ ...state, open: long })).toBeUndefined();
  });

  it("fit into a letter, however long the names are", () => {
    const name = '"'.repeat(200);
    const id = "f".repeat(32);
    const answer: Answer = {
      is: "state",
      nonce: id,
      part: 1_000_000,
      isLast: false,
      epoch: id,
      last: Number.MAX_SAFE_INTEGER,
      past: Array.from({ length: 64 }, () => [id, Number.MAX_SAFE_INTEGER] as const),
      participants: Array.from({ length: PART_ENTRIES_MAX }, () => [id, id] as const),
      open: Array.from({ length: PART_ENTRIES_MAX }, () => [name, name, lifeId(id, Number.MAX_SAFE_INTEGER)] as const),
    };
    const { frame } = writeLetter({ from: id, verb: "lives", words: { ...answer } });
    expect(frame.length).toBeLessThan(LETTER_BYTES_MAX / 4);
    expect(readAnswer({ ...answer })).toEqual(answer);
  });
});

describe("a life's id", () => {
  it("leads back to its epoch and number", () => {
    expect(readLifeId(lifeId("a.b", 12))).toEqual({ epoch: "a.b", number: 12 });
    for (const id of ["", "a", "a.", ".1", "a.01", "a.-1", "a.1.5x", "a.1e3", "a. 1"]) expect(readLifeId(id), id).toBeUndefined();
  });
});
