import { describe, expect, it } from "vitest";
import type { NatsMessage } from "../../../src/nats/client.ts";
import { PlaceReader } from "../../../src/nats/place.ts";
import { fc } from "../generate.ts";

const utf8 = new TextEncoder();
const TIME = "Nats-Time-Stamp: 2026-01-02T03:04:05.678901234Z";

/** A message as the client has cut it out of what it has read, with its headers in front of it. */
function cut(head: string, payload: Uint8Array, headers?: Record<string, string>): [NatsMessage, Uint8Array] {
  const before = utf8.encode(`MSG other 1 2\r\nhi\r\nHMSG gcl.p.t 7 99 120\r\n${head}`);
  const chunk = new Uint8Array([...before, ...payload, ...utf8.encode("\r\nPING\r\n")]);
  const data = chunk.subarray(before.length, before.length + payload.length);
  return [{ subject: "gcl.p.t", data, headers: headers === undefined ? undefined : { code: 0, get: (name) => headers[name] ?? "" } }, data];
}

function headOf(...lines: readonly string[]): string {
  return `NATS/1.0\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
}

function read(...message: [NatsMessage, Uint8Array]): string {
  const reader = new PlaceReader();
  return reader.read(...message) ? `${reader.sequence} after ${reader.previous}` : "none";
}

describe("the place of a republished message", () => {
  it("is read from headers as servers write them, with and without a time, whatever the payload holds", () => {
    fc.assert(
      fc.property(
        fc.nat(1e9),
        fc.integer({ min: 1, max: 1e9 }),
        fc.boolean(),
        fc.uint8Array({ maxLength: 300 }),
        (previous, by, timed, payload) => {
          const sequence = previous + by;
          const lines = ["Nats-Stream: gc-p", "Nats-Subject: gcp.p.t", `Nats-Sequence: ${sequence}`];
          const head = headOf(...lines, ...(timed ? [TIME] : []), `Nats-Last-Sequence: ${previous}`);
          expect(read(...cut(head, payload))).toBe(`${sequence} after ${previous}`);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("is read from parsed headers if they are in another order, or further ones follow", () => {
    const headers = { "Nats-Sequence": "7", "Nats-Last-Sequence": "5" };
    for (const head of [
      headOf("Nats-Last-Sequence: 5", "Nats-Sequence: 7"),
      headOf("Nats-Sequence: 7", "Nats-Last-Sequence: 5", "Own: 1"),
      headOf("Nats-Sequence: 7", TIME, TIME, "Nats-Last-Sequence: 5"),
      headOf(`Nats-Sequence: 7`, `Own: ${"x".repeat(200)}`, "Nats-Last-Sequence: 5"),
    ]) {
      expect(read(...cut(head, utf8.encode("x"), headers))).toBe("7 after 5");
    }
  });

  it.each([
    ["no headers", ""],
    ["a status", headOf()],
    ["other headers", headOf("Own: 5")],
    ["half of it", headOf("Nats-Last-Sequence: 5")],
    ["no number", headOf("Nats-Sequence: x", "Nats-Last-Sequence: 5")],
    ["nothing in place of a number", headOf("Nats-Sequence: ", "Nats-Last-Sequence: ")],
    ["a place before the one before it", headOf("Nats-Sequence: 5", "Nats-Last-Sequence: 7")],
    ["the place of the one before it", headOf("Nats-Sequence: 7", "Nats-Last-Sequence: 7")],
    ["more digits than a safe integer has", headOf("Nats-Sequence: 99999999999999999999", "Nats-Last-Sequence: 5")],
    ["another name that ends so", headOf("X-Nats-Sequence: 7", "Nats-Last-Sequence: 5")],
    ["a name without its line end", "NATS/1.0Nats-Sequence: 7\r\nNats-Last-Sequence: 5\r\n\r\n"],
  ])("is none: %s", (_, head) => {
    expect(read(...cut(head, utf8.encode("x")))).toBe("none");
  });

  it.each([
    { "Nats-Sequence": "7" },
    { "Nats-Sequence": "7", "Nats-Last-Sequence": "x" },
    { "Nats-Sequence": "-7", "Nats-Last-Sequence": "5" },
    { "Nats-Sequence": "1e9", "Nats-Last-Sequence": "5" },
    { "Nats-Sequence": "9999999999999999", "Nats-Last-Sequence": "5" },
    { "Nats-Sequence": "5", "Nats-Last-Sequence": "7" },
  ])("is none: parsed %j", (headers) => {
    expect(read(...cut("", utf8.encode("x"), headers))).toBe("none");
  });

  it("never throws, whatever stands before a message", () => {
    const piece = fc.constantFrom("Nats-Sequence: ", "Nats-Last-Sequence: ", "\r\n", "\r\n\r\n", "\n", "1", "23", ":", " ", "", TIME);
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.nat(20), (pieces, cutOff) => {
        const bytes = utf8.encode(pieces.join(""));
        const chunk = new Uint8Array(bytes.subarray(Math.min(cutOff, bytes.length)));
        const data = chunk.subarray(chunk.length);
        expect(() => read({ subject: "s", data, headers: undefined }, data)).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
  });

  it("is read for message after message of one chunk, and of the next", () => {
    const reader = new PlaceReader();
    for (let chunk = 0; chunk < 3; chunk++) {
      const [message, data] = cut(headOf(`Nats-Sequence: ${chunk + 2}`, `Nats-Last-Sequence: ${chunk}`), utf8.encode("x"));
      for (let again = 0; again < 2; again++) {
        expect(reader.read(message, data)).toBe(true);
        expect([reader.sequence, reader.previous]).toEqual([chunk + 2, chunk]);
      }
    }
  });
});
