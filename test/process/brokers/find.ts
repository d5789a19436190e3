// Where a broker's program is: on this machine, or unpacked from the packages of its distribution.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { unpack } from "./unpack.ts";

export type ServerName = "redis-server" | "valkey-server" | "nats-server";

export interface Found {
  readonly command: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Where servers are although a user's PATH seldom names it. */
const FURTHER_PLACES = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"];

/** A package may hold no more than a link to what is in another one, so both are named. */
const PACKAGES: Readonly<Record<ServerName, readonly string[]>> = {
  "redis-server": ["redis-server", "redis-tools"],
  "valkey-server": ["valkey-server", "valkey-tools"],
  "nats-server": ["nats-server"],
};

/** Rejects with what was tried in vain. */
export async function findServer(name: ServerName, path = process.env["PATH"] ?? ""): Promise<Found> {
  for (const folder of [...path.split(delimiter), ...FURTHER_PLACES]) {
    const command = join(folder, name);
    if (folder !== "" && isProgram(command)) return { command, env: process.env };
  }
  return unpack(name, PACKAGES);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
