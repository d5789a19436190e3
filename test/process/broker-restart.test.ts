// A broker that is killed, hangs and comes back under load: no node ends, every publish is answered, and soon messages flow again.
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Broker } from "./brokers/index.ts";
import { type Bus, buses, type Node } from "./cluster/buses.ts";
import { Client } from "./client.ts";
import { MAIN, Program, until } from "./workers-harness.ts";

/** The goal: from the moment that the broker answers again, the median of the outages. */
const FLOWS_WITHIN_MS = 2_000;
/** Messages of each publisher: one each so often, ms. */
const EVERY_MS = 5;

describe.each(await buses("a broker is killed under load", ["Redis", "NATS"]))("over $kind", ({ missing, start }) => {
  let bus: Bus;
  let nodes: Node[];
  let load: Load;

  beforeAll(async () => {
    if (missing) return;
    bus = await start();
    nodes = await Promise.all([bus.node(), bus.node()]);
    load = await Load.start(nodes);
  });
  afterAll(() => bus?.stop());

  it.skipIf(missing)("nobody ends, every publish is answered as it went, and messages flow again", { timeout: 120_000 }, async () => {
    const broker = bus.broker as Broker;
    const flowed: number[] = [];
    const again = async (): Promise<void> => {
      const since = performance.now();
      await load.flows();
      flowed.push(performance.now() - since);
    };

    await load.flows();
    // Killed, and at once back.
    for (let times = 0; times < 2; times++) {
      await broker.kill();
      await broker.restart();
      await again();
    }
    // Away for so long that what waits is given up; who joins meanwhile is told so, or is let in later.
    await broker.kill();
    await load.refused();
    const early = load.members[0]?.ask({ cmd: "add_group", group_id: "meanwhile" });
    await broker.restart();
    await again();
    expect(await early).toMatchObject({ ok: true });
    // It hangs: nothing ends a connection, and nothing comes.
    broker.pause();
    await load.refused();
    broker.resume();
    await again();
    await broker.kill();
    await broker.restart();
    await again();

    expect(nodes.filter(({ hasEnded }) => hasEnded)).toEqual([]);
    expect(flowed.sort((a, b) => a - b)[Math.floor(flowed.length / 2)]).toBeLessThan(FLOWS_WITHIN_MS);

    await load.stop();
    // What is sent now is sent in peace.
    const peaceful = await load.send(200);
    expect(peaceful.every(({ answer }) => answer === "ok")).toBe(true);
    await until("all of it has come", () => load.got.every((texts) => peaceful.every(({ text }) => texts.includes(text))));
    load.check();
    expect(await load.members[1]?.ask({ cmd: "send_to_group", group_id: "meanwhile", message: "hello" })).toMatchObject({ ok: true });
    await load.members[0]?.until((text) => text === "hello");
    await load.close();
    expect(nodes.map(({ said }) => said).filter((said) => /unhandled|uncaught/i.test(said))).toEqual([]);
  });
});

describe.each(await buses("a broker is killed under `groupcast start`", ["Redis", "NATS"]))(
  "two servers of two workers over $kind",
  ({ missing, start }) => {
    it.skipIf(missing)("keep their workers, answer every publish, and come back by themselves", { timeout: 120_000 }, async () => {
      const bus = await start();
      onTestFinished(() => bus.stop());
      const broker = bus.broker as Broker;
      const servers = [1, 2].map(() => new Program([MAIN, "start", "--port", "0", "--workers", "2", "--channel", broker.url]));
      for (const server of servers) onTestFinished(() => server.end());
      await Promise.all(servers.map((server) => server.started()));
      const workers = servers.map((server) => server.workers);
      expect(workers.flat()).toHaveLength(4);
      // As many clients as workers: they are dealt out in turn.
      const doors = servers.flatMap((server) => [1, 2].map(() => ({ open: () => Client.open(server.port) })));
      const load = await Load.start(doors);
      await load.flows();
      for (let times = 0; times < 3; times++) {
        await broker.kill();
        if (times === 1) await load.refused();
        await broker.restart();
        await load.flows();
      }
      await load.stop();
      load.check();
      await load.close();
      expect(servers.map((server) => server.workers)).toEqual(workers);
      for (const server of servers) server.kill("SIGTERM");
      expect(await Promise.all(servers.map(({ exit }) => exit))).toEqual([1, 2].map(() => ({ code: 0, signal: null })));
    });
  },
);

interface Sent {
  readonly text: string;
  /** `ok`, or the error's code. */
  answer: string | undefined;
}

/** Where clients come in. */
interface Door {
  open(): Promise<Client>;
}

/** A publisher and a member at each door. */
class Load {
  readonly members: readonly Client[];
  readonly #publishers: readonly Client[];
  readonly #sent: Sent[][];
  #timer: NodeJS.Timeout | undefined;

  static async start(doors: readonly Door[]): Promise<Load> {
    const open = (): Promise<Client[]> => Promise.all(doors.map((door) => door.open()));
    const load = new Load(await open(), await open());
    for (const member of load.members) expect(await member.ask({ cmd: "add_group", group_id: "room" })).toMatchObject({ ok: true });
    load.#timer = setInterval(() => load.#send(1), EVERY_MS);
    return load;
  }

  private constructor(members: readonly Client[], publishers: readonly Client[]) {
    this.members = members;
    this.#publishers = publishers;
    this.#sent = publishers.map(({ socket }) => {
      const own: Sent[] = [];
      socket.on("message", (data: Buffer) => {
        const { id, ok, error } = JSON.parse(data.toString()) as { id: number; ok: boolean; error?: string };
        (own[id] as Sent).answer = ok ? "ok" : error;
      });
      return own;
    });
  }

  /** What each member got. */
  get got(): string[][] {
    return this.members.map(({ got }) => got.map(String).filter((text) => /^\d+ \d+$/.test(text)));
  }

  /** Each publisher sends so many. Resolves when all of these are answered. */
  async send(count: number): Promise<Sent[]> {
    const all = this.#send(count);
    await until("they are answered", () => all.every(({ answer }) => answer !== undefined));
    return all;
  }

  /** Resolves when every member has something of every publisher that was sent after this call. */
  async flows(): Promise<void> {
    const from = this.#sent.map(({ length }) => length);
    await until("messages flow", () => this.members.every(({ got }) => from.every((first, publisher) => hasSince(got, publisher, first))));
  }

  /** Resolves when something that was sent after this call was refused on every node. */
  async refused(): Promise<void> {
    const from = this.#sent.map(({ length }) => length);
    await until("publishing is refused", () =>
      this.#sent.every((own, publisher) => own.slice(from[publisher]).some(({ answer }) => answer !== undefined && answer !== "ok")),
    );
  }

  /** Sends nothing more. Resolves when everything is answered. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await until("every publish is answered", () => this.#sent.flat().every(({ answer }) => answer !== undefined));
  }

  check(): void {
    const answers = new Set(this.#sent.flat().map(({ answer }) => answer));
    expect([...answers].filter((answer) => !["ok", "unavailable", "unknown_outcome"].includes(answer ?? "none"))).toEqual([]);
    const never = new Set(this.#sent.flat().flatMap(({ text, answer }) => (answer === "unavailable" ? [text] : [])));
    expect(never.size).toBeGreaterThan(0);
    for (const texts of this.got) {
      expect(new Set(texts).size).toBe(texts.length);
      expect(texts.filter((text) => never.has(text))).toEqual([]);
      for (const publisher of this.#publishers.keys()) {
        const numbers = texts.filter((text) => text.startsWith(`${publisher} `)).map((text) => Number(text.split(" ")[1]));
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.members, ...this.#publishers].map((client) => client.close()));
  }

  #send(count: number): Sent[] {
    return this.#publishers.flatMap((client, publisher) => {
      const own = this.#sent[publisher] as Sent[];
      return Array.from({ length: count }, () => {
        const sent: Sent = { text: `${publisher} ${own.length}`, answer: undefined };
        client.send(JSON.stringify({ cmd: "send_to_group", id: own.length, group_id: "room", message: sent.text }));
        own.push(sent);
        return sent;
      });
    });
  }
}

function hasSince(got: readonly (string | Buffer)[], publisher: number, first: number): boolean {
  const last = got.findLast((text) => String(text).startsWith(`${publisher} `));
  return last !== undefined && Number(String(last).split(" ")[1]) >= first;
}
