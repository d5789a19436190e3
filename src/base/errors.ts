// The one error class and every code it can carry. Knows nothing else; everybody may throw it.

/** What each code means: whether the same call may be tried again, and the text when nobody has a better one. */
export const ERRORS = {
  bad_json: { retry: false, text: "not a JSON object" },
  bad_group: { retry: false, text: "a group name is 1 to 200 bytes of text without control characters" },
  bad_position: { retry: false, text: "not a position of this server" },
  bad_option: { retry: false, text: "an option or argument has a value that is not allowed" },
  too_large: { retry: false, text: "the message is over the limit" },
  too_deep: { retry: false, text: "the message is nested too deeply" },
  unknown_command: { retry: false, text: "no such command" },
  unauthorized: { retry: false, text: "who you are is not known" },
  forbidden: { retry: false, text: "not allowed" },
  no_manager: { retry: false, text: "this connection belongs to no GroupManager yet" },
  use_join: { retry: false, text: "authorize is asynchronous here: use join() instead of setGroup()" },
  no_history: { retry: false, text: "history is off" },
  limit: { retry: false, text: "a limit is reached" },
  rate: { retry: false, text: "too many commands in a short time" },
  id_conflict: { retry: false, text: "this id is taken" },
  closed: { retry: false, text: "already closed" },
  draining: { retry: false, text: "draining: nobody new is let in" },
  unavailable: { retry: true, text: "the channel is down; nothing was sent" },
  unknown_outcome: { retry: true, text: "the channel went down before it answered; it may or may not have been sent" },
  order_hold: { retry: true, text: "an earlier message of this connection must be sent again first" },
  storage: { retry: true, text: "the log cannot be written" },
  internal: { retry: true, text: "an error inside the server" },
} as const satisfies Record<string, { readonly retry: boolean; readonly text: string }>;

/** Every code of {@link GroupcastError}; the same words stand in the `error` field on the wire. */
export type ErrorCode = keyof typeof ERRORS;

/**
 * Every error that groupcast throws or rejects with.
 *
 * Branch on `code`, never on the message. `retry` says whether the same call may be tried again
 * unchanged; after `unknown_outcome` that may send a message twice. `cause` holds what lay beneath, if anything did.
 */
export class GroupcastError extends Error {
  override readonly name = "GroupcastError";
  readonly code: ErrorCode;
  readonly retry: boolean;

  /** @param message names the thing, the limit and the way out; default: the code's own text. */
  constructor(code: ErrorCode, message?: string, options?: ErrorOptions) {
    super(message ?? ERRORS[code].text, options);
    this.code = code;
    this.retry = ERRORS[code].retry;
  }
}

/** Whatever was thrown, as an Error: listeners of `error` never get a string or undefined. */
export function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  try {
    return new GroupcastError("internal", `thrown: ${String(thrown)}`);
  } catch {
    return new GroupcastError("internal", `thrown: a ${typeof thrown} that has no text`); // Object.create(null), say
  }
}
