"""Rows L01 to L20: what costs a stranger little must cost us little (P5, P12).

The functional half: each limit is met, and others go on. How honest callers fare under thousands of
slow or flooding ones is what script/strangers measures. Times are those under a sanitizer.
"""
import base64
import contextlib
import gzip
import json
import random
import socket
import tempfile
import threading
import time
import zlib

from rows import EACH_CHANNEL, Skipped, messages, rig, row, wire

TARGET = "/payment/wechat-v2/callback"
BODY_MAX = 256 * 1024
SMALL = ("header_timeout_ms = 500\nbody_timeout_ms = 700\nidle_timeout_ms = 1000\n"
         "write_timeout_ms = 500\nconnections_max = 20\n")
LATE = 1.4  # deadlines are looked at four times a second


@contextlib.contextmanager
def small_site(case, server=SMALL):
    """A daemon of short deadlines with few places."""
    folder = tempfile.mkdtemp(prefix="small-", dir=case.site.folder.parent)
    with rig.Site(case.site.binary, folder, case.site.keys, server,
                  names=("alipay", "wechat", "wechat-v2")) as site:
        inner = type(case)(site, case.quick, case.scratch)
        inner.control()
        yield inner
        inner.control()
        case.inputs += inner.inputs
        case.require(not site.health(), str(site.health()))


def seconds_of(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def quickest(case, message, rounds=5):
    raw = message.raw()
    return min(seconds_of(lambda: case.site.post(raw)) for _ in range(rounds))


@row("L01", "header bytes and fields")
def headers(case):
    _, message = case.genuine()
    size = f"Content-Length: {len(message.body)}"
    case.broken([
        ("17 KiB in one", message.head("X: " + "a" * 17 * 1024, size) + message.body),
        ("17 KiB in all", message.head(*[f"X-{i}: " + "a" * 340 for i in range(50)], size) +
         message.body), ("101 fields", message.head(*[f"X{i}: a" for i in range(101)], size) +
                         message.body),
        ("a long name", message.head("X" * 17 * 1024 + ": a", size) + message.body),
        ("never an end", message.head("X: " + "a" * 17 * 1024)[:-4])], (431,))
    number, message = case.genuine()
    many = message.head(*[f"X{i}: a" for i in range(90)], f"Content-Length: {len(message.body)}")
    case.inputs += 1
    case.expect_ack(case.site.post(many + message.body), message.channel)
    case.expect_state(number, "paid")


@row("L02", "a long target")
def long_target(case):
    _, message = case.genuine()
    case.broken([("8193", message.to(TARGET + "?" + "a" * (8192 - len(TARGET))).raw()),
                 ("12 KiB", message.to("/" + "a" * 12 * 1024).raw())], (414,))
    number, message = case.genuine()
    case.pays(message.to(TARGET + "?" + "a" * (8191 - len(TARGET))), number, "8192 bytes")


@row("L03", "a body that says it is too large")
def declared(case):
    _, message = case.genuine()
    for size in (BODY_MAX + 1, 2**24, 2**31, 2**40):
        case.inputs += 1
        began = time.monotonic()
        # Not one byte of the body is sent: the answer comes to the head alone.
        answers, closed = case.site.exchange(message.head(f"Content-Length: {size}"))
        case.require([a.code for a in answers] == [413] and closed, f"{size}: {answers}")
        case.require(time.monotonic() - began < 1.5, "only after a wait")


@row("L04", "a chunked body that grows too large")
def streamed(case):
    _, message = case.genuine()
    rss = case.site.rss_kib()
    with case.nothing_recorded():
        for size in (1, 1000, 65536):
            case.inputs += 1
            chunk = b"%x\r\n%s\r\n" % (size, b"x" * size)
            with wire.Connection(case.site.port) as connection:
                connection.send(message.head("Transfer-Encoding: chunked"))
                sent = 0
                while sent < 4 * BODY_MAX and not connection.read(1, timeout=0):
                    connection.send(chunk * max(65536 // size, 1))
                    sent += size * max(65536 // size, 1)
                answers = connection.read()
                case.require([a.code for a in answers] == [413] and connection.closed,
                             f"chunks of {size}: {answers} after {sent} bytes")
    case.require(case.site.rss_kib() - rss < 32 * 1024, "memory")
    case.broken([("one chunk", message.head("Transfer-Encoding: chunked") + b"%x\r\n" %
                  (BODY_MAX + 1) + b"x" * (BODY_MAX + 1) + b"\r\n0\r\n\r\n")], (413,))


@row("L05", "compressed bodies")
def compressed(case):
    rss = case.site.rss_kib()
    bomb = gzip.compress(bytes(100 * 1024 * 1024), 9)
    nested = gzip.compress(bomb)
    case.require(len(bomb) < BODY_MAX, "the bomb is too large to be taken")
    for account in EACH_CHANNEL:
        number, message = case.genuine(account)
        deflated = zlib.compress(message.body)
        inputs = [(f"{account} {name}", message.with_body(body).with_more("Content-Encoding", name))
                  for name, body in (("gzip", gzip.compress(message.body)), ("deflate", deflated),
                                     ("br", message.body), ("zstd", message.body), ("gzip", bomb),
                                     ("gzip", nested), ("x", message.body), ("", message.body),
                                     ("identity, gzip", message.body), ("gzip", message.body))]
        case.refused(inputs, {"content_encoding_wrong"})
        twice = message.with_more("Content-Encoding", "identity").with_more("Content-Encoding",
                                                                            "gzip")
        case.refused([("twice", twice)], {"content_encoding_wrong"})
        case.refused([("unnamed", message.with_body(gzip.compress(message.body)))])
        case.pays(message.with_more("Content-Encoding", "identity"), number, "identity")
    # Six times 100 MiB, were it inflated; what the sanitizer keeps of the bodies is less.
    case.require(case.site.rss_kib() - rss < 64 * 1024, "something was inflated")


def drip(connections, data, pause, seconds):
    """Sends a byte to each from time to time; for each, when it was closed and by what answer."""
    began, ended = time.monotonic(), {}
    for place in range(len(data)):
        for i, connection in enumerate(connections):
            if i in ended:
                continue
            connection.send(data[place:place + 1])
            connection.read(timeout=0)
            if connection.closed or connection.answers:
                ended[i] = (time.monotonic() - began, [a.code for a in connection.answers])
        if len(ended) == len(connections) or time.monotonic() - began > seconds:
            break
        time.sleep(pause)
    return ended


@row("L06", "headers that come byte by byte")
def slow_headers(case):
    with small_site(case) as inner:
        number, message = inner.genuine()
        connections = [wire.Connection(inner.site.port) for _ in range(10)]
        ended = drip(connections, message.raw(), 0.05, 3)
        inner.inputs += len(connections)
        inner.require(len(ended) == len(connections), f"{len(ended)} of 10 were ended")
        for took, codes in ended.values():
            inner.require(0.45 < took < LATE and codes == [408], f"after {took:.2f} s with {codes}")
        inner.expect_state(number, "awaiting")
        for connection in connections:
            connection.close()


@row("L07", "a body that comes byte by byte")
def slow_body(case):
    with small_site(case) as inner:
        number, message = inner.genuine()
        connections = [wire.Connection(inner.site.port) for _ in range(10)]
        for connection in connections:
            connection.send(message.head(f"Content-Length: {len(message.body)}"))
        ended = drip(connections, message.body, 0.05, 3)
        inner.inputs += len(connections)
        inner.require(len(ended) == len(connections), f"{len(ended)} of 10 were ended")
        for took, codes in ended.values():
            inner.require(0.6 < took < LATE and codes == [408], f"after {took:.2f} s with {codes}")
        inner.expect_state(number, "awaiting")
        for connection in connections:
            connection.close()


@row("L08", "answers that nobody reads")
def slow_read(case):
    if case.quick:
        raise Skipped("it takes a while to fill the buffers of the kernel")
    with small_site(case) as inner:
        rss = inner.site.rss_kib()
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", inner.site.port))
        peer.setblocking(False)
        data = wire.request(TARGET, b"") * 500
        began, sent, reset, last = time.monotonic(), 0, False, time.monotonic()
        while not reset and time.monotonic() - began < 20:
            try:
                sent += peer.send(data)
                last = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
            except (ConnectionResetError, BrokenPipeError):
                reset = True
        inner.inputs += 1
        inner.require(reset, f"never reset; {sent} bytes were taken")
        inner.require(time.monotonic() - last < LATE + 1, "reset long after the deadline")
        inner.require(inner.site.rss_kib() - rss < 32 * 1024,
                      f"{inner.site.rss_kib() - rss} KiB more")
        peer.close()


@row("L09", "many idle connections")
def idle(case):
    count = 100 if case.quick else 1000
    before, rss = case.site.descriptors(), case.site.rss_kib()
    connections = [wire.Connection(case.site.port) for _ in range(count)]
    for _ in range(3):
        for account in EACH_CHANNEL:
            case.control(account)
    # The sanitizer keeps what the honest ones used.
    grown = (case.site.rss_kib() - rss - 16 * 1024) / count
    case.require(grown < 20, f"{grown:.1f} KiB for each")
    for connection in connections:
        connection.close()
    case.inputs += count
    case.require(rig.wait_until(lambda: case.site.descriptors() <= before + 3),
                 "descriptors are not given back")
    with small_site(case) as inner:
        idlers = [wire.Connection(inner.site.port) for _ in range(10)]
        began = time.monotonic()
        for one in idlers:
            one.read(timeout=3)
            inner.require(one.closed, "an idle connection is never closed")
        inner.require(time.monotonic() - began < 2.2, "closed long after the deadline")


@row("L10", "one connection too many, in all and of one peer")
def caps(case):
    with small_site(case, "connections_max = 20\n") as inner:
        one_too_many(inner, 20)
    per_peer = "connections_per_peer_max = 5\n"
    text = case.site.configuration.replace("[server]\n", "[server]\n" + per_peer, 1)
    if case.site.check(text)[0] != 0:
        case.notes.append("a limit for each peer is not known yet")
        return
    with small_site(case, per_peer) as inner:
        one_too_many(inner, 5)


def one_too_many(inner, most):
    rig.wait_until(lambda: inner.site.metrics().get(
        'postern_http_connections{listener="callback"}', 0) <= 1, 1)
    kept = getattr(inner.site.local, "connection", None)
    if kept is not None:
        kept.close()
        inner.site.local.connection = None
        time.sleep(0.1)
    connections = [wire.Connection(inner.site.port) for _ in range(most)]
    time.sleep(0.1)
    extra = wire.Connection(inner.site.port)
    extra.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    extra.read(timeout=1)
    inner.inputs += most + 1
    inner.require(extra.closed and [a.code for a in extra.answers] in ([], [503]),
                  f"one more was answered {extra.answers}")
    number, message = inner.genuine()
    connections[-1].send(message.raw())
    inner.expect_ack(connections[-1].read(1)[0], message.channel)
    for connection in connections + [extra]:
        connection.close()
    time.sleep(0.2)
    inner.expect_state(number, "paid")


@row("L11", "connecting and leaving")
def churn(case):
    before = case.site.descriptors()
    count = 300 if case.quick else 5000
    for i in range(count):
        connection = wire.Connection(case.site.port)
        if i % 3 == 1:
            connection.send(b"POST ")
        if i % 3 == 2:
            connection.reset()
        connection.close()
    case.inputs += count
    case.require(rig.wait_until(lambda: case.site.descriptors() <= before + 3, 10),
                 f"{case.site.descriptors()} descriptors, {before} before")


def is_quick(case, message, label, limit=0.25):
    """50 ms where no sanitizer is at work."""
    took = quickest(case, message, 3)
    case.require(took < limit, f"{label}: {took * 1000:.0f} ms")


def quick_refusals(case, inputs, why=None):
    case.refused(inputs, why)
    for label, message in inputs:
        is_quick(case, message, label)


@row("L12", "JSON that is deep")
def json_depth(case):
    _, message = case.genuine("wechat")
    most = 200 * 1024
    texts = [("arrays", "[" * most), ("objects", '{"a":' * (most // 5)),
             ("closed", "[" * (most // 2) + "]" * (most // 2)),
             ("within", '{"z":' + "[" * 33 + "]" * 33 + "}"),
             ("mixed", '[{"a":' * (most // 7))]
    quick_refusals(case, [(label, message.clone().sign_body(text.encode())) for label,
                          text in texts],
                   {"body_malformed"})
    quick_refusals(case, [("sealed " + label, message.clone().say_text(text[:most // 2]))
                          for label, text in texts], {"body_malformed"})


@row("L13", "JSON that is wide")
def json_width(case):
    _, message = case.genuine("wechat")
    wide = {f"k{i}": 1 for i in range(10000)}
    texts = [("keys", json.dumps(wide)), ("values", json.dumps([1] * 60000)),
             ("string", json.dumps({"a": "x" * 200 * 1024})), ("number", '{"a":' + "1" * 200000 +
                                                               "}"),
             ("nested values", json.dumps({"a": [[]] * 30000})),
             ("escapes", '{"a":"' + "\\u0041" * 30000 + '"}')]
    quick_refusals(case, [(label, message.clone().sign_body(text.encode())) for label,
                          text in texts])
    _, message = case.genuine("wechat")
    larger = message.clone().sign_body(json.dumps({f"k{i}": 1 for i in range(10**5)}).encode())
    case.broken([("1 MiB", larger.raw())], (413,))


@row("L14", "forms that are wide")
def form_width(case):
    _, message = case.genuine("alipay")
    texts = [("parameters", "&".join(f"k{i}=1" for i in range(20000))), ("name", "x" * 200000 +
                                                                         "=1"),
             ("ampersands", "&" * 200000), ("equals", "=" * 200000), ("percents", "%" * 200000),
             ("escapes", "a=" + "%41" * 60000), ("value", "a=" + "x" * 200000)]
    quick_refusals(case, [(label, message.with_body(text.encode())) for label, text in texts])
    case.refused([("257", message.with_body(message.body + b"".join(
        b"&k%d=1" % i for i in range(257))))], {"fields_too_many"})


@row("L15", "names that collide")
def colliding(case):
    parts = ("Aa", "BB", "C#")  # one value under the hash of many a runtime
    alike = ["".join(parts[i // 3**k % 3] for k in range(9)) for i in range(10000)]
    mixer = random.Random(15)
    other = ["".join(mixer.choice("ABab#C") for _ in range(18)) + str(i) for i in range(10000)]
    for count in (250, 10000):
        took = []
        for names in (alike, other):
            _, message = case.genuine("alipay")
            body = "&".join(messages.quote(n) + "=1" for n in names[:count]).encode()
            one = message.with_body(body[:BODY_MAX - 9])
            case.refused([(f"form {count}", one)])
            _, message = case.genuine("wechat")
            two = message.clone().sign_body(json.dumps({n: 1 for n in names[:count]}).encode()
                                            [:BODY_MAX - 9])
            case.refused([(f"JSON {count}", two)])
            took.append(quickest(case, one, 9) + quickest(case, two, 9))
        case.require(took[0] < 2 * took[1] + 0.002,
                     f"{count}: {took[0]:.4f} s against {took[1]:.4f} s")


@row("L16", "XML that is deep or wide")
def xml_size(case):
    _, message = case.genuine()
    deep = 25000
    quick_refusals(case, [(label, message.with_body(text.encode())) for label, text in (
        ("nested", "<xml>" + "<a>" * deep + "</a>" * deep + "</xml>"), ("open", "<a>" * 60000),
        ("siblings", "<xml>" + "".join(f"<a{i}/>" for i in range(20000)) + "</xml>"),
        ("attributes", "<xml " + " ".join(f'a{i}="1"' for i in range(15000)) + "/>"),
        ("text", "<xml>" + "x" * 200000 + "</xml>"), ("brackets", "<" * 200000),
        ("ampersands", "<xml><a>" + "&" * 200000 + "</a></xml>"))],
        {"body_malformed", "fields_too_many", "key_duplicate"})


@row("L17", "a signature of a megabyte")
def large_signature(case):
    for account in EACH_CHANNEL:
        _, message = case.genuine(account)
        large = base64.b64encode(bytes(750 * 1024)).decode()
        case.broken([(account, message.with_signature(large).raw())], (413, 431))
        for size in (700, 8 * 1024, 150 * 1024):
            if account == "wechat" and size > 9000:
                continue
            text = base64.b64encode(bytes(size * 3 // 4)).decode()
            quick_refusals(case, [(f"{account} {size}", message.with_signature(text))],
                           {"signature_malformed"})


@row("L18", "a flood of wrong signatures")
def signature_flood(case):
    site, over = case.site, threading.Event()
    sent = [0] * 4

    def flood(place):
        _, message = case.genuine(EACH_CHANNEL[place % 3])
        raw = message.with_body(message.body[:-1]).raw() if place % 2 else message.with_signature(
            "A" * 64 if place % 3 == 2 else bytes(256)).raw()
        while not over.is_set():
            if site.post(raw).code not in (400, 401):
                break
            sent[place] += 1
    pairs = [case.genuine(EACH_CHANNEL[i % 3]) for i in range(30 if case.quick else 150)]
    threads = [threading.Thread(target=flood, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number, message in pairs:
            case.acked(message, "honest")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    for number, _ in pairs:
        case.expect_state(number, "paid")
    case.inputs += sum(sent)
    case.require(min(sent) > 0, f"the flood was none: {sent}")


@row("L19", "a flood of key ids")
def serial_flood(case):
    site, rss = case.site, case.site.rss_kib()
    _, message = case.genuine("wechat")
    count = 200 if case.quick else 5000
    with case.nothing_recorded():
        for i in range(count):
            one = message.with_header("Wechatpay-Serial", f"PUB_KEY_ID_{i:032d}")
            case.inputs += 1
            case.expect_refusal(site.post(one), message.channel)
            if i % 50 == 0:
                case.require(not site.sockets_out(), f"somebody is asked: {site.sockets_out()}")
    # What the sanitizer keeps of so many requests, and nothing of ours.
    case.require(site.rss_kib() - rss < 64 * 1024, "memory")


@row("L20", "a flood of lines")
def log_flood(case):
    site = case.site
    log = site.folder / "postern.log"
    time.sleep(0.2)
    before, count = log.stat().st_size, 300 if case.quick else 4000
    for account in EACH_CHANNEL:
        _, message = case.genuine(account)
        raw = message.with_signature("x" * 64).raw()
        for _ in range(count // 3):
            case.inputs += 1
            site.post(raw)
    for _ in range(count // 6):
        case.inputs += 1
        site.exchange(b"garbage\r\n\r\n")
    time.sleep(0.4)
    grown = log.stat().st_size - before
    case.require(grown < 48 * 1024, f"the log has grown by {grown} bytes")
    held_back = [json.loads(line).get("lines_kept_back", 0) for line in site.log_lines()]
    case.require(any(held_back), "nobody counts the lines that were kept back")
