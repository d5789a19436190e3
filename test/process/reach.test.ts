// Anyone is reached from anywhere: processes on one hub, with real sockets, stops and kills.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { Client } from "./client.ts";
import { kill, later, serve } from "./hub/rig.ts";
import { fixture, until } from "./workers-harness.ts";

/** A node in a process of its own, and calls to it. */
class Node {
  readonly child: ChildProcess;
  #port = 0;
  #lastCall = 0;
  readonly #calls = new Map<number, (outcome: unknown) => void>();

  private constructor(at: object) {
    this.child = fork(fixture("reach-node.mjs"), [JSON.stringify(at)], { execArgv: [] });
    later(() => kill(this.child));
  }

  static async start(at: object): Promise<Node> {
    const node = new Node(at);
    const [{ port }] = (await once(node.child, "message")) as [{ port: number }];
    node.#port = port;
    node.child.on("message", ({ call, value, code }: { call: number; value?: unknown; code?: string }) => {
      node.#calls.get(call)?.(value ?? code ?? "nothing");
      node.#calls.delete(call);
    });
    return node;
  }

  /** What a call comes to: its outcome, or the code of its error. */
  call(on: "groups" | "pool", method: string, ...args: unknown[]): Promise<unknown> {
    const call = ++this.#lastCall;
    this.child.send({ call, on, method, args });
    return new Promise((resolve) => void this.#calls.set(call, resolve));
  }

  async connect(id: string, namespace = "default"): Promise<Client> {
    const client = await Client.open(this.#port, `/?id=${id}&namespace=${namespace}`);
    later(() => client.socket.terminate());
    return client;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** Two nodes; the first one has an index, in which the second one is. */
async function nodes(): Promise<{ here: Node; there: Node }> {
  const { at } = await serve();
  const [here, there] = await Promise.all([Node.start(at), Node.start(at)]);
  await there.connect("known");
  await until("the nodes know of each other", async () => (await here.call("pool", "send", "default", "known", "x")) === "done");
  return { here, there };
}

/** The index of `here` has it. */
async function isKnown(here: Node, id: string, namespace = "default"): Promise<void> {
  await until(`${id} is known`, async () => (await here.call("pool", "isOnline", namespace, id)) === true);
}

describe("a connection of another process", () => {
  it("is sent to, put into a group and out of it, and closed, in its namespace only", async () => {
    const { here, there } = await nodes();
    const [a, b] = [await there.connect("a"), await there.connect("a", "other")];
    await isKnown(here, "a");
    await isKnown(here, "a", "other");
    expect(await here.call("pool", "send", "default", "a", "hello")).toBe("done");
    await a.untilCount(1);
    expect(await here.call("pool", "send", "default", "a", "x".repeat(960 * 1024))).toBe("done");
    expect(await here.call("pool", "send", "default", "a", "x".repeat(960 * 1024 + 1))).toBe("too_large");
    expect(await here.call("pool", "send", "default", "nobody", "hello")).toBe("unknown_connection");

    expect(await here.call("groups", "addTo", "room", "a")).toBe("done");
    await here.call("groups", "publish", "room", "to the room"); // no later than that it is heard
    await a.until((message) => message === "to the room");
    expect(await here.call("groups", "addTo", "no entry", "a")).toBe("forbidden");
    expect(await here.call("groups", "addTo", "room", "nobody")).toBe("unknown_connection");
    expect(await here.call("groups", "removeFrom", "room", "a")).toBe("done");
    await here.call("groups", "publish", "room", "to nobody");
    expect(await here.call("pool", "close", "default", "a", 4000, "bye")).toBe("done");
    expect(await a.closed).toEqual({ code: 4000, reason: "bye" });
    expect(a.got.map((message) => message.slice(0, 11))).toEqual(["hello", "xxxxxxxxxxx", "to the room"]);
    expect([b.got, b.socket.readyState]).toEqual([[], b.socket.OPEN]);
  });

  it("gets 1,000 messages in the order of the calls", async () => {
    const { here, there } = await nodes();
    const a = await there.connect("a");
    await isKnown(here, "a");
    const outcomes = Array.from({ length: 1_000 }, (_, n) => here.call("pool", "send", "default", "a", String(n)));
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["done"]));
    await a.untilCount(1_000);
    expect(a.got).toEqual(Array.from({ length: 1_000 }, (_, n) => String(n)));
  });
});

describe("a group in several processes", () => {
  it("is disconnected from one that has no member of it, but for those who stay", async () => {
    const { here, there } = await nodes();
    const elsewhere = here; // has members of another group only
    const clients = await Promise.all(["a", "b", "c"].map((id) => there.connect(id)));
    const other = await elsewhere.connect("d");
    for (const id of ["a", "b", "c"]) expect(await there.call("groups", "addTo", "room", id)).toBe("done");
    expect(await here.call("groups", "addTo", "other", "d")).toBe("done");
    await here.call("groups", "publish", "room", "last words");
    expect(await here.call("groups", "disconnect", "room", { code: 4000, reason: "bye", except: ["c"] })).toEqual({
      outcome: "done",
      closed: 2,
    });
    for (const client of clients.slice(0, 2)) {
      expect(await client.closed).toEqual({ code: 4000, reason: "bye" });
      expect(client.got).toEqual(["last words"]);
    }
    expect(await here.call("groups", "disconnect", "room", "bye", 4001)).toEqual({ outcome: "done", closed: 1 });
    expect(await here.call("groups", "disconnect", "room")).toEqual({ outcome: "done", closed: 0 });
    expect(other.socket.readyState).toBe(other.socket.OPEN);
  });
});

describe("a process that answers no more", () => {
  const requests = (node: Node): Promise<unknown>[] => [
    node.call("pool", "send", "default", "a", "x"),
    node.call("groups", "addTo", "one more", "a"),
    node.call("groups", "removeFrom", "room", "a"),
    node.call("groups", "disconnect", "room"),
    node.call("pool", "close", "default", "a"),
  ];
  const UNKNOWN = ["unknown_outcome", "unknown_outcome", "unknown_outcome", { outcome: "unknown_outcome", closed: 1 }, "unknown_outcome"];

  async function room(): Promise<{ here: Node; there: Node }> {
    const { here, there } = await nodes();
    await there.connect("a");
    await here.connect("b");
    expect(await there.call("groups", "addTo", "room", "a")).toBe("done");
    expect(await here.call("groups", "addTo", "room", "b")).toBe("done");
    await isKnown(here, "a");
    return { here, there };
  }

  it("leaves an unknown outcome when it hangs, and is reached again when it goes on", async () => {
    const { here, there } = await room();
    const again = await there.connect("again");
    await isKnown(here, "again");
    there.signal("SIGSTOP");
    const asked = performance.now();
    expect(await Promise.all(requests(here))).toEqual(UNKNOWN);
    expect(performance.now() - asked).toBeLessThan(10_000);
    there.signal("SIGCONT");
    await until("it is back", async () => (await here.call("pool", "send", "default", "again", "welcome")) === "done");
    await again.until((message) => message === "welcome");
  });

  it("leaves an unknown outcome when it is killed before it answers, and its connections are unknown at once", async () => {
    const { here, there } = await room();
    there.signal("SIGSTOP");
    const asked = requests(here);
    await here.call("pool", "isOnline", "default", "b"); // the requests are under way
    const exit = once(there.child, "exit");
    there.signal("SIGKILL");
    await exit;
    expect(await Promise.all(asked)).toEqual(UNKNOWN);
    const outcomes = new Set<unknown>();
    await until("it is unknown", async () => {
      const outcome = await here.call("pool", "send", "default", "a", "x");
      outcomes.add(outcome);
      return outcome === "unknown_connection";
    });
    expect([...outcomes].filter((outcome) => outcome !== "unavailable")).toEqual(["unknown_connection"]);
    expect(await here.call("groups", "disconnect", "room")).toEqual({ outcome: "done", closed: 0 });
  });
});
