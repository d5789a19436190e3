// Reads where servers are, and who we are there, from one text. Must not connect.
import { GroupcastError } from "../base/errors.ts";
import { maskUrl } from "../channel/broker-url.ts";
import type { Address } from "./wire.ts";

const PORT = 6379;

/** What `redis://user:password@host:6379,redis://another:6379` says. */
export interface Servers {
  /** At least one; several are nodes of one cluster. */
  readonly addresses: readonly Address[];
  /** True: `rediss:`. */
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/**
 * Several URLs have commas between them; all but the first may leave out what is before the host. A database number is allowed, and means
 * nothing: what is published belongs to no database.
 *
 * @throws GroupcastError `bad_option`; the text shows no user and no password.
 */
export function readServers(text: string): Servers {
  const [first = "", ...more] = text.split(",").map((one) => one.trim());
  const main = readUrl(first, text);
  const rest = more.map((one) => readUrl(one.includes("://") ? one : `${main.protocol}//${one}`, text));
  for (const url of rest) {
    if (url.protocol !== main.protocol) throw wrong(text, "all of them begin with redis:// or all with rediss://");
    if (isOther(url.username, main.username) || isOther(url.password, main.password)) throw wrong(text, "all of them have one user");
  }
  return {
    addresses: [main, ...rest].map(addressOf),
    tls: main.protocol === "rediss:",
    username: decoded(main.username),
    password: decoded(main.password),
  };
}

/** `whole`: what is shown if it is wrong. A password with a comma in it looks like two URLs. */
function readUrl(text: string, whole: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrong(whole, "it cannot be read"); // without the cause, which holds it
  }
  if (url.protocol !== "redis:" && url.protocol !== "rediss:") throw wrong(whole, "it begins with redis:// or rediss://");
  if (url.hostname === "") throw wrong(whole, "it names no host");
  if (!/^(?:\/\d*)?$/.test(url.pathname)) throw wrong(whole, "behind the host there is at most the number of a database");
  if (url.search !== "" || url.hash !== "") throw wrong(whole, "it has no options");
  if (!isDecodable(url.username) || !isDecodable(url.password)) throw wrong(whole, "user and password are percent-encoded");
  return url;
}

function addressOf({ hostname, port }: URL): Address {
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: port === "" ? PORT : Number(port) };
}

function isDecodable(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

function decoded(part: string): string | undefined {
  return part === "" ? undefined : decodeURIComponent(part);
}

function isOther(part: string, main: string): boolean {
  return part !== "" && part !== main;
}

function wrong(url: string, why: string): GroupcastError {
  return new GroupcastError("bad_option", `${maskUrl(url)} is no URL of a Redis: ${why}`);
}
