// What a process that keeps an index needs in its heap for a connection of another process, and what such a connection takes on the wire:
// 100,000 of them on one node. node --expose-gc bench/index-memory.mjs
import { systemRandom } from "../dist/base/random.js";
import { Part } from "../dist/presence/part.js";
import { Rows } from "../dist/presence/rows.js";

const CONNECTIONS = 100_000;

async function heapUsed() {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => void setImmediate(resolve));
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}

/** `together`: members of a group on that node. */
async function measure(groupsPerConnection, together) {
  const groups = (CONNECTIONS * groupsPerConnection) / together;
  const before = await heapUsed();
  const part = new Part("another");
  let wireBytes = 0;
  for (let serial = 1; serial <= CONNECTIONS; serial++) {
    const rows = new Rows();
    const names = Array.from({ length: groupsPerConnection }, (_, slot) => `room ${(serial * groupsPerConnection + slot) % groups}`);
    rows.here({
      $serial: serial,
      namespace: "default",
      id: systemRandom.id(),
      user: null,
      groups: new Map(names.map((name) => [name, 1])),
    });
    const text = JSON.stringify(rows.letters[0]);
    wireBytes += text.length - 1; // brackets around, and a comma between
    part.apply(JSON.parse(text), Infinity, () => {}); // as it comes from the wire
  }
  const bytes = ((await heapUsed()) - before) / CONNECTIONS;
  const what = groupsPerConnection === 0 ? "no group" : `${groupsPerConnection} groups, ${together} members of each on its node`;
  console.log(`${what}: ${Math.round(bytes)} bytes, ${Math.round(wireBytes / CONNECTIONS)} on the wire`);
  return part.size;
}

for (const [groupsPerConnection, together] of [
  [0, 1],
  [1, 1],
  [2, 1],
  [2, 2],
  [2, 10],
  [2, 1_000],
]) {
  await measure(groupsPerConnection, together);
}
