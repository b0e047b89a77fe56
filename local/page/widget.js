// A chat widget as a shop would write one: the bridge's endpoint for the start, amazon-connect-chatjs for the rest.

import { append, content, empty, event, make, speaker, within } from "./render.js";
import { INTERACTIVE, MARKDOWN, PLAIN } from "./samples.js";

const TYPING = "application/vnd.amazonaws.connect.event.typing";
const by = (id) => document.getElementById(`widget-${id}`);

/** Nothing is waited for without an end: the bridge answers within Lambda's and the gateway's 30 s. */
const START = 35_000;
const CALL = 15_000;
const RECONNECT = 30_000;
const FAREWELL = 3_000;

const UNREAD = "The transcript could not be read";

export function widget(functions) {
  const [start, name, status, failure, log, typing, say, text, end] =
    ["start", "name", "status", "error", "log", "typing", "say", "text", "end"].map(by);
  const [message, retry] = failure.children;
  let session = null;
  const abandoned = new WeakSet();
  let open = false;
  let shown = new Map();
  let typingUntil = 0;
  let reconnecting;

  const { connect } = window;
  if (!connect?.ChatSession) {
    fail("amazon-connect-chatjs is not installed: stop, and run make dev again.", () => location.reload());
    return;
  }
  connect.ChatSession.setGlobalConfig({
    endpoint: location.origin,
    region: "us-east-1",
    // What goes wrong is shown by this page. Its own logger writes "connected" as a warning.
    loggerConfig: { useDefaultLogger: false },
  });

  function fail(reason, again) {
    message.textContent = reason;
    failure.hidden = false;
    retry.onclick = () => {
      failure.hidden = true;
      again();
    };
  }

  /** Puts the buttons where the chat is; who was in one that is closed goes on at the start. */
  function set(words, { busy = false, canEnd = open && !busy } = {}) {
    const wasHere = say.contains(document.activeElement);
    status.textContent = words;
    start.querySelector("button").disabled = busy || open;
    name.disabled = busy || open;
    for (const control of [text, say.querySelector("button")]) control.disabled = !open || busy;
    end.disabled = !canEnd;
    if (wasHere && !busy && !open) start.querySelector("button").focus();
  }

  async function begin() {
    let current = null;
    failure.hidden = true;
    empty(log);
    shown = new Map();
    set("Starting …", { busy: true });
    try {
      const chatDetails = await ask();
      session = current = connect.ChatSession.create({
        chatDetails,
        type: "CUSTOMER",
        options: { region: "us-east-1" },
        // It would load an iframe from AWS.
        disableCSM: true,
      });
      listen(session);
      set("Connecting …", { busy: true, canEnd: true });
      await within(CALL, "Connecting", session.connect());
      if (current !== session) return;
      open = true;
      set("Connected");
      text.focus();
    } catch (error) {
      if (current !== session) return;
      leave();
      set("Not connected");
      fail(reason(error), begin);
    }
  }

  /** `POST /chat`. */
  async function ask() {
    const body = {
      ParticipantDetails: { DisplayName: name.value.trim() || "Customer" },
      Attributes: { page: location.pathname },
      SupportedMessagingContentTypes: [PLAIN, MARKDOWN, "application/json", INTERACTIVE, `${INTERACTIVE}.response`],
    };
    let response;
    try {
      const signal = AbortSignal.timeout(START);
      response = await fetch(`${functions}/chat`, { method: "POST", body: JSON.stringify(body), signal });
    } catch (error) {
      if (error.name === "TimeoutError") throw new Error(`The bridge did not answer within ${START / 1000} s.`);
      throw new Error(
        `The bridge at ${functions} can't be reached, or does not allow this page's origin, ${location.origin}: ` +
          "see ALLOWED_ORIGINS.",
      );
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      const { code = response.status, message: words = response.statusText } = answer.error ?? {};
      const wait = response.headers.get("retry-after");
      throw new Error(`${code}: ${words}${wait ? ` (retry after ${wait} s)` : ""}`);
    }
    return answer.data.startChatResult;
  }

  function listen(current) {
    const mine = (handler) => (told) => current === session && handler(told);
    current.onMessage(mine(({ data }) => show(data)));
    current.onTyping(
      mine(({ data }) => {
        if (data.ParticipantRole === "CUSTOMER") return;
        typing.textContent = `${data.DisplayName ?? "The agent"} is typing …`;
        clearTimeout(typing.timer);
        typing.timer = setTimeout(() => (typing.textContent = ""), 5000);
      }),
    );
    // The first time and after every reconnection: what was missed is in the transcript.
    current.onConnectionEstablished(() => {
      // Made too late: nobody waits for it here, and an agent must not wait for us.
      if (current !== session) return abandon(current);
      clearTimeout(reconnecting);
      if (open) set("Connected");
      transcript(current);
    });
    current.onConnectionLost(
      mine(() => {
        if (!open) return;
        set("Connection lost, reconnecting …");
        clearTimeout(reconnecting);
        reconnecting = setTimeout(() => {
          abandon(current);
          leave();
          set("Not connected");
          fail(`The connection was lost, and not made again within ${RECONNECT / 1000} s.`, begin);
        }, RECONNECT);
      }),
    );
    current.onConnectionBroken(
      mine(() => {
        if (!open) return;
        abandon(current);
        leave();
        set("Not connected");
        fail("The connection broke and can't be made again.", begin);
      }),
    );
    current.onEnded(
      mine((told) => {
        if (told?.data) show(told.data);
        leave();
        set("The chat has ended");
      }),
    );
  }

  async function transcript(current) {
    if (current !== session) return;
    if (message.textContent.startsWith(UNREAD)) failure.hidden = true;
    const asked = { maxResults: 100, scanDirection: "BACKWARD", sortOrder: "ASCENDING" };
    try {
      const { data } = await within(CALL, "The transcript", current.getTranscript(asked));
      if (current === session) data.Transcript.forEach(show);
    } catch (error) {
      if (current === session) fail(`${UNREAD}: ${reason(error)}`, () => transcript(current));
    }
  }

  function leave() {
    clearTimeout(reconnecting);
    failure.hidden = true;
    session = null;
    open = false;
    typing.textContent = "";
    for (const choice of log.querySelectorAll(".choices button")) choice.disabled = true;
  }

  /** Ends a chat that is not ours any more: at once, or when its connection is made again. */
  function abandon(left) {
    if (abandoned.has(left)) return;
    abandoned.add(left);
    left.disconnectParticipant().catch(() => abandoned.delete(left));
  }

  /** An item, once, at its place in time. */
  function show(item) {
    if (shown.has(item.Id) || item.ContentType === TYPING) return;
    const isEvent = item.Type === "EVENT";
    const words = isEvent ? event(item.ContentType, { name: item.DisplayName }) : null;
    if ((isEvent && !words) || (!isEvent && item.Content === undefined)) return;
    if (item.ParticipantRole !== "CUSTOMER") typing.textContent = "";
    const isMine = item.ParticipantRole === "CUSTOMER";
    const element = isEvent
      ? make("li", { class: "event" }, words)
      : make(
          "li",
          { class: isMine ? "mine" : "theirs" },
          isMine ? speaker("You") : make("small", {}, item.DisplayName ?? item.ParticipantRole),
          ...content(item.ContentType, item.Content, isMine ? undefined : send),
        );
    element.dataset.time = item.AbsoluteTime;
    shown.set(item.Id, element);
    append(log, element);
    const later = [...log.children].find((other) => other.dataset.time > item.AbsoluteTime);
    if (later) log.insertBefore(element, later);
  }

  async function send(words) {
    const current = session;
    if (!open || !words.trim()) return false;
    failure.hidden = true;
    try {
      await within(CALL, "Sending", current.sendMessage({ contentType: PLAIN, message: words }));
      return true;
    } catch (error) {
      if (current !== session) return false;
      fail(`Not sent: ${reason(error)}`, async () => {
        // They were put back, and are not to be sent twice.
        if ((await send(words)) && text.value === words) text.value = "";
      });
      return false;
    }
  }

  async function leaveChat() {
    const ending = session;
    if (!ending) return;
    if (!open) {
      leave();
      set("The chat has ended");
      return;
    }
    failure.hidden = true;
    set("Ending …", { busy: true });
    try {
      await within(CALL, "Ending", ending.disconnectParticipant());
      // It is over; the last words come by the websocket, if they do.
      setTimeout(() => {
        if (session !== ending) return;
        leave();
        set("The chat has ended");
      }, FAREWELL);
    } catch (error) {
      if (session !== ending) return;
      set("Connected");
      fail(`Not ended: ${reason(error)}`, leaveChat);
    }
  }

  start.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    begin();
  });
  say.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const current = session;
    const words = text.value;
    text.value = "";
    if (words.trim() && !(await send(words)) && current === session && !text.value) text.value = words;
  });
  text.addEventListener("input", () => {
    if (!open || Date.now() < typingUntil) return;
    typingUntil = Date.now() + 3000;
    // Nobody misses an event that is lost.
    session.sendEvent({ contentType: TYPING }).catch(() => {});
  });
  end.addEventListener("click", leaveChat);

  // The page closes: the bridge ends the chat, since a beacon carries no headers of Connect's.
  addEventListener("pagehide", () => {
    const token = session?.getChatDetails().connectionDetails?.connectionToken;
    if (token) navigator.sendBeacon(`${functions}/chat/end`, JSON.stringify({ ConnectionToken: token }));
  });
  set("");
}

/** Why, in words: of an Error, a text, or what chatjs rejects with, which holds the AWS SDK's error some levels down. */
function reason(error) {
  let inner = error;
  while (inner?._debug) inner = inner._debug;
  if (typeof inner === "string") inner = { message: inner };
  const { type, message = inner?.reason } = inner ?? {};
  const words = [type, message].filter((word) => typeof word === "string" && word);
  if (words.length === 2 && message.includes(type)) words.shift();
  return words.join(": ") || "the call failed without a reason";
}
