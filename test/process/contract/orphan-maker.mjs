// Starts an adapter in a process of its own, says so, and waits to be killed.
import process from "node:process";
import { processPeer } from "../../../dist/testing/index.js";

const peer = processPeer(new URL("./hub-peer.mjs", import.meta.url), { path: "/nowhere" });
await peer.turn({ call: "start" });
process.stdout.write(`${peer.pid}\n`);
