// The fast lane reads what `ws` reads: two sockets of one server, one with the lane and one without, get the same bytes in the same
// chunks, and everything that can be seen of them is the same.
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { Connection } from "../../../src/index.ts";
import { openLane } from "../../../src/server/lane.ts";
import { settle } from "../fakes.ts";
import { fc } from "../generate.ts";

/** What a listener does about a message: to the socket, and to what it will hear next. */
const REACTIONS = ["pause", "close", "terminate", "send", "ping", "listen", "speak"] as const;
type Reaction = (typeof REACTIONS)[number];
const ENDS = ["nothing", "end", "destroy", "destroy while paused"] as const;

interface Plan {
  readonly frames: readonly Uint8Array[];
  /** Where the bytes of all frames are cut: places per thousand. "each": every byte; "frames": between frames. */
  readonly cuts: readonly number[] | "each" | "frames";
  /** After which chunks the socket rests, and is read again if it was paused. */
  readonly rests: ReadonlySet<number>;
  /** By the number of the message. */
  readonly reactions: ReadonlyMap<number, Reaction>;
  /** What happens between two chunks: to the first rest, and to the second. */
  readonly between: readonly (Reaction | null)[];
  readonly end: (typeof ENDS)[number];
  readonly limits: { readonly maxPayload: number; readonly maxFragments: number; readonly maxBufferedChunks: number };
}

/** A server's end of a network socket; the test is the other end. */
class Line extends Duplex {
  #written: Buffer[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#written.push(chunk);
    done();
  }

  /** What was written since the last call. */
  written(): string {
    return Buffer.concat(this.#written.splice(0)).toString("hex");
  }
}

const REQUEST = {
  method: "GET",
  headers: { upgrade: "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13" },
} as unknown as IncomingMessage;

/** Messages that the lane has read, in all runs. */
let heard = 0;

function open(plan: Plan, line: Line, head: Buffer, hasLane: boolean): { socket: WebSocket; connection: Connection } {
  const engine = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPendingAutoPongs: 3,
    ...plan.limits,
  } as ConstructorParameters<typeof WebSocketServer>[0]);
  let opened: { socket: WebSocket; connection: Connection } | undefined;
  engine.handleUpgrade(REQUEST, line, head, (socket) => {
    const connection = new Connection("c", "default", socket);
    const hearer = {
      $hear: (bytes: Uint8Array): void => {
        heard++;
        connection.$hear(bytes);
      },
    };
    if (hasLane) expect(openLane(socket, hearer)).toBe(true);
    opened = { socket, connection };
  });
  if (opened === undefined) throw new Error("not upgraded");
  return opened;
}

function chunksOf({ frames, cuts }: Plan): Uint8Array[] {
  if (cuts === "frames") return frames.filter(({ length }) => length > 0).map((frame) => Uint8Array.from(frame));
  const bytes = Buffer.concat(frames);
  const places =
    cuts === "each"
      ? Array.from(bytes, (_, at) => at)
      : [...new Set(cuts.map((cut) => Math.floor((cut * bytes.length) / 1000)))].sort((a, b) => a - b);
  return [...places, bytes.length]
    .map((to, index) => Uint8Array.from(bytes.subarray(places[index - 1] ?? 0, to)))
    .filter(({ length }) => length > 0);
}

/** All that can be seen of a socket, in order. */
async function watch(plan: Plan, hasLane: boolean): Promise<string[]> {
  const seen: string[] = [];
  const line = new Line();
  const [first, ...rest] = chunksOf(plan);
  // What follows a request in the same read comes with its upgrade.
  const head = Buffer.from(plan.rests.has(0) ? (first ?? []) : []);
  const { socket, connection } = open(plan, line, head, hasLane);
  const chunks = head.length > 0 || first === undefined ? rest : [first, ...rest];
  let count = 0;
  let hasSpoken = false;
  connection.on("message", (data, isBinary) => {
    seen.push(`${isBinary ? "binary" : "text"} ${Buffer.from(data).toString("hex")} ${socket.readyState} ${connection.closed}`);
    react(plan.reactions.get(count++));
  });
  connection.on("close", (code, reason) => seen.push(`closed ${code} ${reason}`));
  connection.on("error", (error) => seen.push(`failed ${(error as NodeJS.ErrnoException).code} ${error.message}`));
  socket.on("ping", (data: Buffer) => seen.push(`ping ${data.toString("hex")}`));
  socket.on("pong", (data: Buffer) => seen.push(`pong ${data.toString("hex")}`));
  socket.on("close", (code, reason) => seen.push(`ws closed ${code} ${reason.toString("hex")}`));
  line.on("error", (error) => seen.push(`line failed ${error.message}`));

  function react(reaction: Reaction | null | undefined): void {
    if (reaction === "pause") socket.pause();
    else if (reaction === "close") void connection.close(4000, "enough");
    else if (reaction === "terminate") connection.terminate();
    else if (reaction === "send") connection.send(`answer ${count}`);
    else if (reaction === "ping") connection.$ping();
    else if (reaction === "listen") socket.on("message", (data: Buffer) => seen.push(`heard beside ${data.toString("hex")}`));
    else if (reaction === "speak" && !hasSpoken && !line.destroyed) {
      hasSpoken = true; // twice in one chunk is more than `ws` itself stands, if the first is an error
      line.push(Buffer.concat([frame({ payload: Buffer.from(`now ${count}`) }), frame({ opcode: 9 })]));
    }
  }
  let rests = 0;
  const pause = async (): Promise<void> => {
    await settle();
    seen.push(`wrote ${line.written()}; ${socket.readyState} ${connection.$answered} ${line.isPaused()} ${line.destroyed}`);
    if (socket.isPaused) socket.resume();
    react(plan.between[rests++]);
  };

  connection.$ping();
  for (const [index, chunk] of chunks.entries()) {
    if (!line.destroyed) line.push(chunk);
    if (plan.rests.has(index + 1)) await pause();
  }
  if (plan.end === "end") line.push(null);
  else if (plan.end === "destroy") line.destroy();
  else if (plan.end === "destroy while paused") {
    await pause();
    socket.pause();
    if (!line.destroyed) line.push(Buffer.concat([frame({ payload: Buffer.from("late") }), frame({ payload: Buffer.from("later") })]));
    line.destroy();
  }
  await pause();
  await pause();
  line.destroy();
  await pause();
  return seen;
}

interface Frame {
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly opcode?: number;
  readonly mask?: Uint8Array | null;
  readonly payload?: Uint8Array;
  /** Bytes that the length takes: at least 0, 2 or 8. */
  readonly lengthBytes?: number;
  /** What it announces beyond what it has. */
  readonly more?: number;
}

const MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

function frame({ fin = true, rsv = 0, opcode = 1, mask = MASK, payload = new Uint8Array(), lengthBytes = 0, more = 0 }: Frame): Uint8Array {
  const length = payload.length + more;
  const bytes = Math.max(lengthBytes, length > 65_535 ? 8 : length > 125 ? 2 : 0);
  const head = Buffer.alloc(2 + bytes);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (mask === null ? 0 : 0x80) | (bytes === 0 ? length : bytes === 2 ? 126 : 127);
  if (bytes === 2) head.writeUInt16BE(length, 2);
  if (bytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
  const masked = mask === null ? payload : payload.map((byte, at) => byte ^ (mask[at & 3] ?? 0));
  return Buffer.concat([head, mask ?? [], masked].map((part) => Buffer.from(part)));
}

const mask = fc.oneof({ weight: 9, arbitrary: fc.uint8Array({ minLength: 4, maxLength: 4 }) }, fc.constant(new Uint8Array(4)));
const ascii = (maxLength: number) =>
  fc.string({ unit: "binary-ascii", maxLength, size: "max" }).map((text): Uint8Array => Buffer.from(text));
const unicode = fc.string({ unit: "binary", maxLength: 30 }).map((text): Uint8Array => Buffer.from(text));
const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
/** Cut at any byte: often in the middle of a character. */
const broken = fc.tuple(unicode, fc.nat(6), ascii(5)).map(([text, less, end]): Uint8Array => Buffer.concat([text.subarray(0, -less), end]));
const lengthBytes = fc.constantFrom(0, 0, 0, 2, 8);
const closing = fc
  .tuple(fc.constantFrom(1000, 1001, 1004, 1005, 1006, 1012, 2999, 3000, 4999, 5000, 0), fc.oneof(unicode, broken))
  .map(([code, reason]): Uint8Array => Buffer.concat([Buffer.from([code >> 8, code & 0xff]), reason]));

/** On both sides of every border. */
const edge = fc.constantFrom(0, 1, 3, 4, 5, 124, 125, 126, 127, 130, 130).map((length): Uint8Array => new Uint8Array(length).fill(0x61));
const good = fc.record({ mask, payload: fc.oneof(ascii(60), ascii(60), ascii(130), unicode, edge), lengthBytes }).map(frame);
const fragmented = fc
  .array(
    fc.record({ mask, payload: fc.oneof(unicode, bytes(8), ascii(100)), between: fc.option(fc.constantFrom(1, 2, 9, 10), { freq: 9 }) }),
    {
      minLength: 2,
      maxLength: 5,
    },
  )
  .chain((parts) =>
    fc
      .constantFrom(1, 2)
      .map((opcode) =>
        parts.flatMap(({ mask, payload, between }, index) => [
          frame({ mask, payload, opcode: index === 0 ? opcode : 0, fin: index === parts.length - 1 }),
          ...(between === null ? [] : [frame({ mask, opcode: between, payload: payload.subarray(0, 9) })]),
        ]),
      ),
  );
const other: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.record({ mask, payload: bytes(40), opcode: fc.constant(2), lengthBytes }).map(frame),
  fc
    .record({ mask, payload: bytes(20), opcode: fc.constantFrom(9, 10), lengthBytes: fc.nat(19).map((one) => (one === 0 ? 2 : 0)) })
    .map(frame),
);
const wrong: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.record({ mask, payload: fc.oneof(broken, bytes(30)) }).map(frame),
  fc.record({ mask, payload: fc.oneof(closing, bytes(3)), opcode: fc.constant(8) }).map(frame),
  fc.record({ mask, payload: ascii(20), rsv: fc.integer({ min: 1, max: 7 }) }).map(frame),
  fc.record({ mask: fc.constant(null), payload: ascii(20) }).map(frame),
  fc.record({ mask, payload: ascii(20), opcode: fc.nat(15), fin: fc.boolean() }).map(frame),
  fc.record({ mask, payload: ascii(20), opcode: fc.constantFrom(0, 3, 5, 9, 11) }).map(frame),
  fc
    .record({
      mask,
      payload: fc.oneof(
        ascii(800),
        edge.map((bytes) => Buffer.concat([bytes, Buffer.alloc(171, 0x62)])),
        fc.constantFrom(131, 301).map((length) => new Uint8Array(length).fill(0x63)),
      ),
      lengthBytes,
    })
    .map(frame),
  fc.record({ mask, payload: ascii(20), more: fc.constantFrom(1, 2, 5, 300, 70_000, 2 ** 40), lengthBytes }).map(frame),
  bytes(20),
);
const stream = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: good.map((one) => [one]) },
      { weight: 4, arbitrary: other.map((one) => [one]) },
      { weight: 1, arbitrary: fragmented },
      { weight: 1, arbitrary: wrong.map((one) => [one]) },
    ),
    { maxLength: 24, size: "max" },
  )
  .map((parts) => parts.flat());

const plans: fc.Arbitrary<Plan> = fc.record({
  frames: stream,
  cuts: fc.oneof(
    { weight: 8, arbitrary: fc.array(fc.nat(999), { maxLength: 12 }) },
    { weight: 1, arbitrary: fc.constant("frames" as const) },
    { weight: 1, arbitrary: fc.constant("each" as const) },
  ),
  rests: fc.array(fc.nat(14), { maxLength: 3 }).map((list) => new Set(list)),
  reactions: fc.array(fc.tuple(fc.nat(15), fc.constantFrom(...REACTIONS)), { maxLength: 2 }).map((list) => new Map(list)),
  between: fc.array(fc.option(fc.constantFrom(...REACTIONS)), { maxLength: 2 }),
  end: fc.constantFrom(...ENDS),
  limits: fc.record({
    maxPayload: fc.constantFrom(130, 300, 300, 300),
    maxFragments: fc.constantFrom(2, 3, 64),
    maxBufferedChunks: fc.constantFrom(2, 3, 64),
  }),
});

it("tells, answers and closes exactly as ws does, whatever a client sends and a listener does", async () => {
  heard = 0;
  const numRuns = 2_000;
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      expect(await watch(plan, true)).toEqual(await watch(plan, false));
    }),
    { numRuns },
  );
  expect(heard).toBeGreaterThan(2 * numRuns); // else nothing went through the lane
}, 120_000);

it("does so with messages larger than a read, too", async () => {
  heard = 0;
  const numRuns = 150;
  const length = fc.constantFrom(10, 126, 5_000, 16_383, 16_384, 40_000, 65_535, 65_536, 65_537);
  const fill = fc.constantFrom(Buffer.from("a"), Buffer.from("ü"), Buffer.from("x€"), Buffer.from([0xff]));
  const large = fc
    .record({
      mask,
      length,
      fill: fc.oneof({ weight: 9, arbitrary: fc.constant(Buffer.from("b")) }, fill),
      opcode: fc.constantFrom(1, 1, 1, 2),
    })
    .map(({ mask, length, fill, opcode }) => frame({ mask, opcode, payload: new Uint8Array(Buffer.alloc(length, fill)) }));
  const plan: fc.Arbitrary<Plan> = fc.record({
    frames: fc.array(large, { minLength: 1, maxLength: 6 }),
    cuts: fc.oneof(fc.array(fc.nat(999), { maxLength: 8 }), fc.constant("frames" as const)),
    // A chunk that fills the buffer of `ws` pauses the socket for a moment: what comes then is as late as that.
    rests: fc.constant(new Set(Array.from({ length: 12 }, (_, index) => index))),
    reactions: fc.array(fc.tuple(fc.nat(6), fc.constantFrom(...REACTIONS)), { maxLength: 1 }).map((list) => new Map(list)),
    between: fc.constant([]),
    end: fc.constantFrom(...ENDS),
    limits: fc.record({
      maxPayload: fc.constantFrom(16_384, 65_536),
      maxFragments: fc.constant(64),
      maxBufferedChunks: fc.constantFrom(2, 3, 256),
    }),
  });
  await fc.assert(
    fc.asyncProperty(plan, async (plan) => {
      expect(await watch(plan, true)).toEqual(await watch(plan, false));
    }),
    { numRuns },
  );
  expect(heard).toBeGreaterThan(numRuns / 2);
});
