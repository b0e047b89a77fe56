// amazon-connect-chatjs, as a web page uses it, against the Connect stand-in: `npm ci && npm test`.
// LOCAL_BIN names the stand-in's binary (default: target/debug/local).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";

const LOCAL_BIN = process.env.LOCAL_BIN ?? fileURLToPath(new URL("../../target/debug/local", import.meta.url));

// What chatjs takes from a browser. Its bundle sets window.connect.
globalThis.window = globalThis;
globalThis.self = globalThis;
globalThis.WebSocket = WebSocket;
globalThis.addEventListener = () => {};
globalThis.location = new URL("http://127.0.0.1/");
Object.defineProperty(globalThis, "navigator", {
  value: { onLine: true, userAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0", language: "en" },
  configurable: true,
});
createRequire(import.meta.url)("amazon-connect-chatjs");

let standIn;
let url;

before(async () => {
  standIn = spawn(LOCAL_BIN, ["--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: standIn.stdout }), "line");
  url = line.match(/http:\S+/)[0];
});

after(() => standIn.kill());

async function call(method, path, body) {
  const response = await fetch(url + path, { method, body: body && JSON.stringify(body) });
  assert.equal(response.status, 200, `${method} ${path}`);
  return response.json();
}

/** Resolves to the first value that `accepts`. */
function first(subscribe, accepts = () => true) {
  return new Promise((resolve) => subscribe((value) => accepts(value) && resolve(value)));
}

test("a chat from start to end", { timeout: 30_000 }, async () => {
  const logged = [];
  const log = (level) => (message) => logged.push({ level, message });
  window.connect.ChatSession.setGlobalConfig({
    endpoint: url,
    region: "us-east-1",
    loggerConfig: {
      useDefaultLogger: false,
      customizedLogger: { debug: () => {}, info: () => {}, warn: log("warn"), error: log("error") },
      advancedLogWriter: "warn",
      level: window.connect.LogLevel.INFO,
    },
  });
  const chatDetails = await call("PUT", "/contact/chat", {
    InstanceId: "44444444-4444-4444-8444-444444444444",
    ContactFlowId: "33333333-3333-4333-8333-333333333333",
    ParticipantDetails: { DisplayName: "Jane" },
    InitialMessage: { ContentType: "text/plain", Content: "first" },
  });
  const act = (action, body) => call("POST", `/_local/contacts/${chatDetails.ContactId}/${action}`, body);
  const session = window.connect.ChatSession.create({
    chatDetails,
    type: "CUSTOMER",
    options: { region: "us-east-1" },
    disableCSM: true,
  });
  const established = first((handler) => session.onConnectionEstablished(handler));
  const initial = first((handler) => session.onMessage(handler), ({ data }) => data.Content === "first");
  const { connectSuccess } = await session.connect();
  assert.equal(connectSuccess, true);
  await established;
  await initial;
  // What a page gives to `/chat/end` when it closes.
  assert.equal(typeof session.getChatDetails().connectionDetails.connectionToken, "string");

  const typing = first((handler) => session.onTyping(handler), ({ data }) => data.ParticipantRole === "AGENT");
  // onMessage tells of participants who join, too.
  const isAnswer = ({ data }) => data.ParticipantRole === "AGENT" && data.Type === "MESSAGE";
  const fromAgent = first((handler) => session.onMessage(handler), isAnswer);
  await act("event", { content_type: "application/vnd.amazonaws.connect.event.typing" });
  const { id } = await act("say", { content: "Hello" });
  await typing;
  const { data, chatDetails: details } = await fromAgent;
  assert.equal(data.Content, "Hello");
  assert.equal(data.Id, id);
  assert.equal(details.contactId, chatDetails.ContactId);

  const echo = first((handler) => session.onMessage(handler), (message) => message.data.Content === "Hi");
  const sent = await session.sendMessage({ contentType: "text/plain", message: "Hi" });
  assert.equal((await echo).data.Id, sent.data.Id);
  await session.sendEvent({ contentType: "application/vnd.amazonaws.connect.event.typing" });

  const transcript = await session.getTranscript({ maxResults: 15, scanDirection: "BACKWARD", sortOrder: "ASCENDING" });
  const said = transcript.data.Transcript.filter(({ Type }) => Type === "MESSAGE").map(({ Content }) => Content);
  assert.deepEqual(said, ["first", "Hello", "Hi"]);

  // Since version 4, chatjs listens on until the chat has ended.
  const ended = first((handler) => session.onEnded(handler));
  await session.disconnectParticipant();
  await ended;
  const contact = await call("GET", `/_local/contacts/${chatDetails.ContactId}`);
  assert.equal(contact.end_reason, "CUSTOMER_DISCONNECT");
  assert.ok(logged.length > 0, "chatjs warns of a successful connection: the logger is in use");
  assert.deepEqual(logged.filter(({ level }) => level === "error"), []);

  const { calls } = await call("GET", "/_local/calls");
  assert.deepEqual(
    calls.filter(({ status }) => status !== 200),
    [],
    "chatjs called nothing that the stand-in does not serve",
  );
});
