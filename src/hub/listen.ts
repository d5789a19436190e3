// Makes a net.Server listen where it should: takes the place of a dead server's socket file, never that of a live one.
import { chmod, lstat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { isMainThread } from "node:worker_threads";
import { GroupcastError } from "../base/errors.ts";
import { type HubAddress, shown } from "./address.ts";

/** A Unix socket is for its owner alone. */
const SOCKET_MODE = 0o600;

/**
 * Resolves with where it listens: the real port, if 0 was asked for.
 *
 * Rejects with `unavailable`: somebody else listens there, or the machine does not let us.
 */
export async function listenAt(server: Server, address: HubAddress): Promise<HubAddress> {
  if ("path" in address) await clearPath(address.path);
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(explain(error, address));
    server.once("error", failed);
    const listening = (): void => {
      server.off("error", failed);
      resolve();
    };
    // `exclusive`: inside a node:cluster worker, too, it is this process that listens.
    if ("path" in address) withPrivateMode(() => server.listen({ path: address.path, exclusive: true }, listening));
    else server.listen({ host: address.host, port: address.port, exclusive: true }, listening);
  });
  if ("path" in address) {
    await chmod(address.path, SOCKET_MODE);
    return address;
  }
  const bound = server.address();
  return { host: address.host, port: typeof bound === "object" && bound !== null ? bound.port : address.port };
}

/** The file is made inside `bind`, so the mask decides its mode: no moment passes in which others could connect. */
function withPrivateMode(bind: () => void): void {
  if (!isMainThread) return bind(); // only the main thread may change the mask; there the `chmod` that follows does it
  const before = process.umask(0o777 & ~SOCKET_MODE);
  try {
    bind();
  } finally {
    process.umask(before);
  }
}

async function clearPath(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw explain(error, { path });
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new GroupcastError("unavailable", `${path} is there already and is no socket; it was left as it is`);
  if (await answers(path)) throw taken({ path });
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false);
      else if (error.code === "EAGAIN") resolve(true); // its queue is full: somebody is there
      else reject(explain(error, { path }));
    });
  });
}

function explain(error: NodeJS.ErrnoException, address: HubAddress): GroupcastError {
  if (error.code === "EADDRINUSE") return taken(address, error);
  return new GroupcastError("unavailable", `the channel server cannot listen at ${shown(address)}: ${error.message}`, { cause: error });
}

function taken(address: HubAddress, cause?: Error): GroupcastError {
  const text = `${shown(address)} is taken: another program listens there; choose another ${"path" in address ? "path" : "port"}`;
  return new GroupcastError("unavailable", text, { cause });
}
