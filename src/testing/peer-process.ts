// The program of a process that holds one adapter under test: `node peer-process.js <module> <arguments as JSON>`. The module's
// `makeAdapter(arguments)` makes it. Ends by itself when nothing of the adapter is left, which is one of the promises.
import process from "node:process";
import type { Adapter } from "../channel/adapter.ts";
import { type Call, type Outcome, PeerHost, type Told } from "./peer-host.ts";

/** From the test. `end`: hang up, and see whether the process ends. */
export type ToPeer = { readonly send: "calls"; readonly first: number; readonly calls: readonly Call[] } | { readonly send: "end" };

/** To the test. Outcomes are numbered in the order of the calls. */
export type FromPeer =
  | { readonly send: "told"; readonly told: Told }
  | { readonly send: "outcome"; readonly number: number; readonly outcome: Outcome };

interface PeerModule {
  readonly makeAdapter: (given: unknown) => Adapter | Promise<Adapter>;
}

async function makeHost(): Promise<PeerHost> {
  const [module = "", given = "null"] = process.argv.slice(2);
  const { makeAdapter } = (await import(module)) as PeerModule;
  return new PeerHost(await makeAdapter(JSON.parse(given)), (told) => tell({ send: "told", told }));
}

async function perform(first: number, calls: readonly Call[]): Promise<void> {
  const outcomes = (await host).perform(calls);
  outcomes.forEach((outcome, index) => {
    void outcome.then((ended) => tell({ send: "outcome", number: first + index, outcome: ended }));
  });
}

function tell(message: FromPeer): void {
  // Once the test has hung up nobody listens any more.
  if (process.connected) process.send?.(message);
}

function orphaned(): void {
  process.exit(1);
}

const host = makeHost();

process.on("disconnect", orphaned);
process.on("message", (message: ToPeer) => {
  // A module that cannot make its adapter ends the process, and says why.
  if (message.send === "calls") return void perform(message.first, message.calls);
  process.off("disconnect", orphaned);
  process.disconnect();
});
