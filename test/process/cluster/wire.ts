// A link between a node and its broker that remembers every byte, and may be slow. Must not know what the bytes say.
import { once } from "node:events";
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";

export interface WireOptions {
  /** What the node says takes so long to the broker; what the broker says comes at once. Default 0. */
  readonly lagMs?: number;
}

/** The bytes of one connection since the last {@link Wire.forget}, one a character. */
export interface Heard {
  readonly toBroker: string;
  readonly toNode: string;
}

export class Wire {
  readonly #target: NetConnectOpts;
  readonly #lagMs: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #heard: { toBroker: Buffer[]; toNode: Buffer[] }[] = [];

  constructor(target: NetConnectOpts, { lagMs = 0 }: WireOptions = {}) {
    this.#target = target;
    this.#lagMs = lagMs;
    this.#server = createServer({ noDelay: true }, (node) => this.#accept(node));
  }

  /** Of each connection that the node has made, the closed ones too. */
  get heard(): Heard[] {
    const text = (bytes: Buffer[]): string => Buffer.concat(bytes).toString("latin1");
    return this.#heard.map(({ toBroker, toNode }) => ({ toBroker: text(toBroker), toNode: text(toNode) }));
  }

  /** How often the broker has said this to the node, on any connection. */
  countToNode(text: string): number {
    return this.heard.reduce((sum, { toNode }) => sum + toNode.split(text).length - 1, 0);
  }

  forget(): void {
    for (const heard of this.#heard) Object.assign(heard, { toBroker: [], toNode: [] });
  }

  /** Listens on a free port of 127.0.0.1, or on the path of a Unix socket. Resolves with the port; 0: a path. */
  async listen(path?: string): Promise<number> {
    if (path === undefined) this.#server.listen(0, "127.0.0.1");
    else this.#server.listen(path);
    await once(this.#server, "listening");
    const address = this.#server.address();
    return address === null || typeof address === "string" ? 0 : address.port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(node: Socket): void {
    const broker = connect(this.#target);
    broker.setNoDelay(true);
    const heard: { toBroker: Buffer[]; toNode: Buffer[] } = { toBroker: [], toNode: [] };
    this.#heard.push(heard);
    const join = (from: Socket, to: Socket, kept: () => Buffer[], lagMs: number): void => {
      this.#sockets.add(from);
      from.on("error", () => {}); // `close` follows
      from.on("data", (bytes: Buffer) => {
        kept().push(bytes);
        if (lagMs === 0) to.write(bytes);
        else setTimeout(() => to.write(bytes), lagMs);
      });
      from.on("close", () => {
        this.#sockets.delete(from);
        if (lagMs === 0) to.end();
        else setTimeout(() => to.end(), lagMs);
      });
    };
    join(node, broker, () => heard.toBroker, this.#lagMs);
    join(broker, node, () => heard.toNode, 0);
  }
}
