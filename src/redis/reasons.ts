// What went wrong, in our words and without anybody's password. The errors of the libraries hold the commands that failed, `AUTH` with
// its arguments among them, so nothing of ours has one as its cause.
import { GroupcastError } from "../base/errors.ts";

const MASK = "***";
/** The server knows us not, or not for that. */
const UNAUTHORIZED = /^(?:WRONGPASS|NOAUTH|NOPERM|ERR (?:invalid password|AUTH|Client sent AUTH))\b/;
/** The cluster is no longer as we know it. */
const MOVED = /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/;

/** The text of an error, without these secrets. */
export function textOf(error: unknown, secrets: readonly string[]): string {
  // When a name stands for several addresses and none answers, Node's error has no text of its own.
  if (error instanceof AggregateError) return error.errors.map((one) => textOf(one, secrets)).join(", ");
  const text = error instanceof Error ? error.message || error.name : String(error);
  return secrets.reduce((shown, secret) => shown.replaceAll(wordOf(secret), MASK), text);
}

/** What ended a connection, or kept it from being made. `unauthorized`: it will be the same next time, unless somebody changes something. */
export function endedBy(error: unknown, what: string, secrets: readonly string[]): GroupcastError {
  if (error instanceof GroupcastError) return error;
  const text = textOf(error, secrets);
  return new GroupcastError(UNAUTHORIZED.test(text) ? "unauthorized" : "unavailable", `${what}: ${text}`);
}

/** True for the refusal of a server that serves this name no more. */
export function isMoved(error: unknown): boolean {
  return error instanceof Error && MOVED.test(error.message);
}

// Only as a whole word: a user called "r" must not blot out every r.
function wordOf(secret: string): RegExp {
  const literal = secret.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
  return new RegExp(`(?<![A-Za-z0-9])${literal}(?![A-Za-z0-9])`, "g");
}
