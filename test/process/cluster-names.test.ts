// What groups are called addresses them and nothing else, on every channel, and on a broker's socket stands nothing but its alphabet.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bus, buses, type Node } from "./cluster/buses.ts";
import { natsLines, redisCommands } from "./cluster/said.ts";
import type { Wire } from "./cluster/wire.ts";
import { Client } from "./client.ts";

/** What brokers read something into, and what that could address by mistake. */
const GROUPS = [
  ...["*", ">", "a.b", "a b", "{x}", "?", "[a]", "=2a"],
  ...[
    "a",
    "b",
    "x",
    "ab",
    "{a}",
    "a.*",
    "a.>",
    "**",
    ".",
    "..",
    "=",
    "=3e",
    "%2a",
    "=2A",
    "2a",
    "a*",
    "[",
    "]",
    "\\*",
    "{}",
    "}{",
    "{",
    "^",
    "$",
  ],
  ...[
    "ä",
    "🎈",
    " ",
    "a ",
    " a",
    "$JS.API.>",
    "$SYS",
    "_INBOX.>",
    "groupcast",
    "groupcast.g.default.a",
    "g",
    "p",
    "c",
    "l",
    "r",
    "__proto__",
  ],
  ...["SUBSCRIBE", "+OK", "-ERR", "*1", "$1", "'", '"', "/", "a/b", "#", "+", "|", ",", "-", "_"],
];
/** Where a dot ends a namespace in one reading, and a group in another. */
const PLACES: readonly [namespace: string, group: string][] = [
  ...GROUPS.map((group): [string, string] => ["default", group]),
  ["a", "b"],
  ["a", "b.c"],
  ["a.b", "c"],
  ["*", "a"],
  [">", "a"],
  ["a b", "*"],
  ["*", "*"],
];

/** Names that are none. */
const CRLF = [
  "a\r\nSPUBLISH evil 4\r\nevil",
  "a\r\nPUB evil 4\r\nevil\r\n",
  "\r\n",
  "a\nb",
  "a\rb",
  "a\0b",
  "\r\n*3\r\n$7\r\nPUBLISH\r\n$4\r\nevil\r\n$4\r\nevil\r\n",
  "\u0085",
  "\u007f",
  "\ud800",
];

describe.each(await buses("names on a channel", ["memory", "hub", "Redis", "Valkey", "Redis Cluster", "NATS"]))(
  "over $kind",
  ({ kind, missing, start }) => {
    let bus: Bus;
    let nodes: Node[];

    beforeAll(async () => {
      if (missing) return;
      bus = await start();
      nodes = await Promise.all([bus.node({}), bus.node({})]);
    });
    afterAll(() => bus?.stop());

    it.skipIf(missing)("each of many odd names addresses the group of that name alone", async () => {
      const [here, there] = nodes as [Node, Node];
      const members = await Promise.all(PLACES.map(([namespace]) => here.open(`/ws/${encodeURIComponent(namespace)}`)));
      const answers = members.map((member, index) => member.ask({ cmd: "add_group", group_id: PLACES[index]?.[1] }));
      expect((await Promise.all(answers)).every(({ ok }) => ok === true)).toBe(true);
      for (const member of members) member.got.length = 0;

      const speakers = new Map<string, Client>();
      for (const [namespace, group_id] of PLACES) {
        const speaker = speakers.get(namespace) ?? (await there.open(`/ws/${encodeURIComponent(namespace)}`));
        speakers.set(namespace, speaker);
        const message = JSON.stringify([namespace, group_id]);
        expect(await speaker.ask({ cmd: "send_to_group", group_id, message })).toMatchObject({ ok: true });
      }
      await Promise.all(members.map((member) => member.untilCount(1)));
      // What had come to somebody else would have come by now, in front of this.
      for (const [namespace, group_id] of PLACES)
        speakers.get(namespace)?.send(JSON.stringify({ cmd: "send_to_group", group_id, message: "last" }));
      await Promise.all(members.map((member) => member.until((text) => text === "last")));
      expect(members.map(({ got }) => got)).toEqual(PLACES.map((place) => [JSON.stringify(place), "last"]));
      await Promise.all([...members, ...speakers.values()].map((client) => client.close()));
    });

    it.skipIf(missing)("a name with a line end is refused, and nothing of it goes further", async () => {
      const [here, there] = nodes as [Node, Node];
      const [witness, client] = [await there.open(), await here.open()];
      await witness.ask({ cmd: "add_group", group_id: "evil" });
      witness.got.length = 0;
      for (const group_id of CRLF) {
        for (const cmd of ["add_group", "send_to_group", "leave_group", "count_group"]) {
          expect(await client.ask({ cmd, group_id, message: "evil" })).toMatchObject({ ok: false, error: "bad_group" });
        }
      }
      // In a message it is text like any other.
      const message = "x\r\nPUB evil 4\r\nevil\r\n*3\r\n$8\r\nSPUBLISH\r\n$4\r\nevil\r\n$4\r\nevil\r\n";
      await client.ask({ cmd: "add_group", group_id: "fine" });
      await client.ask({ cmd: "send_to_group", group_id: "fine", message });
      await client.until((text) => text === message);
      await client.ask({ cmd: "send_to_group", group_id: "evil", message: "at last" });
      await witness.until((text) => text === "at last");
      expect(witness.got).toEqual(["at last"]);
      await Promise.all([witness, client].map((one) => one.close()));
    });

    if (["Redis", "Valkey", "NATS"].includes(kind))
      it.skipIf(missing)("and the broker has been told names of its alphabet only, one for each group, in whole commands", () => {
        const wires = nodes.map((node) => bus.wireOf(node));
        const names = new Set(wires.flatMap((wire) => (kind === "NATS" ? natsNames(wire) : redisNames(wire))));
        expect([...names].filter((name) => !/^[A-Za-z0-9_=-]+(?:\.[A-Za-z0-9_=-]+)*$/.test(name))).toEqual([]);
        // Each place of the first test, and "fine" and "evil" of the second.
        expect(names.size).toBeGreaterThanOrEqual(PLACES.length + 2);
        expect([...names].filter((name) => name.split(".").includes("evil"))).toHaveLength(1);
      });
  },
);

/** Every channel that a node has named to a Redis. */
function redisNames(wire: Wire): string[] {
  const commands = wire.heard.flatMap(({ toBroker }) => redisCommands(toBroker));
  return commands.flatMap(([verb = "", ...words]) => {
    if (/^(?:SUBSCRIBE|SSUBSCRIBE|UNSUBSCRIBE|SUNSUBSCRIBE)$/i.test(verb)) return words;
    if (/^(?:PUBLISH|SPUBLISH)$/i.test(verb)) return words.slice(0, 1);
    // These name nothing. Any other is a stranger here: KEYS, SCAN, PSUBSCRIBE are not to be.
    expect(verb).toMatch(/^(?:HELLO|CLIENT|PING|INFO|AUTH|SELECT|COMMAND|CLUSTER)$/i);
    return [];
  });
}

/**
 * Every subject of ours that a node has named to a NATS, without its first part, which says whether it is published to or heard; not those
 * of its client, of JetStream, and of answers.
 */
function natsNames(wire: Wire): string[] {
  const lines = wire.heard.flatMap(({ toBroker }) => natsLines(toBroker));
  return lines.flatMap(({ words: [operation = "", subject = ""] }) => {
    if (!["SUB", "PUB", "HPUB"].includes(operation) || /^(?:_INBOX\.|\$JS\.|gca\.)/.test(subject) || subject.endsWith(".$marker"))
      return [];
    expect(subject).toMatch(/^gc[lp]\./);
    return [subject.slice("gcl.".length)];
  });
}
