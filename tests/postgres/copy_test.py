#!/usr/bin/env python3
"""Goal: a store moves from SQLite to PostgreSQL whole, whatever interrupts it; meanwhile callbacks
are put off, not lost; a row that differs is found.

Method: a real daemon is filled by the simulator with payments, refunds, copies, unknown orders,
tries, acts of people and what consumers said. The copy is killed in the midst of tables and just
before its end, and run again, beside a daemon that waits on the target. What the admin API shows of
both stores is compared, and evidence from the target is verified offline. Then rows are changed
behind the copy's back.

  copy_test.py POSTERN
"""
import http.client
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse

import cluster

ORDERS = 1010  # with their refunds more than one lot of callbacks
POSTERN = sys.argv[1]
KILLED = -signal.SIGKILL


class Daemon:
    """A context manager: the daemon with the configuration `name` of `folder`."""

    def __init__(self, folder, name):
        self.folder, self.file = folder, folder / name

    def __enter__(self):
        self.log = open(self.folder / "postern.log", "ab")
        self.process = subprocess.Popen([POSTERN, "serve", "--config", self.file],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready = re.match(r"ready callbacks=127.0.0.1:(\d+) admin=127.0.0.1:(\d+)",
                         self.process.stdout.readline())
        if not ready:
            raise RuntimeError("the daemon did not start:\n" +
                               (self.folder / "postern.log").read_text()[-2000:])
        self.port, self.admin_port = int(ready[1]), int(ready[2])
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=20)
        key = (self.folder / "keys" / "admin-api.key").read_text().strip()
        connection.request(method, path, None if body is None else json.dumps(body),
                           {"Authorization": "Bearer " + key, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")

    def get(self, path):
        code, answer = self.ask("GET", path)
        expect(code == 200, f"{path} was answered {code}: {answer}")
        return answer

    def pages(self, path, name, direction):
        """All of a listing."""
        rows, cursor = [], ""
        while True:
            page = self.get(f"{path}?limit=200" + (f"&{direction}={cursor}" if cursor else ""))
            rows += page[name]
            cursor = page.get(f"next_{direction}")
            if not cursor or not page[name]:
                return rows

    def simulate(self, platform, *options):
        """Whether all was answered as to be expected, and the table."""
        done = subprocess.run(
            [POSTERN, "simulate", platform, "--to", f"http://127.0.0.1:{self.port}", "--keys",
             self.folder / "keys", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        return done.returncode == 0, done.stdout

    def shows(self):
        """Everything that a store's owner can see."""
        seen = {
            "orders": self.pages("/v1/orders", "orders", "before"),
            "callbacks": self.pages("/v1/callbacks", "callbacks", "before"),
            "deliveries": self.pages("/v1/deliveries", "deliveries", "before"),
            "incidents": self.pages("/v1/incidents", "incidents", "before"),
            "audit": self.pages("/v1/audit", "audit", "after"),
            "events": self.pages("/v1/events", "events", "after"),
        }
        for name in ("callbacks", "deliveries"):
            some = seen[name][:20] + seen[name][-20:]
            seen["each of " + name] = [self.get(f"/v1/{name}/{one['id']}") for one in some]
        numbers = [one["merchant_order_id"] for one in seen["orders"]]
        seen["each order"] = [self.get("/v1/orders/" + urllib.parse.quote(n)) for n in numbers[:20] + numbers[-20:]]
        return seen


def expect(holds, what):
    if not holds:
        sys.exit("copy_test: " + what)


def configure(folder, name, url, paused):
    text = (folder / "sandbox.toml").read_text()
    text = re.sub(r'(?m)^listen = \[.*', 'listen = ["127.0.0.1:0"]', text)
    text = re.sub(r'(?m)^listen = "127.*', 'listen = "127.0.0.1:0"', text)
    text = re.sub(r'(?m)^url = "sqlite:.*', f'url = "{url}"', text)
    if paused:
        text = text.replace('kind = "webhook"', 'kind = "webhook"\npaused = true')
    (folder / name).write_text(text)


def fill(folder):
    with Daemon(folder, "filling.toml") as daemon:
        admin = f"http://127.0.0.1:{daemon.admin_port}"
        key = f"file:{folder / 'keys' / 'admin-api.key'}"
        for options in (
                ["wechatpay-v3", "--orders", str(ORDERS), "--refund", "partial", "--connections",
                 "32", "--register", admin, "--api-key", key, "--order-prefix", "A-"],
                ["alipay", "--orders", "30", "--copies", "3", "--order-prefix", "UNKNOWN-"],
                ["wechatpay-v2", "--orders", "20", "--refund", "full", "--register", admin,
                 "--api-key", key, "--order-prefix", "支付-"]):
            good, told = daemon.simulate(*options)
            expect(good, "the simulator was not answered as expected:\n" + told)
        for delivery in daemon.get("/v1/deliveries?state=ready&limit=5")["deliveries"]:
            expect(daemon.ask("POST", f"/v1/deliveries/{delivery['id']}/cancel")[0] == 200,
                   "a delivery was not cancelled")
        for event in daemon.get("/v1/events?limit=5")["events"]:
            for consumer in ("erp", "Books", "a"):
                path = f"/v1/events/{event['id']}/applied"
                expect(daemon.ask("POST", path, {"consumer": consumer})[0] == 200,
                       "applied was not taken")


def copy(folder, url, failpoint=None, file="postern.db"):
    """Its code, its JSON and what it said."""
    environment = {**os.environ, **({"POSTERN_FAILPOINT": failpoint} if failpoint else {})}
    done = subprocess.run([POSTERN, "copy", "--from", f"sqlite:{folder / file}", "--to", url,
                           "--json"], env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def rows_of(folder):
    database = sqlite3.connect(f"file:{folder / 'postern.db'}?mode=ro", uri=True)
    names = ("orders attempts callbacks copies facts events deliveries tries applied audit "
             "incidents").split()
    rows = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    return {**rows, "evidence": rows["callbacks"]}


def wait_until_ready(daemon, seconds):
    limit = time.monotonic() + seconds
    while daemon.ask("GET", "/readyz")[0] != 200:
        expect(time.monotonic() < limit, f"the daemon was not ready within {seconds} s")
        time.sleep(0.05)


def copy_and_serve(folder, server):
    """Interrupted thrice, beside a daemon that waits for the end. Returns what the target shows."""
    url = server.url("moved")
    configure(folder, "moved.toml", url, paused=True)
    expect(copy(folder, url, "copied:3")[0] == KILLED, "the copy was not killed in its callbacks")
    half = int(server.run("SELECT count(*) FROM callbacks", "moved"))
    expect(0 < half < rows_of(folder)["callbacks"], f"{half} callbacks are no part of all")
    with Daemon(folder, "moved.toml") as daemon:
        one = ["alipay", "--orders", "1", "--order-prefix", "MEANWHILE-", "--seed", "7"]
        expect(daemon.ask("GET", "/readyz")[0] == 503, "half a store is said to be ready")
        expect(daemon.ask("GET", "/v1/orders")[0] == 503, "half a store is listed")
        good, told = daemon.simulate(*one)
        expect(not good and re.search(r"(?m)^\S.*retry", told),
               "a callback was not put off while the store is being copied:\n" + told)
        expect(copy(folder, url, "copied:6")[0] == KILLED, "the copy was not killed again")
        expect(copy(folder, url, "copy_verified:1")[0] == KILLED, "nor before its end")
        expect(copy(folder, url, "copy_closed:1")[0] == KILLED, "nor before it was told")
        expect(daemon.ask("GET", "/readyz")[0] == 503, "a copy is used before it is complete")
        code, report, said = copy(folder, url)
        expect(code == 0 and report["result"] == "copied", f"the copy failed: {report} {said}")
        expect({t["table"]: t["rows"] for t in report["tables"]} == rows_of(folder),
               f"other counts than the file has: {report}")
        expect(report["rows_copied"] == 0, "rows that were there were copied again")
        wait_until_ready(daemon, 5)
        shown = daemon.shows()
        good, told = daemon.simulate(*one)
        expect(good, "the platform's next message was not taken:\n" + told)
        fresh = daemon.get("/v1/callbacks?limit=1")["callbacks"][0]
        expect(number_of(fresh) > max(number_of(one) for one in shown["events"]),
               "a new row has a number among the old ones")
        verify_offline(folder, shown)
    expect(copy(folder, url)[1]["result"] == "already_complete", "a complete copy is done again")
    return shown


def number_of(row):
    return int(row["id"].rpartition("_")[2])


def verify_offline(folder, shown):
    for callback in shown["each of callbacks"][:3]:
        done = subprocess.run([POSTERN, "verify", "--config", folder / "moved.toml", "-"],
                              input=json.dumps(callback), capture_output=True, text=True)
        expect(done.stdout.startswith("genuine"), f"evidence is not genuine: {done.stdout}")


def is_closed(folder):
    """The file that was moved knows nothing of what came since."""
    done = subprocess.run([POSTERN, "serve", "--config", folder / "before.toml"], timeout=30,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    expect(done.returncode == 70 and "moved to" in done.stderr,
           f"a daemon started on a store that was moved: {done.returncode} {done.stderr}")


def find_changed_rows(folder, server):
    url = server.url("changed")
    expect(copy(folder, url, "copy_verified:1")[0] == KILLED, "the copy was not killed")
    changed = int(server.run("SELECT id FROM facts ORDER BY id OFFSET 100 LIMIT 1", "changed"))
    raw = int(server.run("SELECT callback_id FROM evidence ORDER BY 1 OFFSET 900 LIMIT 1",
                         "changed"))
    for change, undo, table, at, what in (
            (f"UPDATE facts SET minor = minor + 1 WHERE id = {changed}",
             f"UPDATE facts SET minor = minor - 1 WHERE id = {changed}", "facts", changed,
             "not the same"),
            ("INSERT INTO applied SELECT event_id, 'b', at_ms FROM applied WHERE consumer = 'a' "
             "ORDER BY 1 LIMIT 1", "DELETE FROM applied WHERE consumer = 'b'", "applied", None,
             None),
            (f"DELETE FROM evidence WHERE callback_id = {raw}", "SELECT 1", "evidence", raw,
             "missing in the database")):
        server.run(change, "changed")
        code, report, _ = copy(folder, url)
        found = report.get("difference", {})
        expect(code == 1 and found.get("table") == table and at in (None, found["id"]) and
               what in (None, found["what"]), f"{change} was not found: {report}")
        expect(server.run("SELECT count(*) FROM meta WHERE name = 'copying'", "changed") == "1\n",
               "the mark of a copy that differs is gone")
        server.run(undo, "changed")


def refuse(folder, server):
    """What must not be copied, or not to there."""
    configure(folder, "other.toml", "sqlite:other.db", paused=True)
    with Daemon(folder, "other.toml"):
        code, _, said = copy(folder, server.url("refused"), file="other.db")
        expect(code == 70 and "stop it first" in said, f"a file in use was copied: {said}")
    code, _, said = copy(folder, server.url("moved"), file="other.db")
    expect(code == 70 and "another store" in said, f"two stores in one database: {said}")
    done = subprocess.run([POSTERN, "migrate", "--config", folder / "moved.toml", "--json"],
                          capture_output=True, text=True)
    plan = json.loads(done.stdout)
    expect(plan["applied"] >= 1 and not plan["at_next_start"] and not plan["waiting"],
           f"the plan of a complete database: {plan}")


def main():
    cluster.skip_unless_installed()
    cluster.leave_on_signals()
    with tempfile.TemporaryDirectory(prefix="postern-copy-") as name, cluster.Cluster() as servers:
        folder = pathlib.Path(name) / "sandbox"
        subprocess.run([POSTERN, "simulate", "keys", folder, "--webhook",
                        "http://127.0.0.1:9/events"], check=True, stdout=subprocess.DEVNULL)
        (folder / "postern.toml").rename(folder / "sandbox.toml")
        configure(folder, "filling.toml", "sqlite:postern.db", paused=False)
        configure(folder, "before.toml", "sqlite:postern.db", paused=True)
        began = time.monotonic()
        fill(folder)
        with Daemon(folder, "before.toml") as daemon:
            before = daemon.shows()
            daemon.process.kill()  # what it wrote stands in the log beside the file
        rows = rows_of(folder)
        expect(all(rows.values()), f"a table is empty, which proves nothing: {rows}")
        print(f"filled in {time.monotonic() - began:.1f} s: {rows}", flush=True)
        for database in ("moved", "changed", "refused"):
            servers.primary.run(f"CREATE DATABASE {database}")
        after = copy_and_serve(folder, servers.primary)
        for what, shown in before.items():
            expect(shown == after[what], f"the target shows other {what}")
        is_closed(folder)
        find_changed_rows(folder, servers.primary)
        refuse(folder, servers.primary)
        print(f"copy_test: passed in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
