// The page of `make dev` in a real browser: `node --test browser.mjs`.
// PAGE and OTHER are the page at an origin that may call the bridge and at one that may not, LOCAL the stand-in,
// CHROMIUM the browser, SCREENSHOTS a folder.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";

const { PAGE, OTHER, LOCAL, CHROMIUM, SCREENSHOTS } = process.env;
const LONG = { timeout: 45_000 };

let browser;
let page;
let complaints;

before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
});

after(() => browser?.close());

beforeEach(async () => {
  await control("reset", {});
  await open(PAGE);
});

afterEach(async (told) => {
  await page.screenshot({ path: `${SCREENSHOTS}/${told.name.replaceAll(/[^a-z]+/gi, "-")}.png`, fullPage: true });
  await page.context().close();
});

/** A new page, whose console may say nothing. */
async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 820 }, locale: "en-GB", ...options });
  page = await context.newPage();
  page.setDefaultTimeout(15_000);
  complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById("phone-account").options.length);
  await page.waitForFunction(() => document.getElementById("link").textContent === "");
}

async function control(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`${LOCAL}/_local/${path}`, options);
  assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
  return response.json();
}

const item = (log, text) => page.locator(`#${log} > li`, { hasText: text });

async function start(name = "Jo") {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Start a chat" }).click();
}

async function say(pane, label, text) {
  const field = page.locator(pane).getByLabel(label, { exact: true });
  await field.fill(text);
  await field.press("Enter");
}

const texts = (log) => page.locator(`#${log} > li:not(.event)`).allInnerTexts();

test("a chat from start to end", async () => {
  await start("Jo");
  await page.getByText("Connected", { exact: true }).waitFor();
  await say("#widget", "Message", "Is my order on its way?");
  await item("agent-log", "Is my order on its way?").waitFor();
  await page.locator("#agent-text").pressSequentially("It");
  await page.getByText("Agent is typing …").waitFor();
  await say("#agent", "Answer", "It is: until Monday");
  await item("widget-log", "It is: until Monday").waitFor();
  await item("widget-log", "Agent joined").waitFor();

  for (const [sample, shown] of [
    ["Markdown", "Opening hours"],
    ["List picker", "What produce would you like to buy?"],
  ]) {
    await page.getByLabel("Sample").selectOption(sample);
    await page.getByRole("button", { name: "Send sample" }).click();
    await item("widget-log", shown).waitFor();
  }
  assert.equal(await page.locator("#widget-log strong", { hasText: "Opening hours" }).count(), 1);
  assert.equal(await page.locator("#widget-log a").getAttribute("href"), "https://example.com/hours");
  await page.locator("#widget-log").getByRole("button", { name: "Orange" }).click();
  await page.locator("#agent-log > li.theirs", { hasText: "Orange" }).waitFor();

  await page.getByRole("button", { name: "Transfer" }).click();
  await item("agent-log", "The chat was handed on").waitFor();
  await say("#agent", "Answer", "Now it is me");
  await item("widget-log", "Now it is me").waitFor();

  await page.locator("#widget").getByRole("button", { name: "End chat" }).click();
  await page.locator("#widget-status", { hasText: "The chat has ended" }).waitFor();
  const { contacts } = await control("contacts");
  assert.deepEqual(contacts.map(({ end_reason }) => end_reason), ["CUSTOMER_DISCONNECT"]);
  assert.deepEqual(contacts[0].attributes, { page: "/", customerName: "Jo" });
  assert.ok(await page.getByLabel("Message").isDisabled());
  assert.deepEqual(complaints, []);
});

test("the agent ends a chat, and the next one starts", async () => {
  await start();
  await page.getByText("Connected", { exact: true }).waitFor();
  await say("#agent", "Answer", "Good bye");
  await item("widget-log", "Good bye").waitFor();
  await page.locator("#agent").getByRole("button", { name: "End chat" }).click();
  await page.locator("#widget-status", { hasText: "The chat has ended" }).waitFor();
  await start("Second");
  await page.getByText("Connected", { exact: true }).waitFor();
  await page.locator("#contact-title", { hasText: "Second" }).waitFor();
  assert.deepEqual(complaints, []);
});

test("every interactive message can be answered", async () => {
  await start();
  await page.getByText("Connected", { exact: true }).waitFor();
  for (const [sample, pick, answer] of [
    ["Time picker", /\d/, /^\d{4}-\d\d-\d\dT09:00\+00:00$/],
    ["Panel", "Talk to an agent", /^Talk to an agent$/],
    ["Quick reply", "Cancellation", /^Cancellation$/],
    ["Carousel", "Book hotels", /^Book hotels$/],
  ]) {
    await page.getByLabel("Sample").selectOption(sample);
    await page.getByRole("button", { name: "Send sample" }).click();
    await page.locator("#widget-log > li").last().getByRole("button", { name: pick }).first().click();
    await page.waitForFunction(
      ([source]) => {
        const said = [...document.querySelectorAll("#agent-log > li.theirs")].at(-1)?.lastChild?.textContent;
        return new RegExp(source).test(said ?? "");
      },
      [answer.source],
    );
  }
  assert.deepEqual(complaints, []);
});

test("a lost connection is made again, and nothing is missed", LONG, async () => {
  await start();
  await page.getByText("Connected", { exact: true }).waitFor();
  const { contacts } = await control("contacts");
  await control(`contacts/${contacts[0].id}/drop-websockets`, {});
  await control(`contacts/${contacts[0].id}/say`, { content: "said meanwhile" });
  await item("widget-log", "said meanwhile").waitFor({ timeout: 30_000 });
  await say("#agent", "Answer", "said after");
  await item("widget-log", "said after").waitFor({ timeout: 30_000 });
  await page.getByText("Connected", { exact: true }).waitFor();
  assert.deepEqual((await texts("widget-log")).map((text) => text.split("\n").at(-1)), ["said meanwhile", "said after"]);
});

test("leaving the page ends the chat", async () => {
  await start();
  await page.getByText("Connected", { exact: true }).waitFor();
  await page.goto("about:blank");
  let contact;
  for (let tries = 0; tries < 100 && !contact?.ended; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    [contact] = (await control("contacts")).contacts;
  }
  assert.equal(contact.end_reason, "CUSTOMER_DISCONNECT");
});

test("a text reaches the agent, and the answer the phone, by every provider", { timeout: 120_000 }, async () => {
  const providers = await page.getByLabel("Provider").locator("option").allInnerTexts();
  assert.equal(providers.length, 11);
  for (const [index, provider] of providers.entries()) {
    const number = `+141555502${String(index).padStart(2, "0")}`;
    await page.getByLabel("Provider").selectOption({ label: provider });
    await page.getByLabel("My number").fill(number);
    await say("#phone", "Text", `Hello by ${provider}`);
    await page.getByText("The bridge answered 200").waitFor();
    const contacts = page.locator("#contacts button");
    await contacts.nth(index).waitFor();
    // The newest is the first.
    await contacts.first().click();
    await item("agent-log", `Hello by ${provider}`).waitFor();
    await say("#agent", "Answer", `Welcome to ${provider}`);
    await item("phone-log", `Welcome to ${provider}`).waitFor({ timeout: 30_000 });
  }
  assert.deepEqual(complaints, []);
});

test("who has written STOP is not texted, until START", LONG, async () => {
  await page.getByLabel("My number").fill("+14155550104");
  await say("#phone", "Text", "Hello");
  await item("agent-log", "Hello").waitFor();
  await page.getByRole("button", { name: "STOP", exact: true }).click();
  await page.locator("#phone-log").getByText("Opted out").waitFor();
  await say("#agent", "Answer", "Are you there?");
  await page.locator("#agent-log > li.theirs", { hasText: "[not delivered]" }).waitFor({ timeout: 30_000 });
  await page.getByRole("button", { name: "START", exact: true }).click();
  await page.locator("#phone-log").getByText("Opted in").waitFor();
  await say("#agent", "Answer", "Welcome back");
  await item("phone-log", "Welcome back").waitFor({ timeout: 30_000 });
  assert.deepEqual(complaints, []);
});

test("an answer waits for a provider that is out, and a long one comes in its order", LONG, async () => {
  await page.getByLabel("My number").fill("+14155550105");
  await say("#phone", "Text", "Hello");
  await item("agent-log", "Hello").waitFor();
  await fault("Provider throttles");
  await page.getByLabel("Sample").selectOption("Long text");
  await page.getByRole("button", { name: "Send sample" }).click();
  await page.waitForFunction(async () => {
    const { calls } = await (await fetch("/_local/calls")).json();
    return calls.some(({ operation, status }) => operation === "SendText" && status === 429);
  });
  assert.equal(await page.locator("#phone-log > li.theirs").count(), 0);
  await page.getByRole("button", { name: "Clear all" }).click();
  await item("phone-log", "Sentence 40 of 40").waitFor({ timeout: 40_000 });
  const received = (await texts("phone-log")).slice(1);
  assert.ok(received.length > 1);
  const sentences = received.join(" ").matchAll(/Sentence (\d+) of/g);
  const numbers = [...sentences].map(([, number]) => Number(number));
  assert.deepEqual(numbers, Array.from({ length: 40 }, (_, index) => index + 1));
  assert.deepEqual(complaints, []);
});

test("an origin that is not allowed is told so", async () => {
  await page.context().close();
  await open(OTHER);
  await start();
  const error = page.locator("#widget-error");
  await error.waitFor();
  assert.match(await error.innerText(), new RegExp(`does not allow this page's origin, ${OTHER}`));
  assert.equal(await page.locator("#widget-status").innerText(), "Not connected");
  assert.ok(await page.getByRole("button", { name: "Start a chat" }).isEnabled());
  assert.deepEqual((await control("contacts")).contacts, []);
  // The browser's own words, and no others.
  const isTheirs = (words) => /CORS policy|net::ERR_FAILED|403/.test(words);
  assert.ok(complaints.length > 0 && complaints.every(isTheirs), complaints.join("\n"));
});

async function fault(name) {
  const faults = page.locator("#faults");
  if ((await faults.getAttribute("open")) === null) await faults.locator("summary").click();
  await page.getByRole("button", { name }).click();
  await page.locator("#faults-on", { hasText: name }).waitFor();
}

for (const [name, expected, status] of [
  ["Throttle chat starts", /THROTTLED: .+ \(retry after \d s\)/, 429],
  ["Chat quota spent", /CHAT_QUOTA_EXCEEDED: .+ \(retry after 60 s\)/, 429],
  ["Connect outage", /CONNECT_UNAVAILABLE: .+/, 503],
  ["Participant outage", /.+/, 500],
]) {
  test(`with a fault the widget says why: ${name}`, { timeout: 60_000 }, async () => {
    await fault(name);
    await start();
    const error = page.locator("#widget-error");
    await error.waitFor({ timeout: 40_000 });
    assert.match(await error.locator("p").innerText(), expected);
    assert.equal(await page.locator("#widget-status").innerText(), "Not connected");
    // The browser's word of the status, and no other.
    const isTheirs = (words) => words.includes(`status of ${status}`);
    assert.ok(complaints.length > 0 && complaints.every(isTheirs), complaints.join("\n"));
    await page.getByRole("button", { name: "Clear all" }).click();
    await page.waitForFunction(() => document.getElementById("faults-on").textContent === "");
    await error.getByRole("button", { name: "Retry" }).click();
    await page.getByText("Connected", { exact: true }).waitFor();
    assert.ok(await error.isHidden());
  });
}

test("by keyboard alone, on a phone's screen, in the dark", async () => {
  await page.context().close();
  await open(PAGE, { viewport: { width: 390, height: 844 }, colorScheme: "dark", reducedMotion: "reduce" });
  const fits = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  assert.ok(fits, "nothing is wider than the screen");
  await page.getByLabel("Your name").focus();
  await page.keyboard.press("Enter");
  await page.getByText("Connected", { exact: true }).waitFor();
  // The cursor is where the visitor goes on.
  assert.equal(await page.evaluate(() => document.activeElement.id), "widget-text");
  await page.keyboard.type("by keyboard");
  await page.keyboard.press("Enter");
  await item("agent-log", "by keyboard").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.locator("#widget-status", { hasText: "The chat has ended" }).waitFor();
  const unnamed = await page.evaluate(() => {
    const fields = [...document.querySelectorAll("input, select, textarea")];
    return fields.filter((field) => !field.labels?.length).map(({ id }) => id);
  });
  assert.deepEqual(unnamed, []);
  assert.deepEqual(complaints, []);
});

// Last, since it is the picture of the README.
test("all three panes", LONG, async () => {
  await page.setViewportSize({ width: 1200, height: 800 });
  await start("Jane");
  await page.getByText("Connected", { exact: true }).waitFor();
  await say("#widget", "Message", "Hello, is my order on its way?");
  await item("agent-log", "is my order on its way?").waitFor();
  await say("#agent", "Answer", "It is: until Monday.");
  await item("widget-log", "until Monday").waitFor();
  await page.getByLabel("My number").fill("+14155550106");
  await say("#phone", "Text", "Hi, can I move my appointment?");
  await page.locator("#contacts button", { hasText: "sms" }).click();
  await item("agent-log", "can I move my appointment?").waitFor();
  await page.locator("#contact details summary").click();
  await page.getByLabel("Sample").selectOption("Time picker");
  await page.getByRole("button", { name: "Send sample" }).click();
  await item("phone-log", "Schedule appointment").waitFor({ timeout: 30_000 });
  await page.evaluate(() => document.activeElement.blur());
  await page.screenshot({ path: `${SCREENSHOTS}/page.png` });
  assert.deepEqual(complaints, []);
});
