// The page of `make dev` in a real browser: `node --test browser.mjs`.
// PAGE and OTHER are the page at an origin that may call the bridge and at one that may not, ALONE is one without a bridge,
// OWN is the page of docs/widget.md at an origin of its own, LOCAL the stand-in of PAGE, CHROMIUM the browser, SCREENSHOTS a folder.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";

const { PAGE, OTHER, ALONE, OWN, LOCAL, CHROMIUM, SCREENSHOTS } = process.env;
const LONG = { timeout: 45_000 };
const OUTAGE = { status: 500, type: "InternalServerException" };

let browser;
let page;
let complaints;
let websockets;

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
  websockets = [];
  page.on("websocket", (websocket) => websockets.push(websocket));
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

/** Waits until something that is asked for is so, and returns it. */
async function until(ask) {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(Date.now() < deadline, `never: ${ask}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** How many calls of an operation were answered with this status. */
async function answered(operation, status) {
  const { calls } = await control("calls");
  return calls.filter((call) => call.operation === operation && call.status === status).length;
}

const item = (log, text) => page.locator(`#${log} > li`, { hasText: text });

async function start(name = "Jo") {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Start a chat" }).click();
}

/** A chat that is on: "Connected" is said as soon as there is a token, "joined" once Connect has seen the websocket. */
async function connect(name = "Jo") {
  await start(name);
  await page.getByText("Connected", { exact: true }).waitFor();
  for (const log of ["widget-log", "agent-log"]) await item(log, `${name} joined`).waitFor();
}

async function say(pane, label, text) {
  const field = page.locator(pane).getByLabel(label, { exact: true });
  await field.fill(text);
  await field.press("Enter");
}

/** What a log shows, without what only a screen reader is told. */
const texts = async (log) => {
  const all = await page.locator(`#${log} > li:not(.event)`).allInnerTexts();
  return all.map((text) => text.replace(/^You:\s*/, ""));
};

test("a chat from start to end", async () => {
  await connect("Jo");
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
  await item("agent-log", "The chat was transferred").waitFor();
  await say("#agent", "Answer", "Now it is me");
  await item("widget-log", "Now it is me").waitFor();

  await page.locator("#widget").getByRole("button", { name: "End chat" }).click();
  await page.locator("#widget-status", { hasText: "The chat has ended" }).waitFor();
  const { contacts } = await control("contacts");
  assert.deepEqual(contacts.map(({ end_reason }) => end_reason), ["CUSTOMER_DISCONNECT"]);
  assert.deepEqual(contacts[0].attributes, { channel: "web", page: "/", customerName: "Jo" });
  assert.ok(await page.getByLabel("Message").isDisabled());
  assert.deepEqual(complaints, []);
});

test("the agent ends a chat, and the next one starts", async () => {
  await connect();
  await say("#agent", "Answer", "Good bye");
  await item("widget-log", "Good bye").waitFor();
  await page.locator("#agent").getByRole("button", { name: "End chat" }).click();
  await page.locator("#widget-status", { hasText: "The chat has ended" }).waitFor();
  await connect("Second");
  await page.locator("#contact-title", { hasText: "Second" }).waitFor();
  assert.deepEqual(complaints, []);
});

/** A text from this number, and the contact that it is shown in. */
async function texter(number) {
  await control("phone/send", { account: "twilio", from: number, to: "+12025550100", text: "Hello" });
  await listed(number).waitFor();
  const { contacts } = await control("contacts");
  return contacts.findLast((contact) => contact.display_name === number).id;
}

const [FIRST, SECOND, THIRD, FOURTH] = [1, 2, 3, 4].map((digit) => `+1415555030${digit}`);
const listed = (number) => page.locator("#contacts button", { hasText: number });
const isChosen = async (number) => assert.equal(await page.locator("#contact-title").innerText(), number);

test("the agent stays with a contact that is over, until a new one comes", LONG, async () => {
  const first = await texter(FIRST);
  await texter(SECOND);
  await isChosen(FIRST);
  await listed(SECOND).click();
  await listed(FIRST).click();
  await control(`contacts/${first}/end`, {});
  await page.locator("#agent-end:disabled").waitFor();
  await texter(SECOND);
  await listed(SECOND).getByText(", new").waitFor();
  await isChosen(FIRST);
  await texter(THIRD);
  await page.locator("#contact-title", { hasText: THIRD }).waitFor();
  await texter(FOURTH);
  await isChosen(THIRD);
  assert.deepEqual(complaints, []);
});

test("what the agent writes stays with its contact", LONG, async () => {
  const answer = page.getByLabel("Answer", { exact: true });
  const first = await texter(FIRST);
  await texter(SECOND);
  await answer.fill("for the first");
  await listed(SECOND).click();
  assert.equal(await answer.inputValue(), "");
  await answer.fill("for the second");
  await listed(FIRST).click();
  assert.equal(await answer.inputValue(), "for the first");
  await answer.press("Enter");
  await item("agent-log", "for the first").waitFor();

  // What fails after the agent has turned to another goes back to whom it was for.
  let fail;
  await page.route(`**/contacts/${first}/say`, (route) => (fail = () => route.abort()), { times: 1 });
  await answer.fill("once more for the first");
  await answer.press("Enter");
  await listed(SECOND).click();
  await until(() => fail);
  fail();
  await page.getByText(`Not done for ${FIRST}: `).waitFor();
  assert.equal(await answer.inputValue(), "for the second");
  await listed(FIRST).click();
  assert.equal(await answer.inputValue(), "once more for the first");
  await answer.press("Enter");
  await item("agent-log", "once more for the first").waitFor();
  assert.equal(await answer.inputValue(), "");
  await listed(SECOND).click();
  assert.equal(await answer.inputValue(), "for the second");
  assert.equal(await page.locator("#agent-log > li.mine").count(), 0);

  // Nor is it for the next one where all contacts are forgotten.
  await control("reset", {});
  await texter(THIRD);
  await page.locator("#contact-title", { hasText: THIRD }).waitFor();
  assert.equal(await answer.inputValue(), "");
  assert.ok(complaints.length === 1 && complaints[0].includes("net::ERR_FAILED"), complaints.join("\n"));
});

test("every interactive message can be answered", async () => {
  await connect();
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
  const choices = page.locator("#widget-log .choices button");
  const disabled = () => choices.evaluateAll((all) => all.map((button) => button.disabled));
  // One pick is all.
  const before = await disabled();
  assert.ok(before.length > 8 && !before.includes(false));
  const picked = await page.locator("#widget-log .choices [aria-pressed=true]").allInnerTexts();
  assert.deepEqual(picked.slice(1), ["Talk to an agent", "Cancellation", "Book hotels"]);
  await page.getByLabel("Sample").selectOption("Panel");
  await page.getByRole("button", { name: "Send sample" }).click();
  await page.locator("#widget-log .choices button:enabled").first().waitFor();
  await page.locator("#agent-end").click();
  await page.locator("#widget-status", { hasText: "The chat has ended" }).waitFor();
  assert.ok(!(await disabled()).includes(false));
  assert.deepEqual(complaints, []);
});

test("a lost connection is made again, and nothing is missed", LONG, async () => {
  await connect();
  const before = websockets.length;
  assert.ok(!websockets.at(-1).isClosed());
  const { contacts } = await control("contacts");
  await control(`contacts/${contacts[0].id}/drop-websockets`, {});
  await control(`contacts/${contacts[0].id}/say`, { content: "said meanwhile" });
  await item("widget-log", "said meanwhile").waitFor({ timeout: 30_000 });
  assert.deepEqual(websockets.map((websocket) => websocket.isClosed()), [...Array(before).fill(true), false]);
  await say("#agent", "Answer", "said after");
  await item("widget-log", "said after").waitFor({ timeout: 30_000 });
  await page.getByText("Connected", { exact: true }).waitFor();
  assert.deepEqual((await texts("widget-log")).map((text) => text.split("\n").at(-1)), ["said meanwhile", "said after"]);
});

/** The customer has left the only chat there is. */
async function left() {
  const contact = await until(async () => (await control("contacts")).contacts.find(({ ended }) => ended));
  assert.equal(contact.end_reason, "CUSTOMER_DISCONNECT");
}

test("leaving the page ends the chat", async () => {
  await connect();
  await page.goto("about:blank");
  await left();
});

test("a chat that is left while it is made is ended when it is", async () => {
  await control("faults", { operation: "CreateParticipantConnection", fault: { delay_ms: 2000 } });
  await start();
  await page.getByText("Connecting …").waitFor();
  await page.locator("#widget").getByRole("button", { name: "End chat" }).click();
  await page.getByText("The chat has ended", { exact: true }).waitFor();
  assert.equal((await control("contacts")).contacts[0].ended, false);
  await left();
  assert.equal(await page.locator("#widget-status").innerText(), "The chat has ended");
  assert.deepEqual(complaints, []);
});

test("a chat that was given up is ended when the network is back", { timeout: 90_000 }, async () => {
  let isOut = false;
  await page.routeWebSocket(/^ws:/, (websocket) => (isOut ? websocket.close() : websocket.connectToServer()));
  await page.route("**/participant/disconnect", (route) => (isOut ? route.abort() : route.continue()));
  await page.clock.install();
  await page.reload();
  await connect();
  isOut = true;
  const { contacts } = await control("contacts");
  await control(`contacts/${contacts[0].id}/drop-websockets`, {});
  await page.getByText("Connection lost, reconnecting …").waitFor();
  const refused = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/participant/disconnect"));
  await page.clock.fastForward(30_000);
  await page.locator("#widget-error", { hasText: "not made again within 30 s" }).waitFor();
  await refused;
  assert.equal((await control("contacts")).contacts[0].ended, false);
  isOut = false;
  await page.clock.fastForward(60_000);
  await left();
  assert.equal(await page.locator("#widget-status").innerText(), "Not connected");
});

test("what was not sent can be sent again, once", async () => {
  const error = page.locator("#widget-error");
  const field = page.getByLabel("Message");
  const isTheirs = (words) => words.includes("status of 500");
  const fail = () => control("faults", { operation: "SendMessage", fault: { ...OUTAGE, times: 3 } });
  await connect();
  for (const again of [() => error.getByRole("button", { name: "Retry" }).click(), () => field.press("Enter")]) {
    await fail();
    await say("#widget", "Message", "Hello");
    await error.getByText("Not sent: InternalServerException").waitFor();
    assert.equal(await field.inputValue(), "Hello");
    await again();
    await error.waitFor({ state: "hidden" });
    await page.waitForFunction(() => document.getElementById("widget-text").value === "");
  }
  await item("agent-log", "Hello").nth(1).waitFor();
  assert.equal(await item("agent-log", "Hello").count(), 2);

  await fail();
  await say("#widget", "Message", "Too late");
  await error.getByText("Not sent: ").waitFor();
  await page.locator("#agent").getByRole("button", { name: "End chat" }).click();
  await page.locator("#widget-status", { hasText: "The chat has ended" }).waitFor();
  assert.ok(await error.isHidden(), "nothing is left to retry");
  assert.ok(complaints.length > 0 && complaints.every(isTheirs), complaints.join("\n"));
});

test("an answer that comes after the end changes nothing", async () => {
  await connect();
  await control("faults", { operation: "SendMessage", fault: { ...OUTAGE, delay_ms: 1500 } });
  await control("faults", { operation: "SendMessage", fault: { ...OUTAGE, times: 2 } });
  await say("#widget", "Message", "Hello");
  await page.locator("#agent").getByRole("button", { name: "End chat" }).click();
  await page.locator("#widget-status", { hasText: "The chat has ended" }).waitFor();
  await until(async () => (await answered("SendMessage", 500)) === 3);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(await page.locator("#widget-error").isHidden());
  assert.equal(await page.getByLabel("Message").inputValue(), "");
});

test("markdown is emphasis at the edges of words only", async () => {
  await connect();
  const { contacts } = await control("contacts");
  let index = 0;
  for (const [content, html] of [
    ["*a* and **b** and _c_ and __d__.", "<em>a</em> and <strong>b</strong> and <em>c</em> and <strong>d</strong>."],
    ["***e*** and **f *g* h**", "<strong><em>e</em></strong> and <strong>f <em>g</em> h</strong>"],
    ["snake_case_words, 2*3*4 and 2 * 3 * 4", "snake_case_words, 2*3*4 and 2 * 3 * 4"],
    ["Name: ____ and ****", "Name: ____ and ****"],
    ["_snake_case_ 这是**重要**的 `a*b*c`", "<em>snake_case</em> 这是<strong>重要</strong>的 <code>a*b*c</code>"],
  ]) {
    await control(`contacts/${contacts[0].id}/say`, { content_type: "text/markdown", content });
    for (const log of ["widget-log", "agent-log"]) {
      const shown = page.locator(`#${log} > li:not(.event)`);
      await shown.nth(index).waitFor();
      assert.equal(await shown.nth(index).locator("p").innerHTML(), html, log);
    }
    index += 1;
  }
});

test("a text reaches the agent, and the answer the phone, by every provider", { timeout: 240_000 }, async () => {
  const providers = await page.getByLabel("Provider").locator("option").allInnerTexts();
  assert.ok(providers.length > 1);
  for (const [index, provider] of providers.entries()) {
    const number = `+141555502${String(index).padStart(2, "0")}`;
    await page.getByLabel("Provider").selectOption({ label: provider });
    await page.getByLabel("My number").fill(number);
    await say("#phone", "Text", `Hello by ${provider}`);
    await page.getByText("The bridge answered 200").waitFor();
    const contacts = page.locator("#contacts button");
    await contacts.nth(index).waitFor();
    // The newest is the first; the list may be drawn again while it is clicked.
    await until(async () => {
      await contacts.first().click();
      return item("agent-log", `Hello by ${provider}`).isVisible();
    });
    await say("#agent", "Answer", `Welcome to ${provider}`);
    await item("phone-log", `Welcome to ${provider}`).waitFor({ timeout: 30_000 });
  }
  assert.deepEqual(complaints, []);
});

test("choices are buttons on WhatsApp and numbers on SMS", { timeout: 90_000 }, async () => {
  const offer = async (provider, number, sample, shown) => {
    await page.getByLabel("Provider").selectOption({ label: provider });
    await page.getByLabel("My number").fill(number);
    await say("#phone", "Text", `Hello by ${provider}`);
    const contact = page.locator("#contacts button", { hasText: provider.split(", ").at(-1).toLowerCase() });
    await contact.first().click();
    await item("agent-log", `Hello by ${provider}`).waitFor();
    await page.getByLabel("Sample").selectOption(sample);
    await page.getByRole("button", { name: "Send sample" }).click();
    await item("phone-log", shown).waitFor({ timeout: 30_000 });
    return item("phone-log", shown);
  };
  const chosen = (text) => page.locator("#agent-log > li.theirs", { hasText: text });

  const slots = await offer("Meta, WhatsApp", "+14155550161", "Time picker", "Schedule appointment");
  assert.equal(await slots.locator(".choices button").count(), 3);
  assert.ok(!(await slots.innerText()).includes("Reply with your choice."));
  await slots.locator(".choices button").nth(1).click();
  // What a bot gets: the slot's own date.
  await chosen(/\d{4}-\d\d-\d\dT13:00\+00:00/).waitFor();

  const departments = await offer("Twilio, SMS", "+14155550162", "Quick reply", "Which department would you like?");
  assert.equal(await departments.locator("button").count(), 0);
  assert.ok((await departments.innerText()).includes("1. Billing\n2. Cancellation\n3. New service\nReply with your choice."));
  await say("#phone", "Text", "2");
  await chosen("Cancellation").waitFor();
  assert.equal(await chosen(/^2$/).count(), 0);
  assert.deepEqual(complaints, []);
});

test("who has written STOP is not texted, until START", LONG, async () => {
  await page.getByLabel("My number").fill("+14155550104");
  await say("#phone", "Text", "Hello");
  await item("agent-log", "Hello").waitFor();
  await page.getByRole("button", { name: "STOP", exact: true }).click();
  await item("phone-log", "taken. Opted out: the agent's answers are not texted until START.").waitFor();
  await item("agent-log", "[opted out]").waitFor({ timeout: 30_000 });
  await say("#agent", "Answer", "Are you there?");
  await page.locator("#agent-log > li.theirs", { hasText: "[not delivered]" }).waitFor({ timeout: 30_000 });
  await page.getByRole("button", { name: "START", exact: true }).click();
  await item("phone-log", "taken. Opted in again.").waitFor();
  await item("agent-log", "[opted in]").waitFor({ timeout: 30_000 });
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
  await until(() => answered("SendText", 429));
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

test("a number is understood as it is typed", async () => {
  const from = page.getByLabel("My number");
  const other = page.locator("#phone-to");
  for (const [typed, number] of [
    ["1 (415) 555-0110", "+14155550110"],
    ["0014155550111", "+14155550111"],
    [" +1 415.555.0112 ", "+14155550112"],
  ]) {
    await from.fill(typed);
    await other.fill("12025550100");
    await say("#phone", "Text", `Hello from ${number}`);
    await page.locator("#phone-log > li.mine", { hasText: "taken" }).waitFor();
    const sent = (await control("phone/texts")).texts.at(-1);
    assert.deepEqual([sent.phone, sent.business], [number, "+12025550100"]);
    assert.equal(await from.inputValue(), number);
    await page.locator("#contacts button", { hasText: number }).waitFor();
  }
  await from.fill("0415 555 0113");
  await say("#phone", "Text", "Hello");
  const error = page.locator("#phone-error");
  await error.getByText("from must be a telephone number with its country's code").waitFor();
  assert.equal(await page.locator("#phone-text").inputValue(), "Hello");
  await from.fill("+14155550113");
  await say("#phone", "Text", "Hello again");
  await page.locator("#phone-log > li.mine", { hasText: "taken" }).waitFor();
  assert.ok(await error.isHidden());
});

test("a text that was not taken can be sent again, once", async () => {
  let isOut = true;
  await page.route("**/_local/phone/send", (route) => (isOut ? route.abort() : route.continue()));
  await say("#phone", "Text", "Hello");
  const error = page.locator("#phone-error");
  await error.getByText("Not taken: ").waitFor();
  assert.equal(await page.locator("#phone-text").inputValue(), "Hello");
  isOut = false;
  await error.getByRole("button", { name: "Retry" }).click();
  await page.locator("#phone-log > li.mine", { hasText: "taken" }).waitFor();
  assert.ok(await error.isHidden());
  assert.equal(await page.locator("#phone-text").inputValue(), "");
  assert.equal((await control("phone/texts")).texts.length, 1);
});

test("a text that nobody answers says so", async () => {
  await page.context().close();
  await open(ALONE);
  await page.getByRole("button", { name: "STOP", exact: true }).click();
  await page.locator("#phone-error").getByText("Not taken: the bridge can't be reached: ").waitFor();
  await page.locator("#phone-log > li.mine small").getByText("no answer", { exact: true }).waitFor();
  assert.deepEqual(await texts("phone-log"), ["STOP\nno answer"]);
});

test("a new text leaves those before it, and what is being read, where they are", async () => {
  const log = page.locator("#phone-log");
  const top = () => log.evaluate((one) => one.scrollTop);
  const distance = () => log.evaluate((one) => one.scrollHeight - one.clientHeight - one.scrollTop);
  const long = (name) => `${name}\n${"line\n".repeat(12)}end`;
  const write = async (name) => {
    await page.locator("#phone-text").fill(long(name));
    await page.locator("#phone-say .primary").click();
    await page.locator("#phone-log > li.mine", { hasText: name }).getByText("taken").waitFor();
  };
  for (const name of ["One", "Two", "Three"]) {
    await write(name);
    assert.ok((await distance()) < 2, `${name}: the end is shown`);
  }
  await log.evaluate((one) => {
    one.scrollTop = 10;
    for (const row of one.children) row.dataset.seen = "";
  });
  await write("Four");
  assert.equal(await top(), 10);
  assert.equal(await page.locator("#phone-log > [data-seen]").count(), 3);
  await page.locator("#phone-to").fill("+12025550199");
  assert.equal(await page.locator("#phone-log > [data-seen]").count(), 3);
  await page.getByLabel("My number").fill("+14155550199");
  assert.deepEqual(await texts("phone-log"), []);
  await page.getByLabel("My number").fill("+14155550123");
  assert.deepEqual((await texts("phone-log")).map((text) => text.split("\n")[0]), ["One", "Two", "Three", "Four"]);
  assert.ok((await distance()) < 2);
  assert.deepEqual(complaints, []);
});

test("without an account the phone says so, and the rest works", async () => {
  await page.route("**/_local/config", async (route) => {
    const config = await (await route.fetch()).json();
    await route.fulfill({ json: { ...config, accounts: [] } });
  });
  await page.reload();
  await page.getByText("No account to text by: run make dev").waitFor();
  for (const control of await page.locator("#phone").locator("input, select, textarea, button:visible").all()) {
    assert.ok(await control.isDisabled());
  }
  await connect();
  await say("#agent", "Answer", "Hello");
  await item("widget-log", "Hello").waitFor();
  assert.deepEqual(complaints, []);
  await control("reset", {});
  await page.locator("#contacts-none").waitFor();
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
  ["Participant outage", /^InternalServerException by fault plan$/, 500],
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

test("of faults of one operation the newest counts", { timeout: 120_000 }, async () => {
  const error = page.locator("#widget-error p");
  for (const [name, on, said] of [
    ["Connect outage", "on: Connect outage", /^CONNECT_UNAVAILABLE: /],
    ["Provider throttles", "on: Connect outage, Provider throttles", /^CONNECT_UNAVAILABLE: /],
    ["Chat quota spent", "on: Chat quota spent, Provider throttles", /^CHAT_QUOTA_EXCEEDED: /],
    ["Throttle chat starts", "on: Throttle chat starts, Provider throttles", /^THROTTLED: /],
  ]) {
    await fault(name);
    await page.getByText(on, { exact: true }).waitFor();
    const pressed = await page.locator("#faults [aria-pressed=true]").allInnerTexts();
    assert.equal(`on: ${pressed.join(", ")}`, on);
    await start();
    await error.filter({ hasText: said }).waitFor({ timeout: 30_000 });
  }
});

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
  for (const name of ["Chat", "Transcript", "Texts"]) {
    const log = page.getByRole("list", { name, exact: true });
    assert.equal(await log.getAttribute("aria-live"), "polite");
    if (name !== "Texts") assert.ok(await log.getByRole("listitem").count());
  }
  assert.deepEqual(complaints, []);
});

test("long names and ids, and all faults, stay in their panes", async () => {
  const long = "x".repeat(200);
  const { functions } = await control("config");
  for (const [viewport, width] of [[{ width: 390, height: 844 }, "a phone's"], [{ width: 1200, height: 500 }, "a low"]]) {
    const Attributes = { [`key_${long}`]: long };
    const body = JSON.stringify({ ParticipantDetails: { DisplayName: long }, Attributes });
    await fetch(`${functions}/chat`, { method: "POST", body });
    await page.setViewportSize(viewport);
    await page.locator("#contact-title", { hasText: long }).waitFor();
    for (const details of ["#faults", "#contact details"]) await page.locator(details).evaluate((one) => (one.open = true));
    const wide = await page.evaluate(() =>
      [document.documentElement, ...document.querySelectorAll("section, #contact, dl")]
        .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
        .map(({ localName, id }) => `${localName}#${id}`),
    );
    assert.deepEqual(wide, [], `wider than ${width} screen`);
    const end = page.locator("#agent-end");
    await end.scrollIntoViewIfNeeded();
    const [button, pane] = [await end.boundingBox(), await page.locator("#agent").boundingBox()];
    assert.ok(button.y + button.height <= pane.y + pane.height, `below its pane on ${width} screen`);
  }
});

const rows = (text) => page.locator("#bridge-rows > li", { hasText: text });

test("the bridge is seen at work: a text that is throttled, then delivered", { timeout: 90_000 }, async () => {
  await fault("Throttle chat starts");
  await page.getByLabel("My number").fill("+14155550140");
  await say("#phone", "Text", "Hello");
  const row = rows("POST /sms/").first();
  await row.getByText("verified").waitFor();
  await row.getByText("queued").waitFor();
  await row.getByText("delivery waits").waitFor({ timeout: 30_000 });
  await row.getByText(/THROTTLED.* · next try (in \d+ s|now)/).waitFor();
  const bubble = page.locator("#phone-log > li.mine small");
  await bubble.getByText(/^waits: THROTTLED/).waitFor();
  await page.getByRole("button", { name: "Clear all" }).click();
  await row.getByText("delivered", { exact: false }).waitFor({ timeout: 60_000 });
  await row.getByText(/\d tries/).waitFor();
  await bubble.getByText("taken", { exact: true }).waitFor();
  assert.match(await row.locator(".steps").innerText(), /verified \d+ ms[\s→]+queued[\s→]+delivered \d+ ms/);

  // A reply, and a chat of another customer; the rows of one contact alone.
  await say("#agent", "Answer", "Hi there");
  await rows("Reply by Agent").first().getByText("sent").waitFor({ timeout: 30_000 });
  await start("Jo");
  await page.getByText("Connected", { exact: true }).waitFor();
  await rows("POST /chat").first().waitFor();
  await listed("+14155550140").click();
  await page.getByText("only +14155550140").waitFor();
  assert.equal(await rows("POST /chat").count(), 0);
  assert.ok((await rows("Reply by Agent").count()) >= 1);
  assert.equal(await rows("POST /sms/").count(), 1);
  await page.getByRole("button", { name: "Show all" }).click();
  await rows("POST /chat").first().waitFor();
  assert.deepEqual(complaints, []);
});

test("an own page at another origin talks to the agent", async () => {
  await page.context().close();
  const context = await browser.newContext();
  page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(OWN);
  await page.getByRole("button", { name: "Chat with us" }).click();
  await page.getByText("Connected", { exact: true }).waitFor();
  await page.getByLabel("Message").fill("Hello from my own page");
  await page.getByLabel("Message").press("Enter");
  const contact = await until(async () => {
    const { contacts } = await control("contacts");
    return contacts.find(({ transcript }) => transcript.some(({ content }) => content === "Hello from my own page"));
  });
  await control(`contacts/${contact.id}/say`, { content: "Welcome" });
  await page.getByText("Agent: Welcome").waitFor();
  await control(`contacts/${contact.id}/end`, {});
  await page.getByText("The chat has ended").waitFor();
  assert.deepEqual(errors, []);
});

test("chatjs that was pointed at the bridge is told so", async () => {
  const { functions } = await control("config");
  const before = (await control("contacts")).contacts.length;
  const response = await fetch(`${functions}/participant/connection`, { method: "POST", body: "{}" });
  assert.equal(response.status, 404);
  assert.match((await response.json()).error.message, /setGlobalConfig/);
  assert.equal((await control("contacts")).contacts.length, before);
});

const atTheEnd = (log) => page.locator(`#${log}`).evaluate((one) => one.scrollHeight - one.clientHeight - one.scrollTop < 2);

test("the newest words stay in view whatever takes their room", async () => {
  await connect();
  for (let number = 0; number < 12; number += 1) {
    await say("#agent", "Answer", `Sentence ${number} that takes some room`);
    await item("widget-log", `Sentence ${number} `).waitFor();
  }
  const log = page.locator("#agent-log");
  const height = () => log.evaluate((one) => one.clientHeight);
  const before = await height();
  await page.locator("#contact details summary").click();
  await until(async () => (await height()) < before);
  await until(() => atTheEnd("agent-log"));
  await page.setViewportSize({ width: 1200, height: 640 });
  for (const one of ["agent-log", "widget-log"]) await until(() => atTheEnd(one));
  // Who has scrolled up stays there.
  await log.evaluate((one) => new Promise((resolve) => {
    one.addEventListener("scroll", () => requestAnimationFrame(resolve), { once: true });
    one.scrollTop = 0;
  }));
  await page.setViewportSize({ width: 1200, height: 820 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(await log.evaluate((one) => one.scrollTop), 0);
});

test("a list inside a bubble is a list", async () => {
  await connect();
  await page.getByLabel("Sample").selectOption("Markdown");
  await page.getByRole("button", { name: "Send sample" }).click();
  for (const log of ["widget-log", "agent-log"]) {
    const entry = page.locator(`#${log} li li`).first();
    await entry.waitFor();
    assert.deepEqual(
      await entry.evaluate((one) => [getComputedStyle(one).backgroundColor, getComputedStyle(one).padding]),
      ["rgba(0, 0, 0, 0)", "0px"],
    );
  }
});

test("after a reload the newest contact is shown", LONG, async () => {
  await texter(FIRST);
  await texter(SECOND);
  await isChosen(FIRST);
  await page.reload();
  await page.locator("#contact-title", { hasText: SECOND }).waitFor();
  await isChosen(SECOND);
});

test("customers and senders have names that say something", LONG, async () => {
  for (const [provider, number] of [
    ["Meta, WhatsApp", "+14155550151"],
    ["AWS End User Messaging, WhatsApp", "+14155550152"],
  ]) {
    await page.getByLabel("Provider").selectOption({ label: provider });
    await page.getByLabel("My number").fill(number);
    await say("#phone", "Text", "Hello");
    await page.locator("#contacts button", { hasText: `Customer ${number.slice(-4)}` }).click();
    await say("#agent", "Answer", "Welcome");
    const sender = page.locator("#phone-log > li.theirs small").first();
    await sender.waitFor({ timeout: 30_000 });
    assert.match(await sender.innerText(), new RegExp(`^${provider.split(",")[0]} · text 1`));
  }
});

test("errors look alike, and a chat's end leaves the focus where one goes on", async () => {
  await connect();
  await page.route("**/participant/message", (route) => route.abort());
  await page.route("**/_local/phone/send", (route) => route.abort());
  await page.route("**/say", (route) => route.abort());
  await say("#widget", "Message", "Hello");
  await say("#phone", "Text", "Hello");
  await say("#agent", "Answer", "Hello");
  const looks = [];
  for (const pane of ["widget", "phone", "agent"]) {
    await page.locator(`#${pane}-error`).waitFor();
    const look = page.locator(`#${pane}-error`);
    looks.push(await look.evaluate((one) => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor].join()));
  }
  assert.equal(new Set(looks).size, 1);
  await page.locator("#widget-text").focus();
  const { contacts } = await control("contacts");
  await control(`contacts/${contacts[0].id}/end`, {});
  await page.locator("#widget-status", { hasText: "The chat has ended" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Start a chat");
});

test("an agent can answer once the customer is connected", LONG, async () => {
  await control("faults", { operation: "CreateParticipantConnection", fault: { delay_ms: 3000 } });
  await start("Jo");
  const answer = page.getByLabel("Answer", { exact: true });
  await page.locator("#contact-title", { hasText: "Jo" }).waitFor();
  assert.ok(await answer.isDisabled());
  assert.equal(await answer.getAttribute("placeholder"), "The customer is not connected yet");
  await say("#agent", "Answer", "Welcome");
  await item("widget-log", "Welcome").waitFor();
  assert.equal(await answer.getAttribute("placeholder"), "");
  assert.deepEqual(complaints, []);
});

test("who speaks and who types is told", async () => {
  await connect("Jo");
  await page.locator("#widget-text").pressSequentially("Hel");
  await page.locator("#agent-typing", { hasText: "Jo is typing …" }).waitFor();
  await say("#widget", "Message", "Hello");
  await item("agent-log", "Hello").waitFor();
  await page.locator("#agent-typing:empty").waitFor({ state: "attached" });
  const mine = page.locator("#widget-log > li.mine", { hasText: "Hello" });
  assert.equal(await mine.evaluate((one) => one.textContent), "You: Hello");
});

for (const [name, viewport, colorScheme] of [
  ["1280x800", { width: 1280, height: 800 }, "light"],
  ["1280x800-dark", { width: 1280, height: 800 }, "dark"],
  ["1024x768", { width: 1024, height: 768 }, "light"],
  ["390x844", { width: 390, height: 844 }, "light"],
]) {
  test(`the page at ${name}`, LONG, async () => {
    await page.context().close();
    await open(PAGE, { viewport, colorScheme });
    await furnish();
    const narrow = await page.evaluate(() =>
      [...document.querySelectorAll(".log")].filter((log) => log.clientHeight < 180).map(({ id }) => `${id} is low`),
    );
    const wide = await page.evaluate(() =>
      [document.documentElement, ...document.querySelectorAll("section, button:not([hidden])")]
        .filter(({ scrollWidth, clientWidth }) => clientWidth && scrollWidth > clientWidth + 1)
        .map(({ id, textContent }) => id || textContent),
    );
    assert.deepEqual([...narrow, ...wide], []);
    await page.evaluate(() => document.activeElement.blur());
    await page.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
    await page.screenshot({ path: `${SCREENSHOTS}/page-${name}.png`, fullPage: viewport.width < 900 });
    assert.deepEqual(complaints, []);
  });
}

/** A chat, a text, and answers to both. */
async function furnish() {
  await connect("Jane");
  await say("#widget", "Message", "Hello, is my order on its way?");
  await item("agent-log", "is my order on its way?").waitFor();
  await say("#agent", "Answer", "It is: until Monday.");
  await item("widget-log", "until Monday").waitFor();
  await page.getByLabel("My number").fill("+14155550106");
  await say("#phone", "Text", "Hi, can I move my appointment?");
  await page.locator("#contacts button", { hasText: "sms" }).click();
  await page.getByRole("button", { name: "Show all" }).click();
  await item("agent-log", "can I move my appointment?").waitFor();
  await page.getByLabel("Sample").selectOption("Time picker");
  await page.getByRole("button", { name: "Send sample" }).click();
  await item("phone-log", "Schedule appointment").waitFor({ timeout: 30_000 });
  await rows("Reply by Agent").first().getByText("sent").waitFor();
}
