// A plain client for tests: a `ws` socket, everything that it got, and waits that end with an event.
import { once } from "node:events";
import { WebSocket } from "ws";

export class Client {
  readonly socket: WebSocket;
  /** Every message, text as a string, bytes as they are. */
  readonly got: (string | Buffer)[] = [];
  /** Resolves when the socket is gone. */
  readonly closed: Promise<{ code: number; reason: string }>;
  #lastId = 0;
  readonly #waits = new Set<() => void>();

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      this.got.push(isBinary ? data : data.toString());
      for (const wait of this.#waits) wait();
    });
    socket.on("error", () => {}); // `close` follows
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => {
        resolve({ code, reason: reason.toString() });
        for (const wait of this.#waits) wait();
      });
    });
  }

  static async open(port: number, path = "/", options: WebSocket.ClientOptions = {}): Promise<Client> {
    const client = new Client(new WebSocket(`ws://127.0.0.1:${port}${path}`, options));
    await once(client.socket, "open");
    return client;
  }

  send(text: string | Buffer): void {
    this.socket.send(text);
  }

  /** Sends a command with an id and resolves with its answer. */
  async ask(command: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    const id = `ask ${++this.#lastId}`;
    this.send(JSON.stringify({ ...command, id }));
    const answer = await this.until((message) => typeof message === "string" && message.startsWith(`{"id":"${id}"`));
    return JSON.parse(String(answer)) as Record<string, unknown>;
  }

  /** The first message, of those that came and of those to come, that fits. */
  until(fits: (message: string | Buffer) => boolean): Promise<string | Buffer> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.got.find((message) => fits(message));
        if (found === undefined && this.socket.readyState !== WebSocket.CLOSED) return;
        this.#waits.delete(look);
        if (found === undefined) reject(new Error("the socket closed before the message came"));
        else resolve(found);
      };
      this.#waits.add(look);
      look();
    });
  }

  /** Resolves when `count` messages have come. */
  async untilCount(count: number): Promise<void> {
    await this.until(() => this.got.length >= count);
  }

  close(): Promise<unknown> {
    this.socket.close();
    return this.closed;
  }
}
