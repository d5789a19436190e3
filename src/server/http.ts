// What our HTTP servers have in common: how long a handshake may take, and how the path of a request is read.
import type { IncomingMessage, ServerOptions } from "node:http";
import { DEFAULTS } from "../base/defaults.ts";

/** For `createServer`: who drips a request, or sends none, is cut. Node's own limits are a minute and five. */
export const HTTP_LIMITS: Readonly<ServerOptions> = Object.freeze({
  headersTimeout: DEFAULTS.handshakeWithinMs,
  requestTimeout: DEFAULTS.handshakeWithinMs,
  connectionsCheckingInterval: 1_000,
});

/** The path of a request, without query and fragment; not decoded. */
export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? "/";
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}
