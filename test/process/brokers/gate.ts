// Whether tests have the broker that they need; if not, says so once, and is an error where nothing may be skipped.
import { findServer, type ServerName } from "./find.ts";

export interface Gate {
  /** True: there is no such broker here, and a line on stderr has said so. */
  readonly missing: boolean;
}

export interface GateOptions {
  /** True: it has to be a server of this test's own, to end and restart or to configure: one given by its URL is not enough. */
  readonly own?: boolean;
}

const ON_MACOS: Readonly<Record<ServerName, string>> = { "redis-server": "redis", "valkey-server": "valkey", "nats-server": "nats-server" };

/** See `brokers`. `find` is there for the test of this. */
export async function gate(
  name: ServerName,
  variable: string,
  tests: string,
  { own = false }: GateOptions = {},
  find: (name: ServerName) => Promise<unknown> = findServer,
): Promise<Gate> {
  const given = process.env[variable];
  if (!own && given !== undefined && given !== "") return { missing: false };
  try {
    await find(name);
    return { missing: false };
  } catch (error) {
    const remedy = `\`apt-get install ${name}\` or \`brew install ${ON_MACOS[name]}\`${own ? "" : `, or say where one is with ${variable}`}`;
    const reason = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
    const line = `${tests}: not tested, there is no ${name} here: ${remedy} (${reason})`;
    if (process.env["CI"] === "true") throw new Error(line, { cause: error });
    process.stderr.write(`\n*** SKIPPED: ${line}\n\n`);
    return { missing: true };
  }
}
