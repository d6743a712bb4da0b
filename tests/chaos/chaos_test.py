#!/usr/bin/env python3
"""Goal: whatever breaks, every event reaches each endpoint, first deliveries of an order in
sequence, and the store's account of it is right (P6, P7, P10, P13).

Method: a real daemon with four endpoints, two HTTP servers of this test, a real RabbitMQ and
librdkafka's mock cluster, is sent signed payments, three for some orders, so that these have
several events. Meanwhile the HTTP servers refuse, dawdle, take a request and lose the answer, drop
it, or are away; RabbitMQ is killed and frozen; Kafka is down, refuses and is late; the daemon is
killed; and some deliveries are cancelled. Then everything heals, and the endpoints' own journals
are held against the database.

  chaos_test.py POSTERN BROKERS [--orders 1000] [--seed N]

Deliveries that wait long for their next try are brought forward as an operator would, by retry.
"""
import argparse
import calendar
import collections
import http.client
import json
import multiprocessing
import os
import pathlib
import random
import socketserver
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kill"))
sys.dont_write_bytecode = True
import kill_test as kill  # noqa: E402

SENDERS = 8
# Codes of the states, as src/store/sql/codes.cpp has them.
STATES = {0: "ready", 1: "waiting", 2: "delivered", 3: "dead", 4: "cancelled"}
ENDPOINTS = ["shop", "erp", "rabbit", "kafka"]
HEAL_SECONDS_MAX = 300
# Between a claim and the signing of its webhook a loaded machine may take a while.
CANCEL_GRACE_SECONDS = 0.5


class Endpoint(socketserver.ThreadingTCPServer):
    """One HTTP server: what it did with each request stands in its journal, in the order of it."""
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 128

    def __init__(self, seed, journal, away, healed):
        super().__init__(("127.0.0.1", 0), Request)
        self.rng, self.lock, self.journal = random.Random(seed), threading.Lock(), journal
        self.away, self.healed = away, healed

    def handle_error(self, *_):
        pass  # connections of a daemon that was killed break off

    def note(self, **entry):
        with self.lock:
            self.journal.write(json.dumps(entry) + "\n")
            self.journal.flush()

    def choose(self):
        if self.healed.is_set():
            return "take"
        with self.lock:
            return self.rng.choices(
                ["take", "refuse", "slow", "very_slow", "lose_answer", "half_answer", "drop"],
                [800, 80, 40, 1, 30, 10, 30])[0]


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_):
        pass

    def do_POST(self):
        server = self.server
        if server.away.is_set() and not server.healed.is_set():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = json.loads(body)
        came = {"id": self.headers["webhook-id"], "sent_at": int(self.headers["webhook-timestamp"]),
                "order": event["data"]["order"]["merchant_order_id"],
                "sequence": event["data"]["sequence"]}
        what = server.choose()
        server.note(what="came", **came)
        if what == "drop":
            self.close_connection = True
            return
        if what == "refuse":
            with server.lock:
                code = server.rng.choice([400, 429, 500, 503])
            return self.answer(code, {"Retry-After": "1"} if code == 429 else {})
        if what == "slow":
            with server.lock:
                delay = server.rng.uniform(0.05, 2)
            time.sleep(delay)
        if what == "very_slow":
            time.sleep(16)  # a second more than Postern waits
        server.note(what="taken", **came)
        if what == "lose_answer":
            self.close_connection = True
        elif what == "half_answer":
            self.wfile.write(b"HTTP/1.1 2")
            self.close_connection = True
        else:
            self.answer(200, {})

    def answer(self, code, headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


def serve_endpoint(seed, journal, port, away, healed):
    with open(journal, "w") as file:
        server = Endpoint(seed, file, away, healed)
        port.send(server.server_address[1])
        server.serve_forever()


class Brokers:
    def __init__(self, binary, folder):
        self.folder, self.lock = folder, threading.Lock()
        self.process = subprocess.Popen([binary, folder], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if words == ["absent"]:
            print("chaos_test: skipped: rabbitmq-server is not installed "
                  "(script/bootstrap --tests installs it)")
            sys.exit(77)
        self.rabbit_port, self.kafka = words[1], words[2]

    def order(self, line):
        with self.lock:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
            if answer != "done\n":
                sys.exit(f"chaos_test: the brokers answered {answer!r} to {line!r}")

    def messages(self, name):
        for line in (self.folder / name).read_text().splitlines():
            event, body = line.split(" ", 1)
            data = json.loads(body)["data"]
            yield event, data["order"]["merchant_order_id"], data["sequence"]


class Gateway:
    """The daemon with its API. Its ports change with every start."""

    def __init__(self, postern, folder):
        self.daemon = kill.Daemon(postern, folder)
        self.up = threading.Event()
        self.kills = 0

    def start(self):
        self.daemon.start({})
        self.up.set()

    def kill(self):
        self.up.clear()
        self.daemon.kill()
        self.kills += 1

    def call(self, method, path):
        """(code, body), or nothing where no whole answer came."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.daemon.admin_port, timeout=10)
            connection.request(method, path, headers={"Authorization": "Bearer " + kill.ADMIN_KEY})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None


class Chaos:
    def __init__(self, rng, gateway, brokers, away):
        self.rng, self.gateway, self.brokers, self.away = rng, gateway, brokers, away
        self.over = threading.Event()
        self.cancelled = {}  # delivery -> when the cancelling was answered, Unix seconds
        self.counts = collections.Counter()
        self.troubles = []

    def threads(self):
        return [threading.Thread(target=self.guarded, args=(run, random.Random(self.rng.random())))
                for run in (self.kill_daemon, self.break_rabbit, self.break_kafka, self.go_away,
                            self.cancel)]

    def guarded(self, run, rng):
        try:
            run(rng)
        except BaseException as error:  # noqa: BLE001 - the main thread reports it
            self.troubles.append(f"{run.__name__}: {error!r}")

    def pause(self, rng, low, high):
        return not self.over.wait(rng.uniform(low, high))

    def kill_daemon(self, rng):
        while self.pause(rng, 2, 7):
            self.gateway.kill()
            self.gateway.start()

    def break_rabbit(self, rng):
        while self.pause(rng, 4, 10):
            first, then = rng.choice([("kill", "start"), ("kill", "start"), ("freeze", "thaw")])
            self.brokers.order("rabbit " + first)
            self.counts["rabbit " + first] += 1
            self.pause(rng, 0.2, 3)
            self.brokers.order("rabbit " + then)

    def break_kafka(self, rng):
        while self.pause(rng, 1, 6):
            what = rng.choice(["down", "refuse", "delay"])
            self.brokers.order("kafka " + what)
            self.counts["kafka " + what] += 1
            if what == "down":
                self.pause(rng, 0.2, 3)
                self.brokers.order("kafka up")

    def go_away(self, rng):
        while self.pause(rng, 3, 8):
            away = rng.choice(self.away)
            away.set()
            self.counts["endpoint away"] += 1
            self.pause(rng, 0.2, 3)
            away.clear()

    def cancel(self, rng):
        """Only webhooks: their journals tell when a try began."""
        while self.pause(rng, 0.1, 1):
            endpoint = rng.choice(["shop", "erp"])
            got = self.gateway.call(
                "GET", f"/v1/deliveries?endpoint={endpoint}&state=ready&limit=20")
            if not got or got[0] != 200:
                continue
            rows = json.loads(got[1])["deliveries"]
            if not rows:
                continue
            row = rng.choice(rows)
            answer = self.gateway.call("POST", f"/v1/deliveries/{row['id']}/cancel")
            if answer and answer[0] == 200:
                self.cancelled[(row["event"], endpoint)] = time.time()
                self.counts["cancelled"] += 1


def payments_of(rng, orders):
    """Numbers of payments: the order's own, and for some orders up to two further ones."""
    return [(order, part) for order in orders for part in range(rng.choice([1, 1, 2, 3]))]


def signed(order, part):
    # The second payment of an order is another one to the platform: the same order number, another
    # payment id.
    return kill.signed_payment(order, payment_id=f"4{part}{order}")


class Senders:
    def __init__(self, gateway, payments, rng, pace_per_s, troubles):
        self.gateway, self.unacked, self.acked, self.troubles = gateway, payments, [], troubles
        self.rng, self.lock, self.pace_per_s = rng, threading.Lock(), pace_per_s
        self.rng.shuffle(self.unacked)

    def run(self):
        threads = [threading.Thread(target=self.send) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def send(self):
        connection, port = None, 0
        while True:
            with self.lock:
                if not self.unacked or self.troubles:
                    return
                payment = self.unacked.pop()
            time.sleep(SENDERS / self.pace_per_s)
            acked = False
            try:
                self.gateway.up.wait(10)
                if connection is None or port != self.gateway.daemon.port:
                    port = self.gateway.daemon.port
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("POST", "/payment/wechat-v2/callback", signed(*payment),
                                   {"Content-Type": "text/xml"})
                answer = connection.getresponse()
                body = answer.read()
                acked = answer.status == 200 and b"<![CDATA[SUCCESS]]>" in body
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.02)
            with self.lock:
                (self.acked if acked else self.unacked).append(payment)


def bring_forward(gateway):
    """Retries by hand what would wait long. Returns how many are unfinished."""
    unfinished = 0
    for endpoint in ENDPOINTS:
        before = ""
        while True:
            got = gateway.call(
                "GET", f"/v1/deliveries?endpoint={endpoint}&state=ready&limit=500{before}")
            if not got or got[0] != 200:
                return 1
            rows = json.loads(got[1])["deliveries"]
            unfinished += len(rows)
            for row in rows:
                due = calendar.timegm(time.strptime(row["due_at"][:19], "%Y-%m-%dT%H:%M:%S"))
                if due - time.time() > 3:
                    gateway.call("POST", f"/v1/deliveries/{row['id']}/retry")
            if len(rows) < 500:
                break
            before = "&before=" + rows[-1]["id"]
    return unfinished


def read_database(folder):
    database = sqlite3.connect(f"file:{folder / 'postern.db'}?mode=ro", uri=True)
    tag = database.execute("SELECT value FROM meta WHERE name = 'tag'").fetchone()[0]
    rows = database.execute(
        "SELECT d.event_id, d.endpoint, d.state, o.merchant_order_id, e.sequence "
        "FROM deliveries d JOIN events e ON e.id = d.event_id JOIN orders o ON o.id = e.order_id")
    deliveries = {(f"evt_{tag}_{event}", endpoint): (STATES[state], order, sequence)
                  for event, endpoint, state, order, sequence in rows}
    count = {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
             for table in ("events", "facts", "deliveries")}
    if database.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
        sys.exit("chaos_test: integrity_check found damage")
    return deliveries, count


def check_account(deliveries, count, payments, cancelled):
    """What the store says about itself."""
    wrong = []
    if count["events"] != payments or count["facts"] != payments:
        wrong.append(f"{payments} payments made {count['facts']} facts, {count['events']} events")
    if count["deliveries"] != payments * len(ENDPOINTS):
        wrong.append(f"{count['deliveries']} deliveries of {payments} events")
    for key, (state, _, _) in deliveries.items():
        allowed = {"cancelled"} if key in cancelled else {"delivered", "cancelled"}
        if state not in allowed:
            wrong.append(f"{key} is {state}")
    if sum(state == "cancelled" for state, _, _ in deliveries.values()) < len(cancelled):
        wrong.append("cancelled deliveries are missing")
    return wrong


def check_webhook(endpoint, journal, deliveries, cancelled):
    """An endpoint's own journal against the store."""
    wrong, taken, came = [], set(), set()
    state_of = {event: state for (event, name), (state, _, _) in deliveries.items()
                if name == endpoint}
    event_of = {(order, sequence): event for (event, name), (_, order, sequence)
                in deliveries.items() if name == endpoint}
    for line in journal.read_text().splitlines():
        entry = json.loads(line)
        event, order, sequence = entry["id"], entry["order"], entry["sequence"]
        if event_of.get((order, sequence)) != event:
            wrong.append(f"{endpoint} got {event} as {order}/{sequence}, which the store has not")
            continue
        if entry["what"] == "taken":
            taken.add(event)
            continue
        end = cancelled.get((event, endpoint))
        if end is not None and entry["sent_at"] > end + CANCEL_GRACE_SECONDS:
            wrong.append(f"a try of {event} to {endpoint} began {entry['sent_at'] - end:.1f} s "
                         "after it was cancelled")
        if event not in came and sequence > 1:
            before = event_of[(order, sequence - 1)]
            if before not in taken and state_of[before] != "cancelled":
                wrong.append(f"{endpoint} was sent {order}/{sequence} before it took the one before")
        came.add(event)
    lost = [event for event, state in state_of.items()
            if state == "delivered" and event not in taken]
    if lost:
        wrong.append(f"{endpoint} never took {len(lost)} delivered events, such as {lost[0]}")
    return wrong, len(taken)


def check_broker(endpoint, messages, deliveries):
    wrong, first = [], {}
    last_of = collections.defaultdict(int)
    for event, order, sequence in messages:
        if event in first:
            continue
        first[event] = True
        if sequence != last_of[order] + 1:
            wrong.append(f"{endpoint} holds {order}/{sequence} after {order}/{last_of[order]}")
        last_of[order] = sequence
    lost = [event for (event, name), (state, _, _) in deliveries.items()
            if name == endpoint and state == "delivered" and event not in first]
    if lost:
        wrong.append(f"{endpoint} does not hold {len(lost)} delivered events, such as {lost[0]}")
    return wrong, len(first)


def write_configuration(folder, ports, brokers):
    for name, text in {"wechat.key": kill.API_KEY, "admin.key": kill.ADMIN_KEY,
                       "rabbit.key": "guest", "webhook.key": kill.WEBHOOK_SECRET}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    webhooks = "".join(f"""
[endpoint.{name}]
kind = "webhook"
url = "http://127.0.0.1:{port}/events"
secret = "file:webhook.key"
insecure_http = true
allow_networks = ["127.0.0.0/8"]
""" for name, port in ports.items())
    (folder / "postern.toml").write_text(kill.CONFIGURATION + f"""
{webhooks}
[endpoint.rabbit]
kind = "amqp"
url = "amqp://guest@127.0.0.1:{brokers.rabbit_port}/"
secret = "file:rabbit.key"
exchange = "payments"
[endpoint.kafka]
kind = "kafka"
url = "kafka://{brokers.kafka}/payments"
""")


def run(args, folder):
    rng = random.Random(args.seed)
    healed = multiprocessing.Event()
    away = {name: multiprocessing.Event() for name in ("shop", "erp")}
    ports, servers = {}, []
    for name in away:
        mine, theirs = multiprocessing.Pipe()
        servers.append(multiprocessing.Process(
            target=serve_endpoint, daemon=True,
            args=(rng.random(), folder / f"{name}.journal", theirs, away[name], healed)))
        servers[-1].start()
        ports[name] = mine.recv()
    brokers = Brokers(args.brokers, folder)
    gateway = Gateway(args.postern, folder)
    try:
        write_configuration(folder, ports, brokers)
        gateway.start()
        orders = [f"C{i:07d}" for i in range(args.orders)]
        kill.register(gateway.daemon, orders)
        payments = payments_of(rng, orders)
        total = len(payments)
        chaos = Chaos(rng, gateway, brokers, list(away.values()))
        threads = chaos.threads()
        for thread in threads:
            thread.start()
        began = time.monotonic()
        senders = Senders(gateway, payments, rng, args.pace, chaos.troubles)
        senders.run()
        chaos.over.set()
        for thread in threads:
            thread.join()
        stormed = time.monotonic() - began
        healed.set()
        brokers.order("kafka up")
        while bring_forward(gateway) > 0:
            if time.monotonic() - began - stormed > HEAL_SECONDS_MAX:
                break
            time.sleep(1)
        code = gateway.daemon.stop()
        brokers.order("end")
        deliveries, count = read_database(folder)
    finally:
        gateway.daemon.kill()
        brokers.process.stdin.close()
        brokers.process.wait(timeout=60)
        for server in servers:
            server.kill()
    wrong = chaos.troubles + check_account(deliveries, count, total, chaos.cancelled)
    if code != 0:
        wrong.append(f"SIGTERM ended the daemon with {code}")
    held = {}
    for name in ("shop", "erp"):
        more, held[name] = check_webhook(name, folder / f"{name}.journal", deliveries,
                                         chaos.cancelled)
        wrong += more
    for name in ("rabbit", "kafka"):
        more, held[name] = check_broker(name, brokers.messages(name), deliveries)
        wrong += more
    states = dict(collections.Counter(state for state, _, _ in deliveries.values()))
    print(f"chaos_test: {args.orders} orders, {total} events, deliveries {states}, "
          f"endpoints hold {held}, daemon killed {gateway.kills} times, {dict(chaos.counts)}, "
          f"storm {stormed:.0f} s, healed in {time.monotonic() - began - stormed:.0f} s, "
          f"{len(wrong)} findings", flush=True)
    for finding in wrong[:10]:
        print("chaos_test: " + finding)
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("postern")
    parser.add_argument("brokers")
    parser.add_argument("--orders", type=int,
                        default=int(os.environ.get("POSTERN_CHAOS_ORDERS", "1000")))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--pace", type=float, default=60, help="callbacks a second")
    args = parser.parse_args()
    print(f"chaos_test: seed {args.seed}, {args.orders} orders", flush=True)
    with tempfile.TemporaryDirectory(prefix="postern-chaos-") as name:
        sys.exit(run(args, pathlib.Path(name)))


if __name__ == "__main__":
    main()
