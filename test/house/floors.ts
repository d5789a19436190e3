// Which folder may import which: the check, apart from its test so that the test can try it on planted faults.

export interface Source {
  /** From `src/` on, with slashes: `groups/pool.ts`. */
  readonly path: string;
  readonly text: string;
}

/** Lower floors have lower numbers; folders with the same number are neighbours and do not know each other. */
const FLOORS: Readonly<Record<string, number>> = {
  base: 0,
  wire: 1,
  sockets: 2,
  groups: 3,
  channel: 3,
  presence: 4,
  hub: 4,
  redis: 4,
  nats: 4,
  server: 5,
  workers: 6,
  cli: 7,
};
/** Beside the floors: for tests and simulations. Imports these; nobody above imports it. */
const TESTING_MAY_IMPORT = new Set(["base", "wire", "sockets", "groups", "channel", "presence", "server", "hub"]);
/** Run wherever JavaScript does: no `node:` module, no package, none of Node's globals. */
const CORE = new Set(["base", "wire", "sockets", "groups", "channel", "presence"]);
/** The only file of the core that touches time. */
const CLOCK = "base/clock.ts";

/** Every module that a source names: static imports, re-exports, imports for their effect, and `import()`, also in types. */
export function importsOf(text: string): string[] {
  const code = withoutComments(text);
  const statements = [
    /\b(?:import|export)\s(?:[^"';]*?\s)?from\s*["']([^"']+)["']/g,
    /\bimport\s*["']([^"']+)["']/g,
    /\bimport\s*\(\s*["']([^"']+)["']/g,
    /\brequire\s*\(\s*["']([^"']+)["']/g,
  ];
  return statements.flatMap((statement) => [...code.matchAll(statement)].map(([, module = ""]) => module));
}

/** All offences, each as the pair that is wrong and why. */
export function offences(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => [
    ...importsOf(source.text).flatMap((module) => wrongImport(source.path, module)),
    ...wrongGlobals(source),
    ...(/^\s*export\s+default\b|\bas\s+default\b/m.test(withoutComments(source.text)) ? [`${source.path}: export default`] : []),
    ...(source.path === "index.ts" ? moreThanReexports(source) : []),
  ]);
}

function wrongImport(path: string, module: string): string[] {
  const from = folderOf(path);
  if (!module.startsWith(".")) {
    return CORE.has(from) ? [`${path} -> ${module}: the core imports no module of Node and no package`] : [];
  }
  const target = resolve(path, module);
  if (target.startsWith("..")) return [`${path} -> ${module}: outside of src`];
  const to = folderOf(target);
  if (from === "" || from === to) return [];
  if (to === "") return [`${path} -> ${target}: the front door is for users`];
  if (from === "testing") return TESTING_MAY_IMPORT.has(to) ? [] : [`${path} -> ${target}: testing may not import ${to}`];
  const [own, other] = [FLOORS[from], FLOORS[to]];
  if (own === undefined) return [`${path} -> ${target}: ${from} has no floor`];
  if (other === undefined) return [`${path} -> ${target}: ${to} has no floor`];
  if (other > own) return [`${path} -> ${target}: ${to} is above ${from}`];
  if (other === own) return [`${path} -> ${target}: ${to} and ${from} are neighbours`];
  return [];
}

function wrongGlobals({ path, text }: Source): string[] {
  if (!CORE.has(folderOf(path))) return [];
  const code = withoutStrings(withoutComments(text));
  const found = [...code.matchAll(/(?<![.\w#"'])(Buffer|process|__dirname|require|module)(?=[.[(])/g)];
  if (path !== CLOCK) found.push(...code.matchAll(/(?<![.\w#])(setTimeout|setInterval|setImmediate|Date|performance)(?=[.(])/g));
  return found.map(([, name = ""]) => `${path}: ${name}`);
}

function moreThanReexports({ path, text }: Source): string[] {
  const rest = withoutComments(text)
    .replaceAll(/\bexport\s(?:type\s)?\{[^}]*\}\s*from\s*"[^"]+";/g, "")
    .trim();
  return rest === "" ? [] : [`${path}: more than named re-exports: ${rest.slice(0, 60)}`];
}

function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

function resolve(path: string, module: string): string {
  const parts = path.split("/").slice(0, -1);
  for (const part of module.split("/")) {
    if (part === "..") parts.push(...(parts.length === 0 || parts.at(-1) === ".." ? [".."] : (parts.pop(), [])));
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

// Good enough for our own style: no comment opens inside a string or a regular expression of ours.
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|[\s;{}(,])\/\/.*$/gm, "$1");
}

function withoutStrings(code: string): string {
  return code.replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""');
}
