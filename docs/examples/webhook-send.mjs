// Brings a customer's message to the bridge: node webhook-send.mjs <id> <from> <to> <text>
import { randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";

const { BRIDGE_URL, SIGNING_SECRET } = process.env; // https://…/sms/webhook/line and whsec_…
const [id, from, to, text] = process.argv.slice(2);

const body = JSON.stringify({ type: "message", data: { id, from, to, text } });
const webhookId = `msg_${randomUUID()}`;
const now = new Date();
const answer = await fetch(BRIDGE_URL, {
  method: "POST",
  headers: {
    "content-type": "application/json",
    "webhook-id": webhookId,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(SIGNING_SECRET).sign(webhookId, now, body),
  },
  body,
});
console.log(answer.status, await answer.text());
process.exitCode = answer.ok ? 0 : 1;
