"""Rows R01 to R12: the same again, at once, later, elsewhere (P2)."""
import concurrent.futures
import signal

from rows import EACH_CHANNEL, elsewhere, messages, rig, row, wire

elsewhere("R02", "copies over three nodes on one PostgreSQL", "nodes.copies")
elsewhere("R05", "a copy after the raw evidence was purged", "store_postgres",
          ("../../tests/postgres/cluster.py", "run", "--", "tests/store_test",
           "--gtest_filter=PostgresEvidence.*"))
elsewhere("R07", "copies at every point where another may come between", "simulation_test")


@row("R01", "a storm of copies")
def storm(case):
    connections_count, each = (20, 5) if case.quick else (100, 10)
    for account in EACH_CHANNEL:
        number, message = case.genuine(account)
        raw = message.raw() * each
        connections = [wire.Connection(case.site.port) for _ in range(connections_count)]
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda connection: connection.send(raw), connections))
            answers = list(pool.map(lambda connection: connection.read(each, 30), connections))
        for connection in connections:
            connection.close()
        case.inputs += connections_count * each
        for some in answers:
            case.require(len(some) == each, f"{len(some)} answers of {each}")
            for answer in some:
                case.expect_ack(answer, message.channel)
        case.expect_state(number, "paid")
        case.expect_events(number, {"order.paid": 1})
        case.require(len(case.site.order(number)["facts"]) == 1, "more than one fact")


@row("R03", "the same event, signed again")
def signed_again(case):
    number, message = case.genuine("wechat")
    case.pays(message, number)
    for i in range(5):
        message.timestamp, message.nonce = str(int(message.timestamp) - i), f"another{i}"
        case.acked(message.sign(), f"nonce {i}")
    message.resource["nonce"] = "fdasflkja485"
    case.acked(message.sign(), "sealed again")
    case.expect_events(number, {"order.paid": 1})
    number, message = case.genuine("alipay")
    case.pays(message, number)
    case.acked(message.set(notify_time=messages.china_time(back=0)), "a later notify_time")
    number, message = case.genuine()
    case.pays(message, number)
    case.acked(message.set(nonce_str="0" * 32), "another nonce_str")
    case.expect_events(number, {"order.paid": 1})


@row("R04", "the same payment in another event")
def another_event(case):
    number, message = case.genuine("wechat")
    case.pays(message, number)
    message.id = "another-event"
    case.acked(message.sign(), "v3")
    case.expect_events(number, {"order.paid": 1})
    number, message = case.genuine("alipay")
    case.pays(message, number)
    case.acked(message.set(notify_id="n" * 34), "alipay")
    case.acked(message.set(trade_status="TRADE_FINISHED", notify_id="o" * 34), "finished")
    case.expect_events(number, {"order.paid": 1})


@row("R06", "the same bytes to another account")
def elsewhere_sent(case):
    names = list(case.site.accounts)
    for account in EACH_CHANNEL:
        number, message = case.genuine(account)
        with case.nothing_recorded():
            for other in names:
                if other == account:
                    continue
                case.inputs += 1
                answer = case.site.post(message.to(f"/payment/{other}/callback"))
                case.expect_refusal(answer, case.site[other].channel)
        case.expect_state(number, "awaiting")
        case.pays(message, number, "at home")


def absent(case, what, paths):
    """Fails while there is no such thing, so that its exception ends when there is."""
    number = case.site.register()
    for path in paths:
        case.inputs += 1
        code, _ = case.site.call("POST", path.format(number), {})
        case.require(code in (404, 405), f"{path} is answered {code}: write the row")
    case.require(False, f"there is no {what}")


@row("R08", "a callback and a query find the payment at once")
def with_query(case):
    absent(case, "querying of platforms", ["/v1/orders/{}/query", "/v1/orders/{}/check"])


@row("R09", "a callback, and a person who marks the order paid")
def with_person(case):
    absent(case, "marking as paid by hand", ["/v1/orders/{}/mark-paid", "/v1/orders/{}/paid",
                                             "/v1/orders/{}/facts"])


@row("R10", "a callback, and the merchant who closes the order")
def with_close(case):
    absent(case, "closing by the merchant", ["/v1/orders/{}/close", "/v1/orders/{}/cancel"])


@row("R11", "killed between commit and answer")
def killed(case):
    for point in ("committed",) if case.quick else ("committed", "finished", "written"):
        with rig.Site(case.site.binary, case.scratch / f"r11-{point}", case.site.keys,
                      names=("alipay", "wechat", "wechat-v2")) as site:
            inner = type(case)(site, case.quick, case.scratch)
            for account in EACH_CHANNEL[:1] if case.quick else EACH_CHANNEL:
                number, message = inner.genuine(account)
                site.stop()
                try:
                    # Each start writes something of its own first; the callback meets the point.
                    site.start({"POSTERN_FAILPOINT": f"{point}:1"})
                    answers, _ = site.exchange(message.raw())
                    site.process.wait(timeout=10)
                except RuntimeError:
                    answers = []
                inner.require(answers == [], f"answered {answers} before it was killed")
                inner.require(site.process.poll() == -signal.SIGKILL, "was not killed")
                site.start()
                inner.acked(message, f"{account} again after {point}")
                inner.expect_state(number, "paid")
                inner.expect_events(number, {"order.paid": 1})
            case.inputs += inner.inputs
            case.require(not site.health(), str(site.health()))


@row("R12", "many nonces, then the oldest message again")
def nonces(case):
    number, first = case.genuine("wechat")
    case.pays(first, number)
    for i in range(50 if case.quick else 1000):
        message = first.clone()
        message.nonce = f"fill{i}"
        case.acked(message.sign(), "a copy under another nonce")
    case.acked(first, "the oldest")
    case.expect_events(number, {"order.paid": 1})
    case.require(len(case.site.order(number)["facts"]) == 1, "more than one fact")
