// The hub's end of one link: lets nobody in who does not know the secret, then does what its frames ask for. Forwards records
// unread. Must not know other links: what they have in common is the exchange.
import type { Socket } from "node:net";
import type { Cancel, Clock } from "../base/clock.ts";
import { asError, GroupcastError } from "../base/errors.ts";
import type { Turn } from "../base/turn.ts";
import type { Party, Seat } from "./exchange.ts";
import {
  broken,
  encodeAccepted,
  encodeSubscribed,
  FRAME,
  readSubscribe,
  readUnsubscribe,
  readWill,
  refOf,
  topicEnd,
  topicOf,
  turnIntoMessage,
  typeOf,
} from "./frames.ts";
import {
  encodeChallenge,
  encodeRefused,
  encodeWelcome,
  HANDSHAKE_WITHIN_MS,
  isOurVersion,
  isProved,
  newNonce,
  readHello,
  REFUSED,
} from "./handshake.ts";
import { Link, type LinkEvents, tooSlow } from "./link.ts";
import type { RollCall } from "./roll-call.ts";

/** What a link needs from its hub. */
export interface HubLinkHost {
  readonly clock: Clock;
  readonly turn: Turn;
  readonly secret: string;
  readonly waitingBytesMax: number;
  /** Nothing is published before it is done. */
  readonly rollCall: RollCall;
  /** A seat in the exchange of this prefix, or undefined: the hub has all the links that it may have. Told once. */
  welcome(link: HubLink, prefix: string): Seat | undefined;
  /** Told once, last. */
  ended(link: HubLink, reason: Error): void;
}

/**
 * With this share of what may wait for a link, those who publish to it are not read until it has taken everything: a burst fills the
 * queues of its publishers, who are told, and not this one ...
 */
const CROWDED_SHARE = 0.25;
/** ... as long as it takes something at least this often, ms: a busy process does, and a dead one shall not delay the others for long. */
const PATIENCE_MS = 250;

/**
 * A link that reads more slowly than it is written to slows down those who publish to it. One that does not read at all delays them once, by
 * 250 ms, if 2 MiB wait for it by then, and is cut when 8 MiB have waited longer than a turn. Links that it hears nothing from are
 * never delayed.
 */
export class HubLink implements Party {
  readonly #host: HubLinkHost;
  readonly #link: Link;
  readonly #nonce = newNonce();
  readonly #cancelDeadline: Cancel;
  /** Whom it keeps waiting, each with what ends that. */
  readonly #held = new Map<Party, () => void>();
  #patience: "whole" | "going" | "gone" = "whole";
  #cancelPatience: Cancel | undefined;
  #holds = 0;
  // From its first publish before the roll call is done: everything that it says, in order. What has been read already: two chunks.
  #early: Buffer[] | undefined;
  /** Undefined: whoever is there has not proved itself. */
  #seat: Seat | undefined;
  /** A message for the others, to be published when the link is lost. */
  #will: Buffer | undefined;

  constructor(socket: Socket, host: HubLinkHost) {
    this.#host = host;
    const events: LinkEvents = {
      frame: (frame) => this.#take(frame),
      drained: () => this.#relieve(),
      behind: () => this.cut(tooSlow(host.waitingBytesMax)),
      ended: (reason) => this.#end(reason),
    };
    this.#link = new Link(socket, host.turn, events, host.waitingBytesMax);
    this.#cancelDeadline = host.clock.after(HANDSHAKE_WITHIN_MS, () =>
      this.cut(new GroupcastError("unauthorized", "it has not proved itself in time")),
    );
    this.#link.push(encodeChallenge(this.#nonce));
  }

  /** Resolves when its socket is gone. */
  get gone(): Promise<void> {
    return this.#link.gone;
  }

  /** Called each second. */
  tick(): void {
    if (this.#seat !== undefined) this.#link.tick();
  }

  /** Ends it at once. */
  cut(reason: Error): void {
    this.#link.cut(reason);
  }

  /** Ends it once what was accepted has been written. Its will is not published: the hub is what ends. */
  finish(reason: Error): void {
    this.#will = undefined;
    this.#link.finish(reason);
  }

  hand(message: Buffer, from: Party): void {
    this.#link.push(message);
    if (this.#patience === "whole" && this.#link.queuedBytes > this.#host.waitingBytesMax * CROWDED_SHARE) this.#crowd();
    if (this.#patience === "going" && !this.#held.has(from)) this.#held.set(from, from.hold());
  }

  hold(): () => void {
    if (this.#holds++ === 0) this.#link.pause();
    return () => {
      if (--this.#holds === 0) this.#link.resume();
    };
  }

  #crowd(): void {
    this.#patience = "going";
    const taken = this.#link.takenBytes;
    this.#cancelPatience = this.#host.clock.after(PATIENCE_MS, () => {
      if (this.#link.takenBytes > taken) return this.#crowd();
      this.#patience = "gone";
      this.#release();
    });
  }

  /** It has taken everything. */
  #relieve(): void {
    if (this.#patience === "whole") return;
    this.#patience = "whole";
    this.#release();
  }

  #release(): void {
    this.#cancelPatience?.();
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const release of held) release();
  }

  #take(frame: Buffer): void {
    if (this.#seat === undefined) this.#greet(frame);
    // At once: what waits is forgotten when the link ends, and its will is not.
    else if (typeOf(frame) === FRAME.will) this.#will = readWill(frame);
    else if (this.#early !== undefined) this.#early.push(frame);
    else if (typeOf(frame) === FRAME.publish && !this.#host.rollCall.isDone) this.#wait(frame, this.#seat);
    else this.#obey(frame, this.#seat);
  }

  #wait(frame: Buffer, seat: Seat): void {
    this.#early = [frame];
    const release = this.hold();
    void this.#host.rollCall.done.then(() => {
      const early = this.#early ?? [];
      this.#early = undefined;
      release();
      try {
        for (const one of early) this.#obey(one, seat);
      } catch (thrown) {
        this.cut(asError(thrown));
      }
    });
  }

  #greet(frame: Buffer): void {
    if (typeOf(frame) !== FRAME.hello) throw broken("not a hello");
    if (!isOurVersion(frame)) return this.#refuse(REFUSED.version);
    const { processNonce, proof, prefix } = readHello(frame);
    const greeting = { hubNonce: this.#nonce, processNonce, prefix };
    if (!isProved(proof, "process", this.#host.secret, greeting)) return this.#refuse(REFUSED.secret);
    const seat = this.#host.welcome(this, prefix.toString("latin1"));
    if (seat === undefined) return this.#refuse(REFUSED.full);
    this.#cancelDeadline();
    this.#seat = seat;
    this.#link.trust();
    this.#link.push(encodeWelcome(this.#host.secret, greeting));
  }

  #refuse(reason: number): void {
    this.#link.push(encodeRefused(reason));
    this.#link.finish(new GroupcastError("unauthorized", "it was refused"));
  }

  #obey(frame: Buffer, seat: Seat): void {
    switch (typeOf(frame)) {
      case FRAME.publish:
        return this.#publish(frame, seat);
      case FRAME.subscribe:
        for (const topic of readSubscribe(frame)) seat.subscribe(topic);
        return this.#link.push(encodeSubscribed(refOf(frame)));
      case FRAME.unsubscribe:
        for (const topic of readUnsubscribe(frame)) seat.unsubscribe(topic);
        return;
      case FRAME.restored:
        return this.#host.rollCall.present();
      case FRAME.ping:
        return; // that it came is all that it says
      default:
        throw broken("its type");
    }
  }

  #publish(frame: Buffer, seat: Seat): void {
    const end = topicEnd(frame);
    const ref = refOf(frame);
    turnIntoMessage(frame);
    const receivers = seat.publish(topicOf(frame, end, "latin1"), frame);
    // After the message: a publisher that hears the topic gets its own copy first.
    this.#link.push(encodeAccepted(ref, receivers));
  }

  #end(reason: Error): void {
    this.#cancelDeadline();
    this.#leave();
    this.#patience = "gone";
    this.#release();
    if (this.#early !== undefined) this.#early = [];
    this.#host.ended(this, reason);
  }

  #leave(): void {
    const [seat, will] = [this.#seat, this.#will];
    if (will === undefined) return seat?.leave();
    // Not now: this may be the midst of handing out a message, which goes first to everybody. Nor to fewer than would hear a message.
    void this.#host.rollCall.done.then(() => {
      seat?.publish(topicOf(will, topicEnd(will), "latin1"), will);
      seat?.leave();
    });
  }
}
