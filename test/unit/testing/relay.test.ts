import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Relay } from "../../../src/testing/relay.ts";

let relay: Relay;
let port: number;
const atTarget: Socket[] = [];
const server = createServer((socket) => {
  atTarget.push(socket);
  socket.on("error", () => {});
  socket.on("data", (bytes) => void socket.write(bytes));
});

beforeEach(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  relay = new Relay({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  port = await relay.listen();
});

afterEach(async () => {
  await relay.close();
  server.close();
  await once(server, "close");
  atTarget.length = 0;
});

async function open(): Promise<Socket> {
  const client = connect(port, "127.0.0.1");
  client.on("error", () => {});
  await once(client, "connect");
  return client;
}

async function read(client: Socket): Promise<string> {
  const [bytes] = (await once(client, "data")) as [Buffer];
  return bytes.toString();
}

it("passes bytes on both ways, and counts those that come to the client", async () => {
  const client = await open();
  client.write("hello");
  expect(await read(client)).toBe("hello");
  expect(relay.bytesToClient).toBe(5);
});

it("cuts every link, and lets none through until it is restored", async () => {
  const client = await open();
  client.write("hello");
  await read(client);
  relay.cut();
  await Promise.all([once(client, "close"), once(atTarget[0] as Socket, "close")]);
  const refused = connect(port, "127.0.0.1");
  refused.on("error", () => {});
  await once(refused, "close");
  expect(atTarget).toHaveLength(1);
  relay.restore();
  const again = await open();
  again.write("again");
  expect(await read(again)).toBe("again");
});

it("keeps back what the client says while it is held, and passes it on in order", async () => {
  const client = await open();
  client.write("1");
  await read(client);
  relay.hold();
  client.write("2");
  client.write("3");
  // The other way is open: what the target says now comes, and comes first.
  atTarget[0]?.write("from the target");
  expect(await read(client)).toBe("from the target");
  relay.release();
  expect(await read(client)).toBe("23");
});

it("passes on what one side had said before it left", async () => {
  const client = await open();
  client.write("1");
  await read(client);
  const target = atTarget[0] as Socket;
  const last = "x".repeat(1_000_000);
  let got = 0;
  client.on("data", (bytes) => (got += bytes.length));
  target.end(last);
  await once(client, "close");
  expect(got).toBe(last.length);
});
