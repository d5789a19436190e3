// The lines of the source documents for the browser's console, as they stand there: on the server's own page, and in a file on disk.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, ConsoleMessage, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeInBrowser, launchChromium } from "./chromium.ts";
import { StartedServer } from "./server.ts";

/** Word for word; only the port, which the documents say to change, becomes the test's. */
const DOCUMENTS = [
  {
    language: "German",
    message: "Dies ist eine Nachricht",
    lines: `// Angenommen die Server-IP ist 127.0.0.1, ändern Sie diese für den Test in die tatsächliche Server-IP
ws = new WebSocket('ws://127.0.0.1:1234');
ws.onmessage = function(data){console.log(data.data)};
ws.onopen = function() {
	ws.send('{"cmd":"add_group", "group_id":"123"}');
    ws.send('{"cmd":"send_to_group", "group_id":"123", "message":"Dies ist eine Nachricht"}');
};
`,
  },
  {
    language: "Portuguese",
    message: "Esta é a mensagem",
    lines: `// Supondo que o IP do servidor seja 127.0.0.1, altere para o IP real do servidor ao testar
ws = new WebSocket('ws://127.0.0.1:1234');
ws.onmessage = function(data){console.log(data.data)};
ws.onopen = function() {
    ws.send('{"cmd":"add_group", "group_id":"123"}');
    ws.send('{"cmd":"send_to_group", "group_id":"123", "message":"Esta é a mensagem"}');
};
`,
  },
];

describeInBrowser("the console lines of the source documents", () => {
  let browser: Browser;
  let server: StartedServer;
  let folder: string;

  beforeAll(async () => {
    [browser, server, folder] = await Promise.all([
      launchChromium(),
      StartedServer.start({ args: ["--origin", "null"] }),
      mkdtemp(join(tmpdir(), "groupcast-console-")),
    ]);
  });
  afterAll(async () => {
    await Promise.all([browser?.close(), server?.stop(), rm(folder, { recursive: true, force: true })]);
  });

  async function openFile(lines: string): Promise<[Page, ConsoleMessage]> {
    const file = join(folder, "client.html");
    await writeFile(file, `<!doctype html>\n<meta charset="utf-8">\n<script>\n${lines}</script>\n`);
    const page = await browser.newPage();
    const [printed] = await Promise.all([page.waitForEvent("console"), page.goto(pathToFileURL(file).href)]);
    return [page, printed];
  }

  for (const { language, message, lines } of DOCUMENTS) {
    const here = (port: number): string => lines.replace("127.0.0.1:1234", `127.0.0.1:${port}`);

    it(`prints the message when the ${language} lines are pasted into the console of the server's page`, async () => {
      const page = await browser.newPage();
      await page.goto(server.page("lobby"));
      const printed = page.waitForEvent("console");
      await page.evaluate(here(server.port));
      expect((await printed).text()).toBe(message);
      await page.close();
    });

    it(`prints the message when the ${language} lines stand in an HTML file on disk and the server allows the origin null`, async () => {
      const [page, printed] = await openFile(here(server.port));
      expect(printed.type()).toBe("log");
      expect(printed.text()).toBe(message);
      expect(await page.evaluate(() => [location.protocol, self.origin])).toEqual(["file:", "null"]);
      await page.close();
    });
  }

  it("refuses a file on disk without --origin null", async () => {
    const strict = await StartedServer.start();
    try {
      const [page, printed] = await openFile((DOCUMENTS[0]?.lines ?? "").replace("127.0.0.1:1234", `127.0.0.1:${strict.port}`));
      expect(printed.type()).toBe("error");
      expect(printed.text()).toContain("403");
      await page.close();
    } finally {
      await strict.stop();
    }
  });
});
