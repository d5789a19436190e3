// Fetches a server from the machine's own Debian or Ubuntu mirror and unpacks it, without root and without installing anything.
// Must not know what the server is for.
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Of a machine whose mirror does not answer; a good one takes about 4 s. */
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
 * The server of these packages, unpacked now or by an earlier run. Several processes may do it at once: one of them keeps what it has,
 * the others take that. Rejects if this is no Debian or Ubuntu, or if they have no such packages.
 */
export async function unpack(server: string, packages: readonly string[]): Promise<Unpacked> {
  const place = join(CACHE, server);
  if (!existsSync(place)) {
    await mkdir(CACHE, { recursive: true });
    const scratch = await mkdtemp(join(CACHE, "in-work-"));
    try {
      await fetchInto(scratch, packages);
      await rename(join(scratch, "root"), place).catch((error: unknown) => {
        if (!existsSync(place)) throw error;
      });
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }
  const command = ["usr/bin", "usr/sbin"].map((folder) => join(place, folder, server)).find((path) => existsSync(path));
  if (command === undefined) throw new Error(`the packages ${packages.join(", ")} hold no ${server}: see ${place}`);
  const libraries = [...librariesIn(place, "usr/lib"), ...librariesIn(place, "lib"), process.env["LD_LIBRARY_PATH"] ?? ""];
  return { command, env: { ...process.env, LD_LIBRARY_PATH: libraries.filter((path) => path !== "").join(":") } };
}

/** Leaves the files of the packages, and of those that they need and this machine has not, in `root`. */
async function fetchInto(scratch: string, packages: readonly string[]): Promise<void> {
  const of = (name: string): string => join(scratch, name);
  for (const folder of ["lists/partial", "cache/archives/partial", "sources", "debs", "root"]) await mkdir(of(folder), { recursive: true });
  const options = [
    `Dir::State::lists=${of("lists")}`,
    `Dir::Cache=${of("cache")}`,
    // It would drop root for a user who may not write here.
    "APT::Sandbox::User=",
    "Acquire::Languages=none",
    "Acquire::Retries=2",
    "Acquire::http::Timeout=15",
    "Acquire::https::Timeout=15",
  ];
  const aptGet = (...words: string[]): Promise<string> =>
    run("apt-get", [...options.flatMap((option) => ["-o", option]), ...words], of("debs"));
  // Hooks of this machine may fail for want of root when the lists have long come: whether they came shows in what follows.
  const update = (): Promise<unknown> => aptGet("-qq", "update").catch(() => undefined);
  const plan = (): Promise<string> => aptGet("--simulate", "--no-install-recommends", "install", ...packages);

  await update();
  let planned: string;
  try {
    planned = await plan();
  } catch (error) {
    const source = await backports(await aptGet("--print-uris", "update"));
    if (source === undefined) throw error;
    await copySources(of("sources"));
    await writeFile(join(of("sources"), "groupcast-backports.list"), source);
    options.push(`Dir::Etc::sourceparts=${of("sources")}`);
    await update();
    planned = await plan();
  }
  const missing = [...planned.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name ?? "");
  await aptGet("-qq", "download", ...new Set([...packages, ...missing]));
  for (const file of readdirSync(of("debs"))) await run("dpkg-deb", ["-x", join(of("debs"), file), of("root")], scratch);
}

/** An entry for Debian's backports on the mirror that this machine already uses, or undefined. */
async function backports(uris: string): Promise<string | undefined> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1];
  if (!/^ID=debian$/m.test(release) || codename === undefined) return undefined;
  const mirror = new RegExp(`^'(\\S+)/dists/${codename}/InRelease'`, "m").exec(uris)?.[1];
  const signedBy = existsSync(BACKPORTS_KEYRING) ? `[signed-by=${BACKPORTS_KEYRING}] ` : "";
  return mirror === undefined ? undefined : `deb ${signedBy}${mirror} ${codename}-backports main\n`;
}

async function copySources(folder: string): Promise<void> {
  const given = "/etc/apt/sources.list.d";
  for (const name of existsSync(given) ? readdirSync(given) : []) await cp(join(given, name), join(folder, name));
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
