#!/usr/bin/env python3
"""Goal: reloads under load drop no request, accept nothing signed by a retired key, and refuse
nothing signed by a key in force (P14).

Method: a real daemon is reloaded by SIGHUP and by the API in turn while senders post signed WeChat
Pay v2 payments over kept-alive and over new TLS connections: keys are rotated (old, both, new), the
certificate is renewed, an account comes and goes, limits and log level change, and broken files are
tried in between. Of each key, account and certificate it is known from when to when it was certainly
in force, and when certainly not: an answer is held against that. Around a reload, between asking and
its answer, either is right.

  reload_test.py POSTERN BROKEN_CONFIGS [--reloads 5] [--seed N] [--plain] [--planted FAULT]

With --planted the daemon is deliberately wrong, and the test passes only if that is reported.
"""
import argparse
import atexit
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import re
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

MCH_ID, APP_ID = "1900000001", "wx0000000000000001"
ADMIN_KEY = "reload-test-" + hashlib.sha256(b"admin").hexdigest()[:24]
SENDERS = 6
PAUSE_SECONDS = 0.12
MAIN, SECOND = "main", "second"
# What is shown is compared with what is known: no authority is asked.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


def key_text(number):
    return hashlib.sha256(f"key {number}".encode()).hexdigest()[:32]


def signed_payment(number, key):
    fields = {
        "appid": APP_ID, "mch_id": MCH_ID, "nonce_str": hashlib.md5(number.encode()).hexdigest(),
        "result_code": "SUCCESS", "return_code": "SUCCESS", "openid": "invented-openid",
        "is_subscribe": "N", "trade_type": "JSAPI", "bank_type": "OTHERS", "total_fee": "8888",
        "fee_type": "CNY", "cash_fee": "8888", "transaction_id": "42" + number,
        "out_trade_no": number, "time_end": "20260105100007", "sign_type": "HMAC-SHA256",
    }
    text = "&".join(f"{k}={fields[k]}" for k in sorted(fields)) + "&key=" + key
    fields["sign"] = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest().upper()
    inner = "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in fields.items())
    return f"<xml>{inner}</xml>".encode()


class InForce:
    """When each thing (a key, an account) was in force, as far as it can be known from outside."""

    def __init__(self):
        self.lock = threading.Lock()
        self.spans = {}  # thing: [[asked, acknowledged, retiring, retired], ...]

    def ask(self, before, after, now):
        """Before the daemon is told: from here on either is right."""
        with self.lock:
            for thing in after - before:
                self.spans.setdefault(thing, []).append([now, float("inf"), None, None])
            for thing in before - after:
                self.spans[thing][-1][2] = now

    def acknowledge(self, before, after, now):
        with self.lock:
            for thing in after - before:
                self.spans[thing][-1][1] = now
            for thing in before - after:
                self.spans[thing][-1][3] = now

    def wanted(self, thing, began, ended):
        """True: certainly in force; False: certainly not; None: it was changing."""
        with self.lock:
            for asked, acknowledged, retiring, retired in self.spans.get(thing, []):
                if began >= acknowledged and (retiring is None or ended <= retiring):
                    return True
                if ended > asked and (retired is None or began < retired):
                    return None
        return False


class Certificates:
    """Self-signed ones, made beforehand; one at a time stands where the configuration says."""

    def __init__(self, folder, count):
        self.folder, self.names = folder, []
        for number in range(count):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={number}",
                 "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{number}.tls.key",
                 "-out", folder / f"{number}.tls.pem"], check=True, capture_output=True)
            text = (folder / f"{number}.tls.pem").read_text()
            self.names.append(name_of(ssl.PEM_cert_to_DER_cert(text)))

    def install(self, number):
        for kind in ("pem", "key"):
            new = self.folder / f"installed.tls.{kind}.next"
            new.write_text((self.folder / f"{number}.tls.{kind}").read_text())
            new.chmod(0o600)
            new.rename(self.folder / f"installed.tls.{kind}")


def name_of(certificate):
    return "certificate " + hashlib.sha256(certificate).hexdigest()[:12]


class State:
    """What the configuration says now."""

    def __init__(self, certificates):
        self.certificates, self.certificate = certificates, 0
        self.keys = [0]
        self.has_second = False
        self.body_bytes_max = 65536
        self.log_level = "warning"

    def things(self):
        shown = {self.certificates.names[self.certificate]} if self.certificates else set()
        return {f"key {k}" for k in self.keys} | ({SECOND} if self.has_second else set()) | shown

    def text(self):
        keys = ", ".join(f'"file:{k}.key"' for k in self.keys)
        text = f"""
[server]
listen = ["127.0.0.1:0"]
body_bytes_max = {self.body_bytes_max}
[admin]
listen = "127.0.0.1:0"
api_key = "file:admin.key"
[log]
level = "{self.log_level}"
"""
        if self.certificates:
            text += """
[server.tls]
certificate = "file:installed.tls.pem"
private_key = "file:installed.tls.key"
"""
        for account, used in [(MAIN, keys)] + [(SECOND, '"file:second.key"')] * self.has_second:
            text += f"""
[account.{account}]
channel = "wechatpay-v2"
mch_id = "{MCH_ID}"
app_id = "{APP_ID}"
api_keys = [{used}]
sign_types = ["HMAC-SHA256"]
orders = "open"
"""
        return text


class Daemon:
    def __init__(self, postern, folder, environment):
        self.folder = folder
        self.log = open(folder / "postern.log", "ab")
        self.process = subprocess.Popen(
            [postern, "serve", "--config", str(folder / "postern.toml"), "--io-threads", "2"],
            env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready = re.match(r"ready callbacks=127.0.0.1:(\d+) admin=127.0.0.1:(\d+)",
                         self.process.stdout.readline())
        if not ready:
            sys.exit("the daemon did not start:\n" + (folder / "postern.log").read_text()[-2000:])
        self.port, self.admin_port = int(ready[1]), int(ready[2])

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ask(self, method, target):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=30)
        connection.request(method, target, headers={"Authorization": "Bearer " + ADMIN_KEY})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def reloads(self, result):
        found = re.search(
            r'postern_configuration_reloads_total\{result="%s"\} (\d+)' % result,
            self.ask("GET", "/metrics")[1])
        return int(found[1])

    def write(self, text):
        """As an editor does: the file is there as a whole, or not yet."""
        (self.folder / "next").write_text(text)
        (self.folder / "next").rename(self.folder / "postern.toml")

    def reload(self, way):
        """Whether it was taken, and what was said."""
        if way == "API":
            status, text = self.ask("POST", "/v1/configuration/reload")
            return status == 200, text
        before = {result: self.reloads(result) for result in ("reloaded", "refused")}
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for result, count in before.items():
                if self.reloads(result) > count:
                    return result == "reloaded", "by SIGHUP"
            time.sleep(0.002)
        sys.exit("a SIGHUP was not followed by a reload within 20 s")


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.requests = {"kept alive": 0, "new": 0}
        self.handshakes = 0
        self.accepted = self.refused = self.either = 0
        self.seconds = []
        self.wrong = []

    def add(self, kind, seconds, accepted, wanted, wrong):
        with self.lock:
            self.requests[kind] += 1
            self.seconds.append(seconds)
            self.accepted += accepted
            self.refused += not accepted
            self.either += wanted is None
            if wrong:
                self.wrong.append(wrong)


def connect(daemon, tally, in_force, is_tls):
    if not is_tls:
        return http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
    began = time.monotonic()
    connection = http.client.HTTPSConnection("127.0.0.1", daemon.port, timeout=20, context=TLS)
    connection.connect()
    shown = name_of(connection.sock.getpeercert(binary_form=True))
    ended = time.monotonic()
    with tally.lock:
        tally.handshakes += 1
        if in_force.wanted(shown, began, ended) is False:
            tally.wrong.append(f"wrong certificate: {shown}")
    return connection


def send(daemon, tally, in_force, state, stop, index):
    rng = random.Random(index)
    kind = "new" if index % 2 else "kept alive"
    connection = None
    count = 0
    while not stop.is_set():
        count += 1
        newest = state.keys[-1]
        account, key, thing = MAIN, newest + rng.choice((0, 0, 0, -1, -1, 1)), None
        thing = f"key {key}"
        if rng.random() < 0.2:
            account, key, thing = SECOND, "second", SECOND
        body = signed_payment(f"R{index}N{count}", key_text(key))
        began = time.monotonic()
        try:
            if connection is None:
                connection = connect(daemon, tally, in_force, state.certificates is not None)
            connection.request("POST", f"/payment/{account}/callback", body,
                               {"Content-Type": "text/xml"})
            answer = connection.getresponse()
            text = answer.read()
            if kind == "new":
                connection.close()
                connection = None
        except (OSError, http.client.HTTPException) as error:
            connection = None
            tally.add(kind, 0, False, None, f"dropped: {thing}: {error!r}")
            continue
        ended = time.monotonic()
        accepted = answer.status == 200 and b"<![CDATA[SUCCESS]]>" in text
        wanted = in_force.wanted(thing, began, ended)
        wrong = None
        if answer.status >= 500:
            wrong = f"put off: {thing}: {answer.status}"
        elif wanted is not None and accepted != wanted:
            wrong = f"wrong {'accept' if accepted else 'reject'}: {thing}: {answer.status} {text!r}"
        tally.add(kind, ended - began, accepted, wanted, wrong)


def next_state(state, step):
    """One change of each kind in turn; every fifth completes a rotation."""
    part = step % 5
    newest = state.keys[-1]
    if state.certificates and step % 2 == 0:
        state.certificate = (state.certificate + 1) % len(state.certificates.names)
    if part == 0:
        state.keys = [newest, newest + 1]
    elif part == 1:
        state.body_bytes_max = 131072 if state.body_bytes_max == 65536 else 65536
        state.has_second = not state.has_second
    elif part == 2:
        state.keys = [newest]
    elif part == 3:
        state.log_level = "error" if state.log_level == "warning" else "warning"
        state.has_second = not state.has_second
    else:
        state.keys = [newest + 1]  # at once, as after a leak


def run(args, folder):
    rng = random.Random(args.seed)
    broken = sorted(pathlib.Path(args.broken_configs).glob("*.toml"))
    for number in range(args.reloads + 3):
        (folder / f"{number}.key").write_text(key_text(number))
    (folder / "second.key").write_text(key_text("second"))
    (folder / "admin.key").write_text(ADMIN_KEY)
    for key in folder.glob("*.key"):
        key.chmod(0o600)
    certificates = None if args.plain else Certificates(folder, 3)
    state, in_force, tally, stop = State(certificates), InForce(), Tally(), threading.Event()
    if certificates:
        certificates.install(0)
    (folder / "postern.toml").write_text(state.text())
    environment = {"POSTERN_PLANTED_FAULT": args.planted} if args.planted else {}
    daemon = Daemon(args.postern, folder, environment)
    atexit.register(daemon.end)  # also where this script fails
    in_force.ask(set(), state.things(), time.monotonic())
    in_force.acknowledge(set(), state.things(), time.monotonic())
    senders = [threading.Thread(target=send, args=(daemon, tally, in_force, state, stop, index))
               for index in range(SENDERS)]
    for sender in senders:
        sender.start()
    wrong, took, refusals = [], [], 0
    try:
        for step in range(args.reloads):
            time.sleep(PAUSE_SECONDS)
            way = "API" if step % 2 else "SIGHUP"
            if step % 2 == 0:
                # A broken file first, the other way round: nothing may change.
                file = rng.choice(broken)
                daemon.write(file.read_text())
                taken, said = daemon.reload("SIGHUP" if way == "API" else "API")
                refusals += 1
                if taken or (way == "SIGHUP" and "postern.toml" not in said):
                    wrong.append(f"{file.name} was not refused with its place: {said}")
                time.sleep(PAUSE_SECONDS / 4)
            before = state.things()
            next_state(state, step)
            asked = time.monotonic()
            in_force.ask(before, state.things(), asked)
            if certificates:
                certificates.install(state.certificate)
            daemon.write(state.text())
            taken, said = daemon.reload(way)
            acknowledged = time.monotonic()
            took.append(acknowledged - asked)
            if not taken:
                wrong.append(f"reload {step} was refused: {said}")
            in_force.acknowledge(before, state.things(), acknowledged)
        time.sleep(PAUSE_SECONDS)
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    audit = json.loads(daemon.ask("GET", "/v1/audit?limit=200")[1])["audit"]
    outcomes = [one["outcome"] for one in audit if one["act"] == "configuration_reloaded"]
    if (outcomes.count("done"), outcomes.count("refused")) != (args.reloads, refusals):
        wrong.append(f"the audit has {outcomes.count('done')} reloads and "
                     f"{outcomes.count('refused')} refusals")
    daemon.process.send_signal(signal.SIGTERM)
    if daemon.process.wait(timeout=30) != 0:
        wrong.append(f"the daemon ended with {daemon.process.returncode}")
    return wrong, took, refusals, tally


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("postern")
    parser.add_argument("broken_configs")
    parser.add_argument("--reloads", type=int, default=int(os.environ.get("POSTERN_RELOADS", "5")))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--planted", default="")
    args = parser.parse_args()
    print(f"reload_test: seed {args.seed}, {args.reloads} reloads" +
          (f", planted fault {args.planted}" if args.planted else ""), flush=True)
    with tempfile.TemporaryDirectory(prefix="postern-reload-") as name:
        wrong, took, refusals, tally = run(args, pathlib.Path(name))
    count = {kind: sum(one.startswith(kind) for one in tally.wrong)
             for kind in ("dropped", "put off", "wrong accept", "wrong reject",
                          "wrong certificate")}
    wrong += tally.wrong
    seconds = sorted(tally.seconds)
    print(f"reloads {len(took)} (median {statistics.median(took) * 1000:.0f} ms, longest "
          f"{max(took) * 1000:.0f} ms), refused files {refusals}, requests "
          f"{sum(tally.requests.values())} ({tally.requests['kept alive']} kept alive, "
          f"{tally.requests['new']} on new connections), handshakes {tally.handshakes}, accepted {tally.accepted}, refused "
          f"{tally.refused}, either was right {tally.either}, p50 "
          f"{seconds[len(seconds) // 2] * 1000:.1f} ms, p99 "
          f"{seconds[len(seconds) * 99 // 100] * 1000:.1f} ms")
    print(", ".join(f"{kind} {number}" for kind, number in count.items()), flush=True)
    if args.planted:
        if not wrong:
            sys.exit(f"the planted fault {args.planted} was not reported")
        print(f"planted fault {args.planted} was reported: {len(wrong)} findings, such as "
              f"{wrong[0]}")
        return
    for one in wrong[:10]:
        print("wrong:", one)
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
