// Why a process could not start, in words for people: what the system or an option said. Must not know who asks.
import { GroupcastError } from "../base/errors.ts";
import { hostPort } from "../wire/addresses.ts";
import type { Failure } from "./messages.ts";

/** What a part's `start` rejects with if no process like it could start: the primary ends with this line, and does not try again. */
export class CannotStart extends Error {
  override readonly name = "CannotStart";
  readonly failure: Failure;

  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.text, options);
    this.failure = failure;
  }
}

// The address is not one of this machine's, or the name leads nowhere.
const NOT_HERE: ReadonlySet<unknown> = new Set(["EADDRNOTAVAIL", "ENOTFOUND", "EAI_AGAIN", "EINVAL"]);

/** `thrown`, as {@link CannotStart} if it says that the address or an option is at fault, else as it is. */
export function explain(thrown: unknown, host: string, port: number): unknown {
  const errno = thrown instanceof GroupcastError && thrown.cause !== undefined ? codeOf(thrown.cause) : codeOf(thrown);
  const at = hostPort(host, port);
  const because = (kind: Failure["kind"], text: string): CannotStart => new CannotStart({ kind, text, port }, { cause: thrown });
  if (errno === "EADDRINUSE") return because("taken", `port: ${at} is taken; choose another port, or stop who listens there`);
  if (errno === "EACCES") return because("taken", `port: ${at} may not be listened on by this user; choose a port above 1023`);
  if (NOT_HERE.has(errno)) return because("setting", `host: given ${JSON.stringify(host)}, allowed: an address of this machine`);
  if (thrown instanceof GroupcastError && (thrown.code === "bad_option" || thrown.code === "bad_group"))
    return because("setting", thrown.message);
  return thrown;
}

function codeOf(thrown: unknown): unknown {
  return typeof thrown === "object" && thrown !== null && "code" in thrown ? thrown.code : undefined;
}
