// What a primary and its children say to each other over IPC. Knows node's processes; must not know who does what with it.
import type { ChildProcess } from "node:child_process";

/** What the primary tells a child. */
export type Order =
  /** Let everybody go at the primary's pace, then exit. */
  | { readonly do: "drain"; readonly delayMs: number; readonly deadlineMs: number }
  /** Let everybody go at once, then exit. */
  | { readonly do: "hurry" }
  /** So many connections may be closed now. */
  | { readonly do: "grant"; readonly count: number }
  /** The process of this node is dead: nobody needs to wait for a sign of life. */
  | { readonly do: "bury"; readonly node: string };

/** Why a child cannot start, and none like it could. */
export interface Failure {
  /** Its address is taken, or one of its settings is not allowed. */
  readonly kind: "taken" | "setting";
  /** One line for people. */
  readonly text: string;
  /** The port that it was told to listen on. */
  readonly port: number;
}

/** What a process that takes connections says of itself. */
export interface Listening {
  /** For the table: where it listens. */
  readonly listen: string;
  /** The address of a page, if it has one. */
  readonly url?: string | undefined;
  /** How the other processes of its cluster call it; undefined: they do not, it is a hub. */
  readonly node?: string | undefined;
  /** False: its channel is not there yet. */
  readonly isLinked?: boolean | undefined;
}

/** What a child tells the primary. */
export type Report =
  /** It hears orders from now on; what was said to it before is lost. */
  | { readonly did: "hear" }
  /** It takes connections. */
  | ({ readonly did: "listen" } & Listening)
  | ({ readonly did: "fail" } & Failure)
  /** It asks for leave to close some of the `left` connections that wait for their turn. */
  | { readonly did: "ask"; readonly left: number }
  /** It has used the leave that it was given. */
  | { readonly did: "use" };

// A program that is run by Worker.runAll() may use the same pipe for words of its own.
type Envelope<Content> = { readonly groupcast: Content };

const ignore = (): void => {};

/** Tells a child; one that is gone hears nothing, and that is no error. */
export function order(child: ChildProcess, content: Order): void {
  if (child.connected) child.send({ groupcast: content } satisfies Envelope<Order>, undefined, undefined, ignore);
}

/** Tells the primary; `sent` is called when it is on its way, or the primary is gone. */
export function report(content: Report, sent: () => void = ignore): void {
  if (process.send !== undefined && process.connected) {
    process.send({ groupcast: content } satisfies Envelope<Report>, undefined, undefined, sent);
  } else sent();
}

/** Our own message inside what came over IPC; undefined: it is somebody else's. */
export function readOrder(message: unknown): Order | undefined {
  return read(message) as Order | undefined;
}

/** The same for what a child says. */
export function readReport(message: unknown): Report | undefined {
  return read(message) as Report | undefined;
}

// Both ends of the pipe run this very file, so the envelope is all that needs a look.
function read(message: unknown): unknown {
  if (typeof message !== "object" || message === null || !("groupcast" in message)) return undefined;
  return typeof message.groupcast === "object" && message.groupcast !== null ? message.groupcast : undefined;
}
