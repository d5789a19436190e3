import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Emitter } from "../../../src/base/emitter.ts";
import { GroupcastError } from "../../../src/base/errors.ts";
import { settle } from "../fakes.ts";

type Events = { tick: [number: number]; error: [error: Error] };
class Subject extends Emitter<Events> {}

let subject: Subject;
let heard: string[];
const note = (name: string) => (number: number) => void heard.push(`${name} ${number}`);
beforeEach(() => {
  subject = new Subject();
  heard = [];
});

describe("listening", () => {
  it("calls listeners in the order of their registration, and says whether there was one", () => {
    subject.on("tick", note("a"));
    subject.on("tick", note("b"));
    expect(subject.emit("tick", 1)).toBe(true);
    expect(heard).toEqual(["a 1", "b 1"]);
    expect(new Subject().emit("tick", 1)).toBe(false);
  });

  it("returns an undo from on, which takes away exactly that registration however often it is called", () => {
    const listener = note("twice");
    const undo = subject.on("tick", listener);
    subject.on("tick", listener);
    undo();
    undo();
    subject.emit("tick", 1);
    expect(heard).toEqual(["twice 1"]);
    expect(subject.listenerCount("tick")).toBe(1);
  });

  it("removes one registration at a time with off, and nothing for a stranger", () => {
    const listener = note("a");
    subject.on("tick", listener);
    subject.on("tick", listener);
    subject.off("tick", note("stranger"));
    subject.off("tick", listener);
    expect(subject.listenerCount("tick")).toBe(1);
    subject.off("tick", listener);
    subject.off("tick", listener);
    expect(subject.listenerCount("tick")).toBe(0);
    expect(subject.emit("tick", 1)).toBe(false);
  });
});

describe("once", () => {
  it("calls the listener at the next event only", () => {
    subject.once("tick", note("once"));
    subject.emit("tick", 1);
    subject.emit("tick", 2);
    expect(heard).toEqual(["once 1"]);
    expect(subject.listenerCount("tick")).toBe(0);
  });

  it("can be undone before the event, by its undo or by off with the listener itself", () => {
    subject.once("tick", note("undone"))();
    const listener = note("off");
    subject.once("tick", listener);
    subject.off("tick", listener);
    subject.emit("tick", 1);
    expect(heard).toEqual([]);
  });

  it("calls the listener once even if an earlier listener sets off the same event", () => {
    let nested = false;
    subject.on("tick", (number) => {
      if (nested) return;
      nested = true;
      subject.emit("tick", number + 1);
    });
    subject.once("tick", note("once"));
    subject.emit("tick", 1);
    expect(heard).toEqual(["once 2"]);
  });
});

describe("listeners that change listeners", () => {
  it("does not call a listener that is added while the event is on its way", () => {
    subject.on("tick", (number) => {
      if (number === 1) subject.on("tick", note("late"));
    });
    subject.emit("tick", 1);
    expect(heard).toEqual([]);
    subject.emit("tick", 2);
    expect(heard).toEqual(["late 2"]);
  });

  it("skips nobody when a listener removes itself or the one before it", () => {
    const undoFirst = subject.on("tick", note("first"));
    const undoSecond = subject.on("tick", (number) => {
      heard.push(`second ${number}`);
      undoFirst();
      undoSecond();
    });
    subject.on("tick", note("third"));
    subject.emit("tick", 1);
    subject.emit("tick", 2);
    expect(heard).toEqual(["first 1", "second 1", "third 1", "third 2"]);
  });
});

describe("bad listeners", () => {
  it("reports a throwing listener as error, and the others still run", () => {
    const errors: Error[] = [];
    subject.on("error", (error) => void errors.push(error));
    const thrown = new Error("bad listener");
    subject.on("tick", () => {
      throw thrown;
    });
    subject.on("tick", note("good"));
    expect(subject.emit("tick", 1)).toBe(true);
    expect(heard).toEqual(["good 1"]);
    expect(errors).toEqual([thrown]);
  });

  it("reports a rejecting listener as error", async () => {
    const errors: Error[] = [];
    subject.on("error", (error) => void errors.push(error));
    subject.on("tick", () => Promise.reject(new Error("rejected")));
    subject.on("tick", note("good"));
    subject.emit("tick", 1);
    expect(heard).toEqual(["good 1"]);
    await settle();
    expect(errors.map((error) => error.message)).toEqual(["rejected"]);
  });

  it("hands an Error to error listeners whatever was thrown", () => {
    const things: unknown[] = ["text", undefined, null, 7, Symbol("s"), Object.create(null), { toString: () => 1n as unknown as string }];
    const errors: unknown[] = [];
    subject.on("error", (error) => void errors.push(error));
    for (const thing of things) {
      const undo = subject.on("tick", () => {
        throw thing;
      });
      subject.emit("tick", 1);
      undo();
    }
    expect(errors).toHaveLength(things.length);
    for (const error of errors) expect(error).toBeInstanceOf(GroupcastError);
  });
});

describe("error", () => {
  afterEach(() => void vi.restoreAllMocks());

  it("is logged, not thrown, when nobody listens", () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    expect(subject.emit("error", new Error("nobody hears"))).toBe(false);
    expect(log).toHaveBeenCalledOnce();
    expect(log.mock.calls[0]?.[0]).toContain("nobody hears");
  });

  it("is logged when its own listener throws or rejects, and the other error listeners still run", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    subject.on("error", () => {
      throw new Error("worse");
    });
    subject.on("error", () => Promise.reject(new Error("worst")));
    subject.on("error", (error) => void heard.push(error.message));
    subject.emit("error", new Error("bad"));
    await settle();
    expect(heard).toEqual(["bad"]);
    expect(log.mock.calls.map(([text]) => String(text))).toEqual([expect.stringContaining("worse"), expect.stringContaining("worst")]);
  });
});

describe("an event that costs something", () => {
  it("can begin with its first listener: the emitter is told of each, by on and by once", () => {
    const told: string[] = [];
    class Costly extends Emitter<Events> {
      protected override listening(event: keyof Events): void {
        told.push(`${event} ${this.listenerCount(event)}`);
      }
    }
    const costly = new Costly();
    costly.once("tick", note("a"));
    costly.on("tick", note("b"));
    costly.on("error", () => {});
    expect(told).toEqual(["tick 1", "tick 2", "error 1"]);
  });
});
