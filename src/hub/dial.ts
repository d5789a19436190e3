// A process's end of one link: connects, proves that it knows the secret, checks that the hub does. Must not know what the link
// is for, or what comes after it.
import { connect } from "node:net";
import type { Cancel, Clock } from "../base/clock.ts";
import { GroupcastError } from "../base/errors.ts";
import type { Turn } from "../base/turn.ts";
import { badOption, type HubAddress, shown, toAddress, toPath } from "./address.ts";
import { broken, FRAME, typeOf } from "./frames.ts";
import {
  checkWelcome,
  encodeHello,
  type Greeting,
  HANDSHAKE_WITHIN_MS,
  newNonce,
  PREFIX_BYTES_MAX,
  readChallenge,
  readRefused,
  secretOf,
} from "./handshake.ts";
import { Link, PING_EVERY_MS } from "./link.ts";

/** Where a link goes, and who it is there. */
export interface Target {
  readonly address: HubAddress;
  readonly secret: string;
  readonly prefix: string;
}

/** Where the hub is, and who this process is there. */
export interface TargetOptions {
  /** Default 127.0.0.1. Also `unix:/path`. */
  readonly host?: string | undefined;
  /** Default 2206. */
  readonly port?: number | undefined;
  /** A Unix socket, in place of host and port. */
  readonly path?: string | undefined;
  /** What the hub knows, too. Default: the variable `GROUPCAST_CHANNEL_SECRET`, else none. */
  readonly secret?: string | undefined;
  /** Only links of the same prefix hear each other. Default `groupcast`. */
  readonly prefix?: string | undefined;
}

/** @throws GroupcastError `bad_option` */
export function toTarget({ host, port, path, secret, prefix = "groupcast" }: TargetOptions): Target {
  const bytes = Buffer.byteLength(prefix);
  if (bytes === 0 || bytes > PREFIX_BYTES_MAX) throw badOption(`a prefix has 1 to ${PREFIX_BYTES_MAX} bytes, not ${bytes}`);
  return { address: path === undefined ? toAddress(host, port) : toPath(path), secret: secretOf(secret), prefix };
}

/** Whom a dialled link tells. */
export interface DialEvents {
  /** Both sides have proved themselves. */
  ready(): void;
  /** A frame after that. If it throws, the link ends with that error. */
  frame(frame: Buffer): void;
  /** Told once, last; `unauthorized`: it will be the same next time, unless somebody changes a secret. */
  ended(reason: GroupcastError): void;
}

/** One link, from the first attempt to its end. */
export class Dial {
  readonly link: Link;
  readonly #target: Target;
  readonly #clock: Clock;
  readonly #events: DialEvents;
  #cancelDeadline: Cancel;
  #cancelTicks: Cancel | undefined;
  #greeting: Greeting | undefined;
  #isReady = false;

  constructor(target: Target, clock: Clock, turn: Turn, events: DialEvents) {
    this.#target = target;
    this.#clock = clock;
    this.#events = events;
    const socket = connect({ ...target.address, noDelay: true });
    this.link = new Link(socket, turn, {
      frame: (frame) => (this.#isReady ? events.frame(frame) : this.#greet(frame)),
      drained: () => {},
      behind: () => {}, // whoever publishes asks `isFull` first
      ended: (reason) => this.#end(reason),
    });
    this.#cancelDeadline = clock.after(HANDSHAKE_WITHIN_MS, () =>
      this.link.cut(new GroupcastError("unavailable", `no answer within ${HANDSHAKE_WITHIN_MS / 1000} s`)),
    );
  }

  #greet(frame: Buffer): void {
    const type = typeOf(frame);
    if (type === FRAME.refused) throw readRefused(frame);
    if (type === FRAME.challenge && this.#greeting === undefined) return this.#answer(readChallenge(frame));
    if (type !== FRAME.welcome || this.#greeting === undefined) throw broken("it is not the next of a handshake");
    checkWelcome(frame, this.#target.secret, this.#greeting);
    this.#cancelDeadline();
    this.#isReady = true;
    this.link.trust();
    this.#cancelTicks = this.#clock.every(PING_EVERY_MS, () => this.link.tick());
    this.#events.ready();
  }

  #answer(hubNonce: Buffer): void {
    this.#greeting = { hubNonce, processNonce: newNonce(), prefix: Buffer.from(this.#target.prefix) };
    this.link.push(encodeHello(this.#target.secret, this.#greeting));
    this.link.flushSoon();
  }

  #end(cause: Error): void {
    this.#cancelDeadline();
    this.#cancelTicks?.();
    const code = cause instanceof GroupcastError && cause.code === "unauthorized" ? cause.code : "unavailable";
    const what = this.#isReady ? "the link to" : "no link to";
    const text = `${what} the channel server at ${shown(this.#target.address)}: ${textOf(cause)}`;
    this.#events.ended(new GroupcastError(code, text, { cause }));
  }
}

/** When a name stands for several addresses and none answers, Node's error has no text of its own. */
function textOf(error: Error): string {
  return error instanceof AggregateError ? error.errors.map((one: Error) => one.message).join(", ") : error.message;
}
