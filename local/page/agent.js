// The agent's console: contacts, their transcripts, answers, and the faults to watch the bridge cope with.

import { append, content, control, empty, event, make, sendOnEnter } from "./render.js";
import { PLAIN, SAMPLES } from "./samples.js";

const TYPING = "application/vnd.amazonaws.connect.event.typing";
const by = (id) => document.getElementById(id);
const fault = (operation, status, type) => ({ operation, fault: { status, type, times: "forever" } });
const all = (operations, status, type) => operations.map((operation) => fault(operation, status, type));

/** Faults by what a bridge meets in production. */
const FAULTS = {
  "Throttle chat starts": all(["StartChatContact"], 429, "TooManyRequestsException"),
  "Chat quota spent": all(["StartChatContact"], 429, "LimitExceededException"),
  "Connect outage": all(
    ["StartChatContact", "SendChatIntegrationEvent", "StopContact"],
    500,
    "InternalServiceException",
  ),
  "Participant outage": all(
    ["CreateParticipantConnection", "SendMessage", "SendEvent", "GetTranscript", "DisconnectParticipant"],
    500,
    "InternalServerException",
  ),
  "Provider throttles": all(["SendText"], 429, "TooManyRequests"),
  "Provider outage": all(["SendText"], 500, "InternalError"),
};

const ENDED = {
  CUSTOMER_DISCONNECT: "left",
  AGENT_DISCONNECT: "ended by the agent",
  API: "ended by the bridge",
  NEVER_CONNECTED: "never connected",
  IDLE: "ended: idle",
  EXPIRED: "ended: expired",
};

export function agent() {
  const [list, none, pane, title, attributes, log, failure, say, text, sample] = [
    "contacts",
    "contacts-none",
    "contact",
    "contact-title",
    "contact-attributes",
    "agent-log",
    "agent-error",
    "agent-say",
    "agent-text",
    "agent-sample",
  ].map(by);
  let contacts = new Map();
  let chosen = null;
  let drawn = new Set();
  let typingUntil = 0;
  /** Everything that there was when the page was loaded has come. */
  let isReady = false;
  const typing = by("agent-typing");
  const read = new Map();
  /** What is written and not sent, for each contact. */
  const drafts = new Map();

  for (const name of Object.keys(SAMPLES)) sample.append(make("option", {}, name));

  const spoken = (contact) => contact.transcript.filter((item) => item.item_type !== "EVENT").length;

  function drawList() {
    const focused = document.activeElement?.dataset?.contact;
    const items = [...contacts.values()].reverse().map((contact) => {
      const state = contact.ended ? (ENDED[contact.end_reason] ?? "ended") : contact.connected ? "open" : "not connected";
      const id = contact.initial_id;
      const isUnread = !contact.ended && id !== chosen && spoken(contact) > (read.get(id) ?? 0);
      const button = make(
        "button",
        { type: "button", "data-contact": id, "aria-current": String(id === chosen), click: () => choose(id, { byHand: true }) },
        make("span", isUnread ? { class: "unread" } : {}, contact.display_name),
        make("small", {}, `${contact.attributes.channel ?? "web"}, ${state}${isUnread ? ", new" : ""}`),
      );
      return make("li", {}, button);
    });
    list.replaceChildren(...items);
    none.hidden = items.length > 0;
    if (focused) list.querySelector(`[data-contact="${focused}"]`)?.focus();
  }

  function complain(words) {
    failure.firstElementChild.textContent = words;
    failure.hidden = !words;
  }

  function choose(id, { byHand = false } = {}) {
    if (chosen) drafts.set(chosen, text.value);
    chosen = id;
    text.value = drafts.get(id) ?? "";
    drawn = new Set();
    empty(log);
    complain("");
    typing.textContent = "";
    drawContact();
    drawList();
    const contact = contacts.get(id);
    if (byHand && contact) {
      const detail = { ids: contact.ids, name: contact.display_name };
      document.dispatchEvent(new CustomEvent("contact-chosen", { detail }));
    }
  }

  function drawContact() {
    const contact = contacts.get(chosen);
    pane.hidden = !contact;
    if (!contact) return;
    read.set(chosen, spoken(contact));
    title.textContent = contact.display_name;
    const known = [["contact id", contact.id], ...Object.entries(contact.attributes)];
    attributes.replaceChildren(...known.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    for (const item of contact.transcript) {
      if (drawn.has(item.id)) continue;
      drawn.add(item.id);
      const element = draw(item);
      if (element) append(log, element);
    }
    const wasHere = say.contains(document.activeElement);
    // Nobody hears an agent before the customer is connected.
    const isOpen = !contact.ended && contact.connected;
    for (const control of say.querySelectorAll("button, textarea, select")) control.disabled = !isOpen;
    by("agent-end").disabled = contact.ended;
    text.placeholder = contact.ended || isOpen ? "" : "The customer is not connected yet";
    if (wasHere && contact.ended) list.querySelector(`[data-contact="${chosen}"]`)?.focus();
    drawTyping(contact);
  }

  /** A customer's typing, for as long as it is fresh. */
  function drawTyping(contact) {
    const age = contact.typing_at ? Date.now() - Date.parse(contact.typing_at) : Infinity;
    const isTyping = !contact.ended && age < 5000;
    typing.textContent = isTyping ? `${contact.display_name} is typing …` : "";
    clearTimeout(typing.timer);
    if (isTyping) typing.timer = setTimeout(() => (typing.textContent = ""), 5000 - age);
  }

  function draw(item) {
    const name = item.participant?.display_name;
    if (item.item_type === "EVENT") {
      const words = event(item.content_type, { name });
      return words && make("li", { class: "event" }, words);
    }
    const isMine = item.participant?.role !== "CUSTOMER";
    const said = content(item.content_type, item.content ?? "");
    return make("li", { class: isMine ? "mine" : "theirs" }, make("small", {}, name ?? ""), ...said);
  }

  /** One of the stand-in's actions on the chosen contact, which may be another one when it is done. */
  async function act(action, body = {}) {
    const id = chosen;
    try {
      await control(`contacts/${id}/${action}`, body);
      if (id === chosen) complain("");
      return true;
    } catch (error) {
      const whose = id === chosen ? "" : ` for ${contacts.get(id)?.display_name ?? id}`;
      complain(`Not done${whose}: ${error.message}`);
      return false;
    }
  }

  say.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const id = chosen;
    const words = text.value;
    if (!words.trim()) return;
    text.value = "";
    if (await act("say", { content_type: PLAIN, content: words })) return;
    if (id === chosen) text.value ||= words;
    else drafts.set(id, drafts.get(id) || words);
  });
  text.addEventListener("input", () => {
    if (!chosen || Date.now() < typingUntil) return;
    typingUntil = Date.now() + 3000;
    act("event", { content_type: TYPING });
  });
  sendOnEnter(text);
  by("agent-send-sample").addEventListener("click", () => act("say", SAMPLES[sample.value]()));
  by("agent-transfer").addEventListener("click", () => act("transfer"));
  by("agent-end").addEventListener("click", () => act("end"));

  const group = by("faults").querySelector("[role=group]");
  const buttons = Object.entries(FAULTS).map(([name, faults]) => {
    const button = make("button", { type: "button", "aria-pressed": "false" }, name);
    button.addEventListener("click", () => toggle(faults, button.getAttribute("aria-pressed") !== "true"));
    group.append(button);
    return [button, faults];
  });
  by("faults-clear").addEventListener("click", () => control("faults", undefined, { method: "DELETE" }).catch(tell));

  /**
   * Faults are cleared together only, so the others are set again; not those of the same operation, which can go wrong in
   * one way at a time: the newest.
   */
  async function toggle(faults, on) {
    const isShared = (own) => own.some(({ operation }) => faults.some((fault) => fault.operation === operation));
    const others = buttons.filter(([button, own]) => button.getAttribute("aria-pressed") === "true" && !isShared(own));
    try {
      await control("faults", undefined, { method: "DELETE" });
      for (const one of [...others.flatMap(([, own]) => own), ...(on ? faults : [])]) await control("faults", one);
    } catch (error) {
      tell(error);
    }
  }

  function tell(error) {
    by("faults-on").textContent = `not set: ${error.message}`;
  }

  return {
    reset() {
      contacts = new Map();
      isReady = false;
      choose(null);
    },
    ready() {
      if (isReady) return;
      isReady = true;
      const all = [...contacts.values()];
      const newest = all.findLast((contact) => !contact.ended) ?? all.at(-1);
      if (newest) choose(newest.initial_id);
    },
    contact(contact) {
      const isNew = !contacts.has(contact.initial_id);
      contacts.set(contact.initial_id, contact);
      // The first one, and every new one while nobody is being talked to.
      const current = contacts.get(chosen);
      if (!isReady) return drawList();
      if (!current || (isNew && current.ended && !contact.ended)) choose(contact.initial_id);
      else if (contact.initial_id === chosen) drawContact();
      drawList();
    },
    faults(listed) {
      const on = new Set(listed.map(({ operation, fault: what }) => `${operation} ${what}`));
      let names = [];
      for (const [button, faults] of buttons) {
        const isOn = faults.every(({ operation, fault: one }) => on.has(`${operation} error ${one.status} ${one.type}`));
        button.setAttribute("aria-pressed", String(isOn));
        if (isOn) names.push(button.textContent);
      }
      if (listed.length && !names.length) names = ["others"];
      by("faults-on").textContent = names.length ? `on: ${names.join(", ")}` : "";
    },
  };
}
