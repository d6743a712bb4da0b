#!/usr/bin/env python3
"""Goal: several nodes on one PostgreSQL database lose no acked callback and make no effect twice,
whatever happens to nodes, connections and servers (P1, P2, P6, P7, P10, P11).

Method: real daemons on a real server, each scenario on a cluster of its own. Senders journal what
was acked; afterwards a checker that shares no code with the daemon reads the database, and the pull
feed of a node.

  nodes_test.py POSTERN SCENARIO... [--seed N] [--cuts N] [--planted FAULT]

With --planted something is deliberately wrong, and the test passes only if the checker reports it.
"""
import argparse
import inspect
import os
import random
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
import balancer  # noqa: E402
import cluster as postgres  # noqa: E402
import kill_test as kill  # noqa: E402
import leases  # noqa: E402
from nodes import ROLE, Caller, Load, Site, check, together, wait_until  # noqa: E402
from proxy import Cut, Proxy  # noqa: E402

COPIES = 300
RECOVERY_SECONDS_MAX = 5.0
FAILOVER_SECONDS_MAX = 10.0
FAILPOINTS = ["verified", "planned", "written", "committed", "finished"]


def say(text):
    print("nodes_test: " + text, flush=True)


def copies(args):
    """Rows 29, 30 of the fault matrix: 300 copies to each of three nodes at once, one effect."""
    with postgres.Cluster() as cluster, Site(args.postern, cluster) as site:
        kill.register(site.nodes[0], ["C1", "C2"])
        wrong, began = [], time.monotonic()
        for number in ("C1", "C2"):
            body, gate = kill.signed_payment(number), threading.Barrier(30)

            def send(node):
                caller = Caller(node, timeout=20)
                gate.wait()
                acked = 0
                for _ in range(COPIES // 10):
                    while not caller.post(body):  # told to send again
                        time.sleep(0.01)
                    acked += 1
                caller.close()
                return acked

            acked = sum(together([lambda node=node: send(node)
                                  for node in site.nodes for _ in range(10)]))
            if acked != 3 * COPIES:
                wrong.append(f"{acked} of {3 * COPIES} copies were acked")
        seconds = time.monotonic() - began
        if seconds > 2 * FAILOVER_SECONDS_MAX:
            wrong.append(f"{6 * COPIES} copies took {seconds:.1f} s")
        # All but the first of each are counted, and those whose ack was refused may be, too.
        counted = site.ask("SELECT coalesce(sum(count), 0)::int AS n FROM copies")[0]["n"]
        if counted < 2 * (3 * COPIES - 1):
            wrong.append(f"{counted} copies were counted")
        wrong += check(site, ["C1", "C2"], site.nodes[2]) + site.stop()
        deadlocks = cluster.primary.ask("SELECT sum(deadlocks)::int AS n FROM pg_stat_database")
        say(f"copies: {6 * COPIES} acked in {seconds:.1f} s, {counted} counted, "
            f"{deadlocks[0]['n']} deadlocks")
        return wrong


def kills(args):
    """Row 18 and P10: nodes are killed, at failpoints and at random, and stopped in turn; their
    connections are ended under them."""
    with postgres.Cluster() as cluster, \
            Site(args.postern, cluster, environment=args.environment) as site:
        rng = random.Random(args.seed)
        load = Load(site.nodes, "K", 1600, args.seed).register(site.nodes[0]).start(300)
        slowest, terminated = 0.0, 0
        for turn in range(12):
            node = site.nodes[turn % 3]
            node.kill()
            # What it does at its start may already meet the failpoint.
            failpoint = {} if args.planted else {
                "POSTERN_FAILPOINT": f"{FAILPOINTS[turn % len(FAILPOINTS)]}:{rng.randint(20, 90)}"}
            slowest = max(slowest, node.start({**site.environment, **failpoint}))
            time.sleep(rng.uniform(0.1, 0.3))
            terminated += cluster.primary.terminate()
        for node in site.nodes:
            node.kill()
            slowest = max(slowest, node.start(site.environment))
        for node in site.nodes:  # a rolling restart
            node.process.send_signal(signal.SIGTERM)
            node.process.wait(timeout=30)
            node.start(site.environment)
        load.finish()
        wrong = check(site, load.acked, site.nodes[1]) + site.stop()
        if slowest > RECOVERY_SECONDS_MAX:
            wrong.append(f"a node was ready only after {slowest:.1f} s")
        say(f"kills: 15 kills, {terminated} connections ended, {len(load.acked)} acked, "
            f"{load.refusals} sent again, slowest start {slowest * 1000:.0f} ms")
        return wrong


def lost_answers(args):
    """Row 19: the connection breaks around a COMMIT. What is not known is never acked, and a copy
    that is sent afterwards has one effect."""
    with postgres.Cluster() as cluster:
        proxy = Proxy(cluster.primary.port)
        with Site(args.postern, cluster, count=1, hosts=proxy.host(),
                  environment=args.environment) as site:
            node, rng, wrong, acked = site.nodes[0], random.Random(args.seed), [], []
            numbers = [f"L{i:06d}" for i in range(args.cuts)]
            kill.register(node, numbers)
            caller, early, kept = Caller(node), 0, {how: 0 for how in Cut}
            for i, number in enumerate(numbers):
                how = list(Cut)[i % 3]
                proxy.cut(number.encode(), how)
                answer = caller.post(kill.signed_payment(number))
                wait_until(f"the COMMIT of {number} is seen", proxy.taken, 5)
                if answer is True and how is Cut.DURING:
                    acked.append(number)  # the server's answer was quicker than the cut
                elif answer is not False:
                    wrong.append(f"{number} was answered {answer}, with {how.value}")
                    early += 1
                rows = site.ask("SELECT count(*) AS n FROM facts f JOIN attempts a "
                                f"ON a.id = f.attempt_id WHERE a.number = '{number}'")[0]["n"]
                kept[how] += rows
                if rng.random() < 0.9:
                    resend = kill.signed_payment(number)
                    wait_until(f"{number} acked", lambda: caller.post(resend), 10)
                    acked.append(number)
            if kept[Cut.BEFORE] != 0 or kept[Cut.AFTER] != proxy.cuts[Cut.AFTER]:
                raise AssertionError(f"the rig cuts at the wrong place: {kept} of {proxy.cuts}")
            wrong += check(site, acked, node) + site.stop()
            say(f"lost_answers: {len(numbers)} connections lost around COMMIT, "
                f"{sum(kept.values())} of them after it was done, {early} acked in doubt")
        proxy.close()
        return wrong


def failover(args):
    """Row 21: the primary dies under load and the synchronous standby takes its place. Then the old
    primary comes back as one, which nobody should let it: what it takes is not acked."""
    with postgres.Cluster(standby=True) as cluster, Site(args.postern, cluster) as site:
        stale = Load(site.nodes, "O", 30, args.seed).register(site.nodes[0])
        load = Load(site.nodes, "F", 1500, args.seed).register(site.nodes[0]).start(300)
        wait_until("some are acked", lambda: len(load.acked) > 250)
        cluster.primary.kill()
        acked_before, killed = len(load.acked), time.monotonic()
        wait_until("nodes say that they are not ready",
                   lambda: not any(node.ready() for node in site.nodes))
        if len(load.acked) > acked_before + len(site.nodes) * 12:
            return ["callbacks were acked without a primary"]
        cluster.standby.promote()
        promoted = time.monotonic()
        site.primary = cluster.standby
        before = len(load.acked)
        wait_until("intake is back", lambda: len(load.acked) > before, 30)
        back = load.acked_at[-1] - promoted
        wait_until("nodes are ready", lambda: all(node.ready() for node in site.nodes))
        all_ready = time.monotonic() - promoted
        load.finish()
        cluster.primary.start()
        cluster.standby.terminate()  # nodes look for a server again, at the old one first
        stale.start()
        wait_until("something waits at the old primary", lambda: cluster.primary.ask(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))
        time.sleep(1)
        misled = len(cluster.primary.backends())
        cluster.primary.kill()
        stale.finish()
        wrong = check(site, load.acked + stale.acked, site.nodes[0]) + site.stop()
        if max(back, all_ready) > FAILOVER_SECONDS_MAX:
            wrong.append(f"intake was back only {back:.1f} s after the promotion")
        say(f"failover: {len(load.acked)} acked, {acked_before} of them before the primary died; "
            f"promoted {promoted - killed:.1f} s later, intake back {max(0, back):.2f} s after "
            f"that, all nodes ready after {all_ready:.2f} s; {misled} connections to the old one")
        return wrong


def asynchronous(args):
    """Row 21: what is claimed needs a synchronous standby: without, the same failover loses what
    was acked, and this rig sees it."""
    with postgres.Cluster(standby=True) as cluster, \
            Site(args.postern, cluster, count=1) as site:
        load = Load(site.nodes, "A", 60, args.seed).register(site.nodes[0])
        cluster.primary.configure("synchronous_standby_names", "")
        cluster.standby.stop()
        load.start().finish()
        cluster.primary.kill()
        cluster.standby.start()
        cluster.standby.promote()
        site.primary = cluster.standby
        return check(site, load.acked)


def unconfirmed(args):
    """P1: while the standby is away nothing is acked, not even where somebody cancels the waiting,
    which the server answers with an ordinary COMMIT and a warning."""
    with postgres.Cluster(standby=True) as cluster, \
            Site(args.postern, cluster, count=2, environment=args.environment) as site:
        load = Load(site.nodes, "U", 40, args.seed).register(site.nodes[0])
        cluster.standby.stop()
        load.start()
        end = time.monotonic() + 3
        cancelled = 0
        while time.monotonic() < end:
            cancelled += len(cluster.primary.ask(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' "
                "AND application_name LIKE 'postern%'"))
            time.sleep(0.05)
        early = list(load.acked)
        cluster.standby.start()
        load.finish()
        wrong = check(site, load.acked, site.nodes[1]) + site.stop()
        if early:
            wrong.append(f"{len(early)} were acked that no standby had")
        if cancelled == 0:
            raise AssertionError("nothing waited for the standby: the rig is blind")
        say(f"unconfirmed: {cancelled} waits cancelled, {len(early)} acked meanwhile, "
            f"{len(load.acked)} afterwards")
        return wrong


def hindrances(args):
    """Rows 20, 22, 23, 25: the server stops at once, is read-only, hangs, has no room left."""
    with postgres.Cluster() as cluster, Site(args.postern, cluster) as site:
        primary, wrong, told = cluster.primary, [], []
        load = Load(site.nodes, "H", 2500, args.seed).register(site.nodes[0]).start(150)

        def flowing():
            before = len(load.acked)
            return wait_until("callbacks are acked", lambda: len(load.acked) > before + 5, 30)

        def hindered(name, begin, end, seconds_max=RECOVERY_SECONDS_MAX):
            """Between `begin` and `end` nothing is acked, but for what was under way."""
            flowing()
            begin()
            time.sleep(1.0)
            before = len(load.acked)
            time.sleep(1.0)
            meanwhile = len(load.acked) - before
            end()
            back = flowing()
            told.append(f"{name} {back:.2f} s")
            if meanwhile != 0:
                wrong.append(f"{name}: {meanwhile} were acked")
            if back > seconds_max:
                wrong.append(f"{name}: intake was back only after {back:.1f} s")

        hindered("immediate stop", lambda: primary.stop(signal.SIGQUIT), primary.start)
        hindered("read-only", lambda: primary.configure("default_transaction_read_only", "on"),
                 lambda: primary.configure("default_transaction_read_only", "off"))
        frozen = []

        def freeze():
            frozen[:] = primary.backends()
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)

        def thaw():
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)

        hindered("frozen", freeze, thaw)

        def take_all():
            primary.run(f"ALTER ROLE {ROLE} CONNECTION LIMIT 0")
            primary.terminate()

        hindered("no connection left", take_all,
                 lambda: primary.run(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1"))
        load.end()
        wrong += check(site, load.acked, site.nodes[2]) + site.stop()
        if not 0 < len(load.acked) < len(load.all):
            wrong.append(f"{len(load.acked)} acked: the load was not there all the time")
        say(f"hindrances: {len(load.acked)} acked, {load.refusals} sent again; intake back after: "
            + ", ".join(told))
        return wrong


SCENARIOS = {name: run for name, run in list(globals().items())
             if inspect.isfunction(run) and list(inspect.signature(run).parameters) == ["args"]}
SCENARIOS["lease"] = leases.lease
SCENARIOS["haproxy"] = balancer.haproxy


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("postern")
    parser.add_argument("scenarios", nargs="+", choices=sorted(SCENARIOS))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--cuts", type=int,
                        default=int(os.environ.get("POSTERN_CUTS", "60")))
    parser.add_argument("--planted", default="")
    args = parser.parse_args()
    args.environment = {"POSTERN_PLANTED_FAULT": args.planted} if args.planted else {}
    postgres.skip_unless_installed()
    postgres.leave_on_signals()
    say(f"seed {args.seed}" + (f", planted fault {args.planted}" if args.planted else ""))
    found = 0
    for name in args.scenarios:
        began = time.monotonic()
        wrong = SCENARIOS[name](args)
        say(f"{name}: {len(wrong)} findings in {time.monotonic() - began:.1f} s")
        for finding in wrong[:10]:
            say(finding)
        found += len(wrong)
    if args.planted:
        sys.exit(0 if found else "nodes_test: the planted fault was not reported: the rig is blind")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
