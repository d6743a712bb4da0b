"""Rows X01 to X12: XML that opens files, calls out, blows up or is read differently (WeChat v2)."""
import contextlib
import ctypes
import os
import socket
import struct
import threading
import time

from rows import row

REFUSED = {"body_malformed"}


class OpenedFiles:
    """Watches a file of ours by inotify: how often anybody opened it."""
    OPENED_OR_READ = 0x20 | 0x1

    def __init__(self, path):
        self.path = path
        path.write_text("canary")
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = libc.inotify_init1(os.O_NONBLOCK)
        assert self.descriptor >= 0
        assert libc.inotify_add_watch(self.descriptor, str(path).encode(), self.OPENED_OR_READ) >= 0

    def count(self):
        found = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                data = os.read(self.descriptor, 4096)
                while data:
                    size = struct.unpack_from("iIII", data)[3]
                    data, found = data[16 + size:], found + 1
        return found


class Canary:
    """A listener that nobody has a reason to call. A context manager."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.calls = self.socket.getsockname()[1], 0
        threading.Thread(target=self.listen, daemon=True).start()
        return self

    def listen(self):
        with contextlib.suppress(OSError):
            while True:
                self.socket.accept()[0].close()
                self.calls += 1

    def __exit__(self, *_):
        self.socket.close()


def in_front(message, text):
    return message.with_body(text.encode() + message.body)


def with_value(message, value, name="total_fee"):
    """The message with other XML as the value of an element."""
    return message.replaced(name, f"<{name}>{value}</{name}>")


@row("X01", "any DOCTYPE")
def doctypes(case):
    number, message = case.genuine()
    kinds = ["<!DOCTYPE x>", "<!DOCTYPE xml>", "<!DOCTYPE xml []>", "<!doctype xml>",
             '<!DOCTYPE xml SYSTEM "x">', "<?xml version='1.0'?><!DOCTYPE xml>", "<!DOCTYPE",
             '<!DOCTYPE xml PUBLIC "-//x" "http://127.0.0.1/x">', "<!ELEMENT x ANY>",
             "<!ENTITY a 'b'>"]
    case.refused([(kind, in_front(message, kind)) for kind in kinds], REFUSED)
    behind = message.body.replace(b"<xml>", b"<xml><!DOCTYPE x>")
    case.refused([("inside", message.with_body(behind)),
                  ("at the end", message.with_body(message.body + b"<!DOCTYPE x>"))], REFUSED)
    case.expect_state(number, "awaiting")


@row("X02", "an external entity of a file")
def external_file(case):
    number, message = case.genuine()
    watched = OpenedFiles(case.site.folder / "canary.txt")
    open(watched.path).close()
    case.require(watched.count() == 1, "the watch is blind")
    inputs = []
    for path in (str(watched.path), "/etc/passwd"):
        for uri in (f"file://{path}", path, f"file://localhost{path}"):
            inputs.append((uri, in_front(with_value(message, "&e;"),
                                         f'<!DOCTYPE xml [<!ENTITY e SYSTEM "{uri}">]>')))
    inputs.append(("undeclared", with_value(message, "&e;")))
    case.refused(inputs, REFUSED)
    case.require(watched.count() == 0, "the daemon has opened the file")
    case.expect_state(number, "awaiting")


@row("X03", "an external entity of a server, and out of band")
def external_server(case):
    number, message = case.genuine()
    with Canary() as canary:
        uri = f"http://127.0.0.1:{canary.port}/x"
        socket.create_connection(("127.0.0.1", canary.port)).close()
        time.sleep(0.05)
        case.require(canary.calls == 1, "the canary is deaf")
        case.refused([(label, in_front(with_value(message, "&e;"), dtd)) for label, dtd in (
            ("entity", f'<!DOCTYPE xml [<!ENTITY e SYSTEM "{uri}">]>'),
            ("public", f'<!DOCTYPE xml [<!ENTITY e PUBLIC "a" "{uri}">]>'),
            ("parameter", f'<!DOCTYPE xml [<!ENTITY % p SYSTEM "{uri}"> %p;]>'),
            ("out of band", f'<!DOCTYPE xml [<!ENTITY % f SYSTEM "file:///etc/hostname"><!ENTITY % '
             f'p SYSTEM "{uri}">%p;%q;]>'),
            ("ftp", f'<!DOCTYPE xml [<!ENTITY e SYSTEM "ftp://127.0.0.1:{canary.port}/x">]>'))],
            REFUSED)
        time.sleep(0.05)
        case.require(canary.calls == 1 and not case.site.sockets_out(), "the daemon has called")
    case.expect_state(number, "awaiting")


@row("X04", "an external DTD, XInclude, a style sheet")
def external_others(case):
    number, message = case.genuine()
    with Canary() as canary:
        uri = f"http://127.0.0.1:{canary.port}/x"
        include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{uri}"/>'
        case.refused([
            ("DTD", in_front(message, f'<!DOCTYPE xml SYSTEM "{uri}">')),
            ("XInclude", message.with_body(message.body.replace(b"<xml>", b"<xml>" +
                                                                include.encode()))),
            ("as a value", with_value(message, include)),
            ("style sheet", in_front(message, f'<?xml-stylesheet href="{uri}"?>')),
            ("schema", message.with_body(message.body.replace(
                b"<xml>", f'<xml xsi:noNamespaceSchemaLocation="{uri}">'.encode())))], REFUSED)
        time.sleep(0.05)
        case.require(canary.calls == 0, "the daemon has called")
    case.expect_state(number, "awaiting")


@row("X05", "entities that grow")
def growing(case):
    number, message = case.genuine()
    laughs = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' if i else '<!ENTITY e0 "ha">'
                     for i in range(10))
    flat = f'<!DOCTYPE xml [<!ENTITY a "{"x" * 50000}">]>'
    inputs = [("laughs", in_front(with_value(message, "&e9;"), f"<!DOCTYPE xml [{laughs}]>")),
              ("quadratic", in_front(with_value(message, "&a;" * 40000, "attach"), flat)),
              ("itself", in_front(with_value(message, "&a;"),
                                  '<!DOCTYPE xml [<!ENTITY a "&a;">]>')),
              ("references alone", with_value(message, "&a;" * 40000, "attach"))]
    case.refused(inputs, REFUSED)
    rss = case.site.rss_kib()
    for label, one in inputs:
        raw, took = one.raw(), []
        for _ in range(5):
            began = time.perf_counter()
            case.site.post(raw)
            took.append(time.perf_counter() - began)
        # 5 ms where no sanitizer is at work, which is about tenfold.
        case.require(min(took) < 0.05, f"{label}: {min(took) * 1000:.0f} ms")
    # What is freed stays with the sanitizer for a while: twenty bodies of at most 160 KB.
    case.require(case.site.rss_kib() - rss < 16 * 1024, "memory")
    case.expect_state(number, "awaiting")


@row("X06", "a value split by a comment")
def comments(case):
    number, message = case.genuine()
    case.refused([(value, with_value(message, value)) for value in
                  ("100<!---->00", "<!---->10000", "10000<!---->", "1<!-- x -->0000",
                   "<![CDATA[100]]><!----><![CDATA[00]]>", "<!-->10000-->")], REFUSED)
    case.refused([("beside", message.with_body(message.body.replace(b"<xml>", b"<xml><!-- x -->"))),
                  ("in front", in_front(message, "<!-- x -->")),
                  ("behind", message.with_body(message.body + b"<!-- x -->"))], REFUSED)
    case.expect_state(number, "awaiting")


@row("X07", "a value split by CDATA")
def cdata(case):
    number, message = case.genuine()
    case.refused([(value, with_value(message, value)) for value in
                  ("<![CDATA[100]]>00", "100<![CDATA[00]]>", "<![CDATA[100]]><![CDATA[00]]>",
                   "<![CDATA[10000]]> ", " <![CDATA[10000]]>", "<![CDATA[]]>10000",
                   "<![CDATA[10000",
                   "<![CDATA[10000]]]]>", "<![cdata[10000]]>", "<![CDATA[10000]]><![CDATA[]]>")],
                 REFUSED | {"signature_not_verified"})
    case.refused([("bare CDATA", message.with_body(message.body.replace(
        b"<xml>", b"<xml><![CDATA[x]]>"))), ("text beside", message.with_body(message.body.replace(
            b"<xml>", b"<xml>x")))], REFUSED)
    case.pays(with_value(message, "10000"), number, "one text for one CDATA")


@row("X08", "character references")
def references(case):
    number, message = case.genuine()
    case.refused([(value, with_value(message, value)) for value in
                  ("&#49;0000", "&#x31;0000", "&#x0;", "&#0;", "&#xD800;", "&#x110000;", "&#;",
                   "&;",
                   "&nbsp;10000", "&#-1;", "&#99999999999;", "&amp", "&lt", "10000&", "&AMP;",
                   "&quot", "&#x31", "&copy;")], REFUSED)
    case.expect_state(number, "awaiting")
    message.set(attach="<a>&\"'")
    spelled = message.replaced("attach", "<attach>&lt;a&gt;&amp;&quot;&apos;</attach>")
    case.pays(spelled, number, "the five that XML has itself")


@row("X09", "an element twice")
def doubled(case):
    number, message = case.genuine()
    inputs = []
    for name in ("out_trade_no", "total_fee", "sign", "appid", "result_code"):
        same = message.fields[name]
        for value in (same, "other", ""):
            more = f"<{name}>{value}</{name}>"
            inputs += [(f"{name} {value}", message.with_body(message.xml(more))),
                       (f"{name} first {value}", message.with_body(
                           message.body.replace(b"<xml>", f"<xml>{more}".encode())))]
    case.refused(inputs, {"key_duplicate"})
    case.expect_state(number, "awaiting")


@row("X10", "nesting, attributes, namespaces, instructions")
def structures(case):
    number, message = case.genuine()
    body = message.body.decode()
    case.refused([(label, message.with_body(text.encode())) for label, text in (
        ("nested", message.xml("<a><b/></a>").decode()),
        ("nested empty", message.xml("<a><b></b></a>").decode()),
        ("attribute", body.replace("<total_fee>", '<total_fee x="1">')),
        ("attribute of the root", body.replace("<xml>", '<xml x="1">')),
        ("namespace", message.xml("<x:sign>a</x:sign>").decode()),
        ("declared", body.replace("<xml>", '<xml xmlns="http://x">')),
        ("instruction", message.xml("<?php x ?>").decode()),
        ("instruction first", "<?php x ?>" + body), ("instruction last", body + "<?php x ?>"),
        ("declaration inside", message.xml("<?xml version='1.0'?>").decode()),
        ("two declarations", "<?xml version='1.0'?><?xml version='1.0'?>" + body),
        ("odd name", message.xml("<a-b>1</a-b>").decode()),
        ("chinese name", message.xml("<价>1</价>").decode()),
        ("dot", message.xml("<a.b>1</a.b>").decode()), ("no name", message.xml("<>1</>").decode()),
        ("value in an element", body.replace("<![CDATA[10000]]>", "<v>10000</v>")))], REFUSED)
    case.expect_state(number, "awaiting")


@row("X11", "encodings")
def encodings(case):
    number, message = case.genuine()
    body = message.body.decode()
    declared = [(name, f'<?xml version="1.0" encoding="{name}"?>' + body) for name in
                ("UTF-7", "UTF-16", "GBK", "ISO-8859-1", "US-ASCII", "x", "", "UTF-8,UTF-7")]
    case.refused([(name, message.with_body(text.encode())) for name, text in declared], REFUSED)
    case.refused([("UTF-16", message.with_body(body.encode("utf-16"))),
                  ("UTF-16LE", message.with_body(body.encode("utf-16-le"))),
                  ("UTF-32", message.with_body(body.encode("utf-32"))),
                  ("BOM", in_front(message, "\ufeff")),
                  ("BOM and declaration", in_front(message, '\ufeff<?xml version="1.0"?>')),
                  ("invalid", message.with_body(message.body.replace(b"CFT", b"\xff\xfe"))),
                  ("overlong", message.with_body(message.body.replace(b"CFT", b"\xc0\xbc"))),
                  ("surrogates", message.with_body(message.body.replace(b"CFT", b"\xed\xa0\x80"))),
                  ("NUL", message.with_body(message.body.replace(b"CFT", b"C\0T"))),
                  ("control", message.with_body(message.body.replace(b"CFT", b"C\x08T"))),
                  ("UTF-7", message.with_body(b"+ADw-xml+AD4-" + message.body))], REFUSED)
    case.pays(in_front(message, '<?xml version="1.0" encoding="UTF-8"?>\n'), number, "UTF-8")


@row("X12", "what is not one root with elements")
def whole_documents(case):
    number, message = case.genuine()
    body = message.body
    case.refused([(label, message.with_body(text)) for label, text in (
        ("two roots", body + body), ("two roots, first empty", b"<xml></xml>" + body),
        ("junk behind", body + b"x"), ("junk in front", b"x" + body), ("open", body[:-6]),
        ("open element", body.replace(b"</attach>", b"")), ("crossed", body.replace(
            b"</attach>", b"</xml>")), ("wrong root", body.replace(b"xml>", b"root>")),
        ("capitals", body.replace(b"xml>", b"XML>")), ("nothing", b""), ("blank", b"  \n"),
        ("NUL behind", body + b"\0"), ("blank in front", b" " + body), ("LF in front", b"\n" +
                                                                        body),
        ("inside a root", b"<a>" + body + b"</a>"), ("tag in a tag", body.replace(b"<attach",
                                                                                  b"<<attach")),
        ("text", b"xml"), ("JSON", b"{}"), ("half a tag", body[:-1]), ("<", b"<"), ("<xml",
                                                                                    b"<xml"))],
        REFUSED)
    case.refused([("an empty root", message.with_body(b"<xml></xml>")),
                  ("self-closed", message.with_body(b"<xml/>"))])
    case.expect_state(number, "awaiting")
    case.pays(message.with_body(("<xml>\r\n  " + "\n\t".join(message.elements()) + "\n</xml>\n")
                                .encode()), number, "white space between")
