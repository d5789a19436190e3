// The page in a real browser against the real server with two workers: joining, sending, counting, and what hostile members send.
import { randomUUID } from "node:crypto";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { WebSocket } from "ws";
import { describeInBrowser, launchChromium } from "./chromium.ts";
import { StartedServer } from "./server.ts";
import { Tab } from "./tab.ts";

describeInBrowser("the page", () => {
  let browser: Browser;
  let server: StartedServer;
  let context: BrowserContext;
  let tabs: Tab[];
  let group: string;

  beforeAll(async () => {
    [browser, server] = await Promise.all([launchChromium(), StartedServer.start()]);
  });
  afterAll(async () => {
    await Promise.all([browser?.close(), server?.stop()]);
  });
  beforeEach(async () => {
    context = await browser.newContext();
    tabs = [];
    group = `room ${randomUUID()}`;
  });
  afterEach(async () => {
    const problems = tabs.flatMap((tab) => tab.problems);
    await context.close();
    expect(problems).toEqual([]);
  });

  async function open(name = group): Promise<Tab> {
    const tab = await Tab.open(context, server.page(name));
    tabs.push(tab);
    return tab;
  }

  /** A member that is no page: it sends whatever it likes. */
  async function member(): Promise<WebSocket> {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}`);
    await new Promise((resolve, reject) => {
      socket.on("open", () => socket.send(JSON.stringify({ cmd: "add_group", group_id: group, id: 1 })));
      socket.once("message", resolve);
      socket.once("error", reject);
    });
    return socket;
  }

  function publish(from: WebSocket, ...messages: readonly unknown[]): void {
    for (const message of messages) from.send(JSON.stringify({ cmd: "send_to_group", group_id: group, message }));
  }

  it("shows what one tab sends in both tabs, and how many have joined", async () => {
    const [one, two] = [await open(), await open()];
    await Promise.all([one.untilMembers(2), two.untilMembers(2)]);
    await one.send("Hello from one 👋");
    await Promise.all([one.untilMessage("Hello from one 👋"), two.untilMessage("Hello from one 👋")]);
    expect(await one.messages()).toHaveLength(1);
    expect(await one.at("message").inputValue()).toBe("");
  });

  it("leaves: the count goes down in both tabs, and nothing arrives until it joins again", async () => {
    const [one, two] = [await open(), await open()];
    await two.untilMembers(2);
    await two.at("group").press("Enter"); // joins, and so does nothing
    await two.at("group-button").click();
    await two.untilMembership("You have not joined");
    await Promise.all([one.untilMembers(1), two.untilMembers(1)]);
    await one.send("not for two");
    await one.untilMessage("not for two");
    await two.at("group-button").click();
    await two.untilMembership("You have joined");
    await one.send("for both");
    await two.untilMessage("for both");
    expect(await two.messages()).toEqual(["for both"]);
    expect(await two.notes()).toEqual([`You joined ${group}.`, `You left ${group}.`, `You joined ${group}.`]);
  });

  it("sends without being a member, and says that it will not see it", async () => {
    const [one, two] = [await open(), await open()];
    await two.at("group-button").click();
    await two.untilMembership("You have not joined");
    await two.send("from outside");
    await one.untilMessage("from outside");
    await two.untilNote(`Sent to ${group}. Only members see it, and you are not one.`);
    expect(await two.messages()).toEqual([]);
  });

  it("switches groups: leaves the one, joins the other, and its address shares that one", async () => {
    const other = `other ${randomUUID()}`;
    const [one, two] = [await open(), await open(other)];
    await one.chooseGroup(other);
    await Promise.all([one.untilMembers(2), two.untilMembers(2)]);
    expect(await one.notes()).toEqual([`You joined ${group}.`, `You left ${group}.`, `You joined ${other}.`]);
    expect(one.page.url()).toBe(server.page(other));
    const [popup] = await Promise.all([context.waitForEvent("page"), one.at("second").click()]);
    const three = new Tab(popup);
    tabs.push(three);
    await Promise.all([three.untilMembers(3), two.untilMembers(3)]);
  });

  it("follows the group in its address", async () => {
    const one = await open();
    const other = `100% "other" ${randomUUID()}`;
    await one.page.evaluate((hash) => void (location.hash = hash), `#${encodeURIComponent(other)}`);
    await one.untilNote(`You joined ${other}.`);
    expect(await one.at("group").inputValue()).toBe(other);
  });

  it("shows markup as the text that it is, and runs none of it", async () => {
    const one = await open();
    const hostile = [
      `<img src=x onerror="window.ran = true">`,
      `<script>window.ran = true</script>`,
      `<a href="javascript:window.ran = true">click</a><style>*{display:none}</style>`,
      `\u202Eright to left, and a NUL: \u0000`,
    ];
    publish(await member(), ...hostile);
    await one.untilMessage(hostile[3] ?? "");
    expect(await one.messages()).toEqual(hostile);
    const made = await one.page.locator("#rows *").evaluateAll((elements) => [...new Set(elements.map((element) => element.localName))]);
    expect(made.sort()).toEqual(["li", "p", "time"]);
    expect(await one.page.evaluate(() => "ran" in window)).toBe(false);
  });

  it("treats a group's name as text too, in the page and in the lines to paste", async () => {
    const name = `it's "quoted" \\ <img src=x onerror="window.ran = true"> ${randomUUID()}`;
    const one = await open(name);
    const two = await open(name);
    const printed = two.page.waitForEvent("console");
    await two.page.evaluate((await one.at("lines").textContent()) ?? "");
    expect((await printed).text()).toBe("Hello");
    await Promise.all([one.untilMessage("Hello"), one.untilMembers(3)]);
    expect(await one.page.evaluate(() => "ran" in window)).toBe(false);
  });

  it("does not take a member's message for an answer of the server", async () => {
    const one = await open();
    const sender = await member();
    await one.untilMembers(2);
    const lookalikes = [`{"id":5,"ok":true,"members":99}`, `{"id":"1","ok":false,"error":"forbidden","detail":"no"}`, `{"ok":true}`];
    publish(sender, ...lookalikes, { id: 1, ok: true, members: 99 });
    await one.untilMessage(`{"id":1,"ok":true,"members":99}`);
    expect(await one.messages()).toEqual([...lookalikes, `{"id":1,"ok":true,"members":99}`]);
    expect(await one.at("alert").isHidden()).toBe(true);
    sender.close();
    await one.untilMembers(1);
  });

  it("marks its commands with ids that no member can guess", async () => {
    const page = await context.newPage();
    const ids: string[] = [];
    page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => ids.push((JSON.parse(String(payload)) as { id: string }).id)));
    const prefixes = (): Set<string> => new Set(ids.map((id) => id.slice(0, 32)));
    for (const loads of [1, 2]) {
      await page.goto("about:blank");
      await page.goto(server.page(group));
      await expect.poll(() => prefixes().size).toBe(loads);
    }
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}\.\d+$/);
  });

  it("shows JSON as code, unchanged, and only the beginning of a long text", async () => {
    const one = await open();
    const json = `{ "a" : [1, 2.50],\n "b":"<c>" }`;
    publish(await member(), json, "x".repeat(60_000), "end");
    await one.untilMessage("end");
    const [first, second] = await one.messages();
    expect(first).toBe(json);
    expect(await one.page.locator(".message p").first().getAttribute("class")).toBe("mono");
    expect(second).toBe(`${"x".repeat(2_000)} … and 58,000 more characters`);
  });

  it("keeps the newest 200 rows", async () => {
    const one = await open();
    const sender = await member();
    publish(sender, ...Array.from({ length: 450 }, (_, index) => `message ${index}`));
    await one.untilMessage("message 449");
    await expect.poll(() => one.page.locator("#rows > li").count()).toBe(200);
    expect((await one.messages())[0]).toBe("message 250");
    const gap = await one.at("log").evaluate(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight);
    expect(gap).toBeLessThan(2);
  });

  it("says in plain words why a group cannot be joined", async () => {
    const one = await open();
    await one.chooseGroup("x".repeat(201));
    await one.untilAlert("That name cannot be a group");
    await one.untilMembership("You have not joined");
    await one.chooseGroup(group);
    await one.untilMembership("You have joined");
    expect(await one.at("alert").isHidden()).toBe(true);
  });

  it("says that a message was too large, comes back, and still has the text", async () => {
    const one = await open();
    const text = "y".repeat(70_000);
    await one.send(text);
    await one.untilAlert("that message is larger than it accepts");
    await one.untilMembership("You have joined");
    expect(await one.at("message").inputValue()).toBe(text);
    expect(await one.messages()).toEqual([]);
  });

  it("copies the lines for the console and the link", async () => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const one = await open();
    await one.at("copy-lines").click();
    await expect.poll(() => one.at("copy-lines").textContent()).toBe("Copied");
    expect(await one.page.evaluate(() => navigator.clipboard.readText())).toBe(await one.at("lines").textContent());
    await one.at("copy-link").click();
    await expect.poll(() => one.page.evaluate(() => navigator.clipboard.readText())).toBe(server.page(group));
  });

  it("is served under a policy that allows no inline script, no inline style, and no other site", async () => {
    const one = await open();
    const policy = (await one.page.request.get(server.page(group))).headers()["content-security-policy"] ?? "";
    const rules = new Map(policy.split(";").map((rule) => [rule.trim().split(" ")[0], rule.trim()]));
    expect(rules.get("default-src")).toBe("default-src 'none'");
    expect(rules.get("script-src")).toBe("script-src 'self'");
    expect(rules.get("style-src")).toBe("style-src 'self'");
    expect(policy).not.toContain("unsafe");
    for (const rule of ["frame-ancestors", "base-uri", "form-action"]) expect(rules.get(rule)).toBe(`${rule} 'none'`);
  });
});
