"""A running daemon with accounts of every channel, what can be sent to it, and what it recorded."""
import base64
import contextlib
import dataclasses
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import typing
import urllib.parse

import messages
import wire

ADMIN_KEY = "attacks-" + hashlib.sha256(b"attacks admin").hexdigest()[:32]
NUMBERS = itertools.count(1)  # of orders, over all sites
WEBHOOK_SECRET = "whsec_" + base64.b64encode(hashlib.sha256(b"attacks hook").digest()).decode()
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:")
REFUSED = {"alipay": (400, "text/plain", b"fail"),
           "wechatpay-v3": (401, "application/json", '{"code":"FAIL","message":"失败"}'.encode()),
           "wechatpay-v2": (400, "text/xml",
                            b"<xml><return_code><![CDATA[FAIL]]></return_code>"
                            b"<return_msg><![CDATA[ERROR]]></return_msg></xml>")}
ACCEPTED = {"alipay": (200, b"success"), "wechatpay-v3": (204, b""),
            "wechatpay-v2": (200, b"<xml><return_code><![CDATA[SUCCESS]]></return_code>"
                             b"<return_msg><![CDATA[OK]]></return_msg></xml>")}


def secret(name):
    """32 characters that stay the same from run to run."""
    return hashlib.sha256(b"attacks " + name.encode()).hexdigest()[:32]


@dataclasses.dataclass
class Account:
    """An account as the platform knows it: with the platform's own keys."""
    name: str
    channel: str
    app_id: str
    key: typing.Any = None             # RSA, signs
    seller_id: str = ""
    merchant_id: str = ""
    api_key: str = ""
    serial: str = ""                   # of the v3 key that signs
    sign_type: str = "HMAC-SHA256"
    certificate: typing.Any = None     # Alipay's, in certificate mode
    more: typing.Any = None

    def pay(self, number, minor=10000, **fields):
        """A genuine payment of `minor` for the order of that number."""
        if self.channel == "alipay":
            return messages.Alipay(self, number, f"{minor // 100}.{minor % 100:02d}", **fields)
        if self.channel == "wechatpay-v3":
            return messages.WechatV3(self, number, minor, **fields)
        return messages.WechatV2(self, number, minor, **fields)


class Keys:
    """Everybody's keys, made once for a run, since making one takes a tenth of a second."""

    def __init__(self):
        names = ("alipay", "alipay_next", "alipay_other", "alipay_certified", "alipay_root",
                 "wechat", "wechat_other", "wechat_certified", "attacker", "attacker_root")
        for name in names:
            setattr(self, name, messages.new_key())
        self.cube = messages.new_key(exponent=3)
        self.root = messages.certificate("Payment Root", self.alipay_root)
        self.certificate = messages.certificate("Payment Signer", self.alipay_certified, self.root,
                                                self.alipay_root)
        self.expired = messages.certificate("Payment Signer", self.alipay_next, self.root,
                                            self.alipay_root, days=(-9, -2))
        self.foreign_root = messages.certificate("Payment Root", self.attacker_root)
        self.foreign = messages.certificate("Payment Signer", self.attacker, self.foreign_root,
                                            self.attacker_root)
        self.wechat_certificate = messages.certificate("WeChat Signer", self.wechat_certified)
        self.wechat_expired = messages.certificate("WeChat Signer", self.wechat_certified,
                                                   days=(-9, -2))


def accounts_of(keys):
    """The accounts of the site by name. `shop-b` is another merchant's."""
    id_a, id_b = "PUB_KEY_ID_" + "1" * 32, "PUB_KEY_ID_" + "2" * 32
    listed = [
        Account("alipay", "alipay", "2021000000000001", keys.alipay, "2088101122136241"),
        Account("alipay-certified", "alipay", "2021000000000003", keys.alipay_certified,
                "2088101122136243", certificate=keys.certificate),
        Account("alipay-cube", "alipay", "2021000000000004", keys.cube, "2088101122136244"),
        Account("alipay-b", "alipay", "2021000000000002", keys.alipay_other, "2088101122136242"),
        Account("wechat", "wechatpay-v3", "wxd678efh567hg6787", keys.wechat,
                merchant_id="1900000109", api_key=secret("v3"), serial=id_a),
        Account("wechat-b", "wechatpay-v3", "wxd678efh567hg6788", keys.wechat_other,
                merchant_id="1900000110", api_key=secret("v3 b"), serial=id_b),
        Account("wechat-v2", "wechatpay-v2", "wx2421b1c4370ec43b", merchant_id="10000100",
                api_key=secret("v2")),
        Account("wechat-v2-md5", "wechatpay-v2", "wx2421b1c4370ec43d", merchant_id="10000102",
                api_key=secret("v2 md5"), sign_type="MD5"),
        Account("wechat-v2-b", "wechatpay-v2", "wx2421b1c4370ec43c", merchant_id="10000101",
                api_key=secret("v2 b"))]
    return {one.name: one for one in listed}


def table_of(account, keys):
    """The account's table of the configuration."""
    lines = [f"[account.{account.name}]", f'channel = "{account.channel}"']
    if account.name.endswith("-b"):
        lines.append('merchant = "shop-b"')
    if account.channel == "alipay":
        lines += [f'app_id = "{account.app_id}"', f'seller_id = "{account.seller_id}"']
        if account.certificate is not None:
            lines += ['platform_certificates = ["file:certificate.pem"]',
                      'root_certificates = ["file:root.pem"]']
        else:
            lines.append(f'platform_keys = ["file:{account.name}.pem"]')
    elif account.channel == "wechatpay-v3":
        lines += [f'mchid = "{account.merchant_id}"', f'app_ids = ["{account.app_id}"]',
                  f'api_v3_key = "file:{account.name}.key"',
                  f'platform_public_keys = ["file:{account.name}.pem"]',
                  f'platform_public_key_ids = ["{account.serial}"]']
        if account.name == "wechat":
            lines.append('platform_certificates = ["file:wechat_certificate.pem", '
                         '"file:wechat_expired.pem"]')
    else:
        lines += [f'mch_id = "{account.merchant_id}"', f'app_ids = ["{account.app_id}"]',
                  f'api_key = "file:{account.name}.key"',
                  f'sign_types = ["{account.sign_type}"]']
    return "\n".join(lines) + "\n"


def write_secret(path, content):
    path.write_bytes(wire.encode(content))
    path.chmod(0o600)


class Site:
    """One daemon in a folder of its own. A context manager: started, and in the end stopped."""

    def __init__(self, binary, folder, keys, server="", names=None, environment=None, more=""):
        self.binary, self.folder, self.keys = str(binary), pathlib.Path(folder), keys
        self.environment = environment or {}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.accounts = {name: one for name, one in accounts_of(keys).items()
                         if names is None or name in names}
        self.process, self.port, self.admin_port = None, 0, 0
        self.local = threading.local()
        self.write_configuration(server, more)

    def __getitem__(self, name):
        return self.accounts[name]

    def write_configuration(self, server, more):
        write_secret(self.folder / "admin.key", ADMIN_KEY)
        write_secret(self.folder / "webhook.key", WEBHOOK_SECRET)
        for name in ("root", "certificate", "wechat_certificate", "wechat_expired"):
            write_secret(self.folder / f"{name}.pem",
                         messages.certificate_pem(getattr(self.keys, name)))
        for account in self.accounts.values():
            if account.key is not None:
                write_secret(self.folder / f"{account.name}.pem", messages.public_pem(account.key))
            if account.api_key:
                write_secret(self.folder / f"{account.name}.key", account.api_key)
        self.configuration = "".join([
            # Every attack comes from one address, whose budget would end them.
            '[server]\nlisten = ["127.0.0.1:0"]\nfailed_per_peer_burst = 1000000\n'
            'failed_burst = 1000000\n', server,
            '[admin]\nlisten = "127.0.0.1:0"\napi_key = "file:admin.key"\n',
            '[store]\nurl = "sqlite:postern.db"\nmin_free = "0"\n',
            '[log]\nlevel = "info"\nfile = "postern.log"\n', "[merchant.shop-b]\n",
            *(table_of(account, self.keys) for account in self.accounts.values()),
            '[endpoint.shop]\nkind = "webhook"\nurl = "http://127.0.0.1:9/events"\n'
            'secret = "file:webhook.key"\ninsecure_http = true\npaused = true\n'
            'allow_networks = ["127.0.0.0/8"]\n', more])
        (self.folder / "postern.toml").write_text(self.configuration)
        (self.folder / "postern.toml").chmod(0o600)

    # Running ------------------------------------------------------------------------------------

    def start(self, environment=None):
        errors = open(self.folder / "stderr", "ab")
        # A leak is looked for when the daemon has stopped; a report ends nothing before.
        options = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:quarantine_size_mb=16",
                   "UBSAN_OPTIONS": "print_stacktrace=1"}
        self.process = subprocess.Popen(
            [self.binary, "serve", "--config", str(self.folder / "postern.toml")],
            env={**os.environ, **options, **self.environment, **(environment or {})},
            stdout=subprocess.PIPE, stderr=errors, text=True)
        errors.close()
        ready = re.match(r"ready callbacks=\S+:(\d+) admin=\S+:(\d+)",
                         self.process.stdout.readline())
        if not ready:
            self.process.wait()
            raise RuntimeError("the daemon does not start: " + self.errors()[-1500:])
        self.port, self.admin_port = int(ready[1]), int(ready[2])
        self.local = threading.local()
        return self

    def stop(self):
        """The exit code of a daemon that was asked to stop."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def kill(self):
        if self.alive():
            self.process.kill()
        return self.process.wait()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.alive():
            self.stop()

    def errors(self):
        path = self.folder / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    def health(self):
        """What is wrong with the process, as sentences."""
        wrong = []
        if not self.alive():
            wrong.append(f"the daemon has ended with {self.process.poll()}")
        if SANITIZER.search(self.errors()):
            wrong.append("a sanitizer reports: " + self.errors()[:2000])
        return wrong

    def check(self, text):
        """(exit code, output) of `postern check` on a configuration beside this one."""
        path = self.folder / "checked.toml"
        path.write_text(text)
        path.chmod(0o600)
        done = subprocess.run([self.binary, "check", "--config", str(path)], capture_output=True,
                              text=True, errors="replace", timeout=60,
                              env={**os.environ, **self.environment})
        return done.returncode, done.stdout + done.stderr

    # Sending ------------------------------------------------------------------------------------

    def post(self, data):
        """The answer to a well-formed request, or message, over a connection that is kept."""
        data = data if isinstance(data, bytes) else data.raw()
        connection = getattr(self.local, "connection", None)
        for _ in range(2):
            if connection is None or connection.closed:
                connection = wire.Connection(self.port)
            connection.answers = []
            connection.send(data)
            answers = connection.read(1, timeout=10)
            if answers:
                if answers[0].headers.get("connection") == "close":
                    connection.closed = True
                self.local.connection = connection
                return answers[0]
            connection.close()
            connection = None
        raise AssertionError("no answer to a well-formed request")

    def exchange(self, data, timeout=3.0):
        return wire.exchange(self.port, data, timeout)

    # Looking ------------------------------------------------------------------------------------

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), {
                "Authorization": "Bearer " + ADMIN_KEY,
                "Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def get(self, path):
        code, body = self.call("GET", path)
        if code != 200:
            raise AssertionError(f"GET {path}: {code} {body[:200]!r}")
        return json.loads(body)

    def register(self, number=None, minor=10000, currency="CNY", merchant="default",
                 attempts=None):
        """Registers an order and returns its number."""
        number = number or f"T{next(NUMBERS):06d}"
        order = {"merchant_order_id": number, "merchant": merchant,
                 "expected": {"minor": minor, "currency": currency}}
        if attempts is not None:
            order["attempts"] = [{"account": name, "number": number} for name in attempts]
        code, body = self.call("POST", "/v1/orders", order)
        if code not in (200, 201):
            raise AssertionError(f"registering {number}: {code} {body[:200]!r}")
        return number

    def fresh(self):
        """A number of its own, of no order."""
        return f"T{next(NUMBERS):06d}"

    def order(self, number, merchant="default"):
        path = urllib.parse.quote(number, safe="")
        return self.get(f"/v1/orders/{path}?merchant={merchant}")

    def state(self, number, merchant="default"):
        return self.order(number, merchant)["order"]["state"]

    def incidents(self, kind=None):
        listed = self.get("/v1/incidents?limit=200")["incidents"]
        return [one for one in listed if kind in (None, one["kind"])]

    def reason(self, account):
        """Why the last refused callback of an account was refused."""
        kept = self.get(f"/v1/rejected/{account}")["rejected"]
        return kept[0]["code"] if kept else ""

    def metrics(self):
        """The metrics by name with labels."""
        _, body = self.call("GET", "/metrics")
        values = {}
        for line in body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def total(self, name):
        return sum(v for n, v in self.metrics().items() if n.split("{")[0] == name)

    def trace(self):
        """What grows when anything at all is recorded."""
        newest = self.get("/v1/callbacks?limit=1")["callbacks"]
        orders = self.get("/v1/orders?limit=1")["orders"]
        return (self.total("postern_callbacks_recorded_total"),
                newest[0]["id"] if newest else "", newest[0]["copies"] if newest else 0,
                orders[0]["id"] if orders else "")

    def log_lines(self):
        return (self.folder / "postern.log").read_bytes().split(b"\n")[:-1]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss_kib(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1])

    def sockets_out(self):
        """Connections that the daemon itself has opened: to neither of its listeners' ports."""
        mine = set()
        folder = pathlib.Path(f"/proc/{self.process.pid}/fd")
        for one in folder.iterdir():
            with contextlib.suppress(OSError):
                match = re.match(r"socket:\[(\d+)\]", os.readlink(one))
                if match:
                    mine.add(match[1])
        found = []
        for table in ("tcp", "tcp6"):
            for line in pathlib.Path(f"/proc/{self.process.pid}/net/{table}").read_text(
                    ).splitlines()[1:]:
                words = line.split()
                port = int(words[1].rsplit(":", 1)[1], 16)
                if words[9] in mine and port not in (self.port, self.admin_port):
                    found.append(words[2])
        return found


def wait_until(condition, seconds=5.0):
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True
