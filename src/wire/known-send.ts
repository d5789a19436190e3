// A client sends to one group again and again, and writes everything but the message in the same way each time: who knows the bytes
// before the message need not parse them again. Must not know connections.
import type { Command } from "./commands.ts";

const utf8 = new TextEncoder();

/** What the text of a command ends with when its message is the last of its fields. */
const END = '"}';
/** Text up to where the message's characters begin; a quote within a name would have a backslash before it. */
const UP_TO_MESSAGE = /[{,\s]"message"\s*:\s*"$/;

/** By byte: 1 for what a JSON string cannot have as it is, or does not mean by itself: control characters, quote and backslash. */
const SPECIAL = Uint8Array.from({ length: 256 }, (_, byte) => (byte < 0x20 || byte === 0x22 || byte === 0x5c ? 1 : 0));

/** A `send_to_group` without an id, whose message is a string and its last field, as one client writes it. */
export class KnownSend {
  readonly group: string;
  readonly #head: Uint8Array;

  private constructor(group: string, head: Uint8Array) {
    this.group = group;
    this.#head = head;
  }

  /** What can be learned from a command and the text that it was read from; undefined: nothing. */
  static from(text: string, command: Command): KnownSend | undefined {
    if (command.cmd !== "send_to_group" || command.kind !== "string" || command.id !== undefined) return undefined;
    // Also: the message has no escapes, or it would differ from what stands there.
    if (!text.endsWith(`${command.text}${END}`)) return undefined;
    const head = text.slice(0, text.length - command.text.length - END.length);
    if (!UP_TO_MESSAGE.test(head)) return undefined;
    const known = new KnownSend(command.group, utf8.encode(head));
    return known.messageAt(utf8.encode(text)) > 0 ? known : undefined;
  }

  /**
   * Where the message begins in a command, the UTF-8 bytes of a text, that differs from the known one in its message only; -1: it may be
   * anything. The message ends two bytes before the end of the text, and stands there as it is, without escapes.
   */
  messageAt(bytes: Uint8Array): number {
    const head = this.#head;
    const at = head.length;
    const end = bytes.length - END.length;
    if (end < at || bytes[end] !== 0x22 || bytes[end + 1] !== 0x7d) return -1;
    for (let next = 0; next < at; next++) if (bytes[next] !== head[next]) return -1;
    let special = 0;
    for (let next = at; next < end; next++) special |= SPECIAL[bytes[next] as number] as number;
    return special === 0 ? at : -1;
  }
}
