// The child's side: plays a part, obeys the primary and nobody else, and does not outlive it.
import cluster from "node:cluster";
import type { Logger } from "../base/logger.ts";
import { asError } from "../base/errors.ts";
import type { Slots } from "../groups/pace.ts";
import { CannotStart } from "./cannot-start.ts";
import { type Listening, type Order, readOrder, report } from "./messages.ts";
import { RemoteSlots } from "./remote-slots.ts";

/** What a process does, as far as its life goes. */
export interface Part {
  /** Resolves when it takes connections. A rejection ends the process; see {@link CannotStart}. */
  start(): Promise<Listening>;
  /** Lets everybody go, one per slot. Resolves when all are gone. Called once at the most, and not before `start` is done. */
  drain(options: { readonly delayMs: number; readonly deadlineMs: number; readonly slots: Slots }): Promise<unknown>;
  /** Lets everybody go at once. May come while `start` or `drain` runs. */
  close(): Promise<unknown>;
  /** The process of this node of its cluster is dead. Not before `start` is done. */
  bury?(node: string): void;
}

export interface PlayOptions {
  readonly logger: Logger;
  /** If the primary dies, it goes on for this long: a hub lets the workers say goodbye first. Default: no longer than it takes to close. */
  readonly lingerMs?: number | undefined;
}

/** In a hurry the process ends after this, whoever has not answered; the primary waits a little longer. */
const HURRY_MS = 1_500;

const ignore = (): void => {};

/** Plays `part` until the primary says otherwise, or is gone. Resolves when the process takes connections; it ends by itself. */
export async function play(part: Part, { logger, lingerMs = 0 }: PlayOptions): Promise<void> {
  // A terminal sends its signals to every process of the program, and `kill -TERM -<group>` does; only the primary knows the order.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const) process.on(signal, ignore);
  const life = new Life(part, logger);
  process.on("message", (message) => {
    const order = readOrder(message);
    if (order !== undefined) life.obey(order);
  });
  const orphaned = (): void => {
    logger.error({}, "the first process is gone: closing everything");
    setTimeout(() => life.hurry(), lingerMs);
  };
  if (cluster.worker !== undefined) {
    // Unless a worker says that it means to go, node ends it in the middle of everything when the primary dies.
    const { worker } = cluster;
    worker.once("disconnect", () => (worker.exitedAfterDisconnect = true));
  }
  process.once("disconnect", orphaned);
  if (!process.connected) orphaned();
  report({ did: "hear" });
  await life.start();
}

class Life {
  readonly #part: Part;
  readonly #logger: Logger;
  readonly #slots = new RemoteSlots();
  #phase: "starting" | "up" | "leaving" = "starting";
  #hurried = false;

  constructor(part: Part, logger: Logger) {
    this.#part = part;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    try {
      const at = await this.#part.start();
      this.#phase = "up";
      report({ did: "listen", ...at });
    } catch (thrown) {
      if (thrown instanceof CannotStart) {
        return report({ did: "fail", ...thrown.failure }, () => process.exit(1));
      }
      const error = asError(thrown);
      this.#logger.error({ err: error }, `cannot start: ${error.message}`);
      process.exit(1);
    }
  }

  obey(order: Order): void {
    if (order.do === "grant") this.#slots.granted(order.count);
    else if (order.do === "hurry") this.hurry();
    else if (order.do === "bury") this.#part.bury?.(order.node);
    else this.#drain(order);
  }

  hurry(): void {
    if (this.#hurried) return;
    this.#hurried = true;
    this.#slots.open();
    setTimeout(() => process.exit(0), HURRY_MS);
    this.#leave(() => this.#part.close()); // it overtakes a drain that runs
  }

  #drain({ delayMs, deadlineMs }: Extract<Order, { do: "drain" }>): void {
    if (this.#phase !== "leaving") this.#leave(() => this.#part.drain({ delayMs, deadlineMs, slots: this.#slots }));
  }

  #leave(how: () => Promise<unknown>): void {
    if (this.#phase === "starting") process.exit(0); // nobody is here yet
    this.#phase = "leaving";
    how().then(
      () => process.exit(0),
      (thrown: unknown) => {
        const error = asError(thrown);
        this.#logger.error({ err: error }, `while it stopped: ${error.message}`);
        process.exit(1);
      },
    );
  }
}
