// A telephone. Its texts are signed by the stand-in, which has the accounts' secrets, and posted to the bridge.

import { append, control, make, sendOnEnter } from "./render.js";

const by = (id) => document.getElementById(`phone-${id}`);
const STOP = /^\s*(stop|stopall|unsubscribe)\s*$/i;
const START = /^\s*(start|unstop)\s*$/i;
const CHANNELS = { sms: "SMS", whatsapp: "WhatsApp" };

export function phone(accounts) {
  const [account, from, to, log, status, failure, say, text] =
    ["account", "from", "to", "log", "status", "error", "say", "text"].map(by);
  const [message, retry] = failure.children;
  let texts = new Map();

  for (const { name, provider, channels } of accounts) {
    for (const channel of channels) {
      const isOne = accounts.filter((other) => other.provider === provider).length === 1;
      const label = `${provider}, ${CHANNELS[channel]}${isOne ? "" : ` (${name})`}`;
      account.append(make("option", { value: JSON.stringify({ account: name, channel }) }, label));
    }
  }
  if (!accounts.length) {
    account.append(make("option", {}, "no accounts"));
    status.textContent = "The stand-in was not told of a bridge: run make dev.";
    say.querySelectorAll("button, textarea").forEach((control) => (control.disabled = true));
  }

  function thread() {
    return { ...JSON.parse(account.value), phone: from.value.trim() };
  }

  /** The texts of the chosen provider and number; those that came since one went are numbered. */
  function draw() {
    const { account: name, channel, phone: number } = thread();
    log.replaceChildren();
    let part = 0;
    for (const one of texts.values()) {
      if (one.account !== name || one.channel !== channel || one.phone !== number) continue;
      part = one.from_phone ? 0 : part + 1;
      append(log, one.from_phone ? sent(one) : make("li", { class: "theirs" }, received(one, part), one.text));
      if (one.from_phone && channel === "sms" && (STOP.test(one.text) || START.test(one.text))) {
        const note = STOP.test(one.text)
          ? "Opted out: the agent's answers are not texted until START."
          : "Opted in again.";
        log.append(make("li", { class: "event" }, note));
      }
    }
    log.scrollTop = log.scrollHeight;
  }

  function received(one, part) {
    const sms = one.segments > 1 ? ` (${one.segments} SMS)` : "";
    return make("small", {}, `${one.business} · part ${part}${sms}`);
  }

  function sent(one) {
    const state = one.status === null ? "sending …" : one.status < 300 ? "taken" : `refused: ${one.status}`;
    return make("li", { class: "mine" }, one.text, make("small", {}, state));
  }

  async function send(words) {
    if (!words.trim()) return true;
    failure.hidden = true;
    status.textContent = "Sending …";
    try {
      const { account: name, channel } = thread();
      const numbers = { from: from.value.trim(), to: to.value.trim() };
      const answer = await control("phone/send", { account: name, channel, ...numbers, text: words });
      const isTaken = answer.status >= 200 && answer.status < 300;
      status.textContent = isTaken ? `The bridge answered ${answer.status}` : "";
      if (!isTaken) throw new Error(`the bridge answered ${answer.status} ${said(answer.body)}`);
      return true;
    } catch (error) {
      status.textContent = "";
      message.textContent = `Not taken: ${error.message}`;
      failure.hidden = false;
      retry.onclick = () => send(words);
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
    if (!(await send(words)) && !text.value) text.value = words;
  });
  for (const button of say.querySelectorAll("[data-text]")) {
    button.addEventListener("click", () => send(button.dataset.text));
  }
  sendOnEnter(text);
  for (const field of [account, from, to]) field.addEventListener("input", draw);

  return {
    reset() {
      texts = new Map();
      draw();
    },
    text(one) {
      texts.set(one.id, one);
      const chosen = thread();
      if (one.account === chosen.account && one.phone === chosen.phone) draw();
    },
  };
}
