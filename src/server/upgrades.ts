// Several of us on one HTTP server: each takes the upgrades that it claims, and the last refuses what nobody claims. Somebody else's
// listener may claim anything, so with one there nothing is refused. Knows HTTP servers only.
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { refuseUpgrade } from "./http-refusal.ts";

type Listener = ((request: IncomingMessage, socket: Duplex, head: Buffer) => void) & { [CLAIMS]?: (request: IncomingMessage) => boolean };

/** Marks our own listeners, whichever object of ours they belong to. */
const CLAIMS: unique symbol = Symbol("groupcast: claims an upgrade");

/** Hands `take` the upgrades of `server` that are claimed. Returns its undo. */
export function listenForUpgrades(
  server: Server,
  claims: (request: IncomingMessage) => boolean,
  take: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
): () => void {
  const listener: Listener = (request, socket, head) => {
    if (claims(request)) return take(request, socket, head);
    const all = server.listeners("upgrade") as Listener[];
    const isNobodys = all.every((one) => one[CLAIMS]?.(request) === false);
    if (isNobodys && all.at(-1) === listener) refuseUpgrade(socket, { status: 404, text: "no WebSocket here" });
  };
  listener[CLAIMS] = claims;
  server.on("upgrade", listener);
  return () => void server.off("upgrade", listener);
}
