// Time, as a port: the only file of the core that touches timers. Tests and simulations bring their own.

/** Undoes a timer; harmless when it has already run. */
export type Cancel = () => void;

/** Monotonic time and timers. Durations are milliseconds. */
export interface Clock {
  /** Milliseconds since an arbitrary moment; never goes back. */
  now(): number;
  /** Milliseconds that the event loop has had nothing to do since it began; all of {@link now} where nobody counts them. */
  idleMs(): number;
  /** Runs `run` once, not earlier than `ms` from now. */
  after(ms: number, run: () => void): Cancel;
  /** Runs `run` again and again. Does not by itself keep a process alive. */
  every(ms: number, run: () => void): Cancel;
  /** Runs `run` once at the end of this event-loop turn, when everything that has arrived was handled. */
  turnEnd(run: () => void): void;
}

/** The machine's own clock. */
export const systemClock: Clock = Object.freeze({
  now: (): number => performance.now(),
  idleMs: (): number =>
    (performance as { eventLoopUtilization?(): { readonly idle: number } }).eventLoopUtilization?.().idle ?? performance.now(),
  after(ms: number, run: () => void): Cancel {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  every(ms: number, run: () => void): Cancel {
    const timer = setInterval(run, ms);
    timer.unref?.();
    return () => clearInterval(timer);
  },
  turnEnd(run: () => void): void {
    // setImmediate runs right after the poll phase: all sockets that were readable have been read by then.
    if (typeof setImmediate === "function") setImmediate(run);
    else setTimeout(run, 0);
  },
});
