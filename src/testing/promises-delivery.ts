// What every adapter promises about who gets a record, and what is in it.
import { createHash } from "node:crypto";
import { PUBLISH_BYTES_MAX } from "../groups/message.ts";
import type { Payload } from "../wire/frames.ts";
import type { Message } from "../wire/record.ts";
import { ensure, ensureSame } from "./check.ts";
import type { Peer } from "./peer.ts";
import type { ToldRecord } from "./peer-host.ts";
import { type AdapterPromise, message, numbers, promise, say, type Stage } from "./stage.ts";

/** A large message: 60 KB, close to what a client may send. */
const LARGE_BYTES = 60_000;
/** Head of a frame of this length. */
const HEAD_BYTES = 10;

export const deliveryPromises: readonly AdapterPromise[] = [
  promise("delivers a record once to every subscribed adapter, the publisher's own included", async (stage, [a, b, c]) => {
    const topic = stage.topic("everybody");
    for (const peer of [a, b, c]) await peer.subscribe(topic);
    for (const [index, peer] of [a, b, c].entries()) await peer.publish(topic, say(`from ${index}`));
    await stage.fence(topic, a, b, c);
    for (const [index, peer] of [a, b, c].entries())
      ensureSame(`adapter ${index}`, stage.heard(peer, topic), ["from 0", "from 1", "from 2"]);
  }),

  promise("hands over nothing of a topic to an adapter without a subscription to it", async (stage, [a, b, c]) => {
    const [topic, other] = [stage.topic("heard by b"), stage.topic("heard by c")];
    await b.subscribe(topic);
    await c.subscribe(other);
    for (const text of numbers(20)) await a.publish(topic, say(text));
    await stage.fence(topic, b);
    await stage.fence(other, c);
    ensureSame("the subscribed adapter", stage.heard(b, topic), numbers(20));
    ensureNothing(a, "the publisher, which is not subscribed,", topic);
    ensureNothing(c, "an adapter that is subscribed to another topic", topic);
  }),

  promise("sends no record over the link of an adapter without a subscription to its topic", async (stage, [a, b, c]) => {
    const receivedBytes = stage.ability("receivedBytes");
    const [topic, other] = [stage.topic("heard by b"), stage.topic("heard by c")];
    await b.subscribe(topic);
    await c.subscribe(other);
    const before = [await receivedBytes(a), await receivedBytes(b), await receivedBytes(c)] as const;
    for (const text of numbers(20)) await a.publish(topic, say(text.padEnd(LARGE_BYTES)));
    await stage.fence(topic, b);
    await stage.fence(other, c);
    // Less than one of the twenty records: room for receipts, fences and whatever keeps a link alive.
    for (const [index, peer] of [a, c].entries()) {
      const grown = (await receivedBytes(peer)) - (index === 0 ? before[0] : before[2]);
      ensure(grown < LARGE_BYTES, `${grown} bytes came to an adapter without a subscription`);
    }
    const heard = (await receivedBytes(b)) - before[1];
    ensure(heard >= 20 * LARGE_BYTES, `only ${heard} bytes came to the adapter that heard ${20 * LARGE_BYTES}: the counter is wrong`);
  }),

  promise("takes every topic as a plain name, never as a pattern", async (stage, [a, b]) => {
    const names = ["*", "a.*", "a.>", ">", "a?", "[ab]", "a b", "a.b", "ab", "á", "\u{1F600}", "a\\b", "a:b", "__proto__", "é".repeat(80)];
    await b.subscribe(...names.map((name) => stage.topic(name)));
    for (const name of names) await a.publish(stage.topic(name), say(name));
    for (const name of names) await stage.fence(stage.topic(name), b);
    for (const name of names) ensureSame(`topic ${JSON.stringify(name)}`, stage.heard(b, stage.topic(name)), [name]);
  }),

  promise("carries bytes, kinds and except lists untouched", async (stage, [a, b]) => {
    const topic = stage.topic("bytes");
    await a.subscribe(topic);
    await b.subscribe(topic);
    for (const sent of everyMessage()) await a.publish(topic, sent);
    await a.publish(topic, ...everyMessage());
    await ensureArrived(stage, topic, [a, b], [...everyMessage(), ...everyMessage()]);
  }),

  promise("carries a record of many messages whole and in order", async (stage, [a, b]) => {
    const topic = stage.topic("many");
    const sent = numbers(2_000).map((text, index) => message("json", text, index % 100 === 0 ? [`id ${index}`] : []));
    await a.subscribe(topic);
    await b.subscribe(topic);
    await a.publish(topic, ...sent);
    await ensureArrived(stage, topic, [a, b], sent);
  }),

  promise("carries the largest message that an application may publish", async (stage, [a, b]) => {
    const topic = stage.topic("largest");
    await a.subscribe(topic);
    await b.subscribe(topic);
    const sent = [message("bytes", noise(PUBLISH_BYTES_MAX - HEAD_BYTES)), say("behind it")];
    for (const one of sent) await a.publish(topic, one);
    await ensureArrived(stage, topic, [a, b], sent);
  }),

  promise("leaves the bytes of a record alone once it has handed it over", async (stage, [a, b]) => {
    const topic = stage.topic("kept");
    await b.subscribe(topic);
    for (let round = 0; round < 20; round++) await a.publish(topic, message("bytes", noise(5_000 + round, round)));
    await stage.fence(topic, b);
    const told = b.records(topic);
    const [reread] = await b.turn({ call: "reread" });
    ensure(reread?.ok === true, "the records cannot be read again");
    const again = (reread.value as readonly ToldRecord[]).filter((record) => record.topic === topic);
    ensureSame("records, read again later", again.map(fingerprint), told.map(fingerprint));
  }),
];

async function ensureArrived(stage: Stage, topic: string, peers: readonly Peer[], sent: readonly Message[]): Promise<void> {
  await stage.fence(topic, ...peers);
  for (const [index, peer] of peers.entries()) {
    ensureSame(`adapter ${index}`, stage.arrived(peer, topic).map(print), sent.map(print));
  }
}

function ensureNothing(peer: Peer, who: string, topic: string): void {
  const told = peer.records(topic).length;
  ensure(told === 0, `${who} was handed ${told} records`);
}

/** Every kind, with every payload that something on the way might take for its own sign. */
function everyMessage(): Message[] {
  const texts = [
    "",
    "1",
    "a\0b",
    "\0",
    "\u{1F469}\u{200D}\u{1F680} é ž \u{FEFF}",
    '{"cmd":"add_group"}',
    "\r\n\r\n",
    "x".repeat(125),
    "x".repeat(126),
  ];
  const bytes: Payload[] = [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(255), noise(126), noise(65_535), noise(LARGE_BYTES)];
  return [
    ...texts.flatMap((text) => [message("string", text), message("json", text), message("control", text)]),
    ...bytes.map((payload) => message("bytes", payload)),
    message("string", "not to one", ["id"]),
    message("bytes", noise(300), ["", "a\0b", '","', "\u{1F600}", "__proto__"]),
    message("json", "{}", numbers(1_000, "id ")),
  ];
}

/** Bytes without a pattern, the same at every call. */
function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed + 0x9e37_79b9;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

function fingerprint({ messages }: ToldRecord): string {
  return messages.map(print).join("\n");
}

function print({ kind, frame, except }: Message): string {
  return `${kind}, ${frame.length} bytes, ${createHash("sha256").update(frame).digest("hex")}, except ${JSON.stringify(except)}`;
}
