#!/usr/bin/env python3
"""Goal: what lies in packaging/ fits the daemon and each other, as far as can be seen without a
container engine or a running systemd.

Method: scripts are parsed; the example configurations pass `postern check`; the image installs the
package of every library the binary needs; each file compose.yaml mounts is there, and its database
commands and scripts run on real PostgreSQL servers of this test; systemd-analyze judges the unit.

  packaging_test.py POSTERN      77: PyYAML or PostgreSQL is not installed
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
sys.path.insert(0, str(ROOT / "tests" / "postgres"))
import cluster  # noqa: E402

try:
    import yaml
except ImportError:
    print("packaging_test: skipped: PyYAML is not installed")
    sys.exit(cluster.SKIPPED)

EXPOSURE_TENTHS_MAX = 15
found_wrong = []


def check(holds, sentence):
    if not holds:
        found_wrong.append(sentence)


def output_of(*command):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE,
                          text=True).stdout


def succeeds(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        print(done.stdout)
    return done.returncode == 0


def scripts_parse():
    scripts = [*PACKAGING.glob("postgres/*.sh"), *PACKAGING.glob("debian/*")]
    check(len(scripts) >= 5, "there are no scripts to look at")
    for script in scripts:
        shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
        check(succeeds(shell, "-n", script), f"{script} is no {shell}")


def configurations_pass(postern, folder):
    """The package's example, and docs/nodes.md with an account, each with the keys it names."""
    output_of(postern, "simulate", "keys", folder, "--webhook", "http://127.0.0.1:9/payments")
    keys = folder / "keys"
    shutil.copy(keys / "shop-webhook.key", keys / "shop.key")
    (folder / "database.password").write_text("made for this test alone")
    output_of("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=postern", "-days",
              "2", "-keyout", keys / "admin-tls.key", "-out", folder / "admin-tls.pem")
    account = re.search(r"\[account\.wechat-v2\].*", (folder / "postern.toml").read_text(), re.S)[0]
    nodes = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / "nodes.md").read_text(), re.S)[1]
    for name, text in (("example", (PACKAGING / "examples" / "postern.toml").read_text()),
                       ("docs/nodes.md", nodes + account)):
        (folder / "tried.toml").write_text(text)
        (folder / "tried.toml").chmod(0o600)
        for secret in folder.rglob("*.password"):
            secret.chmod(0o600)
        check(succeeds(postern, "check", "--config", folder / "tried.toml"),
              f"the configuration of {name} does not pass")


def image_has_the_libraries(postern):
    text = (PACKAGING / "Dockerfile").read_text()
    installed = set(text.split("AS build")[1].split("FROM")[1].split())
    needed = re.findall(r"NEEDED.*\[(.*)\]", output_of("readelf", "--dynamic", postern))
    check(len(needed) > 10, "the binary names no libraries")
    # One question for all: dpkg reads every list of files each time.
    found = subprocess.run(["dpkg-query", "-S", *(f"*/{library}" for library in needed)],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    for library in needed:
        packages = {line.split(":")[0] for line in found.splitlines() if line.endswith(library)}
        # Every Debian has these.
        if packages & {"libc6", "libgcc-s1"} or library.startswith(("libasan", "libubsan")):
            continue
        check(packages & installed, f"the image lacks the package of {library}")
    source = re.search(r"COPY --from=build /postern/(\S+)", text)[1]
    check(source == "build/release/postern", f"the image copies {source}")


def compose_fits(compose):
    services = compose["services"]
    for name, service in services.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("./site"):  # The operator makes it.
                continue
            check(source in compose["volumes"] or (PACKAGING / source).is_file(),
                  f"{name} mounts {source}, which is not there")
        for other in service.get("depends_on", []):
            check(other in services, f"{name} depends on {other}, which is not there")
        for secret in service.get("secrets", []):
            check(secret in compose["secrets"], f"{name} is told {secret}, which is not there")
        build = service.get("build")
        if build:
            check((PACKAGING / build["context"] / build["dockerfile"]).is_file(),
                  f"{name} is built from what is not there")
    servers = re.findall(r"server\s+\S+\s+([a-z]\w*):\d+",
                         (PACKAGING / "haproxy" / "haproxy.cfg").read_text())
    check(servers and set(servers) <= set(services), f"HAProxy asks {servers}")


class Database:
    """The two database services of compose.yaml, without their containers."""

    def __init__(self, compose, folder):
        self.service, self.folder = compose["services"]["primary"], folder
        self.environment = self.service["environment"]
        self.password = folder / "password"
        self.password.write_text("made for this test alone")
        self.primary = cluster.Server(folder / "primary")
        self.standby_data, self.standby_port = folder / "standby", cluster.free_port()
        self.standby = None

    def copy_of(self, script):
        """Where the database's user may read it, which may not be so in the checkout."""
        copy = self.folder / script
        shutil.copy(PACKAGING / "postgres" / script, copy)
        copy.chmod(0o755)
        return copy

    def start_primary(self):
        user = self.environment["POSTGRES_USER"]
        cluster.make(self.primary.sockets)
        shutil.chown(self.password, *owner_of(self.primary.sockets))
        cluster.quietly("initdb", "--no-sync", f"--username={user}", f"--pwfile={self.password}",
                        "--auth-local=trust", *self.environment["POSTGRES_INITDB_ARGS"].split(),
                        "-D", self.primary.data)
        # A standby takes the file along, and with it this port; the primary is told another.
        with open(self.primary.data / "postgresql.conf", "a") as file:
            file.write(cluster.SETTINGS + f"port = {self.standby_port}\n"
                       f"unix_socket_directories = '{self.folder}'\n")
        subprocess.run(cluster.as_owner("bash", self.copy_of("allow_standby.sh")),
                       check=True, env={**PATH, "POSTGRES_USER": user,
                                        "PGDATA": str(self.primary.data)})
        self.primary.start()

    def start_standby(self):
        self.standby = subprocess.Popen(
            cluster.as_owner("bash", self.copy_of("start_standby.sh")),
            stdout=subprocess.DEVNULL, stderr=open(self.folder / "standby.log", "ab"),
            env={**PATH, "POSTGRES_USER": self.environment["POSTGRES_USER"],
                 "POSTGRES_PASSWORD_FILE": str(self.password), "PGDATA": str(self.standby_data),
                 # The host `primary`, as the containers' network would resolve it.
                 "PGHOSTADDR": "127.0.0.1", "PGPORT": str(self.primary.port)})

    def ask(self, port, sql):
        return subprocess.run(
            [cluster.BINARIES / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
             str(port), "-U", self.environment["POSTGRES_USER"], "-d", "postgres", "-c", sql],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30,
            env={**PATH, "PGPASSWORD": self.password.read_text()}).stdout.strip()

    def wait(self, port, sql, answer):
        limit = time.monotonic() + cluster.START_SECONDS_MAX
        while (told := self.ask(port, sql)) != answer:
            if time.monotonic() > limit:
                log = self.folder / "standby.log"
                print(log.read_text()[-1500:] if log.exists() else "")
                raise RuntimeError(f"{sql} is answered with {told!r}")
            time.sleep(0.05)

    def stop(self):
        if self.standby is not None and self.standby.poll() is None:
            self.standby.terminate()
            self.standby.wait(timeout=20)
        self.primary.stop()


PATH = {"PATH": f"{cluster.BINARIES}:/usr/bin:/bin"}


def owner_of(path):
    facts = path.stat()
    return facts.st_uid, facts.st_gid


def databases_run(compose):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-packaging-"))
    cluster.make(folder)
    database = Database(compose, folder)
    try:
        database.start_primary()
        # The settings that compose.yaml starts it with, all of them known and taken.
        words = database.service["command"]
        for setting in words[words.index("-c") + 1::2]:
            name, value = setting.split("=")
            database.ask(database.primary.port, f"ALTER SYSTEM SET {name} = '{value}'")
            database.ask(database.primary.port, "SELECT pg_reload_conf()")
            database.wait(database.primary.port, f"SHOW {name}", value)
        database.start_standby()
        database.wait(database.primary.port,
                      "SELECT sync_state FROM pg_stat_replication", "sync")
        database.ask(database.primary.port, "CREATE TABLE proof AS SELECT 42 AS number")
        database.wait(database.standby_port, "SELECT number FROM proof", "42")
        cluster.quietly("pg_ctl", "promote", "-D", database.standby_data)
        database.wait(database.standby_port, "SELECT pg_is_in_recovery()", "f")
    except RuntimeError as error:
        check(False, f"the databases of compose.yaml: {error}")
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)


def unit_is_tight(postern, folder):
    if shutil.which("systemd-analyze") is None:
        print("packaging_test: systemd-analyze is not here, so the unit was not judged")
        return
    unit = PACKAGING / "systemd" / "postern@.service"
    check(succeeds("systemd-analyze", "security", "--no-pager", "--offline=true",
                   f"--threshold={EXPOSURE_TENTHS_MAX}", unit), "the unit is too open")
    # It verifies that the program is there, which before the package is installed it is not.
    here = folder / unit.name
    here.write_text(unit.read_text().replace("/usr/bin/postern ", f"{postern} "))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(here)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    about_ours = [line for line in done.stdout.splitlines() if "postern@" in line]
    check(not about_ours, f"systemd-analyze verify says {about_ours}")


def main():
    postern = pathlib.Path(sys.argv[1]).resolve()
    if not cluster.installed():
        print("packaging_test: skipped: PostgreSQL is not installed")
        sys.exit(cluster.SKIPPED)
    compose = yaml.safe_load((PACKAGING / "compose.yaml").read_text())
    with tempfile.TemporaryDirectory(prefix="postern-packaging-") as name:
        folder = pathlib.Path(name)
        scripts_parse()
        configurations_pass(postern, folder / "site")
        image_has_the_libraries(postern)
        compose_fits(compose)
        unit_is_tight(postern, folder)
    databases_run(compose)
    for sentence in found_wrong:
        print("packaging_test: " + sentence)
    print(f"packaging_test: {len(found_wrong)} findings")
    sys.exit(1 if found_wrong else 0)


if __name__ == "__main__":
    main()
