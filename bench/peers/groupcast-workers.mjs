// `groupcast start` with two workers and its hub: the program itself, in processes of its own.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { stopWithTheBench } from "./stop.mjs";

stopWithTheBench();
const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const program = spawn(process.execPath, [main, "start", "--workers", "2", "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
program.on("exit", (code) => process.exit(code ?? 1));
process.on("exit", () => program.kill("SIGKILL")); // its workers end when it is gone
let table = "";
program.stdout.on("data", (chunk) => {
  const isStarted = table.includes("Start success.");
  table += chunk;
  if (isStarted || !table.includes("Start success.")) return;
  console.log(`listening ${/(?:ws|websocket):\/\/\S*:(\d+)/.exec(table)?.[1]}`);
});
