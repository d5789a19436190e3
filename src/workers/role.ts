// Which part a process plays: told by its environment, so that the same program can be run again for each part.

/** The part of a child process. */
export interface Role {
  readonly kind: "hub" | "worker";
  /** Which of the declared ones of that kind. */
  readonly index: number;
  /** Where it listens. */
  readonly port: number;
  /** What else the program that forks it wants it to know. */
  readonly settings?: unknown;
}

const VARIABLE = "GROUPCAST_ROLE";

/** The environment in which a child knows its part. */
export function roleEnvironment(role: Role): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(role) };
}

/** The part of this process; undefined: nobody gave it one, it is a primary. Asked once: a child's own children are told nothing. */
export function takeRole(): Role | undefined {
  const text = process.env[VARIABLE];
  delete process.env[VARIABLE];
  // Without the pipe there is no primary that would have set it.
  return text === undefined || process.send === undefined ? undefined : (JSON.parse(text) as Role);
}
