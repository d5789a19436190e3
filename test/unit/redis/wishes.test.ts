// What the broker shall hear for a process.
import { expect, it } from "vitest";
import { Wishes } from "../../../src/redis/wishes.ts";

const long = (index: number): string => String(index).padStart(400, "x");

it("never tells the beginning of a topic before its end, however many ends there are", () => {
  const wishes = new Wishes("prefix");
  const topics = Array.from({ length: 6_000 }, (_, index) => long(index));
  for (const topic of topics) void wishes.subscribe(topic);
  wishes.linked();
  while (!wishes.isTold) wishes.confirmed(wishes.next().begun);
  for (const topic of topics) wishes.unsubscribe(topic);
  void wishes.subscribe(long(5_999));
  const told: string[] = [];
  while (!wishes.isTold) {
    const { ended, begun } = wishes.next();
    wishes.ended(ended);
    told.push(...ended.map((name) => `- ${name}`), ...begun.map(({ name }) => `+ ${name}`));
  }
  expect(told.length).toBe(6_001);
  expect(told.at(-1)).toBe(`+ prefix.${long(5_999)}`);
});

it("never mentions what was given up before it was told, nor what was never told on these connections", () => {
  const wishes = new Wishes("prefix");
  void wishes.subscribe("a");
  wishes.unsubscribe("a");
  wishes.unsubscribe("b");
  expect(wishes.isTold).toBe(true);
  void wishes.subscribe("c");
  wishes.linked();
  wishes.confirmed(wishes.next().begun);
  expect(wishes.heard("prefix.c")).toBe("c");
  wishes.unlinked();
  expect(wishes.heard("prefix.c")).toBeUndefined();
  wishes.unsubscribe("c");
  void wishes.subscribe("d");
  wishes.linked();
  expect(wishes.next()).toMatchObject({ ended: [], begun: [{ topic: "d", name: "prefix.d" }] });
});

it("has one promise for all who wait for a topic, and none for a topic that is heard", async () => {
  const wishes = new Wishes("prefix");
  const first = wishes.subscribe("a");
  expect(wishes.subscribe("a")).toBe(first);
  wishes.linked();
  wishes.confirmed(wishes.next().begun);
  await first;
  expect(wishes.subscribe("a")).toBeUndefined();
});
