// A link that can be cut: stands between adapters and their bus, passes bytes on, and counts them. Must not read them.
import { once } from "node:events";
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";

type Pair = { readonly client: Socket; readonly target: Socket };

/** Listens on a port of its own and passes everything on to a target. One per adapter under test. */
export class Relay {
  readonly #target: NetConnectOpts;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #isCut = false;
  #isHeld = false;
  #bytesToClient = 0;

  constructor(target: NetConnectOpts) {
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  /** Bytes that went from the target to the client. */
  get bytesToClient(): number {
    return this.#bytesToClient;
  }

  /** Listens, on a free port of 127.0.0.1 or on the path of a Unix socket. Resolves with the port; 0: a path. */
  async listen(path?: string): Promise<number> {
    if (path === undefined) this.#server.listen(0, "127.0.0.1");
    else this.#server.listen(path);
    await once(this.#server, "listening");
    const address = this.#server.address();
    return address === null || typeof address === "string" ? 0 : address.port;
  }

  /** Ends every link at once, without a word to either side, and lets none through before {@link restore}. */
  cut(): void {
    this.#isCut = true;
    for (const { client, target } of this.#pairs) {
      client.destroy();
      target.destroy();
    }
  }

  restore(): void {
    this.#isCut = false;
  }

  /** Passes nothing more of the client on, and keeps it, until {@link release}. */
  hold(): void {
    this.#isHeld = true;
    for (const { client } of this.#pairs) client.pause();
  }

  release(): void {
    this.#isHeld = false;
    for (const { client } of this.#pairs) client.resume();
  }

  /** Ends every link and stops listening. */
  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client: Socket): void {
    client.on("error", () => {}); // `close` follows, and says enough
    if (this.#isCut) {
      client.destroy();
      return;
    }
    const target = connect(this.#target);
    target.setNoDelay(true);
    target.on("error", () => {});
    const pair = { client, target };
    this.#pairs.add(pair);
    client.on("data", (bytes) => {
      if (!target.write(bytes)) client.pause();
    });
    target.on("drain", () => {
      if (!this.#isHeld) client.resume();
    });
    target.on("data", (bytes) => {
      this.#bytesToClient += bytes.length;
      if (!client.write(bytes)) target.pause();
    });
    client.on("drain", () => target.resume());
    // What one side has sent before it left still reaches the other.
    const closed = (other: Socket): void => {
      if (other.closed) this.#pairs.delete(pair);
      else other.end();
    };
    client.on("close", () => closed(target));
    target.on("close", () => closed(client));
    if (this.#isHeld) client.pause();
  }
}
