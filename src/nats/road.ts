// What the two ways through NATS have in common: with a stream between, or straight. Both on one link.
import type { GroupcastError } from "../base/errors.ts";
import type { Gathering, Turn } from "../base/turn.ts";
import type { Receipt } from "../channel/adapter.ts";
import type { NatsListener } from "./client.ts";

/** Whom a road tells. */
export interface RoadHost {
  /** The next message of a topic. Never throws. */
  deliver(topic: string, data: Uint8Array): void;
  /** Something came that is not ours, or is missing. */
  failed(error: GroupcastError): void;
  /** The link is of no more use. */
  broken(reason: GroupcastError): void;
}

/** One topic that is heard on a link. */
export interface Hearing {
  readonly take: NatsListener;
  /** Everything that came before `mark` may have been missed, from there on nothing is. False: ask for another mark. */
  begin(mark: number): boolean;
  /** Nothing of it is delivered any more. */
  end(): void;
}

/** How records get from a publisher to those who hear. Lives as long as a link. */
export interface Road {
  /** Resolves when it can be used. Rejects with why not. */
  open(): Promise<void>;
  hear(topic: string): Hearing;
  /** Resolves when everything that was asked of NATS before has taken effect, with how far the road was by then. If it rejects, it is broken. */
  mark(): Promise<number>;
  /** Resolves when NATS has it; in the order of the calls. Rejects with `unknown_outcome`, `unavailable` or `forbidden`. */
  publish(topic: string, bytes: Uint8Array): Promise<Receipt>;
  /** True: too much waits for NATS already; nothing should be published now. */
  readonly isFull: boolean;
  /** NATS does not let us publish to this subject. */
  denied(subject: string, error: GroupcastError): void;
  /** The link is gone: what waits for an answer is rejected, what waits for its turn is delivered. */
  end(reason: GroupcastError): void;
}

/** NATS has this long to answer, ms; then a publish is `unknown_outcome`, and the link of no more use. */
export const ANSWER_WITHIN_MS = 5_000;

/** Everybody hears; how many that are is not told. */
export const ACCEPTED: Receipt = Object.freeze({ receivers: undefined });

/** Bytes that NATS has not confirmed and that were published before this turn: with more, nothing is published. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024;
/** All that may be unconfirmed, this turn's too. */
const UNCONFIRMED_BYTES_MAX = 64 * 1024 * 1024;

/** Bytes that are on their way to NATS. What is published in one turn is no queue. */
export class Unconfirmed implements Gathering {
  readonly #turn: Turn;
  #bytes = 0;
  #thisTurn = 0;

  constructor(turn: Turn) {
    this.#turn = turn;
  }

  get isFull(): boolean {
    return this.#bytes - this.#thisTurn > WAITING_BYTES_MAX || this.#bytes > UNCONFIRMED_BYTES_MAX;
  }

  sent(bytes: number): void {
    if (this.#thisTurn === 0) this.#turn.add(this);
    this.#bytes += bytes;
    this.#thisTurn += bytes;
  }

  confirmed(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** The end of a turn. */
  flush(): void {
    this.#thisTurn = 0;
  }
}
