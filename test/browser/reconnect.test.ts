// The page when processes die: two tabs on two workers, a worker killed under one of them, and the whole server started again.
import { randomUUID } from "node:crypto";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeInBrowser, launchChromium } from "./chromium.ts";
import { StartedServer } from "./server.ts";
import { Tab } from "./tab.ts";

const LOST = "The connection was lost.";
/** Which worker a tab lands on is the server's to say: so many pairs of tabs are tried until one pair sits on two. */
const PAIRS_MAX = 12;

describeInBrowser("the page when processes die", () => {
  let browser: Browser;
  let context: BrowserContext;

  beforeAll(async () => {
    browser = await launchChromium();
    context = await browser.newContext();
  });
  afterAll(() => browser?.close());

  it.skipIf(process.platform !== "linux")(
    "brings messages from a tab on one worker to a tab on another, and comes back when its worker is killed",
    { timeout: 180_000 },
    async () => {
      const server = await StartedServer.start();
      try {
        for (let pair = 0; ; pair++) {
          expect(pair, "pairs of tabs until one sat on two workers").toBeLessThan(PAIRS_MAX);
          if (await surviveKill(server, pair)) break;
        }
      } finally {
        await server.stop();
      }
    },
  );

  /** True: the two tabs sat on two workers, for killing one worker cut exactly one of them off; and all that is promised was seen. */
  async function surviveKill(server: StartedServer, pair: number): Promise<boolean> {
    const url = server.page(`room ${randomUUID()}`);
    const one = await Tab.open(context, url);
    // Workers take connections in turn. One more connection now and then, and no pattern keeps both tabs on one worker.
    if (pair % 2 === 1) await (await fetch(url, { headers: { connection: "close" } })).arrayBuffer();
    const two = await Tab.open(context, url);
    await Promise.all([one.untilMembers(2), two.untilMembers(2)]);
    await one.send("from one");
    await two.send("from two");
    for (const tab of [one, two]) for (const text of ["from one", "from two"]) await tab.untilMessage(text);

    const before = server.workers;
    expect(before).toHaveLength(2);
    const killed = before[pair % 2] ?? 0;
    process.kill(killed, "SIGKILL");
    await expect.poll(() => server.workers.filter((worker) => worker !== killed).length, { timeout: 20_000 }).toBe(2);

    // Who was cut off has joined again before this round is through.
    const text = `after ${pair}`;
    await expect.poll(() => roundTrip(one, two, text), { timeout: 30_000 }).toBe(true);
    await Promise.all([one.untilMembers(2), two.untilMembers(2)]);
    const lost = (await Promise.all([one.notes(), two.notes()])).map((notes) => notes.includes(LOST));
    const survivor = lost[0] === true ? two : one;
    const isProof = lost[0] !== lost[1];
    if (isProof) expect(survivor.problems).toEqual([]);
    await Promise.all([one.page.close(), two.page.close()]);
    return isProof;
  }

  async function roundTrip(one: Tab, two: Tab, text: string): Promise<boolean> {
    for (const tab of [one, two]) if ((await tab.at("membership").textContent()) !== "You have joined") return false;
    await one.send(text);
    await two.send(text);
    await Promise.all([one.untilMessage(text), two.untilMessage(text)]);
    return true;
  }

  it("says that the server restarts, and joins again when it is back", { timeout: 120_000 }, async () => {
    let server = await StartedServer.start();
    try {
      const tab = await Tab.open(context, server.page("restart"));
      await server.stop();
      await tab.untilNote("The server is restarting.");
      await expect.poll(() => tab.at("link-text").textContent()).toBe("Reconnecting");
      expect(await tab.at("membership").textContent()).toBe("Not connected");
      server = await StartedServer.start({ port: server.port });
      await tab.untilMembership("You have joined");
      await tab.untilMembers(1);
      await tab.send("back again");
      await tab.untilMessage("back again");
    } finally {
      await server.stop();
    }
  });
});
