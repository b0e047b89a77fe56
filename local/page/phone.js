// A telephone. Its texts are signed by the stand-in, which has the accounts' secrets, and posted to the bridge.

import { append, control, make, sendOnEnter } from "./render.js";

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

  /** The texts of the chosen provider and number; each that came is numbered, from the last one that went. */
  function draw() {
    const { account: name, channel, phone: number } = thread();
    log.replaceChildren();
    let count = 0;
    for (const one of texts.values()) {
      if (one.account !== name || one.channel !== channel || one.phone !== number) continue;
      count = one.from_phone ? 0 : count + 1;
      append(log, one.from_phone ? sent(one) : make("li", { class: "theirs" }, received(one, count), one.text));
      if (one.from_phone && channel === "sms" && (STOP.test(one.text) || START.test(one.text))) {
        const note = STOP.test(one.text)
          ? "Opted out: the agent's answers are not texted until START."
          : "Opted in again.";
        log.append(make("li", { class: "event" }, note));
      }
    }
    log.scrollTop = log.scrollHeight;
  }

  function received(one, count) {
    const sms = one.segments > 1 ? ` (${one.segments} SMS)` : "";
    return make("small", {}, `${one.business} · text ${count}${sms}`);
  }

  function sent(one) {
    const state = one.status === null ? "sending …" : one.status < 300 ? "taken" : `refused: ${one.status}`;
    return make("li", { class: "mine" }, one.text, make("small", {}, state));
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
  for (const field of [account, from, to]) field.addEventListener("input", draw);
  for (const field of [from, to]) field.addEventListener("change", () => (field.value = e164(field.value)));

  return {
    reset() {
      failure.hidden = true;
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
