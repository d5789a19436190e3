// Where lines for people go. The shape is pino's, so a pino logger is one; the library itself brings only the console.

/** Any logger with pino's call shape: an object with facts, then a sentence. */
export interface Logger {
  debug(facts: object, text: string): void;
  info(facts: object, text: string): void;
  warn(facts: object, text: string): void;
  error(facts: object, text: string): void;
}

const silent = (): void => {};

/** The library's default: warnings and errors on the console's error stream, nothing else. */
export const consoleLogger: Logger = Object.freeze({
  debug: silent,
  info: silent,
  warn: (facts: object, text: string): void => console.warn(`groupcast: ${text}`, facts),
  error: (facts: object, text: string): void => console.error(`groupcast: ${text}`, facts),
});
