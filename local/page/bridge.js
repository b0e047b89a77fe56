// The bridge: one row for each request, message and reply, with the steps that it has taken. The stand-in makes the rows
// of the functions' own log lines.

import { make } from "./render.js";

const by = (id) => document.getElementById(`bridge-${id}`);
/** A step's name says that it is done; what it is called before, and where it is not to be. */
const WAITING = { verified: "verification waits", queued: "queueing waits", delivered: "delivery waits", sent: "sending waits" };
const FAILED = { verified: "refused", answered: "refused", queued: "not queued", delivered: "not delivered", sent: "not sent" };

function named({ name, standing }) {
  if (standing === "failed") return FAILED[name] ?? `${name} failed`;
  return standing === "done" ? name : (WAITING[name] ?? `${name} …`);
}

/** `in 12 s`, of a time that is still to come. */
export function untilThen(time) {
  const seconds = Math.ceil((Date.parse(time) - Date.now()) / 1000);
  return seconds > 0 ? `in ${seconds} s` : "now";
}

/** What a row that is not through waits for, or failed of: in words. */
export function outcome(row) {
  const last = row.steps.findLast((step) => step.code) ?? {};
  const why = [last.code, last.notes].filter(Boolean).join(": ");
  if (row.standing === "failed") return why || "failed";
  if (row.standing !== "waiting") return "";
  const next = row.next_try ? `next try ${untilThen(row.next_try)}` : "waits for its next try";
  return [why, next, row.tries > 1 ? `${row.tries} tries so far` : ""].filter(Boolean).join(" · ");
}

export function bridge() {
  const [list, none, filter, all] = ["rows", "none", "filter", "all"].map(by);
  let rows = new Map();
  let elements = new Map();
  /** Names of contacts by any id. */
  let names = new Map();
  /** The contact whose rows are shown; none: all. */
  let only = null;

  function draw(row) {
    const element = make("li", { class: `request ${row.standing}` });
    const time = new Date(row.time);
    const steps = row.steps.map((step) =>
      make(
        "li",
        { class: step.standing },
        named(step),
        ...(step.milliseconds === null ? [] : [" ", make("small", {}, `${step.milliseconds} ms`)]),
      ),
    );
    const what = row.kind === "reply" ? `Reply by ${row.title}` : row.title;
    const notes = row.steps.filter((step) => step.notes && !step.code).map((step) => step.notes);
    const tries = row.tries > 1 && row.standing !== "waiting" ? [`${row.tries} tries`] : [];
    element.append(
      make("time", { datetime: row.time }, time.toLocaleTimeString("en-GB")),
      make("span", { class: "what" }, what),
      make("span", { class: "who" }, names.get(row.contact_id) ?? ""),
      make("ol", { class: "steps", "aria-label": "Steps" }, ...steps),
      make("span", { class: "outcome" }, [outcome(row), ...notes, ...tries].filter(Boolean).join(" · ")),
    );
    return element;
  }

  function show(row) {
    const isShown = !only || (row.contact_id !== null && only.ids.includes(row.contact_id));
    const old = elements.get(row.number);
    if (!isShown) {
      old?.remove();
      elements.delete(row.number);
      return;
    }
    const element = draw(row);
    if (old) old.replaceWith(element);
    else {
      const next = [...elements.keys()].filter((number) => number < row.number).sort((a, b) => b - a)[0];
      list.insertBefore(element, elements.get(next) ?? null);
    }
    elements.set(row.number, element);
  }

  function redraw() {
    elements = new Map();
    list.replaceChildren();
    for (const row of rows.values()) show(row);
    state();
  }

  function state() {
    none.hidden = elements.size > 0;
    filter.textContent = only ? `only ${only.name}` : "";
    all.hidden = !only;
  }

  all.addEventListener("click", () => {
    only = null;
    redraw();
  });
  document.addEventListener("contact-chosen", ({ detail }) => {
    only = detail;
    redraw();
  });
  // The seconds until the next try.
  setInterval(() => {
    for (const row of rows.values()) if (row.standing === "waiting") show(row);
  }, 1000);

  return {
    reset() {
      rows = new Map();
      names = new Map();
      only = null;
      redraw();
    },
    contact(contact) {
      for (const id of contact.ids) names.set(id, contact.display_name);
      for (const row of rows.values()) if (contact.ids.includes(row.contact_id)) show(row);
    },
    row(row) {
      rows.set(row.number, row);
      show(row);
      state();
    },
  };
}
