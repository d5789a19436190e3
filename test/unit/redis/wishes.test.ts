// What the broker shall hear for a process.
import { expect, it } from "vitest";
import { Wishes } from "../../../src/redis/wishes.ts";

const long = (index: number): string => String(index).padStart(400, "x");

it("never tells the beginning of a topic before its end is confirmed, however many ends there are", () => {
  const wishes = new Wishes("prefix");
  const topics = Array.from({ length: 6_000 }, (_, index) => long(index));
  for (const topic of topics) void wishes.subscribe(topic);
  wishes.linked();
  while (!wishes.isTold) wishes.confirmed(wishes.next().begun);
  for (const topic of topics) wishes.unsubscribe(topic);
  const told: (readonly string[])[] = [];
  while (!wishes.isTold) told.push(wishes.next().ended);
  expect(told.length).toBe(3);
  expect(told.flat().length).toBe(6_000);
  void wishes.subscribe(long(5_999));
  for (const names of told) {
    expect(wishes.isTold).toBe(true);
    wishes.ended(names);
  }
  expect(wishes.next()).toMatchObject({ ended: [], begun: [{ topic: long(5_999) }] });
});

it("takes an end back that was not told, and what is heard stays heard", () => {
  const wishes = new Wishes("prefix");
  void wishes.subscribe("a");
  wishes.linked();
  wishes.confirmed(wishes.next().begun);
  wishes.unsubscribe("a");
  expect(wishes.heard("prefix.a")).toBeUndefined();
  expect(wishes.subscribe("a")).toBeUndefined();
  expect(wishes.heard("prefix.a")).toBe("a");
  expect(wishes.isTold).toBe(true);
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
