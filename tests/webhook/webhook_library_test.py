#!/usr/bin/env python3
"""Goal: a merchant verifies our webhooks with Standard Webhooks' own library, and the library
refuses each whose body, id or time was changed (P7).

Method: the package `standardwebhooks` from npm, pinned by package-lock.json, in a Node server; a
real daemon sends it what real callbacks caused, signed with two keys as while one is changed.

  webhook_library_test.py POSTERN FOLDER

FOLDER keeps the package between runs, so that a further one needs no network. Where there is
neither Node nor a way to the package the test is skipped and says so.
"""
import base64
import http.client
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kill"))
sys.dont_write_bytecode = True
import kill_test as kill  # noqa: E402

ORDERS = 20
SKIPPED = 77


def skip(why):
    print(f"webhook_library_test: skipped: {why}")
    sys.exit(SKIPPED)


def install(folder):
    """The package as the lock file has it, unless it is there already."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            skip(f"{program} is not installed (script/bootstrap --tests installs it)")
    lock = (HERE / "package-lock.json").read_text()
    installed = folder / "installed.json"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "receiver.mjs", folder)
    if installed.exists() and installed.read_text() == lock:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    try:
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                               "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=20000"],
                              cwd=folder, timeout=120, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    except subprocess.TimeoutExpired:
        skip("npm did not install the package within 120 s")
    if done.returncode != 0:
        # A package that is there but not the pinned one is a finding, not a reason to skip.
        if "EINTEGRITY" in done.stdout or "EUSAGE" in done.stdout:
            sys.exit("webhook_library_test: " + done.stdout)
        skip("npm could not install the package: " + done.stdout.strip().splitlines()[0])
    installed.write_text(lock)


def new_secret():
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


class Receiver:
    def __init__(self, folder, secrets):
        self.process = subprocess.Popen(["node", "receiver.mjs", *secrets], cwd=folder,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("webhook_library_test: the receiver did not start")
        self.port, self.lines = int(line), queue.Queue()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))


def pay(daemon, numbers):
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    for number in numbers:
        connection.request("POST", "/payment/wechat-v2/callback", kill.signed_payment(number),
                           {"Content-Type": "text/xml"})
        answer = connection.getresponse()
        if b"SUCCESS" not in answer.read():
            sys.exit(f"webhook_library_test: {number} was answered {answer.status}")


def wrong_with(got):
    """Only what came unchanged is accepted, with either key."""
    wrong = []
    if len({one["id"] for one in got}) != ORDERS:
        wrong.append("ids are not one an event")
    for one in got:
        for what, verdict in one["verdicts"].items():
            if what in ("nothing", "key: the old one"):
                if verdict != "accepted":
                    wrong.append(f"{one['id']}, changed {what}: {verdict}")
            elif not verdict.startswith("WebhookVerificationError"):
                wrong.append(f"{one['id']}, changed {what}: {verdict}")
    return wrong


def main():
    postern, package = sys.argv[1], pathlib.Path(sys.argv[2])
    install(package)
    secrets = [new_secret() for _ in range(3)]
    receiver = Receiver(package, secrets)
    with tempfile.TemporaryDirectory(prefix="postern-webhook-") as name:
        folder = pathlib.Path(name)
        for file, text in {"wechat.key": kill.API_KEY, "admin.key": kill.ADMIN_KEY,
                           "new.key": secrets[0], "old.key": secrets[1]}.items():
            (folder / file).write_text(text)
            (folder / file).chmod(0o600)
        (folder / "postern.toml").write_text(kill.CONFIGURATION + f"""
[endpoint.shop]
kind = "webhook"
url = "http://127.0.0.1:{receiver.port}/payments"
secrets = ["file:new.key", "file:old.key"]
insecure_http = true
allow_networks = ["127.0.0.0/8"]
""")
        daemon = kill.Daemon(postern, folder)
        try:
            daemon.start({})
            numbers = [f"W{i:07d}" for i in range(ORDERS)]
            kill.register(daemon, numbers)
            pay(daemon, numbers)
            got = [receiver.lines.get(timeout=30) for _ in numbers]
        finally:
            daemon.kill()
            receiver.process.kill()
    wrong = wrong_with(got)
    print(f"webhook_library_test: {len(got)} webhooks, {len(got[0]['verdicts'])} checks each, "
          f"{len(wrong)} findings")
    for finding in wrong[:10]:
        print("webhook_library_test: " + finding)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
