// NATS for tests.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { findServer } from "./find.ts";
import { type Broker, freePort, givenServer, type Launch, PrivateServer } from "./private-server.ts";

export interface NatsUser {
  readonly user: string;
  readonly password: string;
  /** As in the server's configuration, like `{ publish: { allow: ["groupcast.>"] }, subscribe: { … } }`. Default: everything. */
  readonly permissions?: object;
}

export interface NatsOptions {
  /** True: a server of this test's own, also where one was given by its URL. So is every server with one of the options below. */
  readonly own?: boolean;
  /** Default true. What streams store in files is there after a restart; what they store in memory is not. */
  readonly jetstream?: boolean;
  /** Who may connect. The URL names the first. Default: anybody. */
  readonly users?: readonly NatsUser[];
  /** Further settings by their names in the server's configuration, like `{ max_payload: 65536 }`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface NatsServer extends Broker {
  /** Where its figures are: `/varz`, `/connz?subs=1`, `/jsz`. Undefined if it is not ours. */
  readonly monitorUrl: string | undefined;
}

/** A private NATS, or the one at GROUPCAST_TEST_NATS_URL if nothing special is asked for. Resolves when it answers. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const given = process.env["GROUPCAST_TEST_NATS_URL"];
  const asksForNothing = Object.values(options).every((option) => option === undefined || option === false);
  if (given !== undefined && given !== "" && asksForNothing) return Object.assign(givenServer(given), { monitorUrl: undefined });
  const monitorPort = await freePort();
  const server = await PrivateServer.start(await launchOf(options, monitorPort));
  return Object.assign(server, { monitorUrl: `http://127.0.0.1:${monitorPort}` });
}

async function launchOf({ jetstream = true, users = [], config = {} }: NatsOptions, monitorPort: number): Promise<Launch> {
  const [first] = users;
  return {
    ...(await findServer("nats-server")),
    words(port, folder) {
      const file = join(folder, "nats.conf");
      // Its configuration may be written as JSON.
      const settings = {
        host: "127.0.0.1",
        port,
        http: `127.0.0.1:${monitorPort}`,
        ...(jetstream ? { jetstream: { store_dir: join(folder, "jetstream"), max_memory_store: 2 ** 30, max_file_store: 2 ** 32 } } : {}),
        ...(users.length === 0 ? {} : { authorization: { users } }),
        ...config,
      };
      writeFileSync(file, JSON.stringify(settings));
      return ["-c", file];
    },
    listens: /Server is ready/,
    url: (port) => {
      const who = first === undefined ? "" : `${encodeURIComponent(first.user)}:${encodeURIComponent(first.password)}@`;
      return `nats://${who}127.0.0.1:${port}`;
    },
    speak: async (url) => void (await readInfo(url)),
  };
}

/** The line that a server begins with: who it is, and what it allows. */
export async function readInfo(url: string): Promise<Record<string, unknown>> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  try {
    const [bytes] = (await once(socket, "data")) as [Buffer];
    const [line = ""] = bytes.toString().split("\r\n", 1);
    if (!line.startsWith("INFO {")) throw new Error(`it answered ${line}`);
    return JSON.parse(line.slice("INFO ".length)) as Record<string, unknown>;
  } finally {
    socket.destroy();
  }
}
