import { describe, expect, it } from "vitest";
import { Connection } from "../../../src/groups/connection.ts";
import { FakeSocket } from "../../../src/testing/fake-socket.ts";

describe.each([{ stream: false }, { stream: true }])("a fake socket with $stream as its stream", (options) => {
  function connect(more: { connecting?: boolean } = {}): { socket: FakeSocket; connection: Connection; told: unknown[] } {
    const socket = new FakeSocket({ ...options, ...more });
    const connection = new Connection("id", "default", socket);
    const told: unknown[] = [];
    connection.on("message", (data) => told.push(["message", data]));
    connection.on("error", ({ message }) => told.push(["error", message]));
    connection.on("close", (code, reason) => told.push(["close", code, reason]));
    connection.on("slow", () => told.push("slow"));
    connection.on("drain", () => told.push("drain"));
    return { socket, connection, told };
  }

  it("carries a connection, and shows what was sent", () => {
    const { socket, connection } = connect();
    expect(connection.send("text \0 \u{1F600}")).toBe(true);
    expect(connection.send(Uint8Array.of(0, 255))).toBe(true);
    expect(socket.sent[0]).toBe("text \0 \u{1F600}");
    expect([...(socket.sent[1] as Uint8Array)]).toEqual([0, 255]);
    expect(socket.writes).toBe(2);
  });

  it("passes on what the peer says", () => {
    const { socket, told } = connect();
    socket.receive("hello");
    socket.receive(Uint8Array.of(1, 2));
    expect(told).toEqual([
      ["message", "hello"],
      ["message", Buffer.from([1, 2])],
    ]);
  });

  it("answers a close frame once `close` has returned", async () => {
    const { socket, connection, told } = connect();
    const closed = connection.close(4001, "bye");
    expect(socket.readyState).toBe(2);
    expect(socket.closeSent).toEqual({ code: 4001, reason: "bye" });
    expect(told).toEqual([]);
    await closed;
    expect(socket.readyState).toBe(3);
    expect(told).toEqual([["close", 4001, "bye"]]);
  });

  it("leaves a close frame unanswered, if told so, until somebody answers by hand", async () => {
    const { socket, connection, told } = connect();
    socket.answersClose = false;
    const closed = connection.close();
    await Promise.resolve();
    expect(told).toEqual([]);
    socket.finishClose();
    await closed;
    expect(told).toEqual([["close", 1000, ""]]);
  });

  it("is gone with 1006, once, when it is cut or fails", async () => {
    const cut = connect();
    cut.connection.terminate();
    await Promise.resolve();
    expect(cut.told).toEqual([["close", 1006, ""]]);
    cut.socket.hangUp(1000);
    expect(cut.told).toHaveLength(1);

    const failing = connect();
    failing.socket.fail(new Error("reset"));
    expect(failing.told).toEqual([
      ["error", "reset"],
      ["close", 1006, ""],
    ]);
  });

  it("opens late", () => {
    const { socket, connection } = connect({ connecting: true });
    expect(connection.send("too early")).toBe(false);
    socket.open();
    expect(connection.send("now")).toBe(true);
    expect(socket.sent).toEqual(["now"]);
  });

  it("fails to send, if told so", () => {
    const { socket, connection, told } = connect();
    socket.sendError = new Error("no");
    expect(connection.send("x")).toBe(false);
    expect(told).toContainEqual(["error", "no"]);
    expect(socket.sent).toEqual([]);
  });
});

it("answers a ping in the same call, unless told not to", () => {
  const socket = new FakeSocket();
  let pongs = 0;
  socket.on("pong", () => pongs++);
  socket.ping();
  socket.answersPing = false;
  socket.ping();
  expect([socket.pings, pongs]).toEqual([2, 1]);
  socket.pong();
  expect(pongs).toBe(2);
});

it("counts messages that go to a stream together as one write", () => {
  const socket = new FakeSocket({ stream: true });
  socket.sendFrames(Uint8Array.of(0x81, 1, 97, 0x81, 1, 98));
  expect(socket.sent).toEqual(["a", "b"]);
  expect(socket.writes).toBe(1);
});

it("keeps what is sent while its peer does not read, and tells its stream's `drain` when it does", () => {
  const socket = new FakeSocket({ stream: true });
  const connection = new Connection("id", "default", socket);
  const told: string[] = [];
  connection.on("slow", () => told.push("slow"));
  connection.on("drain", () => told.push("drain"));
  socket.stall();
  connection.send("x".repeat(60_000));
  expect([socket.bufferedAmount, told]).toEqual([60_004, []]);
  connection.send("x".repeat(60_000));
  expect(told).toEqual(["slow"]);
  socket.flow();
  expect([socket.bufferedAmount, told]).toEqual([0, ["slow", "drain"]]);
  connection.send("x");
  expect(socket.bufferedAmount).toBe(0);
});

it("shows whether it is paused", () => {
  const socket = new FakeSocket();
  socket.pause();
  expect(socket.paused).toBe(true);
  socket.resume();
  expect(socket.paused).toBe(false);
});
