// The plain protocol's commands and answers: text in, a command or the reason why not out. Must not know connections.
import { type ErrorCode, ERRORS, GroupcastError } from "../base/errors.ts";
import { checkName } from "./names.ts";

/** How a client marks a command that it wants answered. */
export type CommandId = string | number;

/** A command that may be carried out. `id` is undefined when the client wants no answer. */
export type Command =
  | { readonly cmd: "add_group" | "leave_group" | "count_group"; readonly id: CommandId | undefined; readonly group: string }
  | {
      readonly cmd: "send_to_group";
      readonly id: CommandId | undefined;
      readonly group: string;
      /** A string's own text, or any other value's JSON text exactly as the client wrote it. */
      readonly text: string;
      readonly kind: "string" | "json";
    };

/** A command that cannot be carried out, and why. */
export interface Refusal {
  readonly cmd: "refused";
  readonly id: CommandId | undefined;
  readonly error: ErrorCode;
  readonly detail: string;
}

/** Levels of nesting in one command: deeper values overflow the stacks of careless readers further on. */
export const DEPTH_MAX = 32;
/** Characters of an `id` that is a string. */
export const COMMAND_ID_LENGTH_MAX = 64;

/** Reads one message of a client. Never throws, whatever the text is. */
export function readCommand(text: string): Command | Refusal {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return refusal(undefined, "bad_json", "the command is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return refusal(undefined, "bad_json", "the command is not a JSON object");
  }
  const fields = parsed as Readonly<Record<string, unknown>>;
  const id = readId(fields["id"]);
  const cmd = fields["cmd"];
  switch (cmd) {
    case "add_group":
    case "leave_group":
    case "count_group":
    case "send_to_group":
      break;
    default:
      return refusal(id, "unknown_command", 'cmd is one of "add_group", "leave_group", "send_to_group", "count_group"');
  }
  let group: string;
  try {
    group = readGroup(fields["group_id"]);
  } catch (error) {
    return refusal(id, "bad_group", (error as Error).message);
  }
  if (cmd !== "send_to_group") return { cmd, id, group };
  const message = fields["message"];
  if (typeof message === "string") return { cmd, id, group, text: message, kind: "string" };
  if (message === undefined) return refusal(id, "bad_json", "send_to_group needs a message");
  const source = sourceOfMessage(text);
  if (source.depth > DEPTH_MAX) return refusal(id, "too_deep", `a command is nested at most ${DEPTH_MAX} levels deep`);
  return { cmd, id, group, text: source.message, kind: "json" };
}

function refusal(id: CommandId | undefined, error: ErrorCode, detail: string): Refusal {
  return { cmd: "refused", id, error, detail };
}

function readId(id: unknown): CommandId | undefined {
  if (typeof id === "number") return Number.isFinite(id) ? id : undefined;
  return typeof id === "string" && id.length <= COMMAND_ID_LENGTH_MAX ? id : undefined;
}

function readGroup(group: unknown): string {
  return checkName(typeof group === "number" && Number.isSafeInteger(group) ? String(group) : group);
}

/**
 * Where the value of the top-level `message` stands in the source text, and how deep the text is nested.
 *
 * The value is passed on as it was written: reading and writing it again would round long numbers, and would overflow the
 * stack on deep nesting. The text is known to be a JSON object. Of repeated keys the last counts, as in JSON.parse.
 */
function sourceOfMessage(text: string): { message: string; depth: number } {
  let depth = 0;
  let deepest = 0;
  let key = ""; // of the value at depth 1 that we are in or come to
  let valueAt = -1;
  let message = "";
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22 /* " */: {
        const end = endOfString(text, at);
        if (depth === 1 && valueAt < 0) key = text.slice(at, end + 1);
        at = end;
        break;
      }
      case 0x7b /* { */:
      case 0x5b /* [ */:
        deepest = Math.max(deepest, ++depth);
        break;
      case 0x3a /* : */:
        if (depth === 1 && valueAt < 0) valueAt = at + 1;
        break;
      case 0x7d /* } */:
      case 0x5d /* ] */:
      case 0x2c /* , */:
        if (depth === 1 && valueAt >= 0) {
          if (JSON.parse(key) === "message") message = text.slice(valueAt, at).trim();
          valueAt = -1;
        }
        if (text.charCodeAt(at) !== 0x2c) depth--;
        break;
      default:
    }
  }
  return { message, depth: deepest };
}

function endOfString(text: string, quote: number): number {
  let at = quote + 1;
  while (text.charCodeAt(at) !== 0x22) at += text.charCodeAt(at) === 0x5c /* \ */ ? 2 : 1;
  return at;
}

/** The answer to a command that was carried out; `facts` are what the command asked for. */
export function encodeOk(id: CommandId, facts: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ id, ok: true, ...facts });
}

/** The answer to a command that was not carried out. */
export function encodeError(id: CommandId, error: ErrorCode, detail: string): string {
  return JSON.stringify({ id, ok: false, error, detail, retry: ERRORS[error].retry });
}

/** What a client is told of an error: our own codes as they are, anything else as `internal` without its text. */
export function describe(error: unknown): { error: ErrorCode; detail: string } {
  if (error instanceof GroupcastError) return { error: error.code, detail: error.message };
  return { error: "internal", detail: ERRORS.internal.text };
}
