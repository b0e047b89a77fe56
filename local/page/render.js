// Messages as elements. Nothing here makes HTML of a text.

import { INTERACTIVE, MARKDOWN, PLAIN } from "./samples.js";

/** An element with attributes and children: texts or elements. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Logs whose end is shown: they stay there when they change, or become smaller or larger. */
const atEnd = new WeakMap();
const toEnd = (log) => (log.scrollTop = log.scrollHeight);
const sizes = new ResizeObserver((changed) => {
  for (const { target } of changed) if (atEnd.get(target)) toEnd(target);
});

function watch(log) {
  if (atEnd.has(log)) return;
  atEnd.set(log, true);
  let height = log.clientHeight;
  log.addEventListener("scroll", () => {
    // A log that became smaller was scrolled by nobody.
    if (log.clientHeight === height) atEnd.set(log, log.scrollHeight - log.scrollTop - log.clientHeight < 40);
    height = log.clientHeight;
  });
  sizes.observe(log);
}

/** Changes a log, and shows its end unless its reader has scrolled up. */
export function change(log, how) {
  watch(log);
  how();
  if (atEnd.get(log)) toEnd(log);
}

export function append(log, item) {
  change(log, () => log.append(item));
}

/** Empties a log, which then shows its end again. */
export function empty(log) {
  log.replaceChildren();
  if (atEnd.has(log)) atEnd.set(log, true);
}

/** Who speaks, for those who can't see on which side a bubble is. */
export function speaker(name) {
  return make("span", { class: "hidden" }, `${name}: `);
}

/** The content of a message. `choose` is called with what a customer picks; without it, choices can't be picked. */
export function content(type, text, choose) {
  if (type === MARKDOWN) return markdown(text);
  if (type === INTERACTIVE) return interactive(text, choose);
  return [type === PLAIN || type === "application/json" ? text : `${type}\n${text}`];
}

/** What Connect's markdown knows: bold, italics, code, links and lists. */
function markdown(text) {
  const nodes = [];
  let list = null;
  for (const line of text.split("\n")) {
    const item = line.match(/^\s*(?:([-*])|\d+[.)])\s+(.*)$/);
    if (item) {
      const tag = item[1] ? "ul" : "ol";
      if (list?.localName !== tag) nodes.push((list = make(tag)));
      list.append(make("li", {}, ...inline(item[2])));
    } else {
      list = null;
      if (line.trim()) nodes.push(make("p", {}, ...inline(line)));
    }
  }
  return nodes;
}

// `2*3*4` and `snake_case_words` are words: a single mark, and an underscore, count at the edges of a word only.
const BOLD = /\*\*(?=\S)(?!\*\*)(?<bold>.+?)(?<=\S)\*\*(?!\*)/;
const EMPHASIS = /(?<![\p{L}\p{N}*_])(?<mark>\*|__?)(?=\S)(?!\k<mark>)(?<words>.+?)(?<=\S)\k<mark>(?![\p{L}\p{N}*_])/u;
const CODE = /`(?<code>.+?)`/;
const LINK = /\[(?<title>.+?)\]\((?<url>https?:\/\/[^\s)]+)\)/;
const INLINE = new RegExp([BOLD, EMPHASIS, CODE, LINK].map(({ source }) => source).join("|"), "gu");

function inline(text) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(text.slice(from, found.index));
    const { bold, mark, words, code, title, url } = found.groups;
    if (bold || mark === "__") nodes.push(make("strong", {}, ...inline(bold ?? words)));
    else if (mark) nodes.push(make("em", {}, ...inline(words)));
    else if (code) nodes.push(make("code", {}, code));
    else nodes.push(make("a", { href: url, rel: "noreferrer", target: "_blank" }, title));
    from = found.index + found[0].length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

function interactive(text, choose) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return [text];
  }
  const shown = message?.data?.content;
  if (!shown) return [text];
  if (message.templateType === "Carousel") {
    const cards = (shown.elements ?? []).map((card) => make("div", {}, ...interactive(JSON.stringify(card), choose)));
    return [make("p", {}, make("strong", {}, shown.title ?? "")), ...cards];
  }
  const nodes = [make("p", {}, make("strong", {}, shown.title ?? ""))];
  if (shown.subtitle) nodes.push(make("small", {}, shown.subtitle));
  const slots = (shown.timeslots ?? []).map(({ date }) => ({ title: when(date), value: date }));
  const elements = (shown.elements ?? []).map(({ title, subtitle }) => ({ title, subtitle, value: title }));
  const buttons = [...slots, ...elements].map(({ title, subtitle, value }) => {
    const button = make("button", { type: "button" }, title);
    if (subtitle) button.append(" ", make("small", {}, subtitle));
    if (choose) button.addEventListener("click", () => pick(button, value));
    else button.disabled = true;
    return button;
  });
  /** One pick is all: the message's choices are closed, unless the answer was not sent. */
  async function pick(picked, value) {
    const choices = picked.closest(".log > li").querySelectorAll(".choices button");
    picked.setAttribute("aria-pressed", "true");
    for (const button of choices) button.disabled = true;
    if (await choose(value)) return;
    picked.removeAttribute("aria-pressed");
    for (const button of choices) button.disabled = false;
  }
  const group = { class: "choices", role: "group", "aria-label": shown.title ?? "Options" };
  nodes.push(make("div", group, ...buttons));
  return nodes;
}

function when(date) {
  const time = new Date(date);
  const parts = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return Number.isNaN(time.valueOf()) ? date : time.toLocaleString([], parts);
}

const EVENTS = {
  "participant.joined": (item) => `${item.name ?? "Someone"} joined`,
  "participant.left": (item) => `${item.name ?? "Someone"} left`,
  "transfer.succeeded": () => "The chat was transferred",
  "chat.ended": () => "The chat has ended",
};

/** An event of a chat in words, or nothing where it is none to show. */
export function event(type, item) {
  return EVENTS[type.replace("application/vnd.amazonaws.connect.event.", "")]?.(item);
}

/** A promise that ends: with an error that says what was waited for. */
export function within(milliseconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${milliseconds / 1000} s`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A call of the stand-in's control API; an error is in words. */
export async function control(path, body, { method = body === undefined ? "GET" : "POST", limit = 20_000 } = {}) {
  const options = { method, signal: AbortSignal.timeout(limit) };
  if (body !== undefined) options.body = JSON.stringify(body);
  let response;
  try {
    response = await fetch(`/_local/${path}`, options);
  } catch (error) {
    const isLate = error.name === "TimeoutError";
    throw new Error(isLate ? `no answer within ${limit / 1000} s` : "the stand-in can't be reached: is make dev running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `${response.status} ${response.statusText}`);
  return answer;
}

/** Enter sends, Shift+Enter makes a line. */
export function sendOnEnter(area) {
  area.addEventListener("keydown", (pressed) => {
    if (pressed.key === "Enter" && !pressed.shiftKey && !pressed.isComposing) {
      pressed.preventDefault();
      area.form.requestSubmit();
    }
  });
}
