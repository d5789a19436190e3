// Drives one adapter: makes calls on it as it is told, and tells what it hears. Runs beside the adapter, in whichever process
// that is. Calls, outcomes and what is told are plain data, so that they can cross to another process.
import { type Adapter, hasWill, type Receipt } from "../channel/adapter.ts";
import { type Message, MessageRecord } from "../wire/record.ts";

/**
 * A call on an adapter. A `will` without messages withdraws it. `publishWithin` publishes from inside the next `receive`; `reread` gives again every record that was told;
 * `nothing` only goes there and comes back.
 */
export type Call =
  | { readonly call: "start" | "stop" | "reread" | "nothing" }
  | { readonly call: "subscribe" | "unsubscribe"; readonly topic: string }
  | { readonly call: "publish" | "publishWithin" | "will"; readonly topic: string; readonly messages: readonly Message[] };

/** How a call ended. `code` is that of a GroupcastError; any other error has `none`. */
export type Outcome =
  | { readonly ok: true; readonly value: Receipt | readonly ToldRecord[] | undefined }
  | { readonly ok: false; readonly code: string; readonly text: string };

export interface ToldRecord {
  readonly told: "record";
  readonly topic: string;
  readonly messages: readonly Message[];
}

/** What an adapter told its events. */
export type Told = ToldRecord | { readonly told: "up" } | { readonly told: "down" | "failed"; readonly reason: string };

/** Records that can be reread; older ones are forgotten. */
const KEPT_MAX = 10_000;

export class PeerHost {
  readonly #adapter: Adapter;
  readonly #tell: (told: Told) => void;
  // Not copied: an adapter that uses their bytes again is found out by a `reread`.
  readonly #kept: { readonly topic: string; readonly record: MessageRecord }[] = [];
  readonly #within: (() => void)[] = [];

  constructor(adapter: Adapter, tell: (told: Told) => void) {
    this.#adapter = adapter;
    this.#tell = tell;
  }

  /** Makes all calls at once, in one turn and in order; each outcome comes by itself and never rejects. */
  perform(calls: readonly Call[]): Promise<Outcome>[] {
    return calls.map((call) => {
      try {
        return Promise.resolve(this.#make(call)).then((value): Outcome => ({ ok: true, value: value ?? undefined }), failed);
      } catch (thrown) {
        return Promise.resolve(failed(thrown));
      }
    });
  }

  #make(call: Call): PromiseLike<void | Receipt> | readonly ToldRecord[] | undefined {
    const adapter = this.#adapter;
    switch (call.call) {
      case "start":
        adapter.start({
          receive: (topic, record) => this.#receive(topic, record),
          failed: (error) => this.#tell({ told: "failed", reason: error.message }),
          up: () => this.#tell({ told: "up" }),
          down: (reason) => this.#tell({ told: "down", reason: reason.message }),
        });
        return undefined;
      case "stop":
        return adapter.stop();
      case "subscribe":
        return adapter.subscribe(call.topic);
      case "unsubscribe":
        adapter.unsubscribe(call.topic);
        return undefined;
      case "publish":
        return adapter.publish(call.topic, MessageRecord.of(call.messages));
      case "publishWithin":
        return new Promise((resolve) => {
          this.#within.push(() => resolve(adapter.publish(call.topic, MessageRecord.of(call.messages))));
        });
      case "will":
        if (!hasWill(adapter)) throw new Error("this adapter cannot leave a will");
        adapter.will(call.topic, call.messages.length === 0 ? undefined : MessageRecord.of(call.messages));
        return undefined;
      case "nothing":
        return undefined;
      case "reread":
        return this.#kept.map(({ topic, record }) => tellable(topic, record));
    }
  }

  #receive(topic: string, record: MessageRecord): void {
    this.#kept.push({ topic, record });
    if (this.#kept.length > KEPT_MAX) this.#kept.shift();
    this.#tell(tellable(topic, record));
    this.#within.shift()?.();
  }
}

function tellable(topic: string, record: MessageRecord): ToldRecord {
  return { told: "record", topic, messages: [...record.messages()] };
}

function failed(thrown: unknown): Outcome {
  const { code = "none", message = String(thrown) } = thrown as { readonly code?: string; readonly message?: string };
  return { ok: false, code, text: message };
}
