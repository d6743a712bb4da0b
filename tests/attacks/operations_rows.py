"""Rows O01 to O10: logs, metrics, proxies, configuration, host (P5, P14, P17)."""
import json
import os
import pathlib
import re
import subprocess
import urllib.parse

from rows import EACH_CHANNEL, Skipped, messages, rig, row, wire

INJECTIONS = ["a\r\nb", "a\nb", 'x","level":"error', '{"a":1}', "\x1b[2J\x1b[31m", "\u202egnp.exe",
              "\u2028\u2029", "\u0085", "%n%s%x%n", "{}{0}{:d}", "${jndi:ldap://127.0.0.1/a}", "\0",
              "$(id)", "`id`", "<script>alert(1)</script>", "'; DROP TABLE orders; --",
              "\x7f\x08\x08",
              "\\u000a", "x" * 5000]


def lines_are_sound(case, lines):
    """Every line is one JSON object without a character that a terminal or a reader obeys."""
    for line in lines:
        text = line.decode()  # UTF-8 throughout
        case.require(isinstance(json.loads(text), dict), f"no object: {text[:200]!r}")
        case.require(not re.search("[\x00-\x1f\x7f-\x9f]", text), f"a control: {text[:200]!r}")
        case.require(len(line) < 16 * 1024, f"a line of {len(line)} bytes")


def spread(case, text):
    """Sends `text` in every place that a stranger or a buyer can fill; codes of the answers."""
    site, codes = case.site, []
    header = text.encode(errors="replace").translate(None, b"\r\n\0\x7f\x1b\x08")
    for account in EACH_CHANNEL:
        number, message = case.genuine(account)
        if account == "alipay":
            own = message.clone().set(subject=text, body=text, buyer_logon_id=text, zz=text)
        elif account == "wechat":
            own = message.clone().say(attach=text, description=text, payer={"openid": text})
        else:
            clean = re.sub("[\x00-\x08\x0b-\x1f\x7f]|\\]\\]>", "", text).replace("\r\n", "\n")
            own = message.clone().set(attach=clean, openid=clean)
        genuine = own.with_more("User-Agent", header).with_more("X-Request-Id", header)
        forged = message.with_signature(re.sub("[^ -~]", "?", text)[:600]).with_more("X", header)
        for one in (genuine, forged, message.with_body(text.encode(errors="replace"))):
            case.inputs += 1
            codes.append(site.post(one).code)
        case.require(codes[-3] in (200, 204), f"{account}: a genuine message with {text[:30]!r}")
    for target in ("/payment/" + urllib.parse.quote(text[:1000]) + "/callback",
                   "/payment/alipay/callback?" + urllib.parse.quote(text[:1000])):
        case.inputs += 1
        codes.append(site.post(wire.request(target, b"x", [("Content-Type", text.encode(
            errors="replace").translate(None, b"\r\n\0\x7f\x1b\x08")[:200])])).code)
    raw = b"POST " + text.encode(errors="replace") + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    site.exchange(raw, timeout=0.1)
    return codes


@row("O01", "texts that would forge or break log lines")
def log_injection(case):
    before = len(case.site.log_lines())
    for text in case.sampled(INJECTIONS, len(INJECTIONS), quick=len(INJECTIONS)):
        spread(case, text)
    rig.wait_until(lambda: len(case.site.log_lines()) > before, 2)
    lines = case.site.log_lines()
    case.require(len(lines) > before, "nothing was logged")
    lines_are_sound(case, lines)
    forged = [one for one in lines if b'"level":"error"' in one and b"callback" in one]
    case.require(not forged, f"a forged line: {forged[:1]}")
    # The same where a person looks: JSON throughout.
    for path in ("/v1/callbacks?limit=50", "/v1/incidents?limit=50", "/v1/rejected/alipay",
                 "/v1/rejected/wechat", "/v1/rejected/wechat-v2"):
        code, body = case.site.call("GET", path)
        case.require(code == 200 and isinstance(json.loads(body), dict), path)
        case.require(not any(c < 0x20 and c != 0x0a for c in body), f"{path} shows a raw control")


@row("O02", "format strings are texts")
def format_strings(case):
    rss = case.site.rss_kib()
    for text in ("%n%n%n%n", "%s%s%s%s%s%s%s%s", "%x" * 50, "{}{}{}", "{0}{1}", "{:>999999999}",
                 "{:.999999999f}", "${jndi:ldap://127.0.0.1:1/a}", "%1000000000d", "{{{{", "}}"):
        spread(case, text)
        number = case.site.fresh() + text
        message = case.site["wechat"].pay(number)
        case.acked(message, text)
        found = [one for one in case.site.incidents("unknown_order")
                 if text in one["subject"] + one["detail"]]
        case.require(found or text in json.dumps(case.site.incidents()),
                     f"{text} is not kept as it is")
    lines_are_sound(case, case.site.log_lines())
    case.require(case.site.rss_kib() - rss < 64 * 1024, "memory")
    case.require(not case.site.sockets_out(), "somebody was called")


PRIVATE = {"card": "6222020200112233445", "phone": "13912345678", "id card": "11010519491231002X",
           "openid": "oUpF8uMuAJO-canary-openid", "e-mail": "canary.buyer@mail.example",
           "name": "王小明金丝雀", "cvv": "cvv=0417", "address": "Canary Street 17"}


@row("O03", "personal data and secrets stay where they belong")
def private(case):
    site, all_of_it = case.site, " ".join(PRIVATE.values())
    numbers = []
    for account in EACH_CHANNEL:
        number, message = case.genuine(account)
        if account == "alipay":
            own = message.clone().set(buyer_logon_id=PRIVATE["e-mail"], body=all_of_it,
                                      buyer_id=PRIVATE["openid"], receipt=PRIVATE["phone"])
        elif account == "wechat":
            own = message.clone().say(payer={"openid": PRIVATE["openid"]}, attach=all_of_it)
        else:
            own = message.clone().set(openid=PRIVATE["openid"], attach=all_of_it)
        agent = all_of_it.encode()
        case.acked(own.with_more("User-Agent", agent).with_more("Authorization", agent), account)
        wrong = "x" * 64 if account == "wechat-v2" else bytes(256)
        case.refused([("forged", own.with_signature(wrong).to(
            own.target + "?phone=" + PRIVATE["phone"]))])
        late = own.clone().with_body(own.body + b"<" + PRIVATE["phone"].encode())
        case.refused([("broken", late)])
        numbers.append(number)
    site.exchange(b"GET /" + PRIVATE["phone"].encode() + b" HTTP/1.1\r\nHost: " +
                  PRIVATE["openid"].encode() + b"\r\nX: " + PRIVATE["card"].encode() + b"\r\n\r\n",
                  timeout=0.2)
    rig.wait_until(lambda: False, 0.4)
    places = {"log": b"\n".join(site.log_lines()), "errors": site.errors().encode(),
              "metrics": site.call("GET", "/metrics")[1]}
    for path in ["/v1/orders?limit=50", "/v1/callbacks?limit=50", "/v1/incidents?limit=50",
                 "/v1/deliveries?limit=50", "/v1/events?after=0&limit=500", "/v1/endpoints",
                 "/v1/audit", "/readyz"] + [f"/v1/orders/{n}" for n in numbers]:
        places[path] = site.call("GET", path)[1]
    secrets = [rig.ADMIN_KEY, rig.WEBHOOK_SECRET] + [a.api_key for a in site.accounts.values()
                                                     if a.api_key]
    secrets += [base for base in re.findall(r"\n([A-Za-z0-9+/=]{40,})\n", messages.private_text(
        case.site.keys.alipay))][:2]
    for place, content in places.items():
        for kind, text in list(PRIVATE.items()) + [("secret", one) for one in secrets]:
            case.inputs += 1
            case.require(text.encode() not in content and json.dumps(text)[1:-1].encode()
                         not in content, f"{place} shows the {kind}")


def spoofed_headers(address):
    return [("X-Forwarded-For", address), ("X-Forwarded-For", f"{address}, 127.0.0.1"),
            ("X-Forwarded-For", ", ".join([address] * 100)), ("X-Forwarded-For", f"{address}:80"),
            ("X-Forwarded-For", "[2001:db8::1]:80"), ("X-Forwarded-For", "unknown"),
            ("X-Forwarded-For", "a" * 2000), ("X-Forwarded-For", ""), ("X-Real-IP", address),
            ("True-Client-IP", address), ("CF-Connecting-IP", address), ("X-Client-IP", address),
            ("Forwarded", f"for={address}"), ("Forwarded", f'for="[2001:db8::1]:80";by={address}')]


def peer_of(case, account):
    return case.site.get(f"/v1/rejected/{account}")["rejected"][0]["peer"]


@row("O04", "addresses that a stranger claims")
def claimed_addresses(case):
    _, message = case.genuine("alipay")
    forged = message.with_signature(bytes(256))
    for name, value in spoofed_headers("203.0.113.9"):
        case.refused([(f"{name}: {value[:40]}", forged.with_more(name, value))])
        case.require(peer_of(case, "alipay") == "127.0.0.1", f"{name} was believed")


def other_site(case, folder, server, account_lines):
    """A site whose accounts `alipay` has further lines."""
    site = rig.Site(case.site.binary, case.site.folder.parent / folder, case.site.keys, server,
                    names=("alipay", "wechat"))
    text = site.configuration.replace("[account.alipay]\n", "[account.alipay]\n" + account_lines, 1)
    (site.folder / "postern.toml").write_text(text)
    return site


@row("O05", "an allowlist, and ways around it",
     needs=('trusted_proxies = ["10.0.0.0/8"]\npeer_from = "x-forwarded-for"\n',
            'allow_from = ["203.0.113.0/24"]\n'))
def allowlist(case):
    with other_site(case, "o05-a", "",
                    'allow_from = ["203.0.113.0/24", "2001:db8::/32"]\n') as site:
        inner = type(case)(site, case.quick, case.scratch)
        number, message = inner.genuine("alipay")
        inner.refused([("not listed", message)] + [
            (f"{n}: {v[:40]}", message.with_more(n, v)) for n, v in spoofed_headers("203.0.113.9")])
        for preface in (b"PROXY TCP4 203.0.113.9 127.0.0.1 4 5\r\n",
                        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x7f\0\0\1\0\4\0\5"):
            answers, _ = site.exchange(preface + message.raw())
            inner.inputs += 1
            inner.require([a.code for a in answers] == [400], f"{preface[:12]!r}: {answers}")
        inner.expect_state(number, "awaiting")
        inner.control("wechat")
        case.inputs += inner.inputs
    # An address that is listed is no signature.
    with other_site(case, "o05-b", "", 'allow_from = ["127.0.0.1"]\n') as site:
        inner = type(case)(site, case.quick, case.scratch)
        number, message = inner.genuine("alipay")
        inner.refused([("listed", message.clone().sign(site.keys.attacker))])
        inner.pays(message, number)
        case.inputs += inner.inputs
    # The edges of a network, told by a proxy that is trusted.
    server = 'trusted_proxies = ["127.0.0.1"]\npeer_from = "x-forwarded-for"\n'
    with other_site(case, "o05-c", server, 'allow_from = ["203.0.113.128/25"]\n') as site:
        inner = type(case)(site, case.quick, case.scratch)
        for address, listed in (("203.0.113.127", False), ("203.0.113.128", True),
                                ("203.0.113.255", True), ("203.0.114.0", False),
                                ("::ffff:203.0.113.200", True), ("203.0.113.200, 198.51.100.1",
                                                                 False),
                                ("198.51.100.1, 203.0.113.200", True), ("unknown", False), ("",
                                                                                            False)):
            number, message = inner.genuine("alipay")
            told = message.with_more("X-Forwarded-For", address)
            if listed:
                inner.pays(told, number, address)
            else:
                inner.refused([(address, told)])
        case.inputs += inner.inputs


@row("O06", "labels of metrics are few")
def cardinality(case):
    spread(case, "warm")
    before = set(case.site.metrics())
    for i in range(30 if case.quick else 300):
        case.inputs += 4
        case.site.post(wire.request(f"/payment/a{i}/callback", b"x"))
        case.site.post(wire.request(f"/x{i}?y={i}", b"x", method=f"M{i}"))
        _, message = (None, case.site["wechat"].pay(f"none{i}"))
        case.site.post(message.with_header("Wechatpay-Serial", f"S{i}"))
        case.site.post(message.with_header("Content-Type", f"a/b{i}"))
    more = set(case.site.metrics()) - before
    case.require(len(more) < 8, f"new series: {sorted(more)[:10]}")


def looks_at_files(case):
    """Whether the daemon is one that asks who may read and change its keys."""
    timed = '[{ source = "file:alipay.pem", from = 2020-01-01T00:00:00Z }]'
    text = case.site.configuration.replace('["file:alipay.pem"]', timed)
    if case.site.check(text)[0] == 0:
        return True
    case.notes.append("who may read its keys is not asked yet")
    return False


@row("O07", "a bad configuration is not taken over")
def reload_bad(case):
    site = rig.Site(case.site.binary, case.site.folder.parent / "o07", case.site.keys,
                    names=("alipay", "wechat-v2"))
    good = site.configuration
    with site:
        inner = type(case)(site, case.quick, case.scratch)
        inner.control("alipay")
        code, _ = site.call("POST", "/v1/configuration/reload", {})
        if code in (404, 405):
            raise Skipped("there is no reload yet")
        bad = {"syntax": good + "[[[", "unknown key": good + "\n[log2]\nx = 1\n",
               "missing secret": good.replace("file:wechat-v2.key", "file:none.key"),
               "weaker": good.replace('seller_id =', 'algorithms = ["MD5"]\nseller_id ='),
               "twice": good + "\n[account.alipay]\n", "empty": "",
               "no account": good.split("[account.")[0]}
        for label, text in bad.items():
            inner.inputs += 1
            (site.folder / "postern.toml").write_text(text)
            code, _ = site.call("POST", "/v1/configuration/reload", {})
            inner.require(code >= 400, f"{label} was taken: {code}")
            inner.control("alipay")
        (site.folder / "postern.toml").write_text(good)
        if looks_at_files(case):
            key = site.folder / "wechat-v2.key"
            key.chmod(0o644)
            code, _ = site.call("POST", "/v1/configuration/reload", {})
            inner.require(code >= 400, "a key that everybody can read was taken")
            key.chmod(0o600)
        code, _ = site.call("POST", "/v1/configuration/reload", {})
        inner.require(code < 300, f"the good one was refused: {code}")
        inner.control("alipay")
        inner.control("wechat-v2")
        case.inputs += inner.inputs


@row("O08", "secrets outside of the process")
def outside(case):
    site = case.site
    folder = pathlib.Path(f"/proc/{site.process.pid}")
    secrets = [rig.ADMIN_KEY.encode(), rig.WEBHOOK_SECRET.encode()]
    secrets += [a.api_key.encode() for a in site.accounts.values() if a.api_key]
    for name in ("cmdline", "environ", "comm", "maps", "status"):
        content = (folder / name).read_bytes()
        for secret in secrets:
            case.inputs += 1
            case.require(secret not in content, f"/proc/PID/{name} shows a secret")
    for path in list(site.folder.glob("postern.db*")) + [site.folder / "postern.log",
                                                         site.folder / "stderr"]:
        content = path.read_bytes()
        for secret in secrets:
            case.inputs += 1
            case.require(secret not in content, f"{path.name} holds a secret")
    for path in ("/v1/endpoints", "/metrics", "/v1/audit"):
        _, body = site.call("GET", path)
        for secret in secrets:
            case.inputs += 1
            case.require(secret not in body, f"{path} shows a secret")


def refused_start(case, label, prepare):
    """`prepare` changes a fresh site; it must not start any more."""
    folder = case.site.folder.parent / f"o09-{label.replace(' ', '-')}"
    site = rig.Site(case.site.binary, folder, case.site.keys, names=("alipay", "wechat-v2"))
    prepare(site.folder)
    case.inputs += 1
    try:
        site.start()
    except RuntimeError:
        return
    site.stop()
    case.require(False, f"it starts with {label}")


@row("O09", "files that others may change or read")
def file_tricks(case):
    def linked_store(folder):
        (folder / "postern.db").symlink_to(folder.parent / "elsewhere.db")

    def two_names(folder):
        (folder / "postern.db").write_bytes(b"")
        os.link(folder / "postern.db", folder.parent / "second.db")

    def others_store(folder):
        (folder / "postern.db").write_bytes(b"")
        (folder / "postern.db").chmod(0o660)

    refused_start(case, "a linked store", linked_store)
    refused_start(case, "a store of two names", two_names)
    refused_start(case, "a store that the group can change", others_store)
    refused_start(case, "a folder that all can change", lambda folder: folder.chmod(0o777))
    if not looks_at_files(case):
        return

    def other_owner(folder):
        os.chown(folder / "wechat-v2.key", 65534, 65534)

    def linked(folder):
        (folder / "wechat-v2.key").rename(folder.parent / "moved.key")
        (folder / "wechat-v2.key").symlink_to(folder.parent / "moved.key")
        (folder.parent / "moved.key").chmod(0o644)

    refused_start(case, "a key that all can read",
                  lambda folder: (folder / "wechat-v2.key").chmod(0o644))
    refused_start(case, "a key that the group can change",
                  lambda folder: (folder / "wechat-v2.key").chmod(0o660))
    refused_start(case, "a public key that all can change",
                  lambda folder: (folder / "alipay.pem").chmod(0o666))
    refused_start(case, "a linked key that all can read", linked)
    if os.geteuid() == 0:
        refused_start(case, "a key of another owner", other_owner)


@row("O10", "what is in the release binary")
def release_hygiene(case):
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    script, binary = root / "script" / "check_hardening", root / "build" / "release" / "postern"
    if not script.exists() or not binary.exists():
        raise Skipped("there is no release binary to look at")
    case.inputs += 1
    done = subprocess.run([script, binary], capture_output=True, text=True)
    case.require(done.returncode == 0, done.stdout[-1500:] + done.stderr[-500:])
