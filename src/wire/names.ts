// What a group, a namespace, a connection id and a user may be called.
import { GroupcastError } from "../base/errors.ts";

/** Bytes of UTF-8 in a name: room for an encoded tenant and path, below every broker's limit on subjects and keys. */
export const NAME_BYTES_MAX = 200;

/**
 * A group's or namespace's name, a connection's id, or a user: 1 to 200 bytes of text without control characters. `"0"` and
 * `"__proto__"` are ordinary names.
 *
 * @throws GroupcastError `bad_group`; for a connection's id or a user `bad_option`
 */
export function checkName(name: unknown, what: "group" | "namespace" | "connection id" | "user" = "group"): string {
  if (isName(name)) return name;
  const shown = typeof name === "string" ? JSON.stringify(name.slice(0, 40)) : typeof name;
  const isGroup = what === "group" || what === "namespace";
  throw new GroupcastError(
    isGroup ? "bad_group" : "bad_option",
    `a ${isGroup ? `${what} name` : what} is 1 to ${NAME_BYTES_MAX} bytes of text without control characters, not ${shown}`,
  );
}

// Control characters of ASCII and Latin-1. Lone surrogates have no UTF-8 form, so they could not keep their name on the way.
// oxlint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u;

/** True for what {@link checkName} lets pass. */
export function isName(name: unknown): name is string {
  if (typeof name !== "string" || name === "" || name.length > NAME_BYTES_MAX || FORBIDDEN.test(name)) return false;
  // UTF-8 needs at most three bytes for one UTF-16 unit, so short names need no counting.
  return name.length * 3 <= NAME_BYTES_MAX || new TextEncoder().encode(name).length <= NAME_BYTES_MAX;
}
