// A relay between the bridge and a bot of Telegram's kind: its updates go to the agents, what they answer goes to the bot.
// BRIDGE_URL, SIGNING_SECRET, SEND_SECRET, BOT_API (https://api.telegram.org/bot<token>), BOT_SECRET and PORT are set.
// The bot's webhook is /bot, with the secret token BOT_SECRET; the account's send_url is /bridge.
import { timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const { BRIDGE_URL, SIGNING_SECRET, SEND_SECRET, BOT_API, BOT_SECRET, PORT } = process.env;
const [toBridge, fromBridge] = [new Webhook(SIGNING_SECRET), new Webhook(SEND_SECRET)];
const done = new Map(); // A relay with more than one process keeps this in a store, for a day.

/** The status and body of an answer. */
async function toAgents({ update_id: update, message }) {
  if (!message) return [200, {}];
  const { chat, from, text, message_id: id } = message;
  const data = { id: `${chat.id}-${id}`, from: `${chat.id}`, to: "bot", text, profile_name: from?.first_name };
  const type = text === "/stop" ? "opt_out" : text === "/start" ? "opt_in" : "message";
  const [body, webhookId, now] = [JSON.stringify({ type, data }), `update-${update}`, new Date()];
  const headers = {
    "webhook-id": webhookId,
    "webhook-timestamp": `${Math.floor(now / 1000)}`,
    "webhook-signature": toBridge.sign(webhookId, now, body),
  };
  const answer = await fetch(BRIDGE_URL, { method: "POST", headers, body });
  // Not stored: the bot's platform sends the update again.
  return [answer.ok ? 200 : 503, {}];
}

async function toCustomer(body, headers) {
  const { type, data } = fromBridge.verify(body, headers);
  if (type !== "message") return [200, {}];
  if (done.has(data.id)) return [200, { id: done.get(data.id) }];
  const answer = await fetch(`${BOT_API}/sendMessage`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ chat_id: data.to, text: data.text }),
  });
  if (answer.status === 403) return [410, {}]; // The customer has blocked the bot.
  if (!answer.ok) return [answer.status, {}];
  const id = `${(await answer.json()).result.message_id}`;
  done.set(data.id, id);
  return [200, { id }];
}

const isBot = (given = "") => given.length === BOT_SECRET.length && timingSafeEqual(Buffer.from(given), Buffer.from(BOT_SECRET));

createServer(async (request, response) => {
  let answer = [403, {}];
  try {
    const body = Buffer.concat(await request.toArray()).toString();
    const bot = request.url === "/bot" && isBot(request.headers["x-telegram-bot-api-secret-token"]);
    if (bot) answer = await toAgents(JSON.parse(body));
    if (request.url === "/bridge") answer = await toCustomer(body, request.headers);
  } catch (error) {
    answer = [error.name === "WebhookVerificationError" ? 403 : 503, {}];
  }
  response.writeHead(answer[0], { "content-type": "application/json" }).end(JSON.stringify(answer[1]));
}).listen(Number(PORT), "127.0.0.1", () => console.log("listening"));
