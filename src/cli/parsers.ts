// Reads one option's text. Pure; each parser says what it allows, and that is what a person who gave something else is told.
import { BROKER_URLS, brokerOf, maskUrl } from "../channel/broker-url.ts";
import { checkName } from "../wire/names.ts";

/** A way to read the text of an option. */
export interface Parser<Value> {
  /** What `read` takes, in words: stands in the error and in the docs. */
  readonly allowed: string;
  /** Undefined: not allowed. */
  read(text: string): Value | undefined;
  /** What an error repeats of what was given, if that may hold a secret; default: all of it. */
  readonly show?: ((text: string) => string) | undefined;
}

/** Characters of what was given that an error repeats. */
const SHOWN_MAX = 80;

/** A setting with a value that is not allowed: one line with the setting, what was given and what is allowed. */
export class BadSetting extends Error {
  override readonly name = "BadSetting";

  constructor(setting: string, given: string, allowed: string) {
    super(`${setting}: given ${JSON.stringify(given.slice(0, SHOWN_MAX))}, allowed: ${allowed}`);
  }
}

/** A whole number. */
export function whole(min: number, max: number): Parser<number> {
  return {
    allowed: `a whole number from ${min} to ${max}`,
    read: (text) => (/^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined),
  };
}

/** A number of something per second, above 0. */
export function rate(max: number): Parser<number> {
  return {
    allowed: `a number above 0, up to ${max}`,
    read(text) {
      const value = decimal(text);
      return value !== undefined && value > 0 && value <= max ? value : undefined;
    },
  };
}

const MS: Readonly<Record<string, number>> = { "": 1_000, ms: 1, s: 1_000, m: 60_000 };

/** A duration: plain seconds, or with a unit. Read as milliseconds. */
export function seconds(max: number): Parser<number> {
  return {
    allowed: `seconds from 0 to ${max}, such as 6, 0.5, 6s, 500ms or 1m`,
    read(text) {
      const [, digits = "", unit = ""] = /^([\d.]+)(ms|s|m)?$/.exec(text) ?? [];
      const ms = (decimal(digits) ?? NaN) * (MS[unit] ?? NaN);
      return ms >= 0 && ms <= max * 1_000 ? Math.round(ms) : undefined;
    },
  };
}

const BYTES: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** A size: plain bytes, or with a unit. */
export function bytes(min: number, max: number): Parser<number> {
  return {
    allowed: `bytes from ${min} to ${max}, such as 65536, 64KiB or 0.5MiB`,
    read(text) {
      const [, digits = "", unit = ""] = /^([\d.]+)(B|KiB|MiB|GiB)?$/.exec(text) ?? [];
      const value = (decimal(digits) ?? NaN) * (BYTES[unit] ?? NaN);
      return Number.isInteger(value) && value >= min && value <= max ? value : undefined;
    },
  };
}

/** How processes hear each other: one of two words, or the URL of a broker, as it was given. */
export const channel: Parser<string> = {
  allowed: `hub, memory, ${BROKER_URLS}`,
  read: (text) => (text === "hub" || text === "memory" || brokerOf(text) !== undefined ? text : undefined),
  show: maskUrl,
};

/** A name or an address without a port: `127.0.0.1`, `::1`, `0.0.0.0`, `example.org`. Brackets around an IPv6 address are taken off. */
export const host: Parser<string> = {
  allowed: "a host name or an address, without a port",
  read: (text) => (/^([\w.-]{1,253}|\[?[0-9a-fA-F:.]*:[0-9a-fA-F:.%\w]*\]?)$/.test(text) ? text.replace(/^\[|\]$/g, "") : undefined),
};

/** The start of every name on a broker: a name without white space. */
export const prefix: Parser<string> = {
  allowed: "1 to 64 letters, digits, dots, dashes and underscores",
  read: (text) => (/^[\w.-]{1,64}$/.test(text) ? text : undefined),
};

/** A namespace. */
export const namespace: Parser<string> = {
  allowed: "names of 1 to 200 bytes without control characters",
  read(text) {
    try {
      return checkName(text, "namespace");
    } catch {
      return undefined;
    }
  },
};

/** Where a page came from, as a browser says it. */
export const origin: Parser<string> = {
  allowed: "origins such as https://example.org or http://localhost:8080, null (pages from files), or * (any)",
  read(text) {
    if (text === "*" || text === "null") return text;
    if (!URL.canParse(text) || text.includes("*")) return undefined; // a list of origins, not of patterns
    const { origin, host: name, protocol } = new URL(text);
    // A scheme that the URL standard has no origin for (an app's own) is taken as it stands.
    const itself = origin === "null" ? `${protocol}//${name}` : origin;
    return itself.toLowerCase() === text.toLowerCase().replace(/\/$/, "") ? itself : undefined;
  },
};

/** A name in a Host header. */
export const hostName: Parser<string> = {
  allowed: "host names such as example.org or example.org:8080, or * (any)",
  read: (text) => (text === "*" || /^([\w.-]{1,253}|\[[0-9a-fA-F:.]+\])(:\d{1,5})?$/.test(text) ? text.toLowerCase() : undefined),
};

function decimal(text: string): number | undefined {
  return /^(\d{1,12}(\.\d{0,9})?|\.\d{1,9})$/.test(text) ? Number(text) : undefined;
}
