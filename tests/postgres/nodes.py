"""Several daemons on one PostgreSQL database, senders, and the checker of what became of it."""
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kill"))
sys.dont_write_bytecode = True
import cluster as postgres  # noqa: E402
import kill_test as kill  # noqa: E402

DATABASE = ROLE = "postern"
SENDERS = 12
PAID, DELIVERED = 1, 2  # codes of states, as the store has them
PAUSED_ENDPOINT = """
[endpoint.shop]
kind = "webhook"
url = "http://127.0.0.1:9/events"
allow_networks = ["127.0.0.0/8"]
secret = "file:webhook.key"
insecure_http = true
paused = true
"""


class Api:
    """Whatever takes callbacks at `port` and admin requests at `admin_port`."""
    port = admin_port = 0

    def call(self, method, path, body=None, timeout=10):
        """(code, body), or nothing where no whole answer came."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=timeout)
            with contextlib.closing(connection):
                connection.request(method, path, body,
                                   {"Authorization": "Bearer " + kill.ADMIN_KEY})
                answer = connection.getresponse()
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None

    def ready(self):
        answer = self.call("GET", "/readyz", timeout=2)
        return answer is not None and answer[0] == 200


class Node(kill.Daemon, Api):
    """One daemon, on ports that stay the same."""

    def __init__(self, postern, folder, url, endpoints):
        folder.mkdir()
        super().__init__(postern, folder)
        for name, text in (("wechat.key", kill.API_KEY), ("admin.key", kill.ADMIN_KEY),
                           ("webhook.key", kill.WEBHOOK_SECRET)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
        configuration = kill.CONFIGURATION.replace('"sqlite:postern.db"', json.dumps(url))
        self.port, self.admin_port = postgres.free_port(), postgres.free_port()
        for port in (self.port, self.admin_port):
            configuration = configuration.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1)
        (folder / "postern.toml").write_text(configuration + endpoints)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)


class Site:
    """A context manager: nodes over a fresh database, with folders of their own."""

    def __init__(self, postern, cluster, count=3, endpoints=PAUSED_ENDPOINT, hosts=None,
                 environment=None):
        self.cluster, self.primary = cluster, cluster.primary
        self.environment = environment or {}
        self.kept = tempfile.TemporaryDirectory(prefix="postern-nodes-")
        folder = pathlib.Path(self.kept.name)
        url = f"postgresql://{ROLE}@{hosts or cluster.hosts()}/{DATABASE}"
        self.nodes = [Node(postern, folder / f"node{i}", url, endpoints) for i in range(count)]

    def __enter__(self):
        self.primary.run(f"CREATE ROLE {ROLE} LOGIN")
        self.primary.run(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        try:
            # At once: the schema is made by one of them.
            together([lambda node=node: node.start(self.environment) for node in self.nodes])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            if node.alive():
                node.go_on()
                node.kill()
        self.kept.cleanup()

    def stop(self):
        """All of them by SIGTERM, at once; what is wrong, as sentences."""
        for node in self.nodes:
            node.process.send_signal(signal.SIGTERM)
        return [f"SIGTERM ended a node with {code}" for code in
                (node.process.wait(timeout=30) for node in self.nodes) if code != 0]

    def ask(self, query):
        return self.primary.ask(query, DATABASE)

    def logs(self):
        return "\n".join((node.folder / "postern.log").read_text()[-1500:] for node in self.nodes)


def together(calls):
    """Runs the calls at once; the first that fails fails them all."""
    results, troubles = [None] * len(calls), []

    def run(place):
        try:
            results[place] = calls[place]()
        except BaseException as error:  # noqa: BLE001 - raised below
            troubles.append(error)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]
    return results


def wait_until(what, condition, seconds=30.0):
    """Seconds that it took. Ends the test where it takes too long."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - began


class Caller:
    """A platform's way to one node, kept alive while it lasts."""

    def __init__(self, node, timeout=5):
        self.node, self.timeout, self.connection = node, timeout, None
        self.trouble = ""  # of the last that was not acked

    def post(self, body):
        """Whether it was acked. None: there was no whole answer."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.node.port,
                                                             timeout=self.timeout)
            self.connection.request("POST", "/payment/wechat-v2/callback", body,
                                    {"Content-Type": "text/xml"})
            answer = self.connection.getresponse()
            text = answer.read()
            self.trouble = f"{answer.status} {text[:80]!r}"
            return answer.status == 200 and b"<![CDATA[SUCCESS]]>" in text
        except (OSError, http.client.HTTPException) as error:
            self.trouble = repr(error)
            self.close()
            return None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Load:
    """Senders that post signed payments to nodes taken at random, until each is acked; of some they
    send copies, at the same time and to other nodes."""

    def __init__(self, nodes, prefix, count, seed):
        self.nodes, self.rng, self.lock = nodes, random.Random(seed), threading.Lock()
        self.all = [f"{prefix}{i:06d}" for i in range(count)]
        self.unacked, self.acked = list(self.all), []
        self.acked_at, self.refusals, self.last_trouble = [], 0, ""
        self.over = threading.Event()
        self.threads = []

    def register(self, node):
        kill.register(node, self.all)
        return self

    def start(self, pace_per_s=0):
        self.pace = SENDERS / pace_per_s if pace_per_s else 0
        self.threads = [threading.Thread(target=self.send, args=(i,)) for i in range(SENDERS)]
        for thread in self.threads:
            thread.start()
        return self

    def send(self, place):
        rng = random.Random(self.rng.random() + place)
        callers = [Caller(node) for node in self.nodes]
        while not self.over.is_set():
            with self.lock:
                if not self.unacked:
                    break
                number = self.unacked.pop(rng.randrange(len(self.unacked)))
                copy = rng.choice(self.acked) if self.acked and rng.random() < 0.1 else None
            if copy is not None:
                rng.choice(callers).post(kill.signed_payment(copy))
            caller, began = rng.choice(callers), time.monotonic()
            acked = caller.post(kill.signed_payment(number))
            with self.lock:
                (self.acked if acked else self.unacked).append(number)
                if acked:
                    self.acked_at.append(time.monotonic())
                else:
                    self.refusals += 1
                    self.last_trouble = f"{caller.trouble} after {time.monotonic() - began:.2f} s"
            if not acked:
                time.sleep(0.02)
            time.sleep(self.pace)
        for caller in callers:
            caller.close()

    def finish(self, seconds=60.0):
        """Waits until everything is acked."""
        try:
            wait_until("everything acked", lambda: len(self.acked) == len(self.all), seconds)
        finally:
            self.end()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def longest_silence(self, begin, end):
        """The longest time between two acks, between two moments."""
        moments = [begin] + sorted(t for t in self.acked_at if begin < t < end) + [end]
        return max(late - early for early, late in zip(moments, moments[1:]))


def check(site, acked, node=None):
    """What is wrong in the database, and in what `node` shows of it, as sentences.

    @param acked  numbers of orders whose payment was acked
    """
    wrong = []
    facts = {row["number"]: row["n"] for row in site.ask(
        "SELECT a.number, count(*) AS n FROM facts f JOIN attempts a ON a.id = f.attempt_id "
        "GROUP BY a.number")}
    evidence = {row["number"] for row in site.ask(
        "SELECT a.number FROM facts f JOIN attempts a ON a.id = f.attempt_id "
        "JOIN evidence e ON e.callback_id = f.callback_id WHERE length(e.body) > 0")}
    orders = {row["id"]: row for row in site.ask(
        "SELECT o.merchant_order_id AS id, o.sequence, o.state, count(e.id) AS events, "
        "coalesce(min(e.sequence), 1) AS low, coalesce(max(e.sequence), 0) AS high, "
        "count(DISTINCT e.sequence) AS distinct FROM orders o LEFT JOIN events e "
        "ON e.order_id = o.id GROUP BY o.id")}
    lost = [number for number in acked if number not in facts]
    if lost:
        wrong.append(f"{len(lost)} acked callbacks are not in the database, such as {lost[0]}")
    for number, count in facts.items():
        order = orders.get(number)
        if count != 1 or order is None or order["events"] != 1 or order["state"] != PAID:
            wrong.append(f"{number} has {count} facts, its order is {order}")
        if number not in evidence:
            wrong.append(f"no evidence of {number}")
    for number, order in orders.items():
        whole = order["low"] == 1 and order["high"] == order["events"] == order["distinct"]
        if not whole or order["sequence"] != order["events"]:
            wrong.append(f"the events of {number} have gaps or doubles: {order}")
    count = site.ask("SELECT (SELECT count(*) FROM events) AS events, "
                     "(SELECT count(*) FROM deliveries) AS deliveries")[0]
    if count["events"] != count["deliveries"]:
        wrong.append(f"{count['events']} events but {count['deliveries']} deliveries")
    if node is not None:
        wrong += check_api(node, set(acked), set(facts))
    return wrong


def check_api(node, acked, paid):
    """The pull feed of a node tells of each payment exactly once."""
    told, after = collections.Counter(), "0"
    while True:
        answer = node.call("GET", f"/v1/events?limit=500&after={after}")
        if answer is None or answer[0] != 200:
            return [f"the feed was answered {answer}"]
        page = json.loads(answer[1])
        if not page["events"]:
            break
        told.update(event["body"]["data"]["order"]["merchant_order_id"]
                    for event in page["events"] if event["type"] == "order.paid")
        after = page["next_after"]
    wrong = [f"the feed tells of {number} {count} times" for number, count in told.items()
             if count != 1]
    if set(told) != paid:
        wrong.append(f"the feed tells of {len(told)} payments, the database of {len(paid)}")
    if not acked <= set(told):
        wrong.append(f"{len(acked - set(told))} acked payments are not in the feed")
    return wrong
