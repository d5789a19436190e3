// A copy of the built package in a folder of its own, with some of what it is installed with left out.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface BareInstall {
  /** The folder of what was built. */
  readonly dist: string;
  /** The program `groupcast`. */
  readonly main: string;
  remove(): void;
}

/** `keeps`: whether a package or scope of node_modules is there; `folders`: whether a folder of the built sources is. */
export function bareInstall({
  keeps,
  folders = () => true,
}: {
  readonly keeps: (name: string) => boolean;
  readonly folders?: (name: string) => boolean;
}): BareInstall {
  const root = mkdtempSync(join(tmpdir(), "groupcast-bare-"));
  // Not links: Node would look for packages where they lead to.
  const built = join(ROOT, "dist");
  cpSync(built, join(root, "dist"), {
    recursive: true,
    filter: (path) => path === built || folders(path.slice(built.length + 1).split(sep)[0] ?? ""),
  });
  for (const name of ["page", "package.json"]) cpSync(join(ROOT, name), join(root, name), { recursive: true });
  const modules = join(root, "node_modules");
  mkdirSync(modules);
  for (const name of readdirSync(join(ROOT, "node_modules"))) {
    if (!name.startsWith(".") && keeps(name)) symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  }
  return {
    dist: join(root, "dist"),
    main: join(root, "dist/cli/main.js"),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
