"""Rows H01 to H28: where a request ends, as two programs might read it differently.

Each input carries a genuine, signed payment of an order of its own, so that a lenient reader would
record something; behind it a second genuine request waits to be smuggled.
"""
from rows import row, wire

BAD = (400,)


def lines_with(case, *variants):
    """(label, request) for each (label, header lines, body) over one genuine message."""
    _, message = case.genuine()
    return [(label, message.head(*lines) + (message.body if body is None else body(message.body)))
            for label, lines, body in variants]


def of_length(case, values):
    """A genuine message under each spelling of its length; {} stands for the number."""
    _, message = case.genuine()
    size = str(len(message.body)).encode()
    return [(repr(value), message.head(b"Content-Length: " + value.replace(b"{}", size)) +
             message.body) for value in values]


def of_encoding(case, values):
    _, message = case.genuine()
    return [(repr(value), message.head(b"Transfer-Encoding: " + value) + wire.chunked(message.body))
            for value in values]


def of_chunks(case, bodies):
    """(label, request) for each (label, function of the body)."""
    _, message = case.genuine()
    return [(label, message.head("Transfer-Encoding: chunked") + make(message.body))
            for label, make in bodies]


@row("H01", "Content-Length and Transfer-Encoding together")
def both(case):
    _, message = case.genuine()
    size = f"Content-Length: {len(message.body)}"
    short, te = "Content-Length: 5", "Transfer-Encoding: chunked"
    case.broken([
        ("length first", message.head(short, te) + wire.chunked(message.body)),
        ("encoding first", message.head(te, short) + wire.chunked(message.body)),
        ("both right", message.head(size, te) + message.body),
        ("unknown encoding", message.head(size, "Transfer-Encoding: x") + message.body)], BAD)


@row("H02", "two different lengths")
def two_lengths(case):
    _, message = case.genuine()
    size = len(message.body)
    case.broken([(f"{a}, {b}", message.head(f"Content-Length: {a}", f"Content-Length: {b}") +
                  message.body) for a, b in ((size, size - 1), (size - 1, size), (0, size),
                                             (size, 0), ("", size))], BAD)


@row("H03", "two equal lengths")
def equal_lengths(case):
    _, message = case.genuine()
    size = f"Content-Length: {len(message.body)}"
    case.broken([("twice", message.head(size, size) + message.body),
                 ("thrice", message.head(size, size, size) + message.body)], BAD)


@row("H04", "a list of lengths")
def listed_lengths(case):
    case.broken(of_length(case, [b"{}, {}", b"{},{}", b"{}, 5", b",{}", b"{},"]), BAD)


@row("H05", "spellings of a length that are no number")
def spelled_lengths(case):
    case.broken(of_length(case, [b"+{}", b"-{}", b"0x10", b"1_0", b"1e1", b"5 6", b"{}Z", b"\x0b{}",
                                 b"", b" ", b"{}.0", b"\xa0{}", b'"{}"', b"{};", b"\xef\xbc\x95"]),
                BAD)


@row("H06", "a length with zeros in front is decimal")
def zeros_in_front(case):
    number, message = case.genuine()
    body = message.body
    raw = message.head(f"Content-Length: {len(body):012d}") + body
    case.inputs += 1
    answers, _ = case.site.exchange(raw, timeout=0.5)
    case.require([a.code for a in answers] in ([200], [400]), f"answered {answers}")
    if answers[0].code == 200:
        case.expect_state(number, "paid")


@row("H07", "lengths that overflow")
def overflowing(case):
    values = [2**31, 2**32 + 5, 2**63 - 1, 2**63, 2**64 + 5, 10**40]
    case.broken(of_length(case, [str(v).encode() for v in values]), (400, 413))


@row("H08", "unknown and compound encodings")
def unknown_encodings(case):
    case.broken(of_encoding(case, [b"xchunked", b"identity", b"gzip, chunked", b"chunked, identity",
                                   b"chunked;q=1", b"blegh", b'"chunked"', b"chunked chunked"]),
                (400, 501))


@row("H09", "chunked twice")
def chunked_twice(case):
    te = "Transfer-Encoding: chunked"
    case.broken(lines_with(
        case, ("two fields", (te, te), wire.chunked),
        ("and identity", (te, "Transfer-Encoding: identity"), wire.chunked),
        ("after identity", ("Transfer-Encoding: identity", te), wire.chunked),
        ("a list", ("Transfer-Encoding: chunked, chunked",), wire.chunked)), BAD)


@row("H10", "commas around chunked")
def comma_tricks(case):
    case.broken(of_encoding(case, [b",chunked", b"chunked,", b", ,chunked", b" ,chunked"]), BAD)


@row("H11", "white space and high bytes around chunked")
def white_space_tricks(case):
    case.broken(of_encoding(case, [b"\x0bchunked", b"chunked\xa0", b"\xffchunked", b"chun\0ked",
                                   b"\x85chunked", b"chunked\x0c", b"chunke\xc4\x8f"]), BAD)


@row("H12", "white space before the colon")
def space_before_colon(case):
    _, message = case.genuine()
    size = str(len(message.body)).encode()
    lines = [b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked",
             b"Content-Length : " + size, b"Content-Length\x85: " + size,
             b"Content-Length\xa0: " + size]
    case.broken([(repr(line), message.head(line) + (wire.chunked(message.body) if b"chunk" in line
                                                    else message.body)) for line in lines], BAD)


@row("H13", "chunked on HTTP/1.0")
def chunked_on_10(case):
    _, message = case.genuine()
    head = message.head("Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    keep = message.head("Transfer-Encoding: chunked", "Connection: keep-alive")
    case.broken([("plain", head + wire.chunked(message.body)),
                 ("keep-alive", keep.replace(b"HTTP/1.1", b"HTTP/1.0", 1) +
                  wire.chunked(message.body))], BAD)


@row("H14", "CHUNKED in capitals is chunked (a control)")
def capitals(case):
    for spelled in ("CHUNKED", "Chunked", "chunked"):
        number, message = case.genuine()
        raw = message.head("Transfer-Encoding: " + spelled) + wire.chunked(message.body, 7)
        case.inputs += 1
        case.expect_ack(case.site.post(raw), message.channel)
        case.expect_state(number, "paid")


@row("H15", "folded header lines")
def folded(case):
    _, message = case.genuine()
    size = f"Content-Length: {len(message.body)}"
    case.broken([
        ("folded field", message.head("X: a\r\n b", size) + message.body),
        ("folded with TAB", message.head("X: a\r\n\tb", size) + message.body),
        ("length in a fold", message.head("X: a\r\n " + size) + message.body),
        ("folded encoding", message.head("Transfer-Encoding:\r\n chunked") +
         wire.chunked(message.body)),
        ("name across lines", message.head("Transfer-\r\nEncoding: chunked", size) +
         wire.chunked(message.body))], BAD)


@row("H16", "spellings of a chunk's size that are no number")
def spelled_sizes(case):
    spellings = [b"0x%x", b"+%x", b"-%x", b"%x_", b"", b"g", b"%x ", b" %x", b"0x", b"%x.0",
                 b"%x\t",
                 b"0_%x", b"%x these bytes", b"-0x0", b"          0"]
    case.broken(of_chunks(case, [
        (repr(one), lambda body, one=one: (one % len(body) if b"%" in one else one) + b"\r\n" +
         body + b"\r\n0\r\n\r\n") for one in spellings]), BAD)


@row("H17", "sizes of chunks that overflow")
def overflowing_sizes(case):
    sizes = [b"00000000000000001", b"FFFFFFFFFFFFFFFF", b"100000000000000000005",
             b"FFFFFFFFFFFFFFFFF", b"8000000000000000", b"7FFFFFFFFFFFFFFF", b"100000000"]
    case.broken(of_chunks(case, [(one.decode(), lambda body, one=one: one + b"\r\n" + body +
                                  b"\r\n0\r\n\r\n") for one in sizes]), (400, 413))


@row("H18", "ends of chunk lines")
def chunk_line_ends(case):
    forms = [b"%x\n", b"%x\rX", b"%x\r\r\n", b"%x;a\nb\r\n", b"%x;a\rb\r\n", b"%x\r\r;a\r\n",
             b"%x;a=b\r\r", b"%x \r\n", b"%x;\r\r\n"]
    inputs = of_chunks(case, [(repr(one), lambda body, one=one: one % len(body) + body +
                               b"\r\n0\r\n\r\n") for one in forms])
    inputs += of_chunks(case, [("LF behind data", lambda b: b"%x\r\n%s\n0\r\n\r\n" % (len(b), b)),
                               ("LF behind 0", lambda b: b"%x\r\n%s\r\n0\n\r\n" % (len(b), b)),
                               ("LF at the end", lambda b: b"%x\r\n%s\r\n0\r\n\n" % (len(b), b))])
    case.broken(inputs, BAD)


@row("H19", "what follows a chunk's data")
def chunk_data_end(case):
    case.broken(of_chunks(case, [
        ("XX", lambda b: b"%x\r\n%sXX0\r\n\r\n" % (len(b), b)),
        ("nothing", lambda b: b"%x\r\n%s0\r\n\r\n" % (len(b), b)),
        ("shorter than said", lambda b: b"%x\r\n%s\r\n0\r\n\r\n" % (len(b) - 1, b)),
        ("an empty line more", lambda b: b"%x\r\n%s\r\n\r\n0\r\n\r\n" % (len(b), b)),
        ("XX behind the last", lambda b: b"%x\r\n%s\r\n0\r\nX:POST / HTTP/1.1\r\n\r\r\n" %
         (len(b), b)),
        ("no chunk at all", lambda b: b"INVALID!!!\r\n")]), BAD)


@row("H20", "no last chunk, and the sender is done")
def missing_last_chunk(case):
    number, message = case.genuine()
    body = message.body
    with case.nothing_recorded():
        for left_out in (b"0\r\n\r\n", b"\r\n0\r\n\r\n", b"\r\n", b"\n", body[-5:] +
                         b"\r\n0\r\n\r\n"):
            raw = message.head("Transfer-Encoding: chunked") + wire.chunked(body)
            case.inputs += 1
            with wire.Connection(case.site.port) as connection:
                connection.send(raw[:-len(left_out)])
                connection.half_close()
                answers = connection.read()
            case.require([a.code for a in answers] in ([400], []), f"answered {answers}")
            case.require(connection.closed, "left open")
    case.expect_state(number, "awaiting")


@row("H21", "bytes behind a whole chunked body")
def bytes_behind(case):
    for behind in (b"\0", b"X", b"\r\n", b"\n", b"GET"):
        number, message = case.genuine()
        raw = message.head("Transfer-Encoding: chunked") + wire.chunked(message.body) + behind
        case.inputs += 1
        with wire.Connection(case.site.port) as connection:
            connection.send(raw)
            connection.half_close()
            answers = connection.read()
        case.require([a.code for a in answers] == [200, 400], f"{behind!r}: {answers}")
        case.require(connection.closed, "left open")
        case.expect_state(number, "paid")


@row("H22", "trailers change neither framing nor authenticity")
def trailers(case):
    site = case.site
    # What would change the framing is refused, what is harmless ignored: never merged.
    for line in (b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Host: evil.example",
                 b"Authorization: Bearer x", b"X-Forwarded-For: 10.0.0.1"):
        number, message = case.genuine()
        raw = message.head("Transfer-Encoding: chunked") + wire.chunked(message.body)
        case.inputs += 1
        answers, closed = site.exchange(raw[:-2] + line + b"\r\n\r\n", timeout=0.3)
        codes = [a.code for a in answers]
        case.require(codes in ([200], [400]), f"{line!r}: {codes}")
        case.require(closed == (codes == [400]), f"{line!r}: left open after a refusal")
        case.expect_state(number, "paid" if codes == [200] else "awaiting")
    # A signature that comes as a trailer is none.
    number, message = case.genuine("wechat")
    signature = message.header("Wechatpay-Signature").encode()
    bare = message.with_header("Wechatpay-Signature", None)
    raw = bare.head("Transfer-Encoding: chunked") + wire.chunked(bare.body)
    with case.nothing_recorded():
        case.inputs += 1
        answer = site.post(raw[:-2] + b"Wechatpay-Signature: " + signature + b"\r\n\r\n")
        case.expect_refusal(answer, "wechatpay-v3")
    case.expect_state(number, "awaiting")


@row("H23", "a flood of chunk extensions")
def extensions(case):
    case.broken(of_chunks(case, [
        ("8 KiB each", lambda b: b"".join(b"1;%s\r\n%c\r\n" % (b"e" * 8192, c) for c in b) +
         b"0\r\n\r\n"),
        ("one short", lambda b: b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(b), b)),
        ("at the end", lambda b: b"%x\r\n%s\r\n0;a=b\r\n\r\n" % (len(b), b)),
        ("quoted", lambda b: b'%x;a="b"\r\n%s\r\n0\r\n\r\n' % (len(b), b))]), (400, 413, 431))


@row("H24", "LF for CR LF")
def bare_lf(case):
    _, message = case.genuine()
    raw = message.raw()
    head = raw[:-len(message.body)]
    case.broken([("everywhere", head.replace(b"\r\n", b"\n") + message.body),
                 ("behind the request line", head.replace(b"\r\n", b"\n", 1) + message.body),
                 ("before the end", head[:-4] + b"\n\r\n" + message.body),
                 ("at the end", head[:-2] + b"\n" + message.body)], BAD)


@row("H25", "CR, NUL and LF in a value")
def control_characters(case):
    _, message = case.genuine()
    size = b"Content-Length: %d" % len(message.body)
    values = [b"a\rb", b"a\0b", b"a\nb", b"a\r", b"\0", b"a\x7f", b"a\x01b", b"v\x00\ralue",
              b":/\rSmuggled: x", b"evil\0"]
    case.broken([(repr(v), message.head(b"X: " + v, size) + message.body) for v in values], BAD)


@row("H26", "names of fields that are none")
def field_names(case):
    _, message = case.genuine()
    size = b"Content-Length: %d" % len(message.body)
    lines = [b": x", b"a b: x", b"X[]: x", b"\x80x: x", b"(x): x", b"no colon", b"X\0: x",
             b"X\r: x",
             b"=: x", b"X@: x", b"\xefoo: bar", b"X\x0b: x", b"{}: x", b"a/b: x", b"Te\nst: x",
             b"Content-Length 10"]
    inputs = [(repr(line), message.head(line, size) + message.body) for line in lines]
    first = f"POST {message.target} HTTP/1.1\r\n".encode()
    rest = message.raw()[len(first):]
    inputs += [("TAB before the first", first + b"\t" + rest),
               ("space before the first", first + b" " + rest),
               ("an empty fold first", first + b" \r\n" + rest)]
    case.broken(inputs, BAD)


@row("H27", "an empty name does not end the fields")
def empty_name(case):
    _, message = case.genuine()
    size = f"Content-Length: {len(message.body)}"
    case.broken([("before the length", message.head(":", size) + message.body),
                 ("behind the length", message.head(size, ":", "I: cut") + message.body),
                 ("a blank value", message.head(": ", size) + message.body)], BAD)


@row("H28", "ends of the fields that are none")
def header_ends(case):
    _, message = case.genuine()
    raw = message.raw()
    head, body = raw[:-len(message.body) - 2], message.body
    case.broken([("CR LF CR X", head + b"\rX" + body), ("CR LF LF", head + b"\n" + body),
                 ("CR CR LF", head[:-2] + b"\r\r\n\r\n" + body),
                 ("CR LF CR LF CR", head + b"\r\r\n" + body),
                 ("CR LF CR Z and a request", head + b"\rZGET /evil: HTTP/1.1\r\n")], BAD)

