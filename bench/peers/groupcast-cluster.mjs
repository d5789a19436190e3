// Nodes of `groupcast start` that are one server, by default two with two workers each: the program itself, over the broker of the bench.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { stopWithTheBench } from "./stop.mjs";

stopWithTheBench();
const { NODES = "2", WORKERS = "2", CHANNEL = "hub", REDIS_URL, NATS_URL } = process.env;
const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const channel = { redis: REDIS_URL, nats: NATS_URL }[CHANNEL] ?? CHANNEL;
// Several runs of the bench may use one broker.
const prefix = `bench-${process.pid}`;

function startNode() {
  const words = ["start", "--workers", WORKERS, "--port", "0", "--channel", channel, "--prefix", prefix];
  const program = spawn(process.execPath, [main, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  program.on("exit", (code) => process.exit(code ?? 1));
  process.on("exit", () => program.kill("SIGKILL")); // its workers end when it is gone
  return new Promise((resolve) => {
    let table = "";
    program.stdout.on("data", (chunk) => {
      table += chunk;
      if (table.includes("Start success.")) resolve(/(?:ws|websocket):\/\/\S*:(\d+)/.exec(table)?.[1]);
    });
  });
}

const ports = await Promise.all(Array.from({ length: Number(NODES) }, startNode));
console.log(`listening ${ports.join(" ")}`);
