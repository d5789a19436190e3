// The URL of a broker: what kind of broker it leads to, and how it may be shown to people. Pure.

/** Brokers that a channel can be made over by a URL alone. */
export type BrokerKind = "redis" | "nats";

const KINDS: Readonly<Record<string, BrokerKind>> = { redis: "redis", rediss: "redis", nats: "nats", tls: "nats" };

/** The URLs of {@link brokerOf}, in words. */
export const BROKER_URLS =
  "redis://user:password@host:port, rediss://… (the same over TLS), nats://…, tls://… (NATS over TLS); user and password percent-encoded";

/** Any longer text was not meant as one. */
const URL_LENGTH_MAX = 8_192;

/** What `url` leads to; undefined: it is no URL of a broker. Several hosts with commas between are one URL: the servers of one cluster. */
export function brokerOf(url: string): BrokerKind | undefined {
  const scheme = schemeOf(url);
  return scheme !== undefined && Object.hasOwn(KINDS, scheme) && isWhole(url) ? KINDS[scheme] : undefined;
}

/**
 * `text` as it may be shown: of a URL its scheme and hosts. Users, passwords and tokens are `***`, and so is everything that could be
 * one: what stands before an `@` or behind a `?`, and all of a URL that cannot be read. For what somebody mistyped, too.
 */
export function maskUrl(text: string): string {
  // Greedy: an `@` that was not encoded belongs to the password.
  const masked = text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1***@").replace(/[?#].*$/s, "?***");
  return schemeOf(masked) === undefined || isWhole(masked) ? masked : masked.replace(/:\/\/.*$/s, "://***");
}

function schemeOf(text: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
}

// Each of its hosts is there, and each port is a number.
function isWhole(url: string): boolean {
  if (url.length > URL_LENGTH_MAX || /[\s\p{Cc}]/u.test(url)) return false;
  const scheme = url.slice(0, url.indexOf("://") + 3);
  return url.split(",").every((part) => {
    const one = part.startsWith(scheme) ? part : scheme + part;
    return URL.canParse(one) && new URL(one).hostname !== "";
  });
}
