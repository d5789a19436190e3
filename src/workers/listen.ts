// Reads where a Worker listens. Pure.
import { GroupcastError } from "../base/errors.ts";
import { hostPort } from "../wire/addresses.ts";

/** An address that was given as text. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** As it is shown: `websocket://host:port`. */
  readonly text: string;
}

const SHAPE = /^websocket:\/\/(\[[0-9a-f:.%]+\]|[a-z0-9_.-]+):(\d{1,5})\/?$/i;

/** @throws GroupcastError `bad_option`: not `websocket://host:port`. */
export function readListen(listen: unknown): ListenAddress {
  const [, host, digits] = (typeof listen === "string" && SHAPE.exec(listen)) || [];
  const port = Number(digits);
  if (host === undefined || port > 65_535) {
    const given = typeof listen === "string" ? JSON.stringify(listen.slice(0, 80)) : typeof listen;
    throw new GroupcastError("bad_option", `a Worker listens on "websocket://host:port", not ${given}`);
  }
  return { host: host.replace(/^\[|\]$/g, ""), port, text: showListen(host, port) };
}

/** As it is written in {@link readListen}. */
export function showListen(host: string, port: number): string {
  return `websocket://${hostPort(host, port)}`;
}
