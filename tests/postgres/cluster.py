#!/usr/bin/env python3
"""PostgreSQL for tests: a primary of its own on loopback and, where asked, a synchronous standby.

  cluster.py run [--standby] -- COMMAND ARGUMENTS...

starts them in a folder of their own, runs COMMAND with POSTERN_TEST_POSTGRES naming the primary,
and exits with its code; with 77 where PostgreSQL is not installed. What was started is stopped and
its folder removed, whatever happens: the kernel tells the servers when their starter has gone.

fsync stays on: that an ack means "flushed" is what the tests prove.
"""
import argparse
import atexit
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BINARIES = pathlib.Path("/usr/lib/postgresql/15/bin")
START_SECONDS_MAX = 30
SKIPPED = 77
SETTINGS = """
listen_addresses = '127.0.0.1'
shared_buffers = 16MB
huge_pages = off
max_connections = 60
max_wal_senders = 4
wal_keep_size = 64MB
log_line_prefix = '%m [%p] %a '
"""


def installed():
    return (BINARIES / "postgres").exists()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def as_owner(*command):
    """PostgreSQL refuses to run as root."""
    words = ["setpriv", "--pdeathsig", "QUIT"]
    if os.geteuid() == 0:
        words += ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    return words + ["--"] + [str(part) for part in command]


class Server:
    """One postmaster. start() belongs to a thread that lives on: with it goes the server."""

    def __init__(self, folder):
        self.data, self.sockets, self.log = folder / "data", folder, folder / "server.log"
        self.port, self.process = free_port(), None

    def url(self, database="postgres"):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, settings=""):
        make(self.sockets)
        quietly("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8",
                "--locale=C.UTF-8", "-D", self.data)
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(SETTINGS + settings)

    def copy(self, primary):
        """Makes this the standby of `primary`, which runs."""
        make(self.sockets)
        way = f"host={primary.sockets} port={primary.port} user=postgres application_name=standby"
        quietly("pg_basebackup", "--checkpoint=fast", "--wal-method=stream", "--create-slot",
                "--slot=standby", "--write-recovery-conf", "-D", self.data, "-d", way)

    def start(self):
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of one that was killed
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                as_owner(BINARIES / "postgres", "-D", self.data, "-p", self.port, "-k",
                         self.sockets),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        limit = time.monotonic() + START_SECONDS_MAX
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError("PostgreSQL did not start:\n" + self.log.read_text()[-2000:])
            time.sleep(0.02)

    def ready(self):
        """What its own file says: connections are taken, by a standby those that read."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() in ("ready", "standby")

    def children(self):
        return [int(entry.name) for entry in pathlib.Path("/proc").iterdir()
                if entry.name.isdigit() and parent_of(entry) == self.process.pid]

    def kill(self):
        """SIGKILL to all of its processes, the postmaster first, so that it replaces none."""
        if self.process.poll() is None:
            children = self.children()
            self.process.kill()
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, how=signal.SIGINT):
        """SIGINT rolls back and shuts down; SIGQUIT is the immediate stop, with recovery later."""
        if self.process is None or self.process.poll() is not None:
            return
        for pid in self.children():  # one that a test has frozen would be waited for
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()

    def promote(self):
        """Returns when writes are taken."""
        self.ask("SELECT pg_promote(true, 30)")

    def backends(self, where="application_name LIKE 'postern%'"):
        return [row["pid"] for row in self.ask(
            f"SELECT pid FROM pg_stat_activity WHERE {where} AND pid <> pg_backend_pid()")]

    def terminate(self, where="application_name LIKE 'postern%'"):
        """Ends the nodes' connections. Returns how many."""
        return sum(row["gone"] for row in self.ask(
            f"SELECT pg_terminate_backend(pid)::int AS gone FROM pg_stat_activity WHERE {where} "
            "AND pid <> pg_backend_pid()"))

    def configure(self, name, value):
        self.run(f"ALTER SYSTEM SET {name} = '{value}'")
        self.run("SELECT pg_reload_conf()")

    def run(self, sql, database="postgres"):
        """The output of one statement, as text."""
        return subprocess.run(
            [BINARIES / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.sockets, "-p",
             str(self.port), "-U", "postgres", "-d", database, "-c", sql],
            check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout

    def ask(self, query, database="postgres"):
        """The rows of a query, each a dictionary."""
        return json.loads(self.run(
            f"SELECT coalesce(json_agg(row_to_json(r)), '[]') FROM ({query}) r", database))


class Cluster:
    """A context manager: the primary and, where asked, a standby that must confirm each commit."""

    def __init__(self, standby=False, settings=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-pg-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        make(self.folder)
        self.settings = settings
        self.primary = Server(self.folder / "primary")
        self.standby = Server(self.folder / "standby") if standby else None

    def __enter__(self):
        try:
            self.primary.create(self.settings)
            self.primary.start()
            if self.standby is not None:
                self.standby.copy(self.primary)
                self.standby.start()
                self.primary.configure("synchronous_standby_names", "standby")
                self.wait_until_synchronous()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_synchronous(self):
        limit = time.monotonic() + START_SECONDS_MAX
        while not self.primary.ask(
                "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"):
            if time.monotonic() > limit:
                raise RuntimeError("the standby did not follow")
            time.sleep(0.02)

    def __exit__(self, *_):
        # The primary waits for its standby when it shuts down, so that one goes last.
        for server in (self.primary, self.standby):
            if server is not None:
                server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def hosts(self):
        """Both servers, as a URL names them."""
        servers = [server for server in (self.primary, self.standby) if server is not None]
        return ",".join(f"127.0.0.1:{server.port}" for server in servers)


def make(folder):
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def parent_of(process):
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def quietly(program, *arguments):
    done = subprocess.run(as_owner(BINARIES / program, *arguments), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stdout[-2000:]}")


def skip_unless_installed():
    if not installed():
        print("postgres: skipped: postgresql-15 is not installed "
              "(script/bootstrap --tests installs it)")
        sys.exit(SKIPPED)


def leave_on_signals():
    """An ordinary end, with everything stopped, where a test runner loses its patience."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    run.add_argument("--standby", action="store_true")
    run.add_argument("command", nargs="+")
    options = parser.parse_args()
    skip_unless_installed()
    leave_on_signals()
    with Cluster(options.standby) as cluster:
        environment = {**os.environ, "POSTERN_TEST_POSTGRES": cluster.primary.url()}
        code = subprocess.run(options.command, env=environment).returncode
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
