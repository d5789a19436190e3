// What the NATS client and its server say in errors, as ours. Must not know who asks.
import { asError, GroupcastError } from "../base/errors.ts";

/** What the server says to whoever is not known, or may not do what it asks for. */
const UNKNOWN_USER: ReadonlySet<string> = new Set(["AuthorizationError", "UserAuthenticationExpiredError"]);
const DENIED = "PermissionViolationError";

/** `thrown` with one of our codes: `unauthorized` if NATS does not know us or does not let us, else `unavailable`; ours stay as they are. */
export function toTrouble(thrown: unknown, what: string): GroupcastError {
  if (thrown instanceof GroupcastError) return thrown;
  const cause = asError(thrown);
  // By name: what the error is an instance of came with the client, which may be there twice.
  const isUnauthorized = UNKNOWN_USER.has(cause.name) || cause.name === DENIED;
  return new GroupcastError(isUnauthorized ? "unauthorized" : "unavailable", `${what}: ${textOf(cause)}`, { cause });
}

/** When a name stands for several addresses and none answers, Node's error has no text of its own. */
function textOf(error: Error): string {
  return error instanceof AggregateError ? error.errors.map((one: Error) => one.message).join(", ") : error.message;
}
