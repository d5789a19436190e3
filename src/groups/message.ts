// From what an application hands over to a message on its way: checked, and encoded once.
import { GroupcastError } from "../base/errors.ts";
import { encodeFrame, type Payload } from "../wire/frames.ts";
import type { Kind, Message } from "../wire/record.ts";
import type { Connection } from "./connection.ts";

/** Who does not get a message: connections or their ids. Binds to the ids, in every process. */
export type Except = Connection | string | readonly (Connection | string)[];

/** Options of a message to many. */
export interface SendOptions {
  readonly except?: Except | undefined;
}

/**
 * Bytes in one message of the application: what every channel can carry (NATS' default `max_payload`, less the record's head).
 * Clients are held to `messageBytes`, which is far lower.
 */
export const PUBLISH_BYTES_MAX = 1024 * 1024 - 64 * 1024;

/** Characters in all ids that one message leaves out: about 8,000 of ours, and with the message itself no more than a channel carries. */
const EXCEPT_LENGTH_MAX = 256 * 1024;

/**
 * @throws GroupcastError `bad_option`: neither a string nor bytes, or an `except` that is none; `too_large`: message or `except`.
 */
export function toMessage(payload: Payload, except?: Except, kind: Kind = typeof payload === "string" ? "string" : "bytes"): Message {
  if (typeof payload !== "string" && !(payload instanceof Uint8Array)) {
    throw new GroupcastError("bad_option", `a message is a string or a Uint8Array, not ${payload === null ? "null" : typeof payload}`);
  }
  const frame = encodeFrame(payload);
  if (frame.length > PUBLISH_BYTES_MAX) {
    throw new GroupcastError("too_large", `a message has at most ${PUBLISH_BYTES_MAX} bytes, not ${frame.length}`);
  }
  return { kind, frame, except: idsOf(except) };
}

/** @throws GroupcastError `bad_option`, `too_large` */
export function idsOf(except: Except | undefined): readonly string[] {
  if (except === undefined) return [];
  const list: readonly (Connection | string)[] = Array.isArray(except) ? except : [except];
  let length = 0;
  return list.map((one) => {
    const id: unknown = typeof one === "string" ? one : one?.id;
    if (typeof id !== "string") throw new GroupcastError("bad_option", "except is a connection, an id, or an array of them");
    length += id.length;
    if (length > EXCEPT_LENGTH_MAX) {
      throw new GroupcastError(
        "too_large",
        `except has at most ${EXCEPT_LENGTH_MAX} characters in its ids; make a group of those who shall get it`,
      );
    }
    return id;
  });
}
