"""Rows S01 to S23: what is not signed, or not by the platform, has no effect (P3)."""
import base64
import hashlib
import hmac
import json
import pathlib
import random
import statistics
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

import verifier_shim
from rows import EACH_CHANNEL, messages, rig, row

RSA = ("alipay", "wechat")
SIGNED_WRONGLY = {"signature_not_verified", "signature_malformed", "signature_missing",
                  "header_missing", "algorithm_not_allowed"}
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def spoiled(case, account, signatures):
    """(label, message) for each signature in place of the right one."""
    _, message = case.genuine(account)
    return [(f"{account} {str(one)[:40]!r}", message.with_signature(one)) for one in signatures]


def raw_rsa(key, block):
    """The RSA operation alone, on a block that we padded ourselves."""
    private = key.private_numbers()
    modulus = private.public_numbers.n
    size = (modulus.bit_length() + 7) // 8
    return pow(int.from_bytes(block, "big"), private.d, modulus).to_bytes(size, "big")


def block_of(info, size=256):
    """PKCS#1 v1.5 padding around `info`."""
    return b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info


@row("S01", "no signature, an empty or a blank one")
def missing(case):
    for account in EACH_CHANNEL:
        case.refused(spoiled(case, account, [None, "", " ", "\t", "  "]), SIGNED_WRONGLY)


@row("S02", "words for nothing in place of the signature")
def literal_junk(case):
    for account in EACH_CHANNEL:
        case.refused(spoiled(case, account, ["null", "undefined", "0", "true", "[]", "{}", "false",
                                             "NaN", "None", "AA==", "sign", "*", "%00", "../.."]),
                     SIGNED_WRONGLY)


def flip(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@row("S03", "one bit of the signature, or of the body, flipped")
def bit_flips(case):
    for account in EACH_CHANNEL:
        number, message = case.genuine(account)
        signature = message.signature()
        if isinstance(signature, bytes):
            signature_bits = [message.with_signature(flip(signature, bit)) for bit in
                              case.sampled(range(len(signature) * 8), 700)]
        else:
            texts = [flip(signature.encode(), bit) for bit in range(len(signature) * 8)]
            signature_bits = [message.with_signature(text.decode()) for text in texts
                              if text.isascii() and text.decode().isprintable() and
                              text not in (b"]", b"<")]
        case.refused([(f"{account} signature {i}", one) for i, one in enumerate(signature_bits)])
        bits = range(len(message.body) * 8)
        changed = [(f"{account} body {bit}", message.with_body(flip(message.body, bit)))
                   for bit in case.sampled(bits, 700)]
        case.refused([one for one in changed if not harmless(message, one[1])])
        case.expect_state(number, "awaiting")
        case.acked(message)
        case.expect_state(number, "paid")


def harmless(message, changed):
    """Whether a flip changed the spelling of a form or of XML, but not what it says."""
    if message.channel == "alipay":
        return (urllib.parse.parse_qsl(changed.body.decode("latin-1"), encoding="latin-1",
                                       keep_blank_values=True) ==
                urllib.parse.parse_qsl(message.body.decode("latin-1"), encoding="latin-1",
                                       keep_blank_values=True)
                and all(0x20 < c < 0x7f and c != 0x3b for c in changed.body))
    if message.channel == "wechatpay-v2":
        # The only member that says nothing is an empty one, which the scheme does not cover.
        lowered = changed.body.replace(b"device_info", b"")
        return len(lowered) == len(changed.body) and b"<![CDATA[]]>" in changed.body
    return False


@row("S04", "the signature of another message")
def swapped(case):
    for account in EACH_CHANNEL:
        _, one = case.genuine(account)
        _, other = case.genuine(account)
        case.refused([(account, one.with_signature(other.signature())),
                      (account, other.with_signature(one.signature()))], SIGNED_WRONGLY)


@row("S05", "a part of the signature, or more than it")
def truncated(case):
    for account in EACH_CHANNEL:
        _, message = case.genuine(account)
        right = message.signature()
        text = right if isinstance(right, str) else base64.b64encode(right).decode()
        wrong = [text[:-1], text[:1], text[:4], text + "A", text + text, text[: len(text) // 2],
                 text[1:], text + "AAAA"]
        if isinstance(right, bytes):
            wrong += [right[:-1], right[:1], right + b"A", right + right, b"\0" + right, right[1:]]
        case.refused(spoiled(case, account, wrong), SIGNED_WRONGLY)
        case.refused([(f"{account} {one[:20]!r}", message.with_signature(one)) for one in wrong],
                     SIGNED_WRONGLY)


@row("S06", "other spellings of the right base64")
def malleable(case):
    for account in RSA:
        number, message = case.genuine(account)
        text = base64.b64encode(message.signature()).decode()
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        other_bits = text[:-3] + last[last.index(text[-3]) | 1] + "=="
        spellings = [text[:80] + "\n" + text[80:], text.replace("+", "-").replace("/", "_"),
                     text.rstrip("="), text + "=", text + "==", " " + text, text + " ",
                     text[:4] + " " + text[4:], text.replace("==", "=A"), "=" + text, other_bits,
                     text[:80] + "\t" + text[80:], text + "\0"]
        wrong = [one for one in spellings if one != text]
        if account == "wechat":
            # A header cannot hold LF or NUL, and HTTP takes the blanks around a value away.
            wrong = [one for one in wrong if one == one.strip() and "\n" not in one
                     and "\0" not in one]
        case.refused([(f"{account} {one!r}", message.with_signature(one)) for one in wrong],
                     SIGNED_WRONGLY)
        case.expect_state(number, "awaiting")


@row("S07", "other spellings of the right hex")
def hex_spellings(case):
    for account in ("wechat-v2", "wechat-v2-md5"):
        number, message = case.genuine(account)
        right = message.signature()
        wrong = [right.lower(), right[:-1], "0" + right, "0x" + right, right + " ", " " + right,
                 right.capitalize(), right + "00", right[:32] if len(right) == 64 else right +
                 right,
                 base64.b64encode(bytes.fromhex(right)).decode()]
        case.refused([(one, message.with_signature(one)) for one in wrong], SIGNED_WRONGLY)
        case.pays(message, number, "upper case, as documented")


@row("S08", "the key of an attacker")
def attackers_key(case):
    for account in RSA + ("alipay-certified",):
        _, message = case.genuine(account)
        forged = message.clone().sign(case.site.keys.attacker)
        case.refused([(account, forged)], {"signature_not_verified"})
    _, message = case.genuine()
    case.refused([("wechat-v2", message.clone().sign("0123456789abcdef0123456789abcdeF"))],
                 {"signature_not_verified"})


@row("S09", "weaker digests by the right key")
def weaker_digests(case):
    for account in RSA:
        _, message = case.genuine(account)
        key, text = case.site[account].key, message.signing_text()
        digest = hashlib.sha256(text).digest()
        wrong = [messages.rsa_sign(key, text, one) for one in
                 (hashes.SHA1(), hashes.MD5(), hashes.SHA512(), hashes.SHA224(), hashes.SHA384())]
        # Without DigestInfo, with a part of it, with one of another digest around this one's value.
        wrong += [raw_rsa(key, block_of(info)) for info in
                  (digest, SHA256_INFO[:-2] + digest, SHA256_INFO + digest[:-1], digest[:16],
                   bytes.fromhex("3021300906052b0e03021a05000414") + digest[:20],
                   SHA256_INFO.replace(b"\x05\x00", b"") + digest, SHA256_INFO + digest + b"\0")]
        case.refused([(f"{account} {i}", message.with_signature(one))
                      for i, one in enumerate(wrong)], {"signature_not_verified"})


@row("S10", "PSS in place of PKCS#1 v1.5")
def pss(case):
    for account in RSA:
        _, message = case.genuine(account)
        key, text = case.site[account].key, message.signing_text()
        wrong = [key.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
                 for salt in (0, 20, 32, padding.PSS.MAX_LENGTH)]
        case.refused([(f"{account} {i}", message.with_signature(one))
                      for i, one in enumerate(wrong)], {"signature_not_verified"})


def cube_root_above(number):
    low, high = 0, 1 << (number.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < number else (low, middle)
    return low


@row("S11", "a forged cube root under a key with exponent 3")
def cube_root(case):
    number, message = case.genuine("alipay-cube")
    info = SHA256_INFO + hashlib.sha256(message.signing_text()).digest()
    forged = []
    for filling in (8, 1, 0, 60):  # garbage behind the digest makes room for a root
        head = b"\0\1" + b"\xff" * filling + b"\0" + info
        floor = int.from_bytes(head + bytes(256 - len(head)), "big")
        root = cube_root_above(floor)
        if filling < 20:
            assert (root**3).to_bytes(256, "big")[:len(head)] == head, "the forgery is no forgery"
        forged.append(root.to_bytes(256, "big"))
    case.refused([(f"filling {i}", message.with_signature(one)) for i, one in enumerate(forged)],
                 {"signature_not_verified"})
    case.pays(message, number, "a true signature under that key")


@row("S12", "numbers that are no signatures")
def shapes(case):
    for account in RSA:
        _, message = case.genuine(account)
        modulus = case.site[account].key.public_key().public_numbers().n
        as_number = [modulus, modulus - 1, modulus + 1, 1, 2, 2**2048 - 1, modulus // 2]
        wrong = [one.to_bytes(256, "big") for one in as_number]
        right = message.signature()
        above = int.from_bytes(right, "big") + modulus
        wrong += [bytes(256), b"\xff" * 256, bytes(255), bytes(257), b"\0" + right, right + b"\0",
                  bytes(1), bytes(512)]
        if above.bit_length() <= 2048:
            wrong.append(above.to_bytes(256, "big"))
        case.refused([(f"{account} {i}", message.with_signature(one))
                      for i, one in enumerate(wrong)], SIGNED_WRONGLY)


@row("S13", "OpenSSL fails while it verifies")
def api_errors(case):
    shim = verifier_shim.Shim(case.scratch)
    with rig.Site(case.site.binary, case.scratch / "s13", case.site.keys,
                  environment=shim.environment) as site:
        inner = type(case)(site, case.quick, case.scratch)
        for account in EACH_CHANNEL:
            inner.control(account)
        # Each function, and what it says in place of success.
        for fault, accounts in (("verify -1", RSA), ("verify 0", RSA), ("verify -2", RSA),
                                ("decrypt_final -1", ("wechat",)), ("decrypt_final 0", ("wechat",)),
                                ("decrypt_update 0", ("wechat",)), ("mac 0", ("wechat-v2",)),
                                ("mac -1", ("wechat-v2",)), ("compare_answer 1", ("wechat-v2",))):
            for account in accounts:
                number, message = inner.genuine(account)
                _, forged = inner.genuine(account)
                forged = forged.with_signature(message.signature())
                with inner.nothing_recorded():
                    shim.inject(fault)
                    answers = [site.post(message), site.post(forged)]
                    met = shim.calls()
                    shim.inject("")
                    inner.inputs += 2
                    inner.label = f"{account}, {fault}"
                    for answer in answers:
                        inner.expect_refusal(answer, message.channel)
                    inner.require(met > 0, "was never met")
                inner.pays(message, number, f"{account} behind {fault}")
        # The library saying "yes" is the only way in: with a lie in its place a forgery passes, so
        # the shim is where the daemon asks.
        _, forged = inner.genuine("alipay")
        forged = forged.clone().sign(site.keys.attacker)
        shim.inject("verify 1")
        inner.acked(forged, "the shim is deaf")
        shim.inject("")
        case.inputs += inner.inputs
        case.require(not site.health(), str(site.health()))


@row("S14", "the message chooses its algorithm")
def confusion(case):
    site = case.site
    for account in RSA:
        _, message = case.genuine(account)
        public = site[account].key.public_key()
        der = public.public_bytes(serialization.Encoding.DER,
                                  serialization.PublicFormat.SubjectPublicKeyInfo)
        pem = messages.public_pem(site[account].key)
        text = message.signing_text()
        macs = [hmac.new(key, text, digest).digest() for key in (pem, der, pem.strip())
                for digest in (hashlib.sha256, hashlib.sha1, hashlib.md5)]
        case.refused([(f"{account} {i}", message.with_signature(one))
                      for i, one in enumerate(macs)], SIGNED_WRONGLY)
        case.refused([(f"{account} hex", message.with_signature(macs[0].hex()))], SIGNED_WRONGLY)
    _, message = case.genuine("alipay")
    for name in ("none", "None", "NONE", "", "HMAC", "HS256", "RSA3", "SM2", "RSA2,none", "MD5"):
        case.refused([(name, message.clone().set(sign_type=name))], {"algorithm_not_allowed"})
        case.refused([(name, message.spoiled(sign_type=name, sign=None))],
                     {"algorithm_not_allowed", "signature_missing"})
    _, message = case.genuine()
    for name in ("none", "", "RSA", "SHA256", "HMAC-SHA1", "hmac-sha256"):
        if name:
            case.refused([(name, message.clone().set(sign_type=name))],
                         {"algorithm_not_allowed", "signature_not_verified"})
    _, message = case.genuine("wechat")
    for name in ("none", "WECHATPAY2-HMAC-SHA256", "WECHATPAY2-SM2-WITH-SM3", "",
                 "wechatpay2-sha256-rsa2048"):
        case.refused([(name, message.with_header("Wechatpay-Signature-Type", name))],
                     {"algorithm_not_allowed"})


def with_secret(case, name, content):
    """(exit code, output) of a check with other content in one file of secrets."""
    path = case.site.folder / name
    kept = path.read_bytes()
    try:
        rig.write_secret(path, content)
        return case.site.check(case.site.configuration)
    finally:
        rig.write_secret(path, kept)


@row("S15", "secrets that are empty, short or everybody's")
def weak_secrets(case):
    code, output = case.site.check(case.site.configuration)
    case.require(code == 0, f"the right secrets are refused: {output}")
    weak = ["", "   ", "\n", "changeme", "test", "secret", "0" * 15, "password"]
    for name in ("wechat.key", "wechat-v2.key", "admin.key"):
        more = ["a" * 32, "x" * 31, "y" * 33, " " * 32] if name != "admin.key" else ["a" * 15]
        for one in case.sampled(weak + more, 20, quick=3):
            case.inputs += 1
            code, output = with_secret(case, name, one)
            case.require(code != 0, f"{name} may be {one!r}")
            case.require(one.strip() not in output or len(one.strip()) < 8,
                         f"the weak secret is shown: {output}")
    short = messages.new_key(bits=1024)
    shapes = ["", "  ", "test", messages.public_pem(short),
              messages.private_text(case.site.keys.alipay),
              messages.public_pem(case.site.keys.alipay)[:200]]
    for name in ("alipay.pem", "wechat.pem"):
        for one in case.sampled(shapes, 20, quick=2):
            case.inputs += 1
            code, _ = with_secret(case, name, one)
            case.require(code != 0, f"{name} may be {one[:40]!r}")


@row("S16", "an account without a key is no account")
def no_key(case):
    text = case.site.configuration
    for line in ('platform_keys = ["file:alipay.pem"]\n', 'api_key = "file:wechat-v2.key"\n',
                 'api_v3_key = "file:wechat.key"\n', 'api_key = "file:admin.key"\n',
                 'platform_public_keys = ["file:wechat-b.pem"]\n'):
        assert line in text
        setting = line.split(" ")[0]
        others = [text.replace(line, ""), text.replace(line, f"{setting} = []\n"),
                  text.replace(line, f'{setting} = ""\n'),
                  text.replace(line, f'{setting} = "file:nothing.key"\n'),
                  text.replace(line, f'{setting} = "env:POSTERN_NOT_SET"\n')]
        for one in case.sampled(others, 10, quick=1):
            case.inputs += 1
            code, output = case.site.check(one)
            case.require(code != 0, f"it starts without {line.strip()}: {output[:200]}")


@row("S17", "no switch that skips verification")
def no_bypass(case):
    names = [b"allow_unsigned", b"skip_verif", b"skip_sign", b"no_verify", b"disable_verif",
             b"disable_sign", b"insecure_skip", b"bypass", b"ALLOW_UNSIGNED", b"SKIP_VERIFY",
             b"verify_signature = false", b"test_mode", b"unsafe_"]
    content = pathlib.Path(case.site.binary).read_bytes()
    for name in names:
        case.inputs += 1
        case.require(name not in content.replace(b"bypassed", b""), f"the binary holds {name}")
    lines = ("verify = false", "allow_unsigned = true", "skip_verify = true",
             'algorithms = ["none"]', "algorithms = []", 'sign_types = ["none"]')
    for line in case.sampled(lines, 10, quick=2):
        case.inputs += 1
        text = case.site.configuration.replace("[account.alipay]\n", "[account.alipay]\n" + line +
                                               "\n", 1)
        code, output = case.site.check(text)
        # An empty list stands for the default, which is the strong one.
        case.require(code != 0 or line == "algorithms = []", f"{line} is taken: {output[:200]}")
    _, message = case.genuine("alipay")
    forged = message.clone().sign(case.site.keys.attacker)
    case.refused([(name, forged.with_more(name, "1")) for name in
                  ("X-Skip-Verify", "X-Test", "X-Debug", "X-Internal", "X-Postern-Test")])
    case.refused([(query, forged.to(forged.target + query)) for query in
                  ("?debug=1", "?test=true", "?skip_verify=1", "?sandbox=1")])


@row("S18", "the time of a comparison tells nothing")
def timing(case):
    """That equal_constant_time takes as long for any prefix is asked of the function itself: its
    whole cost is one CRYPTO_memcmp over both texts, wherever they begin to differ."""
    shim = verifier_shim.Shim(case.scratch)
    with rig.Site(case.site.binary, case.scratch / "s18", case.site.keys, names=("wechat-v2",),
                  environment=shim.environment) as site:
        message = site["wechat-v2"].pay("T1")
        right, seen = message.signature(), set()
        for length in range(len(right)):
            case.inputs += 1
            wrong = "".join("1" if i >= length and c == "0" else "0" if i >= length else c
                            for i, c in enumerate(right))
            shim.inject("compare")
            case.expect_refusal(site.post(message.with_signature(wrong)), message.channel)
            seen.add(shim.compared())
        case.require(seen == {(1, 64)}, f"comparisons and their bytes: {seen}")


@row("S19", "the bytes that were signed, not what they mean")
def raw_bytes(case):
    number, message = case.genuine("wechat")
    envelope = json.loads(message.body)
    rewritten = [json.dumps(envelope, indent=2), json.dumps(envelope, separators=(",", ":")),
                 json.dumps(envelope, sort_keys=True), message.body.decode() + "\n",
                 " " + message.body.decode(), message.body.decode().replace("/", "\\/"),
                 message.body.decode().replace('"s"', '"\\u0073"'),
                 json.dumps(envelope, indent=1).replace("\n", "\r\n"), "\ufeff" +
                 message.body.decode()]
    case.refused([(repr(one[:30]), message.with_body(one.encode())) for one in rewritten
                  if one.encode() != message.body], {"signature_not_verified"})
    case.pays(message, number)
    # Forms and flat XML are signed by their fields: another order says the same, another text not.
    number, message = case.genuine()
    shuffled = message.elements()
    random.Random(7).shuffle(shuffled)
    case.pays(message.with_body(("<xml>\r\n" + "\r\n".join(shuffled) + "</xml>").encode()), number)
    _, message = case.genuine()
    case.refused([("a blank", message.replaced("attach", "<attach><![CDATA[x ]]></attach>")),
                  ("a line end", message.replaced("attach", "<attach>x\n</attach>"))],
                 {"signature_not_verified"})


def restarted(site, text):
    """The same site under another configuration."""
    site.stop()
    (site.folder / "postern.toml").write_text(text)
    return site.start()


def moment(offset):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset))


@row("S20", "two keys while the platform changes its own")
def rotation(case):
    keys, new_key = case.site.keys, rig.secret("v2 next")
    with rig.Site(case.site.binary, case.scratch / "s20", keys,
                  names=("alipay", "wechat", "wechat-v2")) as site:
        inner = type(case)(site, case.quick, case.scratch)
        rig.write_secret(site.folder / "next.pem", messages.public_pem(keys.alipay_next))
        rig.write_secret(site.folder / "next.key", new_key)
        old, new = '"file:%s"', '"file:next.%s"'

        def configured(pem, key):
            text = site.configuration.replace('["file:alipay.pem"]', pem)
            return text.replace('api_key = "file:wechat-v2.key"', "api_keys = " + key)

        def try_each(old_works, new_works, label):
            for account, other in (("alipay", keys.alipay_next), ("wechat-v2", new_key)):
                for works, key in ((old_works, None), (new_works, other)):
                    number, message = inner.genuine(account)
                    message = message if key is None else message.clone().sign(key)
                    if works:
                        inner.pays(message, number, label)
                    else:
                        inner.refused([(label, message)], {"signature_not_verified", "key_expired",
                                                           "key_not_active", "key_unknown"})

        try_each(True, False, "before")
        restarted(site, configured(f'[{old % "alipay.pem"}, {new % "pem"}]',
                                   f'[{old % "wechat-v2.key"}, {new % "key"}]'))
        try_each(True, True, "overlap")
        restarted(site, configured(f'[{new % "pem"}]', f'[{new % "key"}]'))
        try_each(False, True, "after")
        case.inputs += inner.inputs
        windows(case, site, inner, configured, try_each)


def windows(case, site, inner, configured, try_each):
    """The same by the times at which keys begin and end."""
    def timed(old_until, new_from):
        parts = [[f'{{ source = "file:{one}", until = {moment(old_until)} }}',
                  f'{{ source = "file:next.{kind}", from = {moment(new_from)} }}']
                 for one, kind in (("alipay.pem", "pem"), ("wechat-v2.key", "key"))]
        return configured(*("[" + ", ".join(two) + "]" for two in parts))

    if site.check(timed(3600, -3600))[0] != 0:
        case.notes.append("keys with times are not known yet: only lists were tried")
        return
    for old_until, new_from, label in ((3600, 3600, "before"), (3600, -3600, "overlap"),
                                       (-3600, -3600, "after")):
        restarted(site, timed(old_until, new_from))
        try_each(old_until > 0, new_from < 0, "timed, " + label)
    case.inputs += inner.inputs


@row("S21", "the key of another tenant, channel or environment")
def foreign_keys(case):
    keys, site = case.site.keys, case.site
    _, message = case.genuine("alipay")
    case.refused([(name, message.clone().sign(getattr(keys, name))) for name in
                  ("alipay_other", "wechat", "alipay_certified", "cube", "alipay_next")],
                 {"signature_not_verified"})
    _, message = case.genuine("wechat")
    case.refused([(name, message.clone().sign(getattr(keys, name))) for name in
                  ("alipay", "wechat_other", "wechat_certified")], {"signature_not_verified"})
    _, message = case.genuine()
    case.refused([(name, message.clone().sign(site[name].api_key)) for name in
                  ("wechat-v2-b", "wechat-v2-md5", "wechat")], {"signature_not_verified"})


@row("S22", "what is not authentic is not stored")
def no_storage(case):
    site, rounds = case.site, 20 if case.quick else 334
    callbacks = site.get("/v1/callbacks?limit=1")["callbacks"][0]["id"]
    size = sum(p.stat().st_size for p in site.folder.glob("postern.db*"))
    rss = site.rss_kib()
    for account in EACH_CHANNEL:
        _, message = case.genuine(account)
        filling = b"x" * (200 * 1024)
        if account == "alipay":
            large = message.with_body(message.body + b"&zz=" + filling)
        elif account == "wechat":
            large = message.with_body(message.body + b" " * len(filling))
        else:
            large = message.with_body(message.xml("<zz>" + filling.decode() + "</zz>"))
        raw = large.raw()
        with case.nothing_recorded():
            for _ in range(rounds):
                case.inputs += 1
                case.expect_refusal(site.post(raw), message.channel)
        kept = site.get(f"/v1/rejected/{account}")["rejected"]
        case.require(len(kept) == 32, f"{len(kept)} refused callbacks are kept")
        case.require(max(len(one["body_base64"]) for one in kept) <= 16 * 1024 * 4 // 3 + 4,
                     "a whole large body is kept")
    case.require(site.get("/v1/callbacks?limit=1")["callbacks"][0]["id"] == callbacks, "a row")
    grown = sum(p.stat().st_size for p in site.folder.glob("postern.db*")) - size
    case.require(grown < 512 * 1024, f"the store has grown by {grown} bytes")
    # The sanitizer keeps what was freed for a while: 256 MiB.
    case.require(site.rss_kib() - rss < 400 * 1024, "the memory has grown")


@row("S23", "one refusal, whatever the reason")
def uniform(case):
    for account in EACH_CHANNEL:
        _, message = case.genuine(account)
        unknown = case.site[account].pay(case.site.fresh())
        wrong = "QUJD" * 85 + "QUI=" if account != "wechat-v2" else "A" * 64
        other_app = message.clone()
        if account == "wechat":
            other_app = other_app.say(appid="wx0000000000000000")
        else:
            other_app = other_app.set(**{"app_id" if account == "alipay" else "appid": "other"})
        kinds = [message.with_signature(wrong), unknown.with_signature(wrong), other_app,
                 message.with_body(b"garbage"), message.with_body(b""),
                 message.with_header("Content-Type", "text/plain"), message.with_signature(None)]
        answers = [case.site.post(one) for one in kinds]
        case.inputs += len(kinds)
        for answer in answers:
            case.expect_refusal(answer, message.channel)
            case.require(answer.same(answers[0]), f"{account}: {answer} is not {answers[0]}")
        # An account that does not exist is told by its path alone, whatever is sent.
        nobody = [case.site.post(one.to("/payment/nobody/callback")) for one in kinds]
        case.inputs += len(nobody)
        case.require(all(a.same(nobody[0]) and a.code == 404 for a in nobody), f"{nobody}")
        known_s, unknown_s = [], []
        for _ in range(20 if case.quick else 150):
            for one, times in ((kinds[0], known_s), (kinds[1], unknown_s)):
                raw, began = one.raw(), time.perf_counter()
                case.site.post(raw)
                times.append(time.perf_counter() - began)
                case.inputs += 1
        gap = abs(statistics.median(known_s) - statistics.median(unknown_s))
        case.require(gap < 0.5 * statistics.median(known_s),
                     f"{account}: an unknown order takes {gap * 1e6:.0f} us more or less")

