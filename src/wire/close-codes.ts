// Close codes and reasons: which exist, what they mean, and how the arguments of close and closeAll are read.
import { GroupcastError } from "../base/errors.ts";

/**
 * The codes that groupcast itself closes with. Standard codes (RFC 6455 §7.4.1) where they fit;
 * 40xx: come back and resume; 44xx: do not retry unchanged.
 */
export const CLOSE = {
  normal: 1000,
  internal: 1011,
  restart: 1012,
  drained: 4001,
  slow: 4002,
  noPong: 4003,
  replaced: 4409,
} as const;

/** What a close frame says. */
export interface Goodbye {
  readonly code: number;
  readonly reason: string;
}

/** The arguments of close and closeAll: code and reason in either order, or one object. Both are optional. */
export type CloseArguments = readonly [first?: number | string | Partial<Goodbye> | undefined, second?: number | string | undefined];

/** The longest reason that fits a close frame beside its code: RFC 6455 allows control frames 125 bytes. */
export const REASON_BYTES_MAX = 123;

/**
 * Reads the arguments of close and closeAll in either order (one is a number, one a string) or as one object.
 * The reason is cut to 123 bytes at a character.
 *
 * @throws GroupcastError `bad_option`: two numbers, two strings, or a code that may not be sent. Nothing has happened yet.
 */
export function readCloseArguments(args: CloseArguments, defaultCode: number): Goodbye {
  const [first, second] = args;
  if (typeof first === "object" && first !== null && !Array.isArray(first) && second === undefined) {
    return goodbye(first.code ?? defaultCode, first.reason ?? "");
  }
  let code: number | undefined;
  let reason: string | undefined;
  for (const value of [first, second]) {
    if (value === undefined) continue;
    if (typeof value === "number" && code === undefined) code = value;
    else if (typeof value === "string" && reason === undefined) reason = value;
    else {
      throw new GroupcastError(
        "bad_option",
        `close takes one code and one reason, or { code, reason }, not ${typeof first} and ${typeof second}`,
      );
    }
  }
  return goodbye(code ?? defaultCode, reason ?? "");
}

function goodbye(code: unknown, reason: unknown): Goodbye {
  if (!isSendable(code)) {
    throw new GroupcastError("bad_option", `close code ${String(code)} cannot be sent; allowed: 1000-1003, 1007-1014, 3000-4999`);
  }
  if (typeof reason !== "string") throw new GroupcastError("bad_option", `a close reason is a string, not ${typeof reason}`);
  return { code, reason: cutReason(reason) };
}

// 1004 to 1006 and 1015 are reserved and never stand in a frame (RFC 6455 §7.4.1).
function isSendable(code: unknown): code is number {
  if (typeof code !== "number" || !Number.isInteger(code)) return false;
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

const encoder = new TextEncoder();

/** `reason`, cut to 123 bytes of UTF-8 without cutting a character in two. A lone surrogate counts as U+FFFD, as it is sent. */
export function cutReason(reason: string): string {
  // encodeInto stops at the last whole character that fits, and `read` counts UTF-16 units.
  const { read } = encoder.encodeInto(reason, new Uint8Array(REASON_BYTES_MAX));
  return read === reason.length ? reason : reason.slice(0, read);
}
