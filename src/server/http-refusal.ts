// Answers an HTTP upgrade with an error instead of a WebSocket. Fixed texts only: nothing of the request is echoed.
import type { Duplex } from "node:stream";
import { STATUS_CODES } from "node:http";
import { systemClock } from "../base/clock.ts";

/** A few hundred bytes have this long to leave. */
const ANSWER_WITHIN_MS = 1_000;

/** Why an upgrade is refused. */
export interface HttpRefusal {
  readonly status: 400 | 403 | 404 | 405 | 409 | 421 | 426 | 503;
  /** What a person who debugs a client needs to know; one line. */
  readonly text: string;
  /** Seconds after which it makes sense to try again. */
  readonly retryAfterSeconds?: number;
}

/** Answers and ends the socket. */
export function refuseUpgrade(socket: Duplex, { status, text, retryAfterSeconds }: HttpRefusal): void {
  // The peer may be gone already, and nobody else listens on this socket any more. One that keeps its side open, or does not read
  // the answer, is not waited for: HTTP's own time-outs ended with the upgrade.
  const cancel = systemClock.after(ANSWER_WITHIN_MS, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.once("finish", () => socket.destroy());
  socket.once("close", cancel);
  const body = `${text}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Connection: close",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(retryAfterSeconds === undefined ? [] : [`Retry-After: ${retryAfterSeconds}`]),
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
