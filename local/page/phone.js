// A telephone. Its texts are signed by the stand-in, which has the accounts' secrets, and posted to the bridge.

import { outcome } from "./bridge.js";
import { append, change, control, empty, make, sendOnEnter, speaker } from "./render.js";

const by = (id) => document.getElementById(`phone-${id}`);
const STOP = /^\s*(stop|stopall|unsubscribe)\s*$/i;
const START = /^\s*(start|unstop)\s*$/i;
const CHANNELS = { sms: "SMS", whatsapp: "WhatsApp" };

/** A number as it is typed, `1 (415) 555-0123` or `0014155550123`, in E.164. A short code stays what it is. */
function e164(typed) {
  const digits = typed.replaceAll(/[\s().\-/]/g, "").replace(/^00/, "+");
  return /^[1-9]\d{6,}$/.test(digits) ? `+${digits}` : digits;
}

export function phone(accounts) {
  const [account, from, to, log, status, failure, say, text] =
    ["account", "from", "to", "log", "status", "error", "say", "text"].map(by);
  const [message, retry] = failure.children;
  let texts = new Map();
  let rows = new Map();
  /** What the bridge does with a text, by the text's id. */
  let ways = new Map();
  let last = 0;

  for (const { name, provider, channels } of accounts) {
    for (const channel of channels) {
      const isOne = accounts.filter((other) => other.provider === provider).length === 1;
      const label = `${provider}, ${CHANNELS[channel]}${isOne ? "" : ` (${name})`}`;
      account.append(make("option", { value: JSON.stringify({ account: name, channel }) }, label));
    }
  }
  if (!accounts.length) {
    account.append(make("option", {}, "no accounts"));
    status.textContent = "No account to text by: run make dev, with settings (BRIDGE_SETTINGS) that have one.";
    for (const field of [account, from, to, ...say.elements]) field.disabled = true;
    return {};
  }

  function thread() {
    return { ...JSON.parse(account.value), phone: e164(from.value) };
  }

  /** The texts of the chosen provider and number. */
  function draw() {
    rows = new Map();
    last = 0;
    empty(log);
    for (const one of texts.values()) show(one);
  }

  /** A text, if it is one of theirs: a new one comes last, of one that is there only the state can have changed. */
  function show(one) {
    const { account: name, channel, phone: number } = thread();
    if (one.account !== name || one.channel !== channel || one.phone !== number) return;
    const row = rows.get(one.id);
    if (row) {
      if (one.from_phone) change(log, () => restate(row, one));
      return;
    }
    // Those that come are numbered, from the last one that went.
    last = one.from_phone ? 0 : last + 1;
    const element = one.from_phone
      ? make("li", { class: "mine" }, speaker("You"), one.text, make("small"))
      : make("li", { class: "theirs" }, make("small", {}, received(one)), one.text, ...buttons(one));
    if (one.from_phone) restate(element, one);
    rows.set(one.id, element);
    append(log, element);
  }

  /** What can be tapped below a text, as often as one likes: a phone keeps its buttons. */
  function buttons({ choices, text: words }) {
    if (!choices) return [];
    const all = choices.map((choice) => {
      const detail = choice.description ? [make("small", {}, choice.description)] : [];
      const button = make("button", { type: "button" }, choice.title, ...detail);
      button.addEventListener("click", () => send({ ...writing(choice.title), choice }));
      return button;
    });
    return [make("div", { class: "choices", role: "group", "aria-label": words.split("\n")[0] }, ...all)];
  }

  function restate(element, one) {
    const small = element.querySelector("small");
    small.textContent = state(one);
    small.className = one.status === 0 || one.status >= 300 || ways.get(one.id)?.standing === "failed" ? "bad" : "";
  }

  function received(one) {
    const sms = one.segments > 1 ? ` (${one.segments} SMS)` : "";
    // An id of Meta's or AWS's says nothing to a reader.
    const provider = accounts.find(({ name }) => name === one.account)?.provider ?? one.account;
    const sender = /^\+\d{3,15}$/.test(one.business) ? one.business : provider;
    return `${sender} · text ${last}${sms}`;
  }

  function state({ id, status, channel, text }) {
    if (status === null) return "sending …";
    if (status === 0) return "no answer";
    if (status >= 300) return `refused: ${status}`;
    const way = ways.get(id);
    if (way?.standing === "waiting") return `waits: ${outcome(way)}`;
    if (way?.standing === "failed") return `not delivered: ${outcome(way)}`;
    if (channel === "sms" && STOP.test(text)) return "taken. Opted out: the agent's answers are not texted until START.";
    if (channel === "sms" && START.test(text)) return "taken. Opted in again.";
    return "taken";
  }

  function writing(words) {
    const { account: name, channel, phone: number } = thread();
    return { account: name, channel, from: number, to: e164(to.value), text: words };
  }

  async function send(written) {
    if (!written.text.trim()) return true;
    failure.hidden = true;
    status.textContent = "Sending …";
    try {
      const answer = await control("phone/send", written, { limit: 70_000 });
      const isTaken = answer.status >= 200 && answer.status < 300;
      status.textContent = isTaken ? `The bridge answered ${answer.status}` : "";
      if (!isTaken) throw new Error(`the bridge answered ${answer.status} ${said(answer.body)}`);
      return true;
    } catch (error) {
      status.textContent = "";
      message.textContent = `Not taken: ${error.message}`;
      failure.hidden = false;
      retry.onclick = async () => {
        // They were put back, and are not to be sent twice.
        if ((await send(written)) && text.value === written.text) text.value = "";
      };
      return false;
    }
  }

  function said(body) {
    try {
      return JSON.parse(body).error.message;
    } catch {
      return "";
    }
  }

  say.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const words = text.value;
    text.value = "";
    if (!(await send(writing(words))) && !text.value) text.value = words;
  });
  for (const button of say.querySelectorAll("[data-text]")) {
    button.addEventListener("click", () => send(writing(button.dataset.text)));
  }
  sendOnEnter(text);
  // The seconds until the next try.
  setInterval(() => {
    for (const [id, way] of ways) if (way.standing === "waiting" && texts.has(id)) show(texts.get(id));
  }, 1000);
  for (const field of [account, from]) field.addEventListener("input", draw);
  for (const field of [from, to]) field.addEventListener("change", () => (field.value = e164(field.value)));

  return {
    reset() {
      failure.hidden = true;
      texts = new Map();
      ways = new Map();
      draw();
    },
    row(way) {
      if (!way.text) return;
      ways.set(way.text, way);
      const one = texts.get(way.text);
      if (one) show(one);
    },
    text(one) {
      texts.set(one.id, one);
      show(one);
    },
  };
}
