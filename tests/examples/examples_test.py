#!/usr/bin/env python3
"""Goal: each shop of examples/ takes Postern's events as a merchant has to: it registers its order,
believes only what is signed, applies each event once, and never goes back to an older state.

Method: a real `postern serve`, a simulated Alipay that pays and refunds the shop's order by signed
callbacks, and the example as it would be run by hand. Between the two stands a wire tap, so that
the very webhook that Postern sent can be repeated and spoiled. What Postern never sends (two
signatures, an old clock, an event out of order) is signed here, from the specification.

  examples_test.py POSTERN LANGUAGE      exits with 77 where the language is not installed
"""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
GSON = "/usr/share/java/gson.jar"
COMMANDS = {
    "php": ["php", EXAMPLES / "php/shop.php"],
    "node": ["node", EXAMPLES / "node/shop.mjs"],
    "python": ["python3", EXAMPLES / "python/shop.py"],
    "go": ["go", "run", EXAMPLES / "go/shop.go"],
    "java": ["java", "-cp", GSON, EXAMPLES / "java/Shop.java"],
}
NOT_INSTALLED = 77
PATIENCE_SECONDS = 60
ORDER = "T00001"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def expect(what, wanted, found):
    if wanted != found:
        sys.exit(f"FAILED: {what}: wanted {wanted}, found {found}")
    print(f"ok: {what}", flush=True)


def eventually(what, look):
    limit = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < limit:
        try:
            found = look()
            if found:
                print(f"ok: {what}", flush=True)
                return found
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    sys.exit(f"FAILED: {what}: not within {PATIENCE_SECONDS} s")


class Process:
    """A process in a group of its own, since `go run` starts another."""

    def __init__(self, command, environment=None):
        self.process = subprocess.Popen([str(part) for part in command], start_new_session=True,
                                        env={**os.environ, **(environment or {})})

    def stop(self, number):
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        self.process.wait(timeout=30)


class Shop:
    def __init__(self, language):
        self.command = [*COMMANDS[language], ORDER, "8888"]
        self.port, self.process, self.environment = free_port(), None, {}

    def furnish(self, admin_port, folder, secret):
        self.environment = {
            "POSTERN_API": f"http://127.0.0.1:{admin_port}",
            "POSTERN_API_KEY": (folder / "keys/admin-api.key").read_text(),
            "SHOP_SECRET": secret, "SHOP_PORT": str(self.port),
            "SHOP_DATA": str(folder / "shop.data"),
        }

    def start(self):
        self.process = Process(self.command, self.environment)
        eventually("the shop listens", lambda: self.orders() is not None)

    def stop(self):
        if self.process:
            self.process.stop(signal.SIGKILL)

    def ask(self, method, headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, "/payments", body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    def orders(self):
        return json.loads(self.ask("GET")[1])

    def order(self):
        return self.orders().get(ORDER)

    def tell(self, message):
        """The status the shop answers; anything but an answer counts as 0."""
        try:
            return self.ask("POST", {"Content-Type": "application/json", **message["headers"]},
                            message["body"])[0]
        except (OSError, http.client.HTTPException):
            return 0


class WireTap(http.server.ThreadingHTTPServer):
    """Passes what Postern sends on to the shop, and keeps what the shop took."""

    def __init__(self, shop):
        self.shop, self.taken = shop, []
        super().__init__(("127.0.0.1", 0), TapHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class TapHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message = {"body": body, "headers": {name: self.headers[name] for name in (
            "webhook-id", "webhook-timestamp", "webhook-signature")}}
        code = self.server.shop.tell(message)
        if 200 <= code < 300:
            self.server.taken.append(message)
        self.send_response(code or 502)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def changed(message, name, value):
    return {"body": message["body"], "headers": {**message["headers"], name: value}}


def signed(secret, message_id, body, age=0):
    sent_at = str(int(time.time()) - age)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    return {"body": body, "headers": {
        "webhook-id": message_id, "webhook-timestamp": sent_at,
        "webhook-signature": "v1," + base64.b64encode(mac).decode()}}


def event(kind, state, sequence):
    return json.dumps({"type": kind, "data": {"sequence": sequence, "order": {
        "merchant_order_id": ORDER, "state": state}}}).encode()


def check_spoiled(shop, paid):
    """Every change to a genuine webhook, alone, must be refused with 4xx and change nothing."""
    before = shop.orders()
    headers = paid["headers"]
    mac = headers["webhook-signature"].removeprefix("v1,")
    spoiled = {
        "body": {**paid, "body": paid["body"].replace(b"8888", b"8889")},
        "id": changed(paid, "webhook-id", headers["webhook-id"] + "0"),
        "timestamp": changed(paid, "webhook-timestamp", str(int(headers["webhook-timestamp"]) + 1)),
        "signature": changed(paid, "webhook-signature", "v1," + base64.b64encode(bytes(32)).decode()),
        "scheme": changed(paid, "webhook-signature", "v2," + mac),
        "no scheme": changed(paid, "webhook-signature", mac),
        "no signature": changed(paid, "webhook-signature", ""),
        "timestamp that is no number": changed(paid, "webhook-timestamp", "soon"),
        "no headers": {"body": paid["body"], "headers": {}},
    }
    for what, message in spoiled.items():
        code = shop.tell(message)
        expect(f"spoiled {what}: refused with {code}", True, 400 <= code < 500)
    expect("nothing spoiled changed anything", before, shop.orders())


def check_repeats(shop, secret, paid):
    before = shop.orders()
    expect("a repeat is taken", 2, shop.tell(paid) // 100)
    lead = "v1a,AAAA v1," + base64.b64encode(bytes(32)).decode() + " "
    several = changed(paid, "webhook-signature", lead + paid["headers"]["webhook-signature"])
    expect("one good signature of several is enough", 2, shop.tell(several) // 100)
    expect("repeats are applied once", before, shop.orders())

    for age in (-400, 400):
        stale = signed(secret, "evt_stale", event("order.refunded", "refunded", 99), age)
        expect(f"signed {age} s ago: refused", 4, shop.tell(stale) // 100)
    expect("nothing stale changed anything", before, shop.orders())


def check_order_of_events(shop, secret):
    """Postern keeps the order of first deliveries; what a person retries by hand may come late."""
    last = signed(secret, "evt_last", event("order.refunded", "refunded", 9))
    older = signed(secret, "evt_older", event("order.partially_refunded", "partially_refunded", 8), 200)
    expect("the newest event is taken", 2, shop.tell(last) // 100)
    expect("an older one is taken as well", 2, shop.tell(older) // 100)
    wanted = {"state": "refunded", "sequence": 9, "events": 4, "ship": True}
    expect("and does not overwrite it", wanted, shop.order())
    return wanted


def play(postern, language, folder):
    run = lambda *arguments: subprocess.run([postern, *map(str, arguments)], check=True)
    callback_port, admin_port = free_port(), free_port()
    shop = Shop(language)
    tap = WireTap(shop)
    folder = folder / "sandbox"
    run("simulate", "keys", folder, "--webhook",
        f"http://127.0.0.1:{tap.server_address[1]}/payments")
    config = folder / "postern.toml"
    config.write_text(config.read_text().replace(":8000", f":{callback_port}")
                      .replace(":8080", f":{admin_port}") + '\n[log]\nfile = "postern.log"\n')
    secret = (folder / "keys/shop-webhook.key").read_text()
    shop.furnish(admin_port, folder, secret)
    gateway = Process([postern, "serve", "--config", config])
    try:
        eventually("the gateway listens",
                   lambda: socket.create_connection(("127.0.0.1", admin_port)).close() is None)
        shop.start()
        # The example has registered the order; an unknown one would tell the shop nothing.
        run("simulate", "alipay", "--to", f"http://127.0.0.1:{callback_port}", "--keys", folder,
            "--orders", 1, "--order-prefix", "T", "--copies", 3, "--refund", "partial")
        paid = eventually("the shop took a webhook", lambda: tap.taken and tap.taken[0])
        eventually("the shop was told of payment and refund",
                   lambda: (shop.order() or {}).get("state") == "partially_refunded")
        wanted = {"state": "partially_refunded", "sequence": 2, "events": 2, "ship": True}
        expect("each once", wanted, shop.order())
        check_spoiled(shop, paid)
        check_repeats(shop, secret, paid)
        wanted = check_order_of_events(shop, secret)

        shop.stop()
        shop.start()
        expect("after a kill the shop knows its orders", wanted, shop.order())
        expect("a repeat is taken", 2, shop.tell(paid) // 100)
        expect("and still applied once", wanted, shop.order())
    finally:
        shop.stop()
        gateway.stop(signal.SIGTERM)
        tap.shutdown()
    expect("the gateway ended in order", 0, gateway.process.returncode)


def main():
    postern, language = sys.argv[1:]
    if shutil.which(COMMANDS[language][0]) is None or (
            language == "java" and not (shutil.which("javac") and os.path.exists(GSON))):
        print(f"{language} is not installed")
        sys.exit(NOT_INSTALLED)
    with tempfile.TemporaryDirectory(prefix="postern-examples-") as folder:
        play(postern, language, pathlib.Path(folder))


main()
