// What memberships take of the heap, without sockets and without what the process has allocated and not given back: 5,000 connections,
// 64 groups each, 1,000 members in a group. node --expose-gc bench/memberships.mjs
import { Connection, GroupManager } from "../dist/index.js";

const CONNECTIONS = 5_000;
const GROUPS = 64;
const MEMBERS = 1_000;

const nobody = () => ({ readyState: 1, bufferedAmount: 0, send() {}, close() {}, on() {} });

async function heapUsed() {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => void setImmediate(resolve));
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}

const groups = new GroupManager();
const connections = Array.from({ length: CONNECTIONS }, (_, index) => {
  const connection = new Connection(`c${index}`, "default", nobody());
  groups.adopt(connection);
  return connection;
});
const before = await heapUsed();
let first = 0;
for (let round = 0; round < GROUPS; round++) {
  for (const [index, connection] of connections.entries()) await connection.join(`group ${round}.${Math.floor(index / MEMBERS)}`);
  if (round === 0) first = (await heapUsed()) - before;
}
const all = (await heapUsed()) - before;
console.log(`the first membership of a connection: ${Math.round(first / CONNECTIONS)} bytes`);
console.log(`a membership, on average over ${GROUPS}: ${Math.round(all / CONNECTIONS / GROUPS)} bytes`);
