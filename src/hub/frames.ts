// The frames of a hub's link: how they look, and how a stream of bytes is cut into them. Must not know sockets, or what topics mean.
//
//   frame        length u32, of all that follows it · type u8 · body
//   challenge    version u8 · nonce 32                           hub → process, the first frame
//   hello        version u8 · nonce 32 · proof 32 · prefix       process → hub, the answer
//   welcome      proof 32                                        hub → process: the link is in force
//   refused      reason u8                                       hub → process, the last frame
//   ping         nothing                                         both ways, each second; the other side's own ping is the pong
//   subscribe    ref u32 · topics                                → subscribed   ref u32
//   unsubscribe  topics
//   publish      ref u32 · topic · record                        → accepted     ref u32 · receivers u32
//   message      ref u32 · topic · record                        hub → process: a publish frame, with another type and nothing else
//   restored     nothing                                         process → hub: all that it heard on another link is subscribed to
//   will         nothing, or: ref u32 · topic · record            process → hub: what to publish when the link is lost, in place of the last
//
// A topic is its length as u16 and then UTF-8. All numbers are big-endian.
import { GroupcastError } from "../base/errors.ts";

/** The type byte of every frame. */
export const FRAME = {
  challenge: 1,
  hello: 2,
  welcome: 3,
  refused: 4,
  ping: 5,
  subscribe: 6,
  subscribed: 7,
  unsubscribe: 8,
  publish: 9,
  message: 10,
  accepted: 11,
  restored: 12,
  will: 13,
} as const;

/** The most that a peer may announce before it has proved itself: several times a hello, and next to nothing to hold. */
export const STRANGER_FRAME_BYTES_MAX = 1024;
/**
 * The most that a frame of a known peer may announce. A record ends at 256 KiB, so with its last message of up to 960 KiB and
 * rows for 65,535 messages it has up to 3.7 MiB.
 */
export const FRAME_BYTES_MAX = 4 * 1024 * 1024;
/** The record of a will: a word of one process to the others. The hub keeps one for each link. */
export const WILL_BYTES_MAX = 4 * 1024;
/** A group's topic is two names of up to 200 bytes, a letter and two separators. */
export const TOPIC_BYTES_MAX = 512;

const LENGTH_BYTES = 4;
const TYPE_AT = 4;
const BODY_AT = 5;
/** Where the topic of `publish`, `message` and `will` begins. */
const TOPIC_AT = 9;

/** A frame that could not be read; whoever sent it is not spoken to any further. */
export function broken(what: string): GroupcastError {
  return new GroupcastError("internal", `a broken frame: ${what}`);
}

export function typeOf(frame: Buffer): number {
  return frame.readUInt8(TYPE_AT);
}

/** The body of a frame; a view. */
export function bodyOf(frame: Buffer): Buffer {
  return frame.subarray(BODY_AT);
}

/** A frame of small parts. */
export function encodeParts(type: number, parts: readonly Uint8Array[]): Buffer {
  const frame = Buffer.concat([head(type, 0), ...parts]);
  frame.writeUInt32BE(frame.length - LENGTH_BYTES, 0);
  return frame;
}

export function encodeSubscribed(ref: number): Buffer {
  const frame = head(FRAME.subscribed, 4);
  frame.writeUInt32BE(ref, BODY_AT);
  return frame;
}

/** The ref that a frame of any kind that has one begins with. */
export function refOf(frame: Buffer): number {
  return frame.readUInt32BE(BODY_AT);
}

export function encodeAccepted(ref: number, receivers: number): Buffer {
  const frame = head(FRAME.accepted, 8);
  frame.writeUInt32BE(ref, BODY_AT);
  frame.writeUInt32BE(receivers, BODY_AT + 4);
  return frame;
}

export function readReceivers(frame: Buffer): number {
  return frame.readUInt32BE(BODY_AT + 4);
}

/** Everything of a `publish` or `will` but the record, which follows it. The topic is within its limit. */
export function encodeTopicHead(type: number, ref: number, topic: string, recordBytes: number): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const frame = Buffer.allocUnsafe(TOPIC_AT + 2 + topicBytes);
  frame.writeUInt32BE(frame.length - LENGTH_BYTES + recordBytes, 0);
  frame.writeUInt8(type, TYPE_AT);
  frame.writeUInt32BE(ref, BODY_AT);
  frame.writeUInt16BE(topicBytes, TOPIC_AT);
  frame.write(topic, TOPIC_AT + 2);
  return frame;
}

/** Where the topic of a `publish`, `message` or `will` ends and its record begins. */
export function topicEnd(frame: Buffer): number {
  return endOfTopic(frame, TOPIC_AT);
}

/**
 * The topic of a `publish`, `message` or `will`. The hub only compares topics, so it reads them as Latin-1, which tells any two
 * sequences of bytes apart.
 */
export function topicOf(frame: Buffer, end: number, encoding: "utf8" | "latin1"): string {
  return frame.toString(encoding, TOPIC_AT + 2, end);
}

/** Makes a `message` of a `publish` or `will`, in place. */
export function turnIntoMessage(frame: Buffer): void {
  frame.writeUInt8(FRAME.message, TYPE_AT);
}

/** A `will`. Topic and record are within their limits. */
export function encodeWill(topic: string, record: Uint8Array): Buffer {
  return Buffer.concat([encodeTopicHead(FRAME.will, 0, topic, record.length), record]);
}

/** The `message` that a `will` asks for, in memory of its own; undefined: none any more. */
export function readWill(frame: Buffer): Buffer | undefined {
  if (frame.length === BODY_AT) return undefined;
  if (frame.length - topicEnd(frame) > WILL_BYTES_MAX) throw broken("a will is over its limit");
  const message = Buffer.from(frame);
  turnIntoMessage(message);
  return message;
}

/** What a topic takes in a list of topics. */
export function listedBytes(topic: string): number {
  return 2 + Buffer.byteLength(topic);
}

/** A `subscribe`. The topics are within their limit, and together within that of a frame. */
export function encodeSubscribe(ref: number, topics: readonly string[]): Buffer {
  const frame = head(FRAME.subscribe, 4 + bytesOf(topics));
  frame.writeUInt32BE(ref, BODY_AT);
  writeTopics(frame, BODY_AT + 4, topics);
  return frame;
}

/** An `unsubscribe`, within the same limits. */
export function encodeUnsubscribe(topics: readonly string[]): Buffer {
  const frame = head(FRAME.unsubscribe, bytesOf(topics));
  writeTopics(frame, BODY_AT, topics);
  return frame;
}

/** The topics of a `subscribe`, as Latin-1. */
export function readSubscribe(frame: Buffer): string[] {
  return readTopics(frame, BODY_AT + 4);
}

/** The topics of an `unsubscribe`, as Latin-1. */
export function readUnsubscribe(frame: Buffer): string[] {
  return readTopics(frame, BODY_AT);
}

/** The other side's sign of life. */
export const PING: Buffer = head(FRAME.ping, 0);
/** Everything is told; what comes now is new. */
export const RESTORED: Buffer = head(FRAME.restored, 0);
/** Nothing is to be published for this process. */
export const NO_WILL: Buffer = head(FRAME.will, 0);

function head(type: number, bodyBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(BODY_AT + bodyBytes);
  frame.writeUInt32BE(1 + bodyBytes, 0);
  frame.writeUInt8(type, TYPE_AT);
  return frame;
}

function bytesOf(topics: readonly string[]): number {
  return topics.reduce((total, topic) => total + listedBytes(topic), 0);
}

function writeTopics(frame: Buffer, from: number, topics: readonly string[]): void {
  let at = from;
  for (const topic of topics) at = writeTopic(frame, at, topic);
}

function writeTopic(frame: Buffer, at: number, topic: string): number {
  const bytes = frame.write(topic, at + 2);
  frame.writeUInt16BE(bytes, at);
  return at + 2 + bytes;
}

function readTopics(frame: Buffer, from: number): string[] {
  const topics: string[] = [];
  for (let at = from; at < frame.length;) {
    const end = endOfTopic(frame, at);
    topics.push(frame.toString("latin1", at + 2, end));
    at = end;
  }
  return topics;
}

function endOfTopic(frame: Buffer, at: number): number {
  const bytes = frame.readUInt16BE(at);
  const end = at + 2 + bytes;
  if (bytes > TOPIC_BYTES_MAX) throw broken("a topic is over its limit");
  if (end > frame.length) throw broken("a topic is cut short");
  return end;
}
