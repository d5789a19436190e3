// One tab with the page, as a person sees and uses it, and everything that went wrong in it.
import type { BrowserContext, Locator, Page } from "playwright-core";
import { expect } from "vitest";

/** Generous: a reconnect may wait a few seconds by chance. */
const WITHIN_MS = 20_000;

export class Tab {
  readonly page: Page;
  /** Errors and warnings in the console, uncaught errors, breaches of the Content-Security-Policy. */
  readonly problems: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(WITHIN_MS);
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.problems.push(message.text());
    });
    page.on("pageerror", (error) => this.problems.push(String(error)));
  }

  /** A new tab; it has joined the group of the address. */
  static async open(context: BrowserContext, url: string): Promise<Tab> {
    const page = await context.newPage();
    const tab = new Tab(page);
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
    });
    await page.goto(url);
    await tab.untilMembership("You have joined");
    return tab;
  }

  /** The page's element with this id. */
  at(id: string): Locator {
    return this.page.locator(`#${id}`);
  }

  /** The texts of all messages, oldest first. */
  messages(): Promise<string[]> {
    return this.page.locator(".message p").allTextContents();
  }

  /** What the page itself says between the messages. */
  notes(): Promise<string[]> {
    return this.page.locator(".note").allTextContents();
  }

  async send(text: string): Promise<void> {
    await this.at("message").fill(text);
    await this.at("message").press("Enter");
  }

  /** Types a group's name and presses the button, whatever it says. */
  async chooseGroup(name: string): Promise<void> {
    await this.at("group").fill(name);
    await this.at("group-button").click();
  }

  async untilMessage(text: string): Promise<void> {
    await expect.poll(() => this.messages(), { timeout: WITHIN_MS }).toContain(text);
  }

  async untilNote(text: string): Promise<void> {
    await expect.poll(() => this.notes(), { timeout: WITHIN_MS }).toContain(text);
  }

  async untilMembership(text: string): Promise<void> {
    await expect.poll(() => this.at("membership").textContent(), { timeout: WITHIN_MS }).toBe(text);
  }

  async untilMembers(count: number): Promise<void> {
    await expect.poll(() => this.at("ring-count").textContent(), { timeout: WITHIN_MS }).toBe(String(count));
  }

  async untilAlert(text: string): Promise<void> {
    await expect.poll(() => this.at("alert-text").textContent(), { timeout: WITHIN_MS }).toContain(text);
    expect(await this.at("alert").isVisible()).toBe(true);
  }
}
