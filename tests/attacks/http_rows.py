"""Rows H29 to H49: request lines, hosts, methods, connections, and other people's corpus."""
import contextlib
import socket
import ssl
import time

from rows import EACH_CHANNEL, messages, rig, row, wire

BAD = (400,)


def line_over(message, line):
    """The message with another request line."""
    return wire.encode(line) + b"\r\n" + message.raw().partition(b"\r\n")[2]


def hosts_over(message, hosts, target=None):
    lines = b"".join(b"Host: " + wire.encode(host) + b"\r\n" for host in hosts)
    raw = message.to(target).raw() if target else message.raw()
    return raw.replace(b"Host: " + wire.HOST.encode() + b"\r\n", lines, 1)


@row("H29", "hosts")
def hosts(case):
    _, message = case.genuine()
    path = message.target
    inputs = [("none", hosts_over(message, [])), ("two", hosts_over(message, [wire.HOST, "evil"])),
              ("two equal", hosts_over(message, [wire.HOST, wire.HOST]))]
    inputs += [(repr(h), hosts_over(message, [h])) for h in
               ("", "pay example", "a@pay.example", "pay.example/", "pay.example?a",
                "pay.example#a",
                "pay.example\\a", "a,b", b"\xffpay\xff", "http://pay.example", b"pay\0.example")]
    inputs += [(t, hosts_over(message, [wire.HOST], t)) for t in
               ("http://evil.example" + path, "http://pay.example@evil.example" + path,
                "http://pay.example:81" + path, "ftp://pay.example" + path, "http:" + path,
                "http:///" + path, "//pay.example" + path)]
    # "//host/path" in origin form is a path of another name: not found, never a host.
    case.broken(inputs[:-1], BAD)
    case.inputs += 1
    case.require(case.site.post(inputs[-1][1]).code == 404, "//host/path was not 404")
    number, message = case.genuine()
    case.pays(message.to("http://" + wire.HOST + path), number, "absolute form of the same host")


@row("H30", "versions")
def versions(case):
    _, message = case.genuine()
    line = f"POST {message.target} "
    case.broken([(v, line_over(message, line + v)) for v in
                 ("HTTP/1.2", "HTTP/9.9", "HTTP/1.32", "HTTP/4294967295.255", "HTTP/\r1.1",
                  "HTTP/1.1 ", "HTTP/0.9", "HTTP/2.0", "http/1.1", "HTTP/1,1", "HTTP/11", "ICY", "",
                  "HTTP/\r\r1.1", "HTTP/............0596.7407.")] +
                [("HTTP/0.9", b"GET /\r\n\r\n"), ("no version", b"POST " + message.target.encode() +
                                                  b"\r\n\r\n")], (400, 505))


@row("H31", "methods")
def methods(case):
    number, message = case.genuine()
    with case.nothing_recorded():
        for method in ("TRACE", "OPTIONS", "PUT", "DELETE", "PATCH", "HEAD", "GET", "post", "Post",
                       "PROPFIND", "M-SEARCH"):
            case.label = method
            case.inputs += 1
            with wire.Connection(case.site.port) as connection:
                connection.send(line_over(message, f"{method} {message.target} HTTP/1.1"))
                if method == "HEAD":  # its answer has no body, whatever its length says
                    connection.read(1, timeout=0.2)
                answers = connection.read(1, timeout=0.5)
            codes = [a.code for a in answers]
            case.require(codes in ([405], [501], [400]), f"answered {codes}")
            case.require(answers[0].body == b"", "with a body")
        case.label = ""
    case.broken([(m, line_over(message, f"{m} {message.target} HTTP/1.1")) for m in
                 ("GE T", 'G=":', "PO\0ST", "", "P\u00d6ST", 'G=":<>(e),[T];?"', "POST,",
                  "(POST)")],
                (400, 501))
    case.broken([("CONNECT", line_over(message, "CONNECT pay.example:443 HTTP/1.1")),
                 ("OPTIONS *", line_over(message, "OPTIONS * HTTP/1.1"))], (400, 405, 501))
    case.expect_state(number, "awaiting")


@row("H32", "request lines")
def request_lines(case):
    _, message = case.genuine()
    target, raw = message.target, message.raw()
    case.broken([(repr(one), line_over(message, one)) for one in
                 (f"POST\t{target}\tHTTP/1.1", f"POST  {target} HTTP/1.1",
                  f"POST {target}  HTTP/1.1",
                  f"POST {target}\nHTTP/1.1", f"POST\n{target} HTTP/1.1",
                  f" POST {target} HTTP/1.1",
                  f"Extra linePOST {target} HTTP/1.1", f"POST {target} HTTP/1.1 extra",
                  f"POST\x0b{target} HTTP/1.1", f"POST\r{target}\rHTTP/1.1")] +
                [("three empty lines", b"\r\n\r\n\r\n" + raw), ("LF first", b"\n" + raw),
                 ("CR first", b"\r" + raw), ("NUL first", b"\0" + raw),
                 ("empty line first", b"\r\n" + raw)], BAD)


@row("H33", "bytes of the target")
def target_bytes(case):
    _, message = case.genuine()
    target = message.target.encode()
    case.broken([(repr(bad), line_over(message, b"POST " + target + bad + b" HTTP/1.1"))
                 for bad in (b" x", b"\0", b"\x80", b"\xff", b"#x", b"\\", b"\x7f", b"\x01",
                             b"\t")] +
                [("no path", line_over(message, b"POST  HTTP/1.1")),
                 ("no slash", line_over(message, b"POST " + target[1:] + b" HTTP/1.1")),
                 ("!", line_over(message, b"POST ! HTTP/1.1"))], BAD)


@row("H34", "ways to the admin API from the public listener")
def admin_paths(case):
    own = case.site["wechat-v2"]
    _, message = case.genuine()
    with case.nothing_recorded():
        for target in ("/payment/../v1/orders", "/payment/%2e%2e/v1/orders", "//v1/orders",
                       "/v1/orders", "/v1/orders;x", "/%761/orders", "/metrics", "/healthz",
                       "/readyz",
                       "/debug", "/version", "/admin", "/payment/../admin/",
                       "/payment/..%2fv1/orders",
                       "/payment/wechat-v2/../../v1/orders", "/payment/wechat-v2/callback/../../v1",
                       "/payment//callback", "/payment/wechat-v2/callback/", "/payment/wechat-v2",
                       "/payment/wechat%2dv2/callback", "/PAYMENT/wechat-v2/callback",
                       "/payment/wechat-v2/callback%00", "/payment/wechat-v2/callback;a",
                       "/payment/WECHAT-V2/callback", "/payment/wechat-v2%2Fcallback",
                       "/./payment/wechat-v2/callback", "//payment/wechat-v2/callback"):
            for method in ("GET", "POST"):
                case.label = f"{method} {target}"
                case.inputs += 1
                key = [("Authorization", "Bearer " + "x" * 32)]
                answer = case.site.post(wire.request(target, message.body, own.pay("x").headers +
                                                     key,
                                                     method))
                case.require((answer.code, answer.body) == (404, b""), f"answered {answer}")
        case.label = ""


@row("H35", "overridden methods")
def overridden(case):
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        number, message = case.genuine()
        case.pays(message.with_more(name, "DELETE"), number, name)
        _, message = case.genuine()
        case.inputs += 1
        with case.nothing_recorded():
            answer = case.site.post(wire.request(message.target, message.body, message.headers +
                                                 [(name, "POST")], "GET"))
        case.require(answer.code == 405, f"GET with {name}: POST was {answer.code}")
    number, message = case.genuine("alipay")
    case.pays(message.to(message.target + "?_method=DELETE"), number, "_method in the query")


@row("H36", "Expect")
def expectations(case):
    number, message = case.genuine()
    head = message.head("Expect: 100-continue", f"Content-Length: {len(message.body)}")
    case.inputs += 1
    with wire.Connection(case.site.port) as connection:
        connection.send(head)
        case.require([a.code for a in connection.read(1)] == [100], "no 100 Continue")
        connection.send(message.body)
        case.require([a.code for a in connection.read(2)] == [100, 200], "no ack after 100")
    case.expect_state(number, "paid")
    _, message = case.genuine()
    size = f"Content-Length: {len(message.body)}"
    for body in (b"", message.body):
        case.broken([(one, message.head("Expect: " + one, size) + body) for one in
                     ("x", "y 100-continue", "100-continue, x", "200-ok", "100-continue y")],
                    (417, 400))
    case.broken([("twice", message.head("Expect: 100-continue", "Expect: 100-continue", size))],
                BAD)


@row("H37", "upgrades and the preface of HTTP/2")
def upgrades(case):
    for more in (("Upgrade", "h2c"), ("Upgrade", "websocket"), ("Upgrade", "TLS/1.2")):
        number, message = case.genuine()
        upgraded = message.with_more(*more).with_more("Connection", "Upgrade, HTTP2-Settings")
        case.pays(upgraded.with_more("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"), number, more[1])
    case.broken([("preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
                 ("preface and frames", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")],
                BAD)


@row("H38", "a TLS hello to the plain port")
def tls_hello(case):
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2
    for data in (hello, hello[:1], hello[:5], b"\x80\x2e\x01\x00\x02",
                 b"\x15\x03\x01\x00\x02\x01\x00"):
        began = time.monotonic()
        case.broken([(repr(data[:6]), data)], BAD, after=b"")
        case.require(time.monotonic() - began < 1.5, "closed only after a second")
    plain_to_tls(case)


def plain_to_tls(case):
    """The reverse, where the daemon speaks TLS."""
    more = '[server.tls]\ncertificate = "file:server.pem"\nprivate_key = "file:server.key"\n'
    key = messages.new_key()
    own = messages.certificate("localhost", key)
    folder = case.site.folder.parent / "h38"
    site = rig.Site(case.site.binary, folder, case.site.keys, names=("alipay", "wechat-v2"),
                    more=more)
    rig.write_secret(folder / "server.pem", messages.certificate_pem(own))
    rig.write_secret(folder / "server.key", messages.private_text(key))
    if site.check(site.configuration)[0] != 0:
        case.notes.append("TLS cannot be configured yet")
        return
    with site:
        number = site.register()
        message = site["wechat-v2"].pay(number)
        for data in (message.raw(), b"\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", bytes(600)):
            case.inputs += 1
            with socket.create_connection(("127.0.0.1", site.port), timeout=3) as connection:
                connection.sendall(data)
                began, told = time.monotonic(), b""
                with contextlib.suppress(ConnectionResetError):
                    while part := connection.recv(4096):
                        told += part
            case.require(b"HTTP/1.1 2" not in told and time.monotonic() - began < 1.5,
                         f"{data[:20]!r} in plain text: {told[:80]!r}")
        case.require(site.state(number) == "awaiting", "a payment in plain text")
        context = ssl.create_default_context(cadata=messages.certificate_pem(own).decode())
        context.check_hostname = False
        with context.wrap_socket(socket.create_connection(("127.0.0.1", site.port))) as connection:
            connection.sendall(message.raw())
            case.require(connection.recv(4096).startswith(b"HTTP/1.1 200"), "no ack over TLS")
        case.require(site.state(number) == "paid", "not paid over TLS")


@row("H39", "a hundred requests in one write")
def pipelined(case):
    pairs = [case.genuine(EACH_CHANNEL[i % 3]) for i in range(10 if case.quick else 100)]
    case.inputs += len(pairs)
    with wire.Connection(case.site.port) as connection:
        connection.send(b"".join(message.raw() for _, message in pairs))
        answers = connection.read(len(pairs), timeout=20)
    case.require(len(answers) == len(pairs), f"{len(answers)} answers")
    for answer, (number, message) in zip(answers, pairs):
        case.expect_ack(answer, message.channel)
        case.expect_state(number, "paid")


@row("H40", "a good request, then garbage")
def good_then_garbage(case):
    for garbage in (b"Invalid\r\n\r\n", b"\0\0\0\0", b"GET\r\n\r\n",
                    b"POST / HTTP/1.1\nHost: a\n\n"):
        number, message = case.genuine()
        case.inputs += 1
        answers, closed = case.site.exchange(message.raw() + garbage)
        case.require([a.code for a in answers] == [200, 400] and closed, f"{garbage!r}: {answers}")
        case.expect_ack(answers[0], message.channel)
        case.expect_state(number, "paid")


@row("H41", "an empty body, then a request")
def empty_then_request(case):
    number, message = case.genuine()
    case.inputs += 1
    with wire.Connection(case.site.port) as connection:
        connection.send(message.head("Content-Length: 0", "Connection: keep-alive") + message.raw())
        answers = connection.read(2)
    case.require(len(answers) == 2, f"{len(answers)} answers")
    case.expect_refusal(answers[0], message.channel)
    case.expect_ack(answers[1], message.channel)
    case.expect_state(number, "paid")


@row("H42", "GET with a body")
def get_with_body(case):
    inner_number, inner = case.genuine()
    number, message = case.genuine()
    for method in ("GET", "HEAD", "DELETE"):
        case.inputs += 1
        with case.nothing_recorded(), wire.Connection(case.site.port) as connection:
            connection.send(wire.request(message.target, inner.raw(), message.headers, method))
            if method == "HEAD":  # its answer has no body, whatever its length says
                connection.read(1, timeout=0.3)
            answers = connection.read(2, timeout=0.3)
            case.require([a.code for a in answers] == [405], f"{method}: {answers}")
    case.expect_state(inner_number, "awaiting")
    case.expect_state(number, "awaiting")


@row("H43", "the sender ends, resets or half-closes at every byte")
def early_ends(case):
    number, message = case.genuine()
    raw = message.raw()
    with case.nothing_recorded():
        for k in case.sampled(range(len(raw)), len(raw), quick=60):
            for end in ("half_close", "reset", "close"):
                case.inputs += 1
                connection = wire.Connection(case.site.port)
                connection.send(raw[:k])
                getattr(connection, end)()
                if end == "half_close":
                    answers = connection.read(timeout=2)
                    case.require([a.code for a in answers] in ([400], []), f"{k}: {answers}")
                    case.require(connection.closed, f"{k}: left open")
                    connection.close()
    case.expect_state(number, "awaiting")
    case.inputs += 1
    with wire.Connection(case.site.port) as connection:
        connection.send(raw)
        connection.half_close()
        answers = connection.read()
        case.require(len(answers) == 1, f"half-closed behind the whole: {answers}")
        case.expect_ack(answers[0], message.channel)
    case.expect_state(number, "paid")


def in_pieces(case, raw, offsets):
    """The answers to `raw` cut at each of `offsets`, many connections at a time."""
    answers = []
    for begin in range(0, len(offsets), 200):
        some = offsets[begin:begin + 200]
        connections = [wire.Connection(case.site.port) for _ in some]
        for connection, k in zip(connections, some):
            connection.send(raw[:k])
        time.sleep(0.03)  # long enough that each beginning was read by itself
        for connection, k in zip(connections, some):
            connection.send(raw[k:])
        for connection in connections:
            answers.append(connection.read(1))
            connection.close()
        case.inputs += len(some)
    return answers


@row("H44", "the same bytes in pieces have the same verdict")
def segmented(case):
    for account in EACH_CHANNEL:
        number, message = case.genuine(account)
        genuine = message.raw()
        spoiled = message.with_body(message.body.replace(number.encode(), b"T999999")).raw()
        parts = message.head("Transfer-Encoding: chunked") + wire.chunked(message.body, 100)
        broken = message.head("Content-Length: 5", "Transfer-Encoding: chunked") + message.body
        for what, raw in (("genuine", genuine), ("forged", spoiled), ("chunked", parts),
                          ("broken", broken)):
            whole, _ = case.site.exchange(raw, timeout=0.2)
            most = 300 if what == "genuine" else 100
            for got in in_pieces(case, raw, case.sampled(range(1, len(raw)), most, quick=30)):
                case.require(len(got) == 1 and got[0].same(whole[0]),
                             f"{account} {what}: {got} in pieces, {whole} in one")
        with wire.Connection(case.site.port) as connection:
            for i in range(len(genuine)):
                connection.send(genuine[i:i + 1])
            case.inputs += 1
            case.expect_ack(connection.read(1)[0], message.channel)
        case.expect_state(number, "paid")
        case.expect_events(number, {"order.paid": 1})


@row("H45", "headers named by Connection count as if they were not")
def hop_by_hop(case):
    for named in ("Content-Length", "Host", "Wechatpay-Signature", "Content-Type", "close, Host"):
        number, message = case.genuine("wechat")
        case.pays(message.with_more("Connection", named), number, named)
        _, message = case.genuine("wechat")
        case.refused([(named, message.with_header("Wechatpay-Signature", None).with_more(
            "Connection", named))])


@row("H46", "underscores are no hyphens")
def underscores(case):
    number, message = case.genuine("wechat")
    for name in ("Wechatpay-Signature", "Wechatpay-Timestamp", "Wechatpay-Serial",
                 "Wechatpay-Nonce", "Content-Type"):
        value = message.header(name)
        case.refused([(name, message.with_header(name, None).with_more(name.replace("-", "_"),
                                                                       value))])
        # Beside the true one an alias is one more unknown header.
        case.acked(message.with_more(name.replace("-", "_"), "other"), name)
    case.inputs += 1
    raw = message.raw().replace(b"Content-Length:", b"Content_Length:")
    answers, _ = case.site.exchange(raw, timeout=0.3)
    case.require(answers[0].code == 401, "an alias of Content-Length was a length")
    case.expect_events(number, {"order.paid": 1})


@row("H47", "signature headers given twice")
def doubled_headers(case):
    number, message = case.genuine("wechat")
    inputs = []
    for name in ("Wechatpay-Signature", "Wechatpay-Timestamp", "Wechatpay-Nonce",
                 "Wechatpay-Serial", "Content-Type"):
        good = message.header(name)
        for other in (good, "other", ""):
            inputs.append((f"{name} good, {other!r}", message.with_more(name, other)))
            first = message.with_header(name, None)
            first.headers = [(name, other)] + first.headers + [(name, good)]
            inputs.append((f"{name} {other!r}, good", first))
            spelled = message.with_more(name.upper(), other)
            inputs.append((f"{name} in two spellings", spelled))
    inputs.append(("type twice", message.with_more("Wechatpay-Signature-Type", "x").with_more(
        "Wechatpay-Signature-Type", "x")))
    case.refused(inputs, {"header_duplicate", "content_type_wrong"})
    case.expect_state(number, "awaiting")


@row("H48", "content types")
def content_types(case):
    for account in EACH_CHANNEL:
        number, message = case.genuine(account)
        others = [None, "", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x",
                  "application/octet-stream", "application/x-www-form-urlencoded; charset=utf-7",
                  "application/json; charset=utf-16", "text/xml; charset=utf-7", "text/html", "*/*",
                  "application/json/x", "application/jsonx", "text/xml, application/json"]
        good = message.header("Content-Type").split(";")[0]
        others += [one for one in ("application/json", "text/xml", "image/svg+xml",
                                   "application/x-www-form-urlencoded") if one != good]
        others += [good + "; charset=", good + '; charset="', good + "; charset=big5"]
        case.refused([(f"{account} {one}", message.with_header("Content-Type", one))
                      for one in others], {"content_type_wrong"})
        case.expect_state(number, "awaiting")
        case.pays(message.with_header("Content-Type", good.upper() + " ; CHARSET=UTF-8"), number)


def corpus(path, size):
    """What other people's servers and proxies have taken for requests, with our path and host."""
    post, host = b"POST " + path + b" HTTP/1.1\r\n", b"Host: " + wire.HOST.encode() + b"\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n"
    evil = post + host + b"Content-Length: " + size
    for te in (b"0_2e", b"0x2e", b"+2e", b"-2e", b"2e;", b"Z", b"1Z", b"-0x0", b"2\r\r;a", b"\r\n",
               b"5\r\r;ABCD", b"41;a=b\r\rX", b"1these", b"0 ", b"\t0", b"1\r0\n", b"a\n"):
        yield post + host + chunked + b"\r\n" + te + b"\r\n\r\n" + evil + b"\r\n\r\n0\r\n\r\n"
    for field in (b"Header: v\x00\ralue", b"Content-Length : 34", b"Visible: :/\rSmuggled: x",
                  b": ignored", b":", b"Useless:\n\nGET / HTTP/1.1", b"Content-Length\x85: 10",
                  b"Content-Length 10", b"\xefoo: bar", b"Header\x85: value", b"Te\nst: test",
                  b"Test: test\x00DROPPED", b"Evil: evil\x00", b"Transfer-\r\nEncoding: chunked",
                  b"c\x00", b"Invalid: this\rvalue\ris", bytes(range(1, 9)) + b': "(),/;<=>?@[]{}',
                  b"User: \x85a\x00", b" Folded: first"):
        yield post + host + field + b"\r\n\r\n"
    for length in (b"+1_0", b"", b"-48", b"1Z", b"0x10", b"1, 1", b"\xa01", b"1 1", b"1\x0b",
                   b"1e0"):
        yield post + host + b"Content-Length: " + length + b"\r\n\r\n0123456789"
    for one, two in ((b"1", b"0"), (b"0", b"1"), (b"", b"43"), (b"43", b""), (b"0", b"31")):
        yield (post + host + b"Content-Length: " + one + b"\r\nContent-Length: " + two +
               b"\r\n\r\n" + evil + b"\r\n\r\n")
    for te in (b",chunked", b"\xa0chunked\xa0", b"\xffchunked\xff", b"blegh",
               b"chunked\r\nTransfer-"
               b"Encoding: chunked", b"identity, chunked", b"chunked ,", b"\x0cchunked"):
        for cl in (b"", b"Content-Length: 5\r\n"):
            yield post + host + b"Transfer-Encoding: " + te + b"\r\n" + cl + b"\r\n0\r\n\r\n"
    for line in (b"GET /test HTTP/1.32", b"GET ! HTTP/1.1", b"GET /\nHTTP/1.1", b"\x00 / HTTP/1.1",
                 b"GET / HTTP/4294967295.255", b"GET / HTTP/\r\r1.1",
                 b'G=":<>(e),[T];?" / HTTP/1.1',
                 b"POST /  HTTP/1.1", b"PRI * HTTP/2.0"):
        yield line + b"\r\n" + host + b"\r\n"
    for hosts in (b"Host: \xffa\xff\r\n", b"Host: google.com\x00.kallus.org\r\n", b"host: \r\n"):
        yield post + hosts + b"Content-Length: 0\r\n\r\n"
    yield post + host + b"\r\rZGET /evil: HTTP/1.1\r\nHost: a\r\n\r\n"
    yield post + host + b"\r\n\rX"
    yield (post + host + chunked + b"\r\na\r\n0123456789\n0\r\n\r\n")
    yield (post + host + chunked + b"\r\n1\r\nZXX0\r\n\r\n")
    yield (post + host + chunked + b"\r\n17\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\n\r\n0\r\n\r\n")
    yield (post + host + b"Content-Length: 5\r\n" + chunked + b"\r\n0\r\n\r\n")
    yield post.replace(b"\r\n", b"\n") + b"Host: whatever\nConnection: close\n\n"


@row("H49", "what servers and proxies were caught misreading")
def garden(case):
    number, message = case.genuine()
    secret_number, secret = case.genuine()
    size = b"%d" % len(message.body)
    for data in corpus(message.target.encode(), size):
        case.inputs += 1
        case.label = repr(data[:120])
        with case.nothing_recorded(), wire.Connection(case.site.port) as connection:
            connection.send(data + secret.raw())
            answers = connection.read(timeout=2)
        codes = [a.code for a in answers]
        # Where no length is given, the bytes before are one request with an empty body.
        one_seen = codes == [400, 400] and answers[0].body != b""
        case.require((one_seen or codes in ([400], [413], [431])) and connection.closed,
                     f"answered {codes}")
    case.label = ""
    case.expect_state(number, "awaiting")
    case.expect_state(secret_number, "awaiting")

