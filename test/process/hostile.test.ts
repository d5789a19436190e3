// Whatever a client sends, the process and every other connection stay up, and the next valid command on the same socket works.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client } from "./client.ts";

const deep = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
const send = (message: string): string => `{"cmd":"send_to_group","group_id":"room","message":${message}}`;

/** What kills or confuses the source system (or naive ones), and how many messages the room gets of it. */
const frames: readonly { readonly what: string; readonly frame: string | Buffer; readonly delivers?: string }[] = [
  { what: "an object as message", frame: send("{}"), delivers: "{}" },
  { what: "an array as message", frame: send('[1, "two"]'), delivers: '[1, "two"]' },
  { what: "null as message", frame: send("null"), delivers: "null" },
  { what: "true as message", frame: send("true"), delivers: "true" },
  { what: "a number as message", frame: send("1.5"), delivers: "1.5" },
  { what: "a number too long for a double", frame: send("12345678901234567890123"), delivers: "12345678901234567890123" },
  { what: "an empty message", frame: send('""'), delivers: "" },
  { what: "no message", frame: '{"cmd":"send_to_group","group_id":"room"}' },
  { what: "an object as group", frame: '{"cmd":"add_group","group_id":{}}' },
  { what: "an array as group", frame: '{"cmd":"add_group","group_id":["room"]}' },
  { what: "null as group", frame: '{"cmd":"add_group","group_id":null}' },
  { what: "true as group", frame: '{"cmd":"add_group","group_id":true}' },
  { what: "a fraction as group", frame: '{"cmd":"add_group","group_id":1.9}' },
  { what: "no group", frame: '{"cmd":"add_group"}' },
  { what: "an empty group", frame: '{"cmd":"add_group","group_id":""}' },
  { what: "a group of 201 bytes", frame: JSON.stringify({ cmd: "add_group", group_id: "x".repeat(201) }) },
  { what: "a group with a NUL", frame: '{"cmd":"add_group","group_id":"a\\u0000b"}' },
  { what: "a group with a lone surrogate", frame: '{"cmd":"add_group","group_id":"\\ud800"}' },
  { what: "a string at top level", frame: '"str"' },
  { what: "a number at top level", frame: "123" },
  { what: "null at top level", frame: "null" },
  { what: "an array at top level", frame: "[]" },
  { what: "an empty frame", frame: "" },
  { what: "broken JSON", frame: '{"cmd":"add_group","group_id":' },
  { what: "no JSON at all", frame: "hello" },
  { what: "an unknown command", frame: '{"cmd":"drop_table","group_id":"room"}' },
  { what: "a command in capitals", frame: '{"cmd":"ADD_GROUP","group_id":"room"}' },
  { what: "no command", frame: "{}" },
  { what: "__proto__ as a key", frame: '{"__proto__":{"cmd":"add_group","group_id":"room"},"constructor":{"prototype":{"polluted":1}}}' },
  { what: "deep nesting around", frame: deep(30_000) },
  { what: "deep nesting as message", frame: send(deep(30_000)) },
  { what: "deep nesting as group", frame: `{"cmd":"add_group","group_id":${deep(30_000)}}` },
  { what: "an object as id", frame: '{"cmd":"add_group","group_id":"room","id":{}}' },
  { what: "binary garbage", frame: Buffer.from([0xff, 0x00, 0xc3, 0x28]) },
  { what: "a command in a binary frame", frame: Buffer.from(send('"binary"')), delivers: "binary" },
];

let server: ChildProcess;
let port = 0;
let bystander: Client;

beforeAll(async () => {
  server = fork(new URL("fixtures/plain-server.mjs", import.meta.url));
  const [ready] = (await once(server, "message")) as [{ port: number }];
  port = ready.port;
  bystander = await Client.open(port);
  await bystander.ask({ cmd: "add_group", group_id: "room" });
});

afterAll(async () => {
  expect(server.exitCode).toBeNull();
  expect(bystander.socket.readyState).toBe(bystander.socket.OPEN);
  server.disconnect();
  await once(server, "exit");
});

describe("a server", () => {
  it.each(frames)("survives $what, and the next command on that socket works", async ({ frame, delivers }) => {
    const client = await Client.open(port);
    const before = bystander.got.length;
    client.send(frame);
    const marker = `after ${Math.random()}`;
    client.send(JSON.stringify({ cmd: "send_to_group", group_id: "room", message: marker }));
    await bystander.until((message) => message === marker);
    expect(bystander.got.slice(before)).toEqual(delivers === undefined ? [marker] : [delivers, marker]);
    expect(await client.ask({ cmd: "count_group", group_id: "room" })).toMatchObject({
      ok: true,
      members: frame === '{"cmd":"add_group","group_id":"room","id":{}}' ? 2 : 1,
    });
    await client.close();
  });

  it.each([
    ["bad_json", "send_to_group", "room", undefined],
    ["bad_group", "add_group", "", undefined],
    ["bad_group", "add_group", ["x"], undefined],
    ["unknown_command", "nonsense", "room", undefined],
  ])("answers %s when a bad %s carries an id", async (error, cmd, group_id, message) => {
    const client = await Client.open(port);
    expect(await client.ask({ cmd, group_id, message })).toMatchObject({
      ok: false,
      error,
      retry: false,
      detail: expect.any(String) as string,
    });
    await client.close();
  });

  it("answers too_deep, and treats __proto__ as an ordinary name", async () => {
    const client = await Client.open(port);
    client.send(`{"id":"deep","cmd":"send_to_group","group_id":"room","message":${deep(40)}}`);
    expect(JSON.parse(String(await client.until((text) => String(text).includes('"deep"'))))).toMatchObject({
      ok: false,
      error: "too_deep",
    });
    expect(await client.ask({ cmd: "add_group", group_id: "__proto__" })).toMatchObject({ ok: true });
    expect(await client.ask({ cmd: "count_group", group_id: "__proto__" })).toMatchObject({ ok: true, members: 1 });
    expect(await client.ask({ cmd: "count_group", group_id: "constructor" })).toMatchObject({ ok: true, members: 0 });
    await client.close();
  });

  it("closes only the connection that breaks the WebSocket protocol or a limit", async () => {
    const tooLarge = await Client.open(port);
    tooLarge.send("x".repeat(65_537));
    expect((await tooLarge.closed).code).toBe(1009);

    const unmasked = connect(port, "127.0.0.1");
    unmasked.write(
      "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await once(unmasked, "data");
    unmasked.write(Buffer.from([0x81, 0x01, 0x41]));
    const [bytes] = (await once(unmasked, "data")) as [Buffer];
    expect([bytes[0], bytes.readUInt16BE(2)]).toEqual([0x88, 1002]);
    unmasked.destroy();
  });

  it("counts what nobody was told", async () => {
    server.send("counters");
    const [counters] = (await once(server, "message")) as [{ commandsIgnored: number }];
    expect(counters.commandsIgnored).toBe(
      frames.filter(({ what, delivers }) => delivers === undefined && what !== "an object as id").length,
    );
  });

  it("holds back what follows a join, answers in order, and stops reading a client that floods it", async () => {
    const client = await Client.open(port);
    const commands = Array.from({ length: 3_000 }, (_, index) =>
      JSON.stringify(
        index % 3 === 0
          ? { cmd: "add_group", group_id: `g${index % 9}`, id: index }
          : index % 3 === 1
            ? { cmd: "count_group", group_id: `g${(index - 1) % 9}`, id: index }
            : { cmd: "leave_group", group_id: `g${(index - 2) % 9}`, id: index },
      ),
    );
    for (const command of commands) client.send(command);
    await client.untilCount(commands.length);
    const answers = client.got.map((text) => JSON.parse(String(text)) as { id: number; ok: boolean; members?: number });
    expect(answers.map(({ id }) => id)).toEqual(commands.map((_, index) => index));
    expect(answers.every(({ ok }) => ok)).toBe(true);
    expect(answers.filter(({ id }) => id % 3 === 1).every(({ members }) => members === 1)).toBe(true);
    await client.close();
  });
});
