"""A node that holds leases falls asleep, and wakes up when others have done its work."""
import collections
import contextlib
import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler

import cluster as postgres
import kill_test as kill
from nodes import DELIVERED, Caller, Site, check, wait_until

ORDERS, TRIES = 24, 4
LEASE_SECONDS = 30


class Receiver(socketserver.ThreadingTCPServer):
    """An endpoint. Tries of the first node are kept unanswered until `first_end`, and so are the
    next ones of the same events until `second_end`: those get 500 then, these 200."""
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Request)
        self.lock, self.first_end, self.second_end = threading.Lock(), *events(2)
        self.is_first, self.held = True, [0, 0]  # whether that node is there; tries kept so far
        self.came = []  # (webhook-id, order, sequence, body) of each request
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def handle_error(self, *_):
        pass  # connections of a node that was killed break off


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = json.loads(body)["data"]
        order = event["order"]["merchant_order_id"]
        server, key, code = self.server, self.headers["webhook-id"], 200
        with server.lock:
            again = key in {came[0] for came in server.came}
            server.came.append((key, order, event["sequence"], body))
            is_first = server.is_first
            if is_first or again:
                server.held[0 if is_first else 1] += 1
        if is_first:
            server.first_end.wait(120)
            code = 500
        elif again:
            server.second_end.wait(120)
        with contextlib.suppress(OSError):
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()


def events(count):
    return [threading.Event() for _ in range(count)]


def lease(args):
    """SIGSTOP of a node with leases: another claims the deliveries when those are over. While it
    tries them the first goes on and writes what became of its own tries: that changes no row. What
    is repeated has the same id, sequence and body."""
    receiver = Receiver()
    endpoint = f"""
[endpoint.shop]
kind = "webhook"
url = "http://127.0.0.1:{receiver.port}/events"
secret = "file:webhook.key"
insecure_http = true
allow_networks = ["127.0.0.0/8"]
concurrency = {TRIES}
"""
    with postgres.Cluster() as cluster, Site(args.postern, cluster, 2, endpoint) as site:
        sleeper, other = site.nodes
        other.kill()  # so that the first holds what can be held
        numbers = [f"S{i:04d}" for i in range(ORDERS)]
        kill.register(sleeper, numbers)
        pay(sleeper, numbers)
        wait_until("the first node's tries are under way", lambda: receiver.held[0] == TRIES)
        sleeper.pause()
        stopped = time.monotonic()
        with receiver.lock:
            receiver.is_first = False
        other.start({})
        wait_until("the other node tries the same", lambda: receiver.held[1] == TRIES,
                   LEASE_SECONDS + 15)
        took_over = time.monotonic() - stopped
        wait_until("the rest is delivered", lambda: unfinished(site) == TRIES)
        before = rows(site)
        receiver.first_end.set()
        sleeper.go_on()
        time.sleep(3)
        wrong = []
        if rows(site) != before:
            wrong.append("a stale node changed a row")
        receiver.second_end.set()
        wait_until("all is delivered", lambda: unfinished(site) == 0)
        told = site.ask("SELECT count(*) AS n FROM tries")[0]["n"]
        if told != ORDERS:
            wrong.append(f"{told} tries are told of {ORDERS} deliveries")
        if took_over < LEASE_SECONDS - 3:
            wrong.append(f"the other node took over after {took_over:.1f} s")
        wrong += check_receiver(receiver, numbers)
        wrong += check(site, numbers, sleeper) + site.stop()
        print(f"nodes_test: lease: {TRIES} leases of a stopped node, taken over {took_over:.1f} s "
              f"after it stopped; {len(receiver.came)} requests of {ORDERS} deliveries", flush=True)
        receiver.shutdown()
        return wrong


def pay(node, numbers):
    caller = Caller(node)
    for number in numbers:
        if not caller.post(kill.signed_payment(number)):
            raise AssertionError(f"{number} was not acked")


def unfinished(site):
    return site.ask(f"SELECT count(*) AS n FROM deliveries WHERE state <> {DELIVERED}")[0]["n"]


def rows(site):
    return [site.ask(f"SELECT * FROM {table} ORDER BY id")
            for table in ("deliveries", "tries", "incidents")]


def check_receiver(receiver, numbers):
    wrong, by_id, ids = [], collections.defaultdict(set), collections.defaultdict(set)
    for event, order, sequence, body in receiver.came:
        by_id[event].add((order, sequence, body))
        ids[(order, sequence)].add(event)
    for event, seen in by_id.items():
        if len(seen) != 1:
            wrong.append(f"{event} came as {len(seen)} different messages")
    for place, seen in ids.items():
        if len(seen) != 1:
            wrong.append(f"{place} came under the ids {sorted(seen)}")
    if {order for order, _ in ids} != set(numbers):
        wrong.append(f"{len(ids)} of {len(numbers)} orders were told")
    if len(receiver.came) <= len(by_id):
        raise AssertionError("nothing was repeated: the rig is blind")
    return wrong
