"""HAProxy before three nodes, with the configuration that packaging/ has."""
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import cluster as postgres
from nodes import Api, Load, Site, check, wait_until

CONFIGURATION = (pathlib.Path(__file__).resolve().parent.parent.parent / "packaging" / "haproxy" /
                 "haproxy.cfg")

# A kept-alive connection may be closed just as a request comes in; a platform sends that again.
SENT_AGAIN_MAX = 3


class Balancer(Api):
    """A context manager: HAProxy with the ports of a test in place of those of a site."""

    def __init__(self, nodes, folder):
        text = CONFIGURATION.read_text()
        self.port, self.admin_port = postgres.free_port(), postgres.free_port()
        places = {"local0 notice": "local0 info", "bind :8000": f"bind 127.0.0.1:{self.port}",
                  "bind :8081": f"bind 127.0.0.1:{self.admin_port}"}
        for i, node in enumerate(nodes, 1):
            places[f"node{i}:8000 check port 8080"] = (
                f"127.0.0.1:{node.port} check port {node.admin_port}")
            places[f"node{i}:8080 check"] = f"127.0.0.1:{node.admin_port} check"
        # Nodes of a test listen on 127.0.0.1, in plain text.
        for backend in "check-ssl", "ssl":
            places[f"  default-server {backend} verify required ca-file "
                   "/usr/local/etc/haproxy/admin-tls.pem"] = ""
        for place, value in places.items():
            if text.count(place + "\n") != 1:
                raise AssertionError(f"{CONFIGURATION} has no line that ends with {place}")
            text = text.replace(place + "\n", value + "\n")
        self.file, self.log = folder / "haproxy.cfg", open(folder / "haproxy.log", "ab")
        self.file.write_text(text)

    def __enter__(self):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "--", "haproxy", "-db",
                                         "-f", str(self.file)], stdout=self.log, stderr=self.log)
        try:
            wait_until("HAProxy passes requests on", self.ready)
        except BaseException:
            self.__exit__()
            print((self.file.parent / "haproxy.log").read_text()[-2000:])
            raise
        return self

    def troubles(self):
        """What its log says of callbacks that were not answered with 200."""
        lines = (self.file.parent / "haproxy.log").read_text().splitlines()
        return [line for line in lines if " callbacks callbacks/" in line and " 200 " not in line]

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=20)


def haproxy(args):
    """One node is killed, one stopped, one hangs: platforms get their acks from the others."""
    if shutil.which("haproxy") is None:
        print("nodes_test: skipped: haproxy is not installed "
              "(script/bootstrap --tests installs it)")
        sys.exit(postgres.SKIPPED)
    with postgres.Cluster() as cluster, Site(args.postern, cluster) as site, \
            Balancer(site.nodes, pathlib.Path(site.kept.name)) as balancer:
        load = Load([balancer], "B", 3000, args.seed).register(site.nodes[0]).start(250)
        wrong = []

        def flows():
            before = len(load.acked)
            wait_until("callbacks are acked", lambda: len(load.acked) > before + 100)

        flows()
        site.nodes[0].kill()
        flows()
        site.nodes[0].start({})
        site.nodes[1].process.send_signal(signal.SIGTERM)
        if site.nodes[1].process.wait(timeout=30) != 0:
            wrong.append("SIGTERM did not end a node")
        flows()
        if load.refusals > SENT_AGAIN_MAX:
            wrong.append(f"{load.refusals} callers were not acked while two nodes were there: "
                         f"{load.last_trouble}")
            wrong += balancer.troubles()
        site.nodes[1].start({})
        flows()
        refused = load.refusals
        site.nodes[2].pause()
        # It may hang in the midst of a transaction: what waits for its locks goes on when the server
        # has ended that one, after 10 s.
        time.sleep(8)
        flows()
        calm = load.refusals
        site.nodes[2].go_on()
        load.finish()
        wrong += check(site, load.acked, balancer) + site.stop()
        print(f"nodes_test: haproxy: {len(load.acked)} acked; {refused} sent again while a node was"
              f" killed and one stopped, {calm - refused} when one began to hang", flush=True)
        return wrong
