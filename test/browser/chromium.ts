// Finds and starts a Chromium. Without one the browser tests are skipped, loudly, and fail where CI=true.
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { describe } from "vitest";

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
const MISSING =
  "no Chromium was found, so nothing in test/browser has been tested: `apt-get install chromium`, or say where one is with CHROMIUM=/path/to/it";

/** A browser of our own: it looks for no updates, and its pages load nothing but what the tests serve. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium() ?? "chromium",
    args: [
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
      // Chromium's sandbox does not run as root, and root is who runs tests in a container.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    ],
  });
}

/** `describe` for tests that need a browser. */
export function describeInBrowser(title: string, body: () => void): void {
  const isHere = findChromium() !== undefined;
  if (!isHere && process.env["CI"] === "true") throw new Error(MISSING);
  if (!isHere) process.stderr.write(`\n*** SKIPPED: ${title}\n*** ${MISSING}\n\n`);
  describe.skipIf(!isHere)(title, body);
}

function findChromium(): string | undefined {
  const given = process.env["CHROMIUM"];
  // A wrong path is not quietly replaced by another browser.
  if (given !== undefined && given !== "") return existsSync(given) ? given : undefined;
  return PLACES.find((place) => existsSync(place));
}
