// groupcast as it comes: one process, its defaults. BATCH_DELAY_MS sets `batchDelayMs`.
import { GroupServer } from "../../dist/index.js";
import { stopWithTheBench } from "./stop.mjs";

stopWithTheBench();
const { BATCH_DELAY_MS } = process.env;
const server = new GroupServer({ port: 0, ...(BATCH_DELAY_MS === undefined ? {} : { batchDelayMs: Number(BATCH_DELAY_MS) }) });
const { port } = await server.listen();
console.log(`listening ${port}`);
