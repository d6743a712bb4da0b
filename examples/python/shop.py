#!/usr/bin/env python3
"""A small shop: registers an order at Postern, then takes Postern's events.

  python3 shop.py [ORDER FEN]      settings and the way to try it: examples/README.md

GET /orders shows what the shop knows; it is for looking only.
"""
import base64
import hashlib
import hmac
import json
import os
import sqlite3
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

POSTERN_API = os.environ.get("POSTERN_API", "http://127.0.0.1:8080")
PORT = int(os.environ.get("SHOP_PORT", "9000"))
DATA = os.environ.get("SHOP_DATA", "shop-python.db")
SECRET = base64.b64decode(os.environ["SHOP_SECRET"].removeprefix("whsec_"), validate=True)
TOLERANCE_SECONDS = 300
BODY_BYTES_MAX = 1024 * 1024


def register(order, minor):
    """Safe to repeat: the same order with the same sum is known already."""
    request = urllib.request.Request(
        POSTERN_API + "/v1/orders", method="POST",
        data=json.dumps({"merchant_order_id": order,
                         "expected": {"minor": minor, "currency": "CNY"}}).encode(),
        headers={"Authorization": "Bearer " + os.environ["POSTERN_API_KEY"],
                 "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        print(f"registered {order}: {response.status}", flush=True)


def is_genuine(headers, body):
    """Standard Webhooks: base64 of HMAC-SHA256 over "id.timestamp.body", of the bytes received."""
    message_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 12):
        return False
    if not message_id or abs(time.time() - int(sent_at)) > TOLERANCE_SECONDS:
        return False
    signed = f"{message_id}.{sent_at}.".encode("latin-1") + body
    mine = b"v1," + base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest())
    # While keys are changed there are several signatures; one that verifies is enough.
    return any(hmac.compare_digest(mine, theirs.encode("latin-1"))
               for theirs in headers.get("webhook-signature", "").split(" "))


def open_database():
    database = sqlite3.connect(DATA, timeout=10, isolation_level=None)
    database.execute("CREATE TABLE IF NOT EXISTS seen (webhook_id TEXT PRIMARY KEY)")
    database.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, state TEXT,"
                     " sequence INTEGER, events INTEGER DEFAULT 0, ship INTEGER DEFAULT 0)")
    return database


def apply(database, webhook_id, event):
    """In one database transaction: an event counts once, and an older one never wins."""
    data, order = event["data"], event["data"]["order"]
    database.execute("BEGIN IMMEDIATE")
    new = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (webhook_id,)).rowcount == 1
    if new:
        order_id = order["merchant_order_id"]
        database.execute("INSERT OR IGNORE INTO orders (id, sequence) VALUES (?, 0)", (order_id,))
        database.execute("UPDATE orders SET state = ?, sequence = ? WHERE id = ? AND sequence < ?",
                         (order["state"], data["sequence"], order_id, data["sequence"]))
        # order.paid comes at most once in an order's life, so this is where to fulfil.
        database.execute("UPDATE orders SET events = events + 1, ship = ship OR ? WHERE id = ?",
                         (event["type"] == "order.paid", order_id))
    database.execute("COMMIT")
    print(webhook_id, event["type"], order["merchant_order_id"],
          "applied" if new else "seen before", flush=True)


class Shop(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not is_genuine(self.headers, body):
            return self.answer(401)
        database = open_database()
        try:
            apply(database, self.headers["webhook-id"], json.loads(body))
        finally:
            database.close()  # which undoes what was not committed: no answer, and Postern repeats
        return self.answer(204)

    def do_GET(self):
        database = open_database()
        rows = database.execute("SELECT id, state, sequence, events, ship FROM orders").fetchall()
        database.close()
        self.answer(200, json.dumps({row[0]: {"state": row[1], "sequence": row[2],
                                              "events": row[3], "ship": bool(row[4])}
                                     for row in rows}).encode())

    def answer(self, code, body=b""):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if len(sys.argv) == 3:
        register(sys.argv[1], int(sys.argv[2]))
    print(f"the shop listens on http://127.0.0.1:{PORT}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), Shop).serve_forever()
