// A merchant's endpoint as the library's own documentation has it. Every request is verified as it
// came, then with one thing changed after the other. Prints its port, then a line of JSON a
// request: {"id", "verdicts": {what was changed: accepted or the library's refusal}}.
//
//   node receiver.mjs SECRET OLD_SECRET OTHER_SECRET
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const [secret, oldSecret, otherSecret] = process.argv.slice(2);

function verdict(key, body, headers) {
  try {
    new Webhook(key).verify(body, headers);
    return "accepted";
  } catch (error) {
    return `${error.constructor.name}: ${error.message}`;
  }
}

function verdicts(body, headers) {
  const time = Number(headers["webhook-timestamp"]);
  const changed = (more) => ({ ...headers, ...more });
  return {
    nothing: verdict(secret, body, headers),
    "key: the old one": verdict(oldSecret, body, headers),
    "key: another endpoint's": verdict(otherSecret, body, headers),
    "body: one byte": verdict(secret, body.replace("8888", "8889"), headers),
    "body: a blank more": verdict(secret, body + " ", headers),
    id: verdict(secret, body, changed({ "webhook-id": headers["webhook-id"] + "1" })),
    "timestamp: a second later": verdict(secret, body,
      changed({ "webhook-timestamp": String(time + 1) })),
    "timestamp: an hour ago": verdict(secret, body,
      changed({ "webhook-timestamp": String(time - 3600) })),
    "signature: none": verdict(secret, body, changed({ "webhook-signature": "" })),
  };
}

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString("utf8");
    const id = request.headers["webhook-id"];
    const type = JSON.parse(body).type;
    console.log(JSON.stringify({ id, type, verdicts: verdicts(body, request.headers) }));
    response.writeHead(204).end();
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
