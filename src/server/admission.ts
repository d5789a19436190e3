// Who may come in at all: checks Host, Origin and path of a request. Pure; knows requests only by their headers.
import { hostname, networkInterfaces } from "node:os";
import type { IncomingMessage } from "node:http";
import { bracketed } from "../wire/addresses.ts";
import { checkName } from "../wire/names.ts";
import { pathOf } from "./http.ts";
import type { HttpRefusal } from "./http-refusal.ts";

export interface AdmissionOptions {
  /** The address that the server is bound to. */
  readonly host: string;
  /** Namespaces of `/ws/{namespace}`. */
  readonly namespaces: readonly string[];
  /** Origins (scheme, host, port) besides the server's own; may hold `null` and `*`. */
  readonly origins: readonly string[];
  /** Host names besides the bound ones; may hold `*`. */
  readonly allowHosts: readonly string[];
}

/** Why a request is refused, and for the log which option would let it in. */
export type Refused = HttpRefusal & { readonly log?: string };

const LOOPBACK: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #names: ReadonlySet<string>;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#names = new Set([...boundNames(options.host), ...options.allowHosts.map((name) => name.toLowerCase())]);
  }

  /** Refuses a request for another host: a page elsewhere may have pointed its own name here (DNS rebinding). */
  checkHost(request: IncomingMessage): Refused | undefined {
    const { host } = request.headers;
    if (host === undefined) return { status: 400, text: "a request needs a Host" };
    const name = withoutPort(host.toLowerCase());
    if (this.#names.has("*") || this.#names.has(name) || this.#names.has(host.toLowerCase())) return undefined;
    return {
      status: 421,
      text: "this server does not answer for that host",
      log: `refused a request for host ${JSON.stringify(host)}: allow it with --allow-host ${/^[\w.:[\]-]+$/.test(name) ? name : "HOST"}`,
    };
  }

  /** Refuses a browser page of another origin: it would act with its visitor's network. Programs send no Origin and pass. */
  checkOrigin(request: IncomingMessage): Refused | undefined {
    if (request.headers["origin"] === undefined) return undefined;
    const given = request.headersDistinct["origin"] ?? [];
    if (given.length > 1) return { status: 400, text: "a request has one Origin" };
    const [origin] = given;
    const { origins } = this.#options;
    if (origin === undefined || origins.includes("*") || origins.includes(origin) || sameHost(origin, request.headers.host))
      return undefined;
    return {
      status: 403,
      text: "this origin is not allowed",
      log: `refused a WebSocket from origin ${JSON.stringify(origin)}: allow it with --origin ${/^[\w.:/[\]-]+$/.test(origin) ? origin : "ORIGIN"}`,
    };
  }

  /** The namespace of a WebSocket's path below `base`: `base`, `base/ws`, `base/ws/{namespace}`; undefined: there is none. */
  namespaceOf(request: IncomingMessage, base: string): string | undefined {
    const path = pathOf(request);
    const rest = path === base ? "" : path.startsWith(`${base}/`) ? path.slice(base.length) : undefined;
    if (rest === "" || rest === "/" || rest === "/ws") return "default";
    if (rest === undefined || !rest.startsWith("/ws/")) return undefined;
    try {
      const name = checkName(decodeURIComponent(rest.slice("/ws/".length)), "namespace");
      return this.#options.namespaces.includes(name) ? name : undefined;
    } catch {
      return undefined; // not a name, or not percent-encoded text
    }
  }
}

/** The names by which a server on this address is reached: its own, and for a public address all of the machine's. */
function boundNames(host: string): readonly string[] {
  if (isLoopback(host)) return [...LOOPBACK, bracketed(host.toLowerCase())];
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return [
    ...LOOPBACK,
    bracketed(host.toLowerCase()),
    hostname().toLowerCase(),
    ...addresses.map(({ address }) => bracketed(address.toLowerCase())),
  ];
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, "");
}

/** True if a page of this origin came from the host that it talks to. The names of loopback are one host. */
function sameHost(origin: string, host: string | undefined): boolean {
  const [, page] = /^https?:\/\/([^/]+)$/i.exec(origin) ?? [];
  if (page === undefined || host === undefined) return false;
  const canonical = (name: string): string => {
    const lower = name.toLowerCase();
    const bare = withoutPort(lower);
    return LOOPBACK.includes(bare) ? `localhost${lower.slice(bare.length)}` : lower;
  };
  return canonical(page) === canonical(host);
}
