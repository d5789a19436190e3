// The one table of options of `start`: flag, what it is, default, and how it is read. Help and parsing both come from it.
import { availableParallelism } from "node:os";
import { isLoopback } from "../server/admission.ts";
import { brokerOf, maskUrl } from "../channel/broker-url.ts";
import { DEFAULTS } from "../base/defaults.ts";
import { BATCH_DELAY_MS_MAX } from "../base/batch-delay.ts";
import { PUBLISH_BYTES_MAX } from "../groups/message.ts";
import { BadSetting, bytes, channel, host, hostName, namespace, origin, type Parser, prefix, rate, seconds, whole } from "./parsers.ts";

/** What `start` runs with, all of it checked. */
export interface StartSettings {
  readonly host: string;
  readonly port: number;
  readonly workers: number;
  /** `hub`, `memory`, or the URL of a broker. */
  readonly channel: string;
  readonly prefix: string;
  readonly natsCore: boolean;
  readonly origins: readonly string[];
  readonly allowHosts: readonly string[];
  readonly namespaces: readonly string[];
  readonly drainPerSecond: number;
  readonly drainDeadlineMs: number;
  readonly drainDelayMs: number;
  readonly messageBytes: number;
  readonly batchDelayMs: number;
  readonly open: boolean;
}

interface Entry {
  readonly flag: string;
  /** How the value is called in the help; undefined: the option is a switch. */
  readonly value?: string;
  readonly text: string;
  /** The default, in words. */
  readonly standard?: string;
}

/** Far more than any machine has use for. */
const WORKERS_MAX = 1_024;
/** A close costs some 10 µs, so this is no pace at all. */
const RATE_MAX = 100_000;
/** Nobody waits longer than an hour for a drain. */
const SECONDS_MAX = 3_600;
/** Entries of one list. */
const LIST_MAX = 1_000;

const PORT = whole(0, 65_535);
const WORKERS = whole(1, WORKERS_MAX);
const RATE = rate(RATE_MAX);
const SECONDS = seconds(SECONDS_MAX);
const BATCH_SECONDS = seconds(BATCH_DELAY_MS_MAX / 1_000);
// More than a channel carries would only be refused later.
const MESSAGE_BYTES = bytes(1, PUBLISH_BYTES_MAX);

/** In the order in which the help shows them. */
export const OPTIONS: readonly Entry[] = [
  { flag: "host", value: "address", text: "where to listen; a public one needs --open", standard: DEFAULTS.host },
  { flag: "port", value: "number", text: "0: any free one", standard: String(DEFAULTS.port) },
  { flag: "workers", value: "number", text: "worker processes", standard: "one per core" },
  {
    flag: "channel",
    value: "name or URL",
    text: "how processes hear each other: hub, memory, redis://… or nats://…; servers with the same URL are one cluster",
    standard: "hub; memory with one worker",
  },
  { flag: "prefix", value: "name", text: "keeps clusters on one broker apart", standard: "groupcast" },
  { flag: "nats-core", text: "use a NATS server without JetStream: what several publishers send has no common order then" },
  { flag: "origin", value: "list", text: "origins of pages that may connect; may hold null and *", standard: "the same host" },
  { flag: "allow-host", value: "list", text: "host names to answer for, besides the bound ones", standard: "none" },
  { flag: "namespaces", value: "list", text: "namespaces of /ws/{namespace}", standard: DEFAULTS.namespace },
  { flag: "drain-rate", value: "number", text: "connections closed per second when stopping", standard: String(DEFAULTS.drainPerSecond) },
  {
    flag: "drain-deadline",
    value: "seconds",
    text: "who is left then is closed at once",
    standard: String(DEFAULTS.drainDeadlineMs / 1_000),
  },
  { flag: "drain-delay", value: "seconds", text: 'from "not ready" to the first close', standard: "0" },
  { flag: "message-bytes", value: "bytes", text: "the longest message of a client", standard: String(DEFAULTS.messageBytes) },
  {
    flag: "batch-delay",
    value: "seconds",
    text: "a busy worker may hold messages back so long, to send them together",
    standard: String(DEFAULTS.batchDelayMs / 1_000),
  },
  { flag: "open", text: "anyone may connect from any origin, join and publish" },
];

/** What was given on the command line, by flag: every value of an option, in order. */
export type Given = ReadonlyMap<string, readonly string[]>;

/** @throws BadSetting: a value that is not allowed, or two that do not go together. */
export function readSettings(given: Given): StartSettings {
  const one = <Value>(flag: string, parser: Parser<Value>): Value | undefined => {
    const text = given.get(flag)?.at(-1);
    return text === undefined ? undefined : read(flag, parser, text);
  };
  const list = (flag: string, parser: Parser<string>): readonly string[] | undefined => {
    const texts = given.get(flag)?.flatMap((text) => text.split(",").map((part) => part.trim()));
    if (texts !== undefined && texts.length > LIST_MAX) throw new BadSetting(`--${flag}`, `${texts.length} entries`, `up to ${LIST_MAX}`);
    return texts?.map((text) => read(flag, parser, text));
  };
  const workers = one("workers", WORKERS) ?? availableParallelism();
  const settings: StartSettings = {
    host: one("host", host) ?? DEFAULTS.host,
    port: one("port", PORT) ?? DEFAULTS.port,
    workers,
    channel: one("channel", channel) ?? (workers === 1 ? "memory" : "hub"),
    prefix: one("prefix", prefix) ?? "groupcast",
    natsCore: given.has("nats-core"),
    origins: list("origin", origin) ?? [],
    allowHosts: list("allow-host", hostName) ?? [],
    namespaces: list("namespaces", namespace) ?? [DEFAULTS.namespace],
    drainPerSecond: one("drain-rate", RATE) ?? DEFAULTS.drainPerSecond,
    drainDeadlineMs: one("drain-deadline", SECONDS) ?? DEFAULTS.drainDeadlineMs,
    drainDelayMs: one("drain-delay", SECONDS) ?? 0,
    messageBytes: one("message-bytes", MESSAGE_BYTES) ?? DEFAULTS.messageBytes,
    batchDelayMs: one("batch-delay", BATCH_SECONDS) ?? DEFAULTS.batchDelayMs,
    open: given.has("open"),
  };
  checkTogether(settings);
  return settings;
}

function read<Value>(flag: string, parser: Parser<Value>, text: string): Value {
  const value = parser.read(text);
  if (value === undefined) throw new BadSetting(`--${flag}`, parser.show?.(text) ?? text, parser.allowed);
  return value;
}

function checkTogether({ host, open, channel, natsCore, workers }: StartSettings): void {
  if (!isLoopback(host) && !open) {
    throw new BadSetting(
      "--host",
      host,
      "127.0.0.1 and its like; others can reach this one, and with --open anyone may connect, join and publish",
    );
  }
  if (channel === "memory" && workers > 1) {
    throw new BadSetting("--channel", channel, `hub; memory only with --workers 1, for ${workers} workers would not hear each other`);
  }
  if (natsCore && brokerOf(channel) !== "nats") throw new BadSetting("--channel", maskUrl(channel), "nats://host:port, with --nats-core");
}
