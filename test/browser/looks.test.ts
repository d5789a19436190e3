// What the page looks like, as far as numbers can say: room on a small phone, contrast, names of controls, the keyboard. With
// PICTURES=1 it also takes the pictures of the README.
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeInBrowser, launchChromium } from "./chromium.ts";
import { StartedServer } from "./server.ts";
import { Tab } from "./tab.ts";

/** WCAG 2.2, level AA: text, and edges of controls. */
const TEXT_CONTRAST_MIN = 4.5;
const EDGE_CONTRAST_MIN = 3;
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

describeInBrowser("the looks of the page", () => {
  let browser: Browser;
  let server: StartedServer;

  beforeAll(async () => {
    [browser, server] = await Promise.all([launchChromium(), StartedServer.start()]);
  });
  afterAll(async () => {
    await Promise.all([browser?.close(), server?.stop()]);
  });

  /** A tab in whose group a few things have been said. */
  async function open(options: BrowserContextOptions, group: string): Promise<Tab> {
    const context = await browser.newContext({ reducedMotion: "reduce", ...options });
    const tab = await Tab.open(context, server.page(group));
    for (const text of ["Hello", `{"user":"ada","at":[12,48]}`, "x".repeat(300), "y".repeat(3_000)]) await tab.send(text);
    await expect.poll(async () => (await tab.messages()).length).toBe(4);
    return tab;
  }

  for (const colorScheme of ["light", "dark"] as const) {
    it(`fits on a phone of 360 px, ${colorScheme}`, async () => {
      const tab = await open({ ...PHONE, colorScheme }, `phone ${colorScheme}`);
      await tab.page.locator("summary").tap();
      await tab.chooseGroup("z".repeat(201));
      await tab.untilAlert("That name cannot be a group");
      expect(await tab.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
      const small = await tab.page.evaluate(() =>
        [...document.querySelectorAll("button, a, input, textarea")]
          .map((control) => ({ control: control.id, ...control.getBoundingClientRect().toJSON() }))
          .filter(({ width, height }) => width > 0 && (width < 24 || height < 24)),
      );
      expect(small, "controls too small to touch: WCAG 2.2 asks for 24 px").toEqual([]);
      await tab.page.context().close();
    });

    it(`has enough contrast, ${colorScheme}`, async () => {
      const tab = await open({ colorScheme }, `contrast ${colorScheme}`);
      await tab.page.locator("summary").click();
      await tab.chooseGroup("z".repeat(201));
      await tab.untilAlert("That name cannot be a group");
      const found = await tab.page.evaluate(measureContrast);
      expect(found.texts.length).toBeGreaterThan(20);
      expect(found.texts.filter(({ contrast }) => contrast < TEXT_CONTRAST_MIN)).toEqual([]);
      expect(found.edges.length).toBeGreaterThan(2);
      expect(found.edges.filter(({ contrast }) => contrast < EDGE_CONTRAST_MIN)).toEqual([]);
      await tab.page.context().close();
    });
  }

  it("gives every control a name, and shows where the keyboard is", async () => {
    const tab = await open({}, "keyboard");
    const reached: string[] = [];
    await tab.at("group").focus();
    for (let stop = 0; stop < 10; stop++) {
      const { id, hasOutline } = await tab.page.evaluate(() => {
        const element = document.activeElement;
        return {
          id: element?.id || element?.localName || "",
          hasOutline: element !== null && getComputedStyle(element).outlineStyle !== "none",
        };
      });
      reached.push(id);
      expect(hasOutline, id).toBe(true);
      await tab.page.keyboard.press("Tab");
    }
    expect(reached).toEqual(["group", "group-button", "log", "message", "send", "second", "copy-link", "copy-lines", "pre", "summary"]);
    for (const name of ["Group", "Message"]) expect(await tab.page.getByRole("textbox", { name, exact: true }).count()).toBe(1);
    for (const name of ["Leave", "Send", "Copy", "Copy the link"]) {
      expect(await tab.page.getByRole("button", { name, exact: true }).count(), name).toBe(1);
    }
    expect(await tab.page.getByRole("log", { name: "Messages" }).getAttribute("aria-live")).toBe("polite");
    await tab.page.context().close();
  });

  // No test: it draws what the README shows, when it is asked to.
  if (process.env["PICTURES"] === "1")
    it("is in the pictures of the README as it is", async () => {
      // Under the address that readers will see: the default port must be free for this one.
      const server = await StartedServer.start({ port: 1234 });
      for (const colorScheme of ["light", "dark"] as const) {
        const context = await browser.newContext({ colorScheme, viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 });
        const tabs = [await Tab.open(context, server.page("lobby")), await Tab.open(context, server.page("lobby"))];
        const [one, two] = tabs as [Tab, Tab];
        await Promise.all(tabs.map((tab) => tab.untilMembers(2)));
        await one.page.bringToFront();
        for (const [tab, text] of [
          [one, "Hello from the first tab 👋"],
          [two, "And hello from the second one."],
          [two, `{"user":"ada","cursor":[12,48]}`],
          [one, "Members get the message itself: text, JSON, bytes."],
        ] as const) {
          await tab.send(text);
          await one.untilMessage(text);
        }
        // The picture of a page at rest.
        await one.page.evaluate(async () => {
          const passing = document.getAnimations().filter(({ effect }) => effect?.getTiming().iterations === 1);
          await Promise.allSettled(passing.map(({ finished }) => finished));
        });
        await one.page.screenshot({ path: fileURLToPath(new URL(`../../docs/images/page-${colorScheme}.png`, import.meta.url)) });
        await context.close();
      }
      // The start table as a terminal shows it.
      const page = await browser.newPage({ viewport: { width: 760, height: 100 }, deviceScaleFactor: 1.5 });
      await page.setContent(
        `<style>body{margin:0;background:#0d1a20;color:#e8f1f0;font:14px/1.5 monospace;padding:20px}</style><pre style="margin:0"></pre>`,
      );
      const height = await page.evaluate((text) => {
        const pre = document.querySelector("pre");
        if (pre !== null) pre.textContent = text;
        return document.body.scrollHeight;
      }, `$ npm start\n${server.output.trim()}`);
      await page.setViewportSize({ width: 760, height });
      await page.screenshot({ path: fileURLToPath(new URL("../../docs/images/table.png", import.meta.url)) });
      await server.stop();
    });
});

interface Contrast {
  readonly what: string;
  readonly contrast: number;
}

/** Runs in the page: the contrast of every text with what is behind it, and of every field's edge. */
function measureContrast(): { texts: Contrast[]; edges: Contrast[] } {
  // rgb() counts to 255; what color-mix() makes is color(srgb …) and counts to 1.
  const channels = (color: string): number[] => {
    const scale = color.startsWith("color(") ? 255 : 1;
    return (color.match(/[\d.]+/g) ?? []).map((value, index) => Number(value) * (index < 3 ? scale : 1));
  };
  const luminance = (color: string): number => {
    const [red = 0, green = 0, blue = 0] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element: Element | null): string => {
    for (let at = element; at !== null; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if ((channels(backgroundColor)[3] ?? 1) === 1) return backgroundColor;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (one: string, other: string): number => {
    const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const isSeen = (element: Element): boolean => element.checkVisibility() && !element.closest(".unseen") && !element.matches(":disabled");
  const hasText = (element: Element): boolean =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim() !== "");
  const texts = [...document.body.querySelectorAll("*")]
    .filter((element) => isSeen(element) && (hasText(element) || element.matches("input, textarea")))
    .map((element) => ({
      what: `${element.localName}#${element.id}.${element.className} ${element.textContent?.slice(0, 20)}`,
      contrast: contrast(getComputedStyle(element).color, behind(element)),
    }));
  const edges = [...document.querySelectorAll("input, textarea, button.soft")].filter(isSeen).map((element) => ({
    what: `edge of ${element.localName}#${element.id}`,
    contrast: contrast(getComputedStyle(element).borderTopColor, behind(element.parentElement)),
  }));
  return { texts, edges };
}
