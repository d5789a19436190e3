// The start table: what runs, as whom, where. Pure; looks like the one that Workerman prints.
import { userInfo } from "node:os";
import Table from "cli-table3";
import { maskUrl } from "../channel/broker-url.ts";
import type { StartedRow } from "./primary.ts";
import { ownVersion } from "./version.ts";

export interface TableFacts {
  readonly version: string;
  readonly nodeVersion: string;
  readonly user: string;
  /** URLs of brokers, which somebody else runs. */
  readonly channels: readonly string[];
  readonly rows: readonly StartedRow[];
  /** Whether `[OK]` is green. */
  readonly colors: boolean;
}

const COLUMNS = ["user", "worker", "listen", "processes", "status"];
const BARE = {
  ...{ top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" },
  ...{ left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: "  " },
} as const;
/** The width of Workerman's. */
const WIDTH_MIN = 66;

/** The text of the table, from the versions to "Press Ctrl-C to quit. Start success.", and the address of the page if there is one. */
export function drawTable({ version, nodeVersion, user, channels, rows, colors }: TableFacts): string {
  const table = new Table({
    head: COLUMNS,
    chars: BARE,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  const isLinked = rows.every((row) => row.isLinked !== false);
  for (const url of channels) table.push(["-", "channel", maskUrl(url), "-", isLinked ? "[OK]" : "[down]"]);
  for (const { name, listen, processes } of rows) table.push([user, name, listen, processes, "[OK]"]);
  const lines = table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
  const width = Math.max(WIDTH_MIN, ...lines.map((line) => line.length));
  const url = rows.find((row) => row.url !== undefined)?.url;
  // "All addresses" is none that a browser could open.
  const page = url?.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
  const text = [
    rule(" GROUPCAST ", width),
    `groupcast version: ${version}`.padEnd(34) + `Node version: ${nodeVersion}`,
    rule(" WORKERS ", width),
    ...lines,
    rule("", width),
    "Press Ctrl-C to quit. Start success.",
    ...(page === undefined ? [] : [`Open ${page}`]),
  ].join("\n");
  return colors ? text.replaceAll("[OK]", "\u001B[32m[OK]\u001B[39m") : text;
}

/** Prints it on stdout, with the facts of this process. */
export function printTable(channels: readonly string[], rows: readonly StartedRow[]): void {
  const colors = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "";
  const text = drawTable({ version: ownVersion(), nodeVersion: process.version.slice(1), user: userName(), channels, rows, colors });
  process.stdout.on("error", () => {}); // whoever reads it may have seen enough: `start | head -3`
  process.stdout.write(`${text}\n`);
}

function rule(title: string, width: number): string {
  const left = Math.floor((width - title.length) / 2);
  return "-".repeat(left) + title + "-".repeat(width - left - title.length);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "?"); // a container may run as a number that has no name
  }
}
