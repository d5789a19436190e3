// A network of its own, in namespaces of Linux: places with an address each on one bridge, whose links can be cut. Nothing of it is seen
// outside of the namespaces, and all of it is gone when the test process is, however that ends. Must not know what runs there.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Of a range that is nobody's on the internet; only the namespaces have it. */
const SUBNET = "10.213.7";

/** When the other end of its input is gone: ends what runs in these namespaces, and removes them. */
const WATCHDOG = `
while read -r line; do :; done
for name in "$@"; do
  for pid in $(ip netns pids "$name" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
  ip netns delete "$name" 2>/dev/null
done`;

/** Whether there can be one here; if not, says so once, and is an error where nothing may be skipped and there is the right to it. */
export async function networks(tests: string): Promise<{ missing: boolean }> {
  const isRoot = process.getuid?.() === 0;
  try {
    if (!isRoot) throw new Error("not root");
    const network = await Network.make(["trial"]);
    await network.remove();
    return { missing: false };
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().replaceAll("\n", " ") : String(error);
    const line = `${tests}: not tested, there are no network namespaces here: it takes root and iproute2 (${reason})`;
    if (isRoot && process.env["CI"] === "true") throw new Error(line, { cause: error });
    process.stderr.write(`\n*** SKIPPED: ${line}\n\n`);
    return { missing: true };
  }
}

export class Network {
  readonly #places: readonly string[];
  readonly #prefix = `groupcast-${randomBytes(4).toString("hex")}`;
  readonly #watchdog: ChildProcess;

  private constructor(places: readonly string[]) {
    this.#places = places;
    // Detached: Ctrl-C in a terminal reaches every process of it, and this one has to outlive the others.
    this.#watchdog = spawn("/bin/sh", ["-c", WATCHDOG, "sh", ...places.map((place) => this.#namespace(place))], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#watchdog.stdin?.on("error", () => {}); // it is gone: `remove` was called
    this.#watchdog.unref();
  }

  /** The bridge is in the first place. */
  static async make(places: readonly [string, ...string[]]): Promise<Network> {
    const network = new Network(places);
    try {
      await network.#build();
      return network;
    } catch (error) {
      await network.remove();
      throw error;
    }
  }

  addressOf(place: string): string {
    return `${SUBNET}.${this.#places.indexOf(place) + 1}`;
  }

  /** Starts a program there, with pipes for what it says. */
  spawn(place: string, words: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
    return spawn("ip", ["netns", "exec", this.#namespace(place), ...words], { env, stdio: ["ignore", "pipe", "pipe"] });
  }

  /** Starts a Node program there, with a channel to this process. */
  fork(place: string, words: readonly string[]): ChildProcess {
    return spawn("ip", ["netns", "exec", this.#namespace(place), process.execPath, ...words], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  /** From now on nothing comes through, in either direction, and nobody is told. Not for the first place. */
  async cut(place: string): Promise<void> {
    await this.#ip(["-n", this.#namespace(this.#first), "link", "set", "dev", portOf(this.#places.indexOf(place)), "down"]);
  }

  async heal(place: string): Promise<void> {
    await this.#ip(["-n", this.#namespace(this.#first), "link", "set", "dev", portOf(this.#places.indexOf(place)), "up"]);
  }

  /** Ends all that runs there. Harmless when called again. */
  async remove(): Promise<void> {
    this.#watchdog.stdin?.end();
    if (this.#watchdog.exitCode !== null || this.#watchdog.signalCode !== null) return;
    this.#watchdog.ref();
    await once(this.#watchdog, "exit");
  }

  get #first(): string {
    return this.#places[0] ?? "";
  }

  #namespace(place: string): string {
    return `${this.#prefix}-${place}`;
  }

  async #build(): Promise<void> {
    for (const place of this.#places) {
      await this.#ip(["netns", "add", this.#namespace(place)]);
      await this.#ip(["-n", this.#namespace(place), "link", "set", "dev", "lo", "up"]);
    }
    const first = this.#namespace(this.#first);
    await this.#ip(["-n", first, "link", "add", "bridge", "type", "bridge"]);
    await this.#ip(["-n", first, "address", "add", `${this.addressOf(this.#first)}/24`, "dev", "bridge"]);
    await this.#ip(["-n", first, "link", "set", "dev", "bridge", "up"]);
    for (const [index, place] of this.#places.entries()) {
      if (index === 0) continue;
      const there = this.#namespace(place);
      await this.#ip(["-n", first, "link", "add", portOf(index), "type", "veth", "peer", "name", "uplink", "netns", there]);
      await this.#ip(["-n", first, "link", "set", "dev", portOf(index), "master", "bridge", "up"]);
      await this.#ip(["-n", there, "address", "add", `${this.addressOf(place)}/24`, "dev", "uplink"]);
      await this.#ip(["-n", there, "link", "set", "dev", "uplink", "up"]);
    }
  }

  async #ip(words: readonly string[]): Promise<void> {
    await run("ip", words);
  }
}

function portOf(index: number): string {
  return `to-${index}`;
}
