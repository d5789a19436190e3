// Where a hub is: a host and port, or the path of a Unix socket. Must not connect.
import { isIPv4 } from "node:net";
import { DEFAULTS } from "../base/defaults.ts";
import { GroupcastError } from "../base/errors.ts";
import { hostPort } from "../wire/addresses.ts";

/** Bytes in the path of a Unix socket: macOS has room for 103 and a NUL, Linux for 107. */
const PATH_BYTES_MAX = 103;
const UNIX = "unix:";

/** A host and port, or the path of a Unix socket. */
export type HubAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * Reads a host (which may be `unix:/path`) and port.
 *
 * @throws GroupcastError `bad_option`
 */
export function toAddress(host: string = DEFAULTS.hubHost, port: number = DEFAULTS.hubPort, portMin = 1): HubAddress {
  if (typeof host !== "string" || host === "") throw badOption(`host is a name, an address or "unix:/path", not ${JSON.stringify(host)}`);
  if (host.startsWith(UNIX)) return toPath(host.slice(UNIX.length));
  if (!Number.isInteger(port) || port < portMin || port > 65_535) throw badOption(`port is a number from ${portMin} to 65535, not ${port}`);
  return { host, port };
}

/** @throws GroupcastError `bad_option` */
export function toPath(path: string): HubAddress {
  const bytes = Buffer.byteLength(path);
  if (bytes > 0 && bytes <= PATH_BYTES_MAX && !path.includes("\0")) return { path };
  throw badOption(`the path of a Unix socket has 1 to ${PATH_BYTES_MAX} bytes, not ${bytes}: ${JSON.stringify(path)}`);
}

/** The address in one word, for people. */
export function shown(address: HubAddress): string {
  if ("path" in address) return UNIX + address.path;
  return hostPort(address.host, address.port);
}

/** True if only this machine can reach it. */
export function isPrivate(address: HubAddress): boolean {
  if ("path" in address) return true;
  const { host } = address;
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

export function badOption(text: string): GroupcastError {
  return new GroupcastError("bad_option", text);
}
