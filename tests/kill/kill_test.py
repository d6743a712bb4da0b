#!/usr/bin/env python3
"""Goal: kill -9 at any moment loses no acked callback and applies none twice (P1, P2, P10).

Method: a real daemon on a real store is killed at named failpoints and at random moments while 16
senders post signed WeChat Pay v2 payments and send again what was not acked. Afterwards a checker
that shares no code with the daemon reads the database and the senders' journal. The signatures are
made here, from the protocol's description, with Python's own hmac.

  kill_test.py POSTERN [--kills 50] [--seed N] [--planted FAULT]

With --planted the daemon is deliberately wrong, and the test passes only if the checker reports it.
"""
import argparse
import base64
import concurrent.futures
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

FAILPOINTS = ["verified", "planned", "written", "committed", "finished"]
SENDERS = 16
ROUND_SECONDS_MAX = 3.0
RECOVERY_SECONDS_MAX = 5.0
MCH_ID, APP_ID = "1900000001", "wx0000000000000001"
API_KEY = hashlib.sha256(b"kill test").hexdigest()[:32]
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
ADMIN_KEY = "kill-test-" + hashlib.sha256(b"admin").hexdigest()[:24]
# Without endpoints.
CONFIGURATION = f"""
[server]
listen = ["127.0.0.1:0"]
[admin]
listen = "127.0.0.1:0"
api_key = "file:admin.key"
[store]
url = "sqlite:postern.db"
[log]
level = "warning"
[account.wechat-v2]
channel = "wechatpay-v2"
mch_id = "{MCH_ID}"
app_ids = ["{APP_ID}"]
api_key = "file:wechat.key"
sign_types = ["HMAC-SHA256"]
"""


def signed_payment(number, payment_id=None):
    fields = {
        "appid": APP_ID, "mch_id": MCH_ID, "nonce_str": hashlib.md5(number.encode()).hexdigest(),
        "result_code": "SUCCESS", "return_code": "SUCCESS", "openid": "invented-openid",
        "is_subscribe": "N", "trade_type": "JSAPI", "bank_type": "OTHERS", "total_fee": "8888",
        "fee_type": "CNY", "cash_fee": "8888", "transaction_id": payment_id or "42" + number,
        "out_trade_no": number, "time_end": "20260105100007", "sign_type": "HMAC-SHA256",
    }
    text = "&".join(f"{k}={fields[k]}" for k in sorted(fields)) + "&key=" + API_KEY
    fields["sign"] = hmac.new(API_KEY.encode(), text.encode(), hashlib.sha256).hexdigest().upper()
    inner = "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in fields.items())
    return f"<xml>{inner}</xml>".encode()


class Daemon:
    """One process at a time on the same folder."""

    def __init__(self, postern, folder):
        self.postern, self.folder, self.process = postern, folder, None
        self.log = open(folder / "postern.log", "ab")
        self.port = self.admin_port = 0

    def start(self, environment):
        """Seconds until it says that it is ready."""
        began = time.monotonic()
        self.process = subprocess.Popen(
            [self.postern, "serve", "--config", str(self.folder / "postern.toml")],
            env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready = re.match(r"ready callbacks=127.0.0.1:(\d+) admin=127.0.0.1:(\d+)",
                         self.process.stdout.readline())
        if not ready:
            code = self.process.wait()
            # What it writes of itself at its start may meet the failpoint: a kill like any other.
            if code == -signal.SIGKILL and "POSTERN_FAILPOINT" in environment:
                return time.monotonic() - began
            sys.exit(f"the daemon ended with {code} before it was ready:\n" +
                     (self.folder / "postern.log").read_text()[-2000:])
        self.port, self.admin_port = int(ready[1]), int(ready[2])
        return time.monotonic() - began

    def kill(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


class Orders:
    """What there is to pay, and what was acked."""

    def __init__(self, rng):
        self.lock = threading.Lock()
        self.rng = rng
        self.unacked, self.acked = [], []
        self.made = 0

    def add(self, count):
        fresh = [f"K{self.made + i:07d}" for i in range(count)]
        self.made += count
        with self.lock:
            self.unacked += fresh
            self.rng.shuffle(self.unacked)
        return fresh

    def take(self):
        """A number to send, and whether it is a copy of one acked already, as platforms send too."""
        with self.lock:
            if not self.unacked:
                return None, False
            if self.acked and self.rng.random() < 0.1:
                return self.rng.choice(self.acked), True
            return self.unacked.pop(), False

    def settle(self, number, acked):
        with self.lock:
            (self.acked if acked else self.unacked).append(number)


def send_until_dead(daemon, orders, stop):
    connection = None
    while not stop.is_set():
        number, copy = orders.take()
        if number is None:
            return
        acked = False
        try:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=5)
            connection.request("POST", "/payment/wechat-v2/callback", signed_payment(number),
                               {"Content-Type": "text/xml"})
            answer = connection.getresponse()
            body = answer.read()
            acked = answer.status == 200 and b"<![CDATA[SUCCESS]]>" in body
        except (OSError, http.client.HTTPException):
            connection = None
        if not copy:
            orders.settle(number, acked)
        if connection is None and daemon.process.poll() is not None:
            return


def register(daemon, numbers):
    """Several at a time, so that one flush to disk serves several."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda part: register_in_turn(daemon, part),
                      [numbers[i::8] for i in range(8)]))


def register_in_turn(daemon, numbers):
    connection = http.client.HTTPConnection("127.0.0.1", daemon.admin_port, timeout=10)
    for number in numbers:
        connection.request("POST", "/v1/orders", json.dumps({
            "merchant_order_id": number, "expected": {"minor": 8888, "currency": "CNY"}}),
            {"Authorization": "Bearer " + ADMIN_KEY, "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            sys.exit(f"registering {number} was answered {answer.status}: {text!r}")


def check(folder, orders):
    """Reads the file itself. Returns what is wrong, as sentences."""
    wrong = []
    database = sqlite3.connect(f"file:{folder / 'postern.db'}?mode=ro", uri=True)
    if database.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
        wrong.append("integrity_check found damage")
    facts = dict(database.execute(
        "SELECT a.number, count(*) FROM facts f JOIN attempts a ON a.id = f.attempt_id "
        "GROUP BY a.number"))
    paid = dict(database.execute(
        "SELECT o.merchant_order_id, count(*) FROM events e JOIN orders o ON o.id = e.order_id "
        "GROUP BY o.merchant_order_id"))
    evidence = {row[0] for row in database.execute(
        "SELECT a.number FROM facts f JOIN attempts a ON a.id = f.attempt_id "
        "JOIN callbacks c ON c.id = f.callback_id WHERE length(c.body) > 0")}
    states = dict(database.execute("SELECT merchant_order_id, state FROM orders"))
    acked = set(orders.acked)
    lost = [n for n in acked if n not in facts]
    if lost:
        wrong.append(f"{len(lost)} acked callbacks are not in the store, such as {lost[0]}")
    for number in acked - set(lost):
        if number not in evidence:
            wrong.append(f"no evidence of {number}")
    for number, count in facts.items():
        if count != 1 or paid.get(number) != 1:
            wrong.append(f"{number} has {count} facts and {paid.get(number, 0)} events")
    events, deliveries = (database.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
                          for t in ("events", "deliveries"))
    if events != deliveries:
        wrong.append(f"{events} events but {deliveries} deliveries")
    unpaid = [n for n in facts if str(states.get(n)) != str(states.get(next(iter(facts))))]
    if unpaid:
        wrong.append(f"{len(unpaid)} orders with a fact are in another state, such as {unpaid[0]}")
    return wrong, len(facts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("postern")
    parser.add_argument("--kills", type=int, default=int(os.environ.get("POSTERN_KILLS", "50")))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--planted", default="")
    args = parser.parse_args()
    print(f"kill_test: seed {args.seed}, {args.kills} kills" +
          (f", planted fault {args.planted}" if args.planted else ""), flush=True)
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="postern-kill-") as name:
        run(args, rng, pathlib.Path(name))


def run(args, rng, folder):
    (folder / "wechat.key").write_text(API_KEY)
    (folder / "admin.key").write_text(ADMIN_KEY)
    (folder / "webhook.key").write_text(WEBHOOK_SECRET)
    for key in ("wechat.key", "admin.key", "webhook.key"):
        (folder / key).chmod(0o600)
    (folder / "postern.toml").write_text(CONFIGURATION + """
[endpoint.shop]
kind = "webhook"
url = "http://127.0.0.1:9/events"
allow_networks = ["127.0.0.0/8"]
secret = "file:webhook.key"
insecure_http = true
paused = true
events = ["order.*"]
""")
    daemon, orders = Daemon(args.postern, folder), Orders(rng)
    environment = {"POSTERN_PLANTED_FAULT": args.planted} if args.planted else {}
    slowest, kills, by_point = 0.0, 0, {}
    for turn in range(args.kills):
        # The registering must not meet the failpoint, so it is done by a process of its own.
        if len(orders.unacked) < 1200:
            daemon.start(environment)
            register(daemon, orders.add(2400))
            daemon.stop()
        point = None
        if not args.planted and turn % 2 == 0:
            point = FAILPOINTS[(turn // 2) % len(FAILPOINTS)]
        failpoint = {"POSTERN_FAILPOINT": f"{point}:{rng.randint(1, 120)}"} if point else {}
        slowest = max(slowest, daemon.start({**environment, **failpoint}))
        stop = threading.Event()
        senders = [threading.Thread(target=send_until_dead, args=(daemon, orders, stop))
                   for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        limit = time.monotonic() + (ROUND_SECONDS_MAX if point else rng.uniform(0.01, 0.12))
        while time.monotonic() < limit and daemon.process.poll() is None and orders.unacked:
            time.sleep(0.002)
        died_there = daemon.process.poll() == -signal.SIGKILL
        stop.set()
        daemon.kill()
        for sender in senders:
            sender.join()
        kills += 1
        label = point if died_there else "random"
        by_point[label] = by_point.get(label, 0) + 1
    wrong_meanwhile, _ = check(folder, orders)
    # Heal: everything unacked is sent again until it is acked.
    slowest = max(slowest, daemon.start(environment))
    while orders.unacked:
        send_until_dead(daemon, orders, threading.Event())
    code = daemon.stop()
    wrong, facts = check(folder, orders)
    wrong = wrong_meanwhile + wrong
    if code != 0:
        wrong.append(f"SIGTERM ended the daemon with {code}")
    if slowest > RECOVERY_SECONDS_MAX:
        wrong.append(f"ready only after {slowest:.1f} s")
    print(f"kill_test: {kills} kills {by_point}, {len(orders.acked)} acks, {facts} facts, "
          f"slowest start {slowest * 1000:.0f} ms, {len(wrong)} findings", flush=True)
    for finding in wrong[:10]:
        print("kill_test: " + finding)
    if args.planted:
        sys.exit(0 if wrong else "kill_test: the planted fault was not reported: the rig is blind")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
