#!/usr/bin/env python3
"""Goal: secrets stay where they belong (P17; O08 of the attacks): in their files and, once each, in
the memory of the daemon, which nobody but root can look at.

Method: a real daemon with fresh keys of every kind, one of them from the environment, takes signed
callbacks and forgeries of three platforms, sends signed events to a shop, and is asked for all that
its API tells. Then every secret is looked for, byte for byte: in what was written, told and
listed; in /proc, read by another process of the daemon's own user; and, as root, in every
writable page of the daemon, which is what a core image would hold.

  secrets_test.py POSTERN [--show]      77: the memory of another user's process needs root
"""
import argparse
import base64
import http.client
import http.server
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

NOBODY = 65534
# In how many places of the memory a secret may be; why, by kind, stands in docs/install.md.
PLACES_MAX = {"admin key": 2, "webhook secret": 3, "webhook secret, decoded": 2, "v2 key": 3,
              "v3 key": 2, "private key, text": 0, "private key, DER": 0, "private key, number": 1}
found_wrong = []


def check(holds, sentence):
    if not holds:
        found_wrong.append(sentence)


class Shop(http.server.BaseHTTPRequestHandler):
    """Takes every event."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def prime_of(key_file):
    """One factor of an RSA key, most significant byte first."""
    text = subprocess.run(["openssl", "rsa", "-in", str(key_file), "-noout", "-text"], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    digits = re.search(r"prime1:\s*([0-9a-f:\s]+)", text)[1]
    return bytes.fromhex(re.sub(r"[^0-9a-f]", "", digits)).lstrip(b"\0")


class Site:
    """One installation whose every secret is known here."""

    def __init__(self, postern, folder, shop_port):
        self.postern, self.folder = postern, folder
        subprocess.run([postern, "simulate", "keys", folder, "--webhook",
                        f"http://127.0.0.1:{shop_port}/payments"], check=True,
                       stdout=subprocess.DEVNULL)
        keys = folder / "keys"
        private_key = keys / "application.pem"
        shutil.copy(keys / "alipay-stranger.key.pem", private_key)
        text = (folder / "postern.toml").read_text()
        text = text.replace("127.0.0.1:8000", "127.0.0.1:0").replace("127.0.0.1:8080", "127.0.0.1:0")
        text = text.replace('"file:keys/wechat-v2-api.key"', '"env:WECHAT_KEY"')
        text = text.replace('channel = "alipay"',
                            'channel = "alipay"\napplication_key = "file:keys/application.pem"')
        (folder / "postern.toml").write_text(text)
        self.admin_key = (keys / "admin-api.key").read_text().strip()
        webhook = (keys / "shop-webhook.key").read_text().strip()
        self.v2_key = (keys / "wechat-v2-api.key").read_text().strip()
        self.secrets = {
            "admin key": self.admin_key.encode(),
            "webhook secret": webhook.encode(),
            "webhook secret, decoded": base64.b64decode(webhook.removeprefix("whsec_")),
            "v2 key": self.v2_key.encode(),
            "v3 key": (keys / "wechat-api-v3.key").read_bytes().strip(),
            "private key, text": private_key.read_bytes().splitlines()[9],
            "private key, DER": prime_of(private_key),
            # OpenSSL keeps numbers with the least byte first.
            "private key, number": prime_of(private_key)[::-1],
        }
        if os.geteuid() == 0:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)

    def start(self):
        command = [self.postern, "serve", "--config", str(self.folder / "postern.toml")]
        self.output = open(self.folder / "output", "wb")
        self.process = subprocess.Popen(as_nobody(command), stdout=subprocess.PIPE,
                                        stderr=self.output, text=True,
                                        env={**os.environ, "WECHAT_KEY": self.v2_key})
        line = self.process.stdout.readline()
        ready = re.match(r"ready callbacks=127.0.0.1:(\d+) admin=127.0.0.1:(\d+)", line)
        if not ready:
            sys.exit("the daemon did not start: " + (self.folder / "output").read_text())
        self.port, self.admin_port = int(ready[1]), int(ready[2])

    def stop(self):
        self.process.terminate()
        check(self.process.wait(timeout=30) == 0, "the daemon did not stop as asked")

    def send_callbacks(self):
        for platform in ("alipay", "wechatpay-v3", "wechatpay-v2"):
            for tamper in ("none", "wrong_key", "amount"):
                command = [self.postern, "simulate", platform, "--to",
                           f"http://127.0.0.1:{self.port}", "--keys", self.folder, "--orders", "20",
                           "--order-prefix", f"{platform}-{tamper}-", "--tamper", tamper]
                if tamper == "none":
                    command += ["--register", f"http://127.0.0.1:{self.admin_port}", "--api-key",
                                f"file:{self.folder}/keys/admin-api.key"]
                subprocess.run(as_nobody(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self):
        """What the API tells to one who has the key, and one who has not."""
        told = b""
        for key in (self.admin_key, "not the key"):
            for path in ("/metrics", "/readyz", "/v1/orders", "/v1/callbacks", "/v1/deliveries",
                         "/v1/endpoints", "/v1/accounts", "/v1/events?after=0", "/v1/audit",
                         "/v1/orders/wechatpay-v2-none-00001", "/v1/callbacks/1"):
                connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
                connection.request("GET", path, headers={"Authorization": "Bearer " + key})
                answer = connection.getresponse()
                told += str(answer.headers).encode() + answer.read()
                connection.close()
        return told


def as_nobody(command):
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--",
            *command]


def look_for(secrets, text, where):
    for name, secret in secrets.items():
        check(secret not in text, f"the {name} is in {where}")


def memory_of(pid):
    """Every writable page, by the name of its mapping."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            area, rights, *_, name = (line + " ?").split(maxsplit=5)
            if "w" not in rights:
                continue
            begin, end = (int(part, 16) for part in area.split("-"))
            memory.seek(begin)
            content = b""
            while len(content) < end - begin:
                try:
                    part = memory.read(end - begin - len(content))
                except OSError:  # Such as a page of a device.
                    break
                if not part:
                    break
                content += part
            yield name, content


def places_of(secrets, pid, show):
    places = {name: 0 for name in secrets}
    for mapping, content in memory_of(pid):
        for name, secret in secrets.items():
            for match in re.finditer(re.escape(secret), content):
                places[name] += 1
                if show:
                    around = content[max(0, match.start() - 48):match.end() + 16]
                    print(f"{name} in {mapping}: {around!r}")
    return places


def readable_to_its_own_user(pid, what):
    return subprocess.run(as_nobody(["cat", f"/proc/{pid}/{what}"]), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def look_at(site, show):
    pid = site.process.pid
    site.send_callbacks()
    told = site.ask()
    check(b"postern_" in told and b"wechatpay-v2-none-00001" in told, "the API told nothing")
    look_for(site.secrets, told, "what the API tells")
    listed = subprocess.run(["ps", "-ww", "-o", "args", "-p", str(pid)], check=True,
                            stdout=subprocess.PIPE).stdout
    look_for(site.secrets, listed, "ps")
    look_for(site.secrets, pathlib.Path(f"/proc/{pid}/cmdline").read_bytes(), "cmdline")
    for what in ("environ", "maps"):
        check(not readable_to_its_own_user(pid, what),
              f"another process of the daemon's user reads /proc/PID/{what}")
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    check(re.search(r"Max core file size\s+0\s+0\s", limits), "core files are allowed")
    if os.geteuid() == 0:
        places = places_of(site.secrets, pid, show)
        print(f"secrets_test: places in memory {places}")
        for name, count in places.items():
            check(count <= PLACES_MAX[name], f"the {name} is in {count} places of the memory")
        check(places["webhook secret, decoded"] > 0, "the memory was not looked at")
    site.stop()
    look_for(site.secrets, (site.folder / "output").read_bytes(), "the log")
    for path in site.folder.glob("postern.db*"):
        look_for(site.secrets, path.read_bytes(), path.name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("postern")
    parser.add_argument("--show", action="store_true", help="what lies around each finding")
    args = parser.parse_args()
    shop = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="postern-secrets-") as name:
        os.chmod(name, 0o755)
        site = Site(args.postern, pathlib.Path(name) / "site", shop.server_port)
        site.start()
        try:
            look_at(site, args.show)
        finally:
            site.process.kill()
    for sentence in found_wrong:
        print("secrets_test: " + sentence)
    print(f"secrets_test: {len(found_wrong)} findings")
    sys.exit(1 if found_wrong else 0)


if __name__ == "__main__":
    main()
