import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

describe("an index", () => {
  it("shows who is where, in every process that asks", async () => {
    const world = new World({ delayMs: 5 });
    const [a, b, c] = [world.node("a"), world.node("b"), world.node("c")];
    await world.pass(100);
    a.connect("x", "y");
    b.connect("x");
    b.connect("y");
    c.connect("x");
    await world.pass(100);
    for (const node of [a, b, c]) expect(await world.belief(node)).toEqual(world.truth);
    expect(world.truth).toEqual({ x: ["a-1", "b-1", "c-1"], y: ["a-1", "b-2"] });
  });
});
