// Reads the URL of a NATS cluster. What it makes for people to read never holds a password.
import { GroupcastError } from "../base/errors.ts";
import { hostPort } from "../wire/addresses.ts";

const PORT = 4222;
const PROTOCOLS: ReadonlySet<string> = new Set(["nats:", "tls:"]);

export interface Server {
  readonly host: string;
  readonly port: number;
}

/** The servers of one cluster, and who we are there. */
export interface Servers {
  readonly servers: readonly Server[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  readonly isTls: boolean;
  /** The same, for people. */
  readonly shown: string;
}

/**
 * `nats://user:password@host:4222`, `nats://token@host`, `tls://host`; several with commas between, then one of them may say who we are.
 *
 * @throws GroupcastError `bad_option`
 */
export function readServers(text: string): Servers {
  const urls = text.split(",").map((part) => readUrl(part.trim()));
  const named = urls.filter(({ username }) => username !== "");
  const [who] = named;
  if (named.some(({ username, password }) => username !== who?.username || password !== who.password)) {
    throw badUrl("the servers of one cluster with different users");
  }
  const user = decode(who?.username ?? "");
  const password = decode(who?.password ?? "");
  const servers = urls.map(({ hostname, port }) => ({
    host: hostname.replaceAll(/^\[|\]$/g, ""),
    port: port === "" ? PORT : Number(port),
  }));
  return {
    servers,
    user: password === "" ? undefined : user,
    password: password === "" ? undefined : password,
    token: password === "" && user !== "" ? user : undefined,
    isTls: urls.some(({ protocol }) => protocol === "tls:"),
    shown: servers.map(({ host, port }) => hostPort(host, port)).join(", "),
  };
}

function readUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text.includes("://") ? text : `nats://${text}`);
  } catch {
    throw badUrl("what is no URL"); // not shown: it may hold a password
  }
  if (!PROTOCOLS.has(url.protocol)) throw badUrl(`${url.protocol}//…`);
  if (url.hostname === "") throw badUrl("no host");
  if (url.username === "" && url.password !== "") throw badUrl("a password without a user");
  if (url.search !== "" || url.hash !== "" || (url.pathname !== "" && url.pathname !== "/")) throw badUrl("something behind the port");
  return url;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badUrl("a user or password with a % that begins no byte");
  }
}

function badUrl(given: string): GroupcastError {
  return new GroupcastError(
    "bad_option",
    `the URL of NATS: given ${given}; allowed: nats://user:password@host:port, tls://…, several with commas between`,
  );
}
