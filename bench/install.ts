// Gets the peers from npm, once: exact versions, no install scripts. What cannot be had is said, and the rest goes on without it.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { variableOf } from "./brokers.ts";
import type { Children } from "./children.ts";
import type { Peer } from "./peers.ts";
import { PLACES } from "./places.ts";

const MODULES = join(PLACES.peers, "node_modules");

/** Installs the peers unless they are there; false: that has failed (`say` has been told why). */
export async function installPeers(children: Children, say: (text: string) => void): Promise<boolean> {
  if (isInstalled()) return true;
  say("installing the peers from npm (about 110 MB, once) …");
  const child = children.start("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", PLACES.peers]);
  let complaint = "";
  child.stdout?.resume();
  child.stderr?.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("error", () => resolve(null)).once("close", resolve));
  if (code === 0) return true;
  say(`npm ci has failed, so only what is installed already is compared:\n${complaint.trim().slice(-1_000)}`);
  return false;
}

/** The Bun of peers/, or undefined if there is none that runs here. Its program lies ready in the package for this kind of machine. */
export function findBun(): string | undefined {
  const folder = join(MODULES, "@oven");
  if (!existsSync(folder)) return undefined;
  return readdirSync(folder)
    .map((name) => join(folder, name, "bin", "bun"))
    .find((program) => spawnSync(program, ["--version"]).status === 0);
}

/** True if a peer can be started. groupcast needs nothing but its broker, and `ws` is there with groupcast. */
export function canRun(peer: Peer, bun: string | undefined, brokers: Readonly<Record<string, string>>): boolean {
  if (peer.broker !== undefined && brokers[variableOf(peer.broker)] === undefined) return false;
  if (peer.runtime === "bun") return bun !== undefined;
  return peer.package === undefined || versionOf(peer) !== undefined;
}

/** The installed version of a peer. */
export function versionOf({ package: name }: Peer): string | undefined {
  if (name === undefined) return undefined;
  for (const folder of [MODULES, join(PLACES.root, "node_modules")]) {
    const file = join(folder, name, "package.json");
    if (existsSync(file)) return (JSON.parse(readFileSync(file, "utf8")) as { readonly version: string }).version;
  }
  return undefined;
}

function isInstalled(): boolean {
  const { dependencies } = JSON.parse(readFileSync(join(PLACES.peers, "package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  return Object.entries(dependencies).every(([name, version]) => {
    const file = join(MODULES, name, "package.json");
    return existsSync(file) && (JSON.parse(readFileSync(file, "utf8")) as { readonly version: string }).version === version;
  });
}
