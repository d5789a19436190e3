// What a browser gets without an upgrade: the page, and whether the server is well. Knows HTTP only.
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pathOf } from "./http.ts";

const TYPES = {
  "index.html": "text/html; charset=utf-8",
  "page.css": "text/css; charset=utf-8",
  "page.js": "text/javascript; charset=utf-8",
  "client.js": "text/javascript; charset=utf-8",
  "view.js": "text/javascript; charset=utf-8",
  "icon.svg": "image/svg+xml",
} as const;

const HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-cache",
} as const;

/** Answers requests for the page's files, `/healthz` and `/readyz`; anything else with 404. */
export class Page {
  readonly #files = new Map<string, { readonly type: string; readonly body: Buffer }>();
  readonly #unready: () => string | undefined;

  /** @param unready says why the server takes no connections now; undefined: it does. */
  constructor(unready: () => string | undefined) {
    this.#unready = unready;
    for (const [name, type] of Object.entries(TYPES)) {
      const body = readFileSync(new URL(`../../page/${name}`, import.meta.url));
      this.#files.set(name === "index.html" ? "/" : `/${name}`, { type, body });
    }
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request);
    const file = this.#files.get(path);
    const isProbe = path === "/healthz" || path === "/readyz";
    if (path === "/ws" || path.startsWith("/ws/")) {
      answer(response, 426, "this address speaks WebSocket", { Upgrade: "websocket", Connection: "Upgrade" });
    } else if (file === undefined && !isProbe) {
      answer(response, 404, "not found");
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      answer(response, 405, "GET only", { Allow: "GET, HEAD" });
    } else if (file !== undefined) {
      response.writeHead(200, { ...HEADERS, "Content-Type": file.type, "Content-Security-Policy": contentSecurityPolicy(request) });
      response.end(file.body);
    } else {
      const reason = path === "/readyz" ? this.#unready() : undefined;
      answer(response, reason === undefined ? 200 : 503, reason ?? "ok");
    }
  }
}

function answer(response: ServerResponse, status: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { ...HEADERS, "Content-Type": "text/plain; charset=utf-8", ...headers });
  response.end(`${text}\n`);
}

/**
 * Nothing but the page's own files, and WebSockets to this server. Its loopback names are named too, so that the console lines of
 * the documents work on the page under each of them. The Host has been checked before.
 */
function contentSecurityPolicy(request: IncomingMessage): string {
  const host = request.headers.host ?? "";
  const port = /:\d+$/.exec(host)?.[0] ?? "";
  // A Host that is no plain name cannot get into the header.
  const own = /^[\w.:[\]-]+$/.test(host) ? `ws://${host} wss://${host}` : "";
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src 'self' ${own} ws://localhost${port} ws://127.0.0.1${port}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
