// Fetches a server from the machine's own Debian or Ubuntu mirror and unpacks it, without root and without installing anything.
// Must not know what the server is for.
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Of a mirror that does not answer; a good one takes some seconds. */
const PATIENCE_MS = 120_000;

/** Kept for the next run; gone with `npm ci`. */
const CACHE = fileURLToPath(new URL("../../../node_modules/.cache/groupcast-brokers", import.meta.url));

const BACKPORTS_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

export interface Unpacked {
  readonly command: string;
  /** With where its libraries are. */
  readonly env: NodeJS.ProcessEnv;
}

/**
 * A server of these, each with its packages, unpacked now or by an earlier run; with it come all of them, for the lists of packages are what
 * takes the time. Several processes may do it at once: one of them keeps what it has, the others take that.
 *
 * Rejects if this is no Debian or Ubuntu, or if they have no such packages.
 */
export async function unpack(server: string, packages: Readonly<Record<string, readonly string[]>>): Promise<Unpacked> {
  const place = join(CACHE, server);
  if (!existsSync(place)) await unpackMissing(server, packages);
  const command = ["usr/bin", "usr/sbin"].map((folder) => join(place, folder, server)).find((path) => existsSync(path));
  if (command === undefined) throw new Error(`its packages hold no ${server}: see ${place}`);
  const libraries = [...librariesIn(place, "usr/lib"), ...librariesIn(place, "lib"), process.env["LD_LIBRARY_PATH"] ?? ""];
  return { command, env: { ...process.env, LD_LIBRARY_PATH: libraries.filter((path) => path !== "").join(":") } };
}

async function unpackMissing(wanted: string, packages: Readonly<Record<string, readonly string[]>>): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const scratch = await mkdtemp(join(CACHE, "in-work-"));
  try {
    const apt = await openApt(scratch);
    for (const [server, names] of Object.entries(packages)) {
      const place = join(CACHE, server);
      if (existsSync(place)) continue;
      try {
        await fetchInto(join(scratch, server), names, apt);
        await rename(join(scratch, server, "root"), place);
      } catch (error) {
        // Somebody else may have it by now. What was not asked for may be missing: whoever asks for it will be told.
        if (server === wanted && !existsSync(place)) throw error;
      }
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** `apt-get` with these words, in that folder. Resolves with what it says. */
type Apt = (folder: string, ...words: readonly string[]) => Promise<string>;

/** One with lists and caches of its own, that are up to date. */
async function openApt(scratch: string): Promise<Apt> {
  const of = (name: string): string => join(scratch, name);
  for (const folder of ["lists/partial", "cache/archives/partial"]) await mkdir(of(folder), { recursive: true });
  const options = [
    `Dir::State::lists=${of("lists")}`,
    `Dir::Cache=${of("cache")}`,
    // Images of containers turn these two off, and every further call would read the lists anew; and have the lists packed.
    "Dir::Cache::pkgcache=pkgcache.bin",
    "Dir::Cache::srcpkgcache=srcpkgcache.bin",
    "Acquire::GzipIndexes=false",
    // It would drop root for a user who may not write here.
    "APT::Sandbox::User=",
    "Acquire::Languages=none",
    "Acquire::Retries=2",
    "Acquire::http::Timeout=15",
    "Acquire::https::Timeout=15",
  ];
  const apt: Apt = (folder, ...words) => run("apt-get", [...options.flatMap((option) => ["-o", option]), ...words], folder);
  const source = await backports(await apt(scratch, "--print-uris", "update"));
  if (source !== undefined) {
    const given = "/etc/apt/sources.list.d";
    await mkdir(of("sources"));
    for (const name of existsSync(given) ? readdirSync(given) : []) await cp(join(given, name), join(of("sources"), name));
    await writeFile(join(of("sources"), "groupcast-backports.list"), source);
    options.push(`Dir::Etc::sourceparts=${of("sources")}`);
  }
  // Hooks of this machine may fail for want of root when the lists have long come: whether they came shows in what follows.
  await apt(scratch, "-qq", "update").catch(() => undefined);
  return apt;
}

/** Leaves the files of the packages, and of those that they need and this machine has not, in `root` of the folder. */
async function fetchInto(folder: string, packages: readonly string[], apt: Apt): Promise<void> {
  const [debs, root] = [join(folder, "debs"), join(folder, "root")];
  for (const path of [debs, root]) await mkdir(path, { recursive: true });
  const planned = await apt(debs, "--simulate", "--no-install-recommends", "install", ...packages);
  const missing = [...planned.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name ?? "");
  await apt(debs, "-qq", "download", ...new Set([...packages, ...missing]));
  for (const file of readdirSync(debs)) await run("dpkg-deb", ["-x", join(debs, file), root], folder);
}

/** An entry for Debian's backports, where Valkey is if it is not in the release itself, on the mirror that this machine already uses, or undefined. */
async function backports(uris: string): Promise<string | undefined> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1];
  if (!/^ID=debian$/m.test(release) || codename === undefined) return undefined;
  const mirror = new RegExp(`^'(\\S+)/dists/${codename}/InRelease'`, "m").exec(uris)?.[1];
  const signedBy = existsSync(BACKPORTS_KEYRING) ? `[signed-by=${BACKPORTS_KEYRING}] ` : "";
  return mirror === undefined ? undefined : `deb ${signedBy}${mirror} ${codename}-backports main\n`;
}

function librariesIn(place: string, folder: string): string[] {
  const path = join(place, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.includes("-linux-"))
    .map((entry) => join(path, entry.name));
}

async function run(command: string, words: readonly string[], cwd: string): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [...words], {
    cwd,
    timeout: PATIENCE_MS,
    maxBuffer: 2 ** 26,
    env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
  });
  return stdout;
}
