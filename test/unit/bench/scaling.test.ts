// The arithmetic of docs/scaling.md beside a simulation that counts, and beside the code that it speaks of.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { checks, tables } from "../../../bench/scaling.ts";
import { BYTES, deliveryUs, PRESENCE, presenceOf, VACATED_AFTER_MS } from "../../../bench/scaling-model.ts";
import { DEFAULTS } from "../../../src/base/defaults.ts";
import { encodeBrokerName } from "../../../src/channel/broker-names.ts";
import { encodeTopic } from "../../../src/channel/topics.ts";
import { Rows } from "../../../src/presence/rows.ts";
import { BEAT_MS, RECORD_EVERY_MS, Teller } from "../../../src/presence/teller.ts";
import { type News, toMessage } from "../../../src/presence/words.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { encodeFrame } from "../../../src/wire/frames.ts";
import { MessageRecord } from "../../../src/wire/record.ts";

const ID = "0123456789abcdef0123456789abcdef";

function connection(serial: number) {
  const groups = new Map([`room ${serial}`, `room ${serial + 1}`].map((name) => [name, 1] as const));
  return { $serial: serial, namespace: "default", id: ID, user: null, groups };
}

describe("the arithmetic of scaling", () => {
  const all = checks();

  it.each(all)("is what is counted: $what", ({ calculated, counted, times }) => {
    const chance = 4 / Math.sqrt(times);
    expect(Math.abs(counted / calculated - 1)).toBeLessThan(0.01 + chance);
  });

  it("is counted alike each time", () => {
    expect(checks()).toEqual(all);
  });

  it("is what docs/scaling.md says", () => {
    const page = readFileSync(new URL("../../../docs/scaling.md", import.meta.url), "utf8");
    for (const [about, text] of Object.entries(tables())) expect(page, about).toContain(text);
  });

  it("has a delivery cost what bench/RESULTS.md has measured, within a quarter", () => {
    // Messages in a write, members of the group, CPU µs: S1a, S1b, S1c, S2, S3, and S7 as S1b.
    const measured = [
      [1, 1_000, 8.81],
      [63.1, 1_000, 0.177],
      [301, 1_000, 0.06],
      [59.8, 10_000, 0.154],
      [15.9, 10, 0.888],
      [42.5, 1_000, 0.239],
    ] as const;
    for (const [shared, members, us] of measured) {
      expect(deliveryUs(shared, members) / us).toBeGreaterThan(0.8);
      expect(deliveryUs(shared, members) / us).toBeLessThan(1.25);
    }
  });
});

describe("the sizes and times of scaling", () => {
  const recordOf = (word: News): number => MessageRecord.of([toMessage(word)]).bytes.length;

  it("are those of the code", () => {
    const record = MessageRecord.of([{ kind: "string", frame: encodeFrame("x".repeat(200)), except: [] }]);
    expect(record.bytes.length - 200).toBe(BYTES.record);
    const name = encodeBrokerName("groupcast", encodeTopic({ kind: "group", namespace: "default", name: "room 123456" }));
    const around = `*3\r\n$8\r\nSPUBLISH\r\n$${name.length}\r\n${name}\r\n$268\r\n\r\n`.length;
    expect(near(BYTES.envelope, around)).toBe(true);
    const news = { node: ID, incarnation: 1, version: 12_345 };
    expect(near(BYTES.beat, recordOf(news))).toBe(true);
    const rows = new Rows();
    rows.here(connection(12_345));
    const [came = []] = rows.letters;
    expect(near(BYTES.came, JSON.stringify(came).length - 1)).toBe(true);
    expect(near(BYTES.went, JSON.stringify([123_456]).length - 1)).toBe(true);
    expect([PRESENCE.recordEveryMs, PRESENCE.beatMs, VACATED_AFTER_MS]).toEqual([RECORD_EVERY_MS, BEAT_MS, DEFAULTS.vacatedAfterMs]);
  });

  it.each([0, 0.2, 4, 40, 400])("have a process tell as often as it does, at %d changes a second", (changes) => {
    const seconds = 200;
    const clock = new FakeClock();
    let told = 0;
    let state = 1;
    // Park and Miller: no two runs differ.
    const unit = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const teller = new Teller({
      clock,
      random: { unit, id: () => ID },
      publish: () => void told++,
      give: () => {},
    });
    teller.up();
    const want = (): void => teller.wantedBy("holder");
    want();
    clock.every(PRESENCE.wantEveryMs, want);
    let serial = 0;
    const come = (): void => {
      teller.came(connection(++serial));
      clock.after((-Math.log(1 - unit()) / changes) * 1_000, come);
    };
    if (changes > 0) come();
    clock.advance(seconds * 1_000);

    const churn = { staysSeconds: changes === 0 ? Infinity : 2_000 / changes, holders: 1, listeners: 0 };
    const cluster = { processes: 1, connections: 1_000, groupsPerConnection: 2, membersPerGroup: 10, turnMs: 1 } as const;
    const { changesIn } = presenceOf({ ...cluster, messagesPerSecond: 0, messageBytes: 0, publishers: "members" }, churn);
    // Signs of life come with a tick of half a second, a tenth of 2 s more or less.
    expect(told / seconds / changesIn).toBeGreaterThan(0.85);
    expect(told / seconds / changesIn).toBeLessThan(1.15);
  });
});

function near(constant: number, actual: number): boolean {
  return Math.abs(constant / actual - 1) < 0.15;
}
