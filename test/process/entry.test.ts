// What the library's entry loads: `ws`, and nothing of what only some people use.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type BareInstall, bareInstall } from "./bare-install.ts";
import { Program } from "./workers-harness.ts";

const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0)) await step();
});

function install(options: Parameters<typeof bareInstall>[0]): BareInstall {
  const bare = bareInstall(options);
  undo.push(() => bare.remove());
  return bare;
}

function run({ dist }: BareInstall, text: string): Program {
  const file = join(dist, "program.mjs");
  writeFileSync(file, text);
  const program = new Program([file]);
  undo.push(() => program.end());
  return program;
}

describe("the library's entry", () => {
  it("needs no package but ws, and nothing of what is made for brokers and the command line", async () => {
    const bare = install({ keeps: (name) => name === "ws", folders: (name) => !["redis", "nats", "cli"].includes(name) });
    const program = run(
      bare,
      `import { GroupServer, GroupManager } from "./index.js";
       const groups = new GroupManager();
       await groups.publish("g", "hi");
       const server = new GroupServer({ port: 0 });
       await server.listen();
       await server.close();
       console.log("done");`,
    );
    expect(await program.exit).toEqual({ code: 0, signal: null });
    expect([program.stdout, program.stderr]).toEqual(["done\n", ""]);
  });

  it.each([
    ["redis://u:secret@127.0.0.1:1", "npm i redis"],
    ["nats://u:secret@127.0.0.1:1", "npm i @nats-io/transport-node"],
  ])("says for %s what to install if it is not there, once, and goes on", async (url, line) => {
    const bare = install({ keeps: (name) => name === "ws" });
    const program = run(
      bare,
      `import { GroupManager } from "./index.js";
       const groups = new GroupManager({ channel: ${JSON.stringify(url)} });
       groups.publish("g", "hi").catch(({ code }) => { console.log(code, groups.isUp); groups.stop().then(() => console.log("stopped")); });`,
    );
    expect(await program.exit).toEqual({ code: 0, signal: null });
    expect(program.stdout).toBe("unavailable false\nstopped\n");
    expect(program.stderr.match(/^groupcast: .*$/gm)).toEqual([expect.stringContaining(line)]);
    expect(program.stdout + program.stderr).not.toContain("secret");
  });
});
