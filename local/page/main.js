// The page of `make dev`. Each pane is a module; what they show of the stand-in comes by one stream of events.

import { agent } from "./agent.js";
import { bridge } from "./bridge.js";
import { phone } from "./phone.js";
import { control } from "./render.js";
import { widget } from "./widget.js";

const link = document.getElementById("link");

async function begin() {
  let config;
  try {
    config = await control("config");
  } catch (error) {
    link.textContent = `Not connected: ${error.message}`;
    setTimeout(begin, 2000);
    return;
  }
  widget(config.functions ?? "http://localhost:9000");
  follow([phone(config.accounts), agent(), bridge()]);
}

/** The stand-in's events, for every pane that has a handler of their name. EventSource connects again by itself. */
function follow(panes) {
  const events = new EventSource("/_local/events");
  events.onopen = () => (link.textContent = "");
  events.onerror = () => (link.textContent = "Not connected: is make dev running? Trying again …");
  for (const name of ["reset", "contact", "text", "row", "faults", "ready"]) {
    events.addEventListener(name, ({ data }) => panes.forEach((pane) => pane[name]?.(JSON.parse(data))));
  }
}

begin();
