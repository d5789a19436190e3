// Everybody hears what several processes publish at once in the order of the stream, although NATS sends it on in others.
import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeBrokerName } from "../../dist/channel/broker-names.js";
import { MessageRecord } from "../../dist/testing/index.js";
import { readPayloads } from "../../dist/wire/frames.js";
import { brokers, type NatsServer, startNats } from "./brokers/index.ts";
import { connectTo, later, topicOf } from "./nats/rig.ts";
import { until } from "./workers-harness.ts";

const nats = await brokers.nats("the order of the channel over NATS");

const PUBLISHERS = 3;
const LISTENERS = 4;
const EACH = 20_000;

interface Report {
  readonly heard: number;
  readonly disorder: number;
  readonly changes: number;
  readonly failed: readonly string[];
  readonly digest: string;
}

async function crowd(server: NatsServer, topic: string): Promise<ChildProcess> {
  const child = fork(new URL("./nats/crowd.mjs", import.meta.url), [server.url, "{}", JSON.stringify(topic)]);
  later(async () => {
    const exit = once(child, "exit");
    child.send("stop");
    expect(await exit).toEqual([0, null]);
  });
  await once(child, "message");
  return child;
}

async function report(child: ChildProcess): Promise<Report> {
  const answer = once(child, "message");
  child.send("report");
  return (await answer)[0] as Report;
}

/** What NATS sends of a topic, with its place in the stream. */
class Wire {
  readonly messages: { readonly sequence: number; readonly text: string }[] = [];

  static async tap(url: string, topic: string): Promise<Wire> {
    const wire = new Wire();
    const client = await connectTo(url);
    client.subscribe(`gcl.${encodeBrokerName("groupcast", topic)}`, {
      callback: (_error, { headers, data }) => {
        const [message] = MessageRecord.read(data).messages();
        wire.messages.push({ sequence: Number(headers?.get("Nats-Sequence")), text: readPayloads(message?.frame ?? data).join() });
      },
    });
    await client.flush();
    return wire;
  }

  /** Of everything, in the order of the stream. */
  digest(): string {
    const sorted = this.messages.toSorted((one, other) => one.sequence - other.sequence);
    return createHash("sha256")
      .update(sorted.map(({ text }) => `${text}\n`).join(""))
      .digest("hex");
  }
}

describe.skipIf(nats.missing)("over JetStream", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.stop());

  it(`${PUBLISHERS} publishers with ${EACH} messages each: all ${LISTENERS} listeners hear the identical sequence`, async () => {
    const topic = topicOf(`order ${Math.random()}`);
    const onWire = await Wire.tap(server.url, topic);
    const all = await Promise.all(Array.from({ length: LISTENERS }, () => crowd(server, topic)));
    const publishers = all.slice(0, PUBLISHERS);
    const published = publishers.map((child) => once(child, "message"));
    publishers.forEach((child, index) => child.send({ publish: EACH, of: `p${index}` }));
    expect((await Promise.all(published)).map(([said]) => said)).toEqual(publishers.map(() => "published"));
    const reports = await until("everybody has heard everything", async () => {
      const now = await Promise.all(all.map(report));
      return now.every(({ heard }) => heard >= PUBLISHERS * EACH) && now;
    });
    for (const { heard, disorder, failed } of reports)
      expect({ heard, disorder, failed }).toEqual({ heard: PUBLISHERS * EACH, disorder: 0, failed: [] });
    await until("everything has been on the wire", () => onWire.messages.length === PUBLISHERS * EACH);
    expect(new Set(reports.map(({ digest }) => digest))).toEqual(new Set([onWire.digest()]));
    // Were one publisher done before the next began, this would show nothing.
    expect(reports[0]?.changes).toBeGreaterThan(100);
  });
});
