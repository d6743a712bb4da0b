// A small shop: registers an order at Postern, then takes Postern's events.
//
//   node shop.mjs [ORDER FEN]      settings and the way to try it: examples/README.md
//
// Node 18 has no database, so what happened is a journal: a line is flushed to the disk before the
// event is answered, and read back at the next start. One process at a time. GET /orders shows what
// the shop knows; it is for looking only.
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";

const postern = process.env.POSTERN_API ?? "http://127.0.0.1:8080";
const port = Number(process.env.SHOP_PORT ?? 9000);
const journalFile = process.env.SHOP_DATA ?? "shop-node.jsonl";
if (!process.env.SHOP_SECRET?.startsWith("whsec_")) throw new Error("set SHOP_SECRET=whsec_...");
const secret = Buffer.from(process.env.SHOP_SECRET.slice("whsec_".length), "base64");
const toleranceSeconds = 300;
const bodyBytesMax = 1024 * 1024;

/** Safe to repeat: the same order with the same sum is known already. */
async function register(order, minor) {
  const answer = await fetch(`${postern}/v1/orders`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${process.env.POSTERN_API_KEY}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({ merchant_order_id: order, expected: { minor, currency: "CNY" } }),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  console.log(`registered ${order}: ${answer.status}`);
}

/** Standard Webhooks: base64 of HMAC-SHA256 over "id.timestamp.body", of the bytes received. */
function isGenuine(headers, body) {
  const id = headers["webhook-id"] ?? "";
  const sentAt = headers["webhook-timestamp"] ?? "";
  if (!id || !/^[0-9]{1,12}$/.test(sentAt)) return false;
  if (Math.abs(Date.now() / 1000 - Number(sentAt)) > toleranceSeconds) return false;
  const mac = crypto.createHmac("sha256", secret).update(`${id}.${sentAt}.`).update(body);
  const mine = Buffer.from(`v1,${mac.digest("base64")}`);
  // While keys are changed there are several signatures; one that verifies is enough.
  return (headers["webhook-signature"] ?? "").split(" ").some((text) => {
    const theirs = Buffer.from(text);
    return theirs.length === mine.length && crypto.timingSafeEqual(theirs, mine);
  });
}

const seen = new Set();
const orders = Object.create(null);

/** An event counts once, and an older one never wins. */
function remember({ webhookId, type, order, state, sequence }) {
  seen.add(webhookId);
  const known = (orders[order] ??= { state: null, sequence: 0, events: 0, ship: false });
  if (sequence > known.sequence) Object.assign(known, { state, sequence });
  known.events += 1;
  // order.paid comes at most once in an order's life, so this is where to fulfil.
  if (type === "order.paid") known.ship = true;
}

// A line without its end was cut off by a crash: its event was never answered, and comes again.
const kept = fs.existsSync(journalFile) ? fs.readFileSync(journalFile) : Buffer.alloc(0);
const whole = kept.subarray(0, kept.lastIndexOf("\n") + 1);
for (const line of whole.toString().split("\n").filter(Boolean)) remember(JSON.parse(line));
if (whole.length < kept.length) fs.truncateSync(journalFile, whole.length);
const journal = fs.openSync(journalFile, "a");

function take(webhookId, event) {
  const { sequence, order } = event.data;
  const isNew = !seen.has(webhookId);
  if (isNew) {
    const { merchant_order_id, state } = order;
    const line = { webhookId, type: event.type, order: merchant_order_id, state, sequence };
    try {
      fs.appendFileSync(journal, JSON.stringify(line) + "\n");
      fs.fsyncSync(journal);
    } catch (error) {
      // Nobody knows now what the journal holds. The next start reads it, and Postern repeats.
      console.error(error);
      process.exit(1);
    }
    remember(line);
  }
  console.log(webhookId, event.type, order.merchant_order_id, isNew ? "applied" : "seen before");
}

async function answer(request) {
  if (request.method !== "POST") return [200, JSON.stringify(orders)];
  const parts = [];
  let size = 0;
  for await (const part of request) {
    if ((size += part.length) > bodyBytesMax) return [413];
    parts.push(part);
  }
  const body = Buffer.concat(parts);
  if (!isGenuine(request.headers, body)) return [401];
  take(request.headers["webhook-id"], JSON.parse(body));
  return [204];
}

if (process.argv.length === 4) await register(process.argv[2], Number(process.argv[3]));
http
  .createServer(async (request, response) => {
    const [code, body] = await answer(request).catch((error) => (console.error(error), [500]));
    response.writeHead(code).end(body);
  })
  .listen(port, "127.0.0.1", () => console.log(`the shop listens on http://127.0.0.1:${port}`));
