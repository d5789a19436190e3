#!/usr/bin/env node
// The program `groupcast`: reads the command line, and loads only what the command needs.
import { Command, CommanderError, Option } from "commander";
import { GroupcastError } from "../base/errors.ts";
import { maskUrl } from "../channel/broker-url.ts";
import { EXIT } from "../workers/exit-codes.ts";
import { ownVersion } from "../workers/version.ts";
import { type Given, OPTIONS, readSettings } from "./options.ts";
import { BadSetting } from "./parsers.ts";

/** Where a channel may come from that is not on the command line. */
const CHANNEL_VARIABLE = "GROUPCAST_CHANNEL";

const START_NOTES = `
Durations are seconds (6, 0.5) or carry a unit (6s, 500ms, 1m); sizes are bytes or carry one (64KiB, 0.5MiB).
Lists are separated by commas, and an option may be given more than once.
The variable ${CHANNEL_VARIABLE} stands in for --channel: a password in it is not in the list of processes, where everybody can read it.

Exit codes: 0 done, 1 failure, 2 usage, 69 the port is taken, 78 a setting is not allowed.`;

function makeProgram(words: readonly string[]): Command {
  const program = new Command("groupcast")
    .description("Groups for plain WebSockets.")
    .version(ownVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`groupcast: ${inOneLine(withoutSecrets(text, words))}\n`) });
  const start = program
    .command("start")
    .description("serve WebSockets, the page and the probes on one port, until Ctrl-C")
    .helpOption("-h, --help", "print this help")
    .allowExcessArguments(false)
    .addHelpText("after", START_NOTES);
  for (const { flag, value, text, standard } of OPTIONS) {
    const option = new Option(
      value === undefined ? `--${flag}` : `--${flag} <${value}>`,
      standard === undefined ? text : `${text} (default: ${standard})`,
    );
    // Every value is kept as it stands: one place reads them, whatever order they came in.
    if (value !== undefined) option.argParser((given, before: readonly string[] | undefined) => [...(before ?? []), given]);
    start.addOption(option);
  }
  start.action(async () => {
    const settings = readSettings(givenTo(start));
    const { start: run } = await import("./start.ts");
    const { code, text } = await run(settings);
    if (code !== EXIT.done) complain(text);
    process.exit(code);
  });
  return program;
}

function givenTo(command: Command): Given {
  const given = new Map<string, readonly string[]>();
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (value !== undefined) given.set(option.name(), Array.isArray(value) ? value.map(String) : []);
  }
  const channel = process.env[CHANNEL_VARIABLE] ?? "";
  if (channel !== "" && !given.has("channel")) given.set("channel", [channel]);
  return given;
}

// From "error: unknown option '--prot'\n(Did you mean --port?)". What is like nothing that there is gets a place to look.
function inOneLine(error: string): string {
  const line = error
    .replace(/^error: /, "")
    .trim()
    .replaceAll("\n", " ");
  return line.includes("(Did you mean") ? line : `${line} (see groupcast start --help)`;
}

// An error repeats the word that it is about, and that may be a mistyped option with a URL.
function withoutSecrets(error: string, words: readonly string[]): string {
  const mask = (word: string): string =>
    word.replace(/^(-[\w-]+=)?(.*)$/s, (_, flag: string = "", value: string = "") => flag + maskUrl(value));
  return words.filter((word) => word.includes("://")).reduce((text, word) => text.replaceAll(word, () => mask(word)), error);
}

function complain(text: string): void {
  process.stderr.write(`groupcast: ${text}\n`);
}

/** Runs the command line; returns the exit code, unless the command ends the process itself. */
async function main(words: readonly string[]): Promise<number> {
  const program = makeProgram(words);
  if (words.length === 0) {
    program.outputHelp({ error: true });
    return EXIT.usage;
  }
  try {
    await program.parseAsync(words, { from: "user" });
    return EXIT.done;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.done : EXIT.usage; // it has said why
    complain(thrown instanceof Error ? thrown.message : String(thrown));
    const isSetting = thrown instanceof BadSetting || (thrown instanceof GroupcastError && thrown.code === "bad_option");
    return isSetting ? EXIT.setting : EXIT.failure;
  }
}

// Whoever reads may have seen enough: `groupcast --help | head -3`.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
process.exitCode = await main(process.argv.slice(2));
