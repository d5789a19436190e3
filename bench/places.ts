// Where the files of the bench are, seen from the sources as well as from the built output.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the project: the nearest one above with a package.json. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const above = dirname(folder);
    if (above === folder) throw new Error("the bench runs inside a clone of the project");
    folder = above;
  }
  return folder;
}

const ROOT = findRoot();
const BENCH = join(ROOT, "bench");
const BUILD = join(ROOT, "build", "bench");

export const PLACES = Object.freeze({
  root: ROOT,
  /** Where RESULTS.md and the charts go. */
  bench: BENCH,
  peers: join(BENCH, "peers"),
  notes: join(BENCH, "notes.md"),
  loadSource: join(BENCH, "load", "load.c"),
  loadProgram: join(BUILD, "load"),
  /** One file of JSON lines for each scenario. */
  results: join(BUILD, "results"),
});
