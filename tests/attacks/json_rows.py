"""Rows J01 to J12: JSON that two readers would read differently (WeChat Pay v3).

Everything here is signed and sealed by the platform's keys: what is refused, is for its shape.
"""
import json
import re
import shutil
import subprocess

from rows import row

REFUSED = {"body_malformed", "key_duplicate"}


def plain(case):
    number, message = case.genuine("wechat")
    return number, message, message.plain_text().decode()


def sealed(message, texts):
    """(label, message) for each (label, plaintext)."""
    return [(label, message.clone().say_text(text)) for label, text in texts]


def enveloped(message, texts):
    return [(label, message.clone().sign_body(text if isinstance(text, bytes) else text.encode()))
            for label, text in texts]


def replaced(text, pattern, new):
    changed, count = re.subn(pattern, lambda _: new, text, count=1)
    assert count == 1, pattern
    return changed


@row("J01", "a name twice")
def doubled(case):
    number, message, text = plain(case)
    member = f'"out_trade_no": "{number}"'
    twice = [("same", text.replace(member, member + ", " + member)),
             ("other behind", text.replace(member, member + ', "out_trade_no": "T9"')),
             ("other in front", text.replace(member, '"out_trade_no": "T9", ' + member)),
             ("three", text.replace(member, ", ".join([member] * 3))),
             ("nested", text.replace('"total": 10000', '"total": 1, "total": 10000')),
             ("unknown", text.replace(member, member + ', "z": 1, "z": 1')),
             ("deep", text.replace(member, member + ', "z": [{"a": {"b": 1, "b": 1}}]')),
             ("empty", text.replace(member, member + ', "": 1, "": 1')),
             ("amount", text.replace('"amount":', '"amount": {"total": 1}, "amount":'))]
    case.refused(sealed(message, twice), {"key_duplicate"})
    body = message.body.decode()
    case.refused(enveloped(message, [
        ("id", body.replace('"id":', '"id": "x", "id":')),
        ("resource", body.replace('"resource":', '"resource": {}, "resource":')),
        ("nonce", body.replace('"nonce":', '"nonce": "x", "nonce":'))]), {"key_duplicate"})
    case.expect_state(number, "awaiting")


@row("J02", "a name twice, once with escapes")
def escaped_double(case):
    number, message, text = plain(case)
    case.refused(sealed(message, [
        (other, text.replace('"total": 10000', f'"total": 10000, "{other}": 1'))
        for other in ("tot\\u0061l", "\\u0074otal", "\\u0074\\u006F\\u0074\\u0061\\u006C")]),
        {"key_duplicate"})
    case.expect_state(number, "awaiting")
    only = sealed(message, [("x", text.replace('"total"', '"tot\\u0061l"'))])[0][1]
    case.pays(only, number, "with escapes alone it is that name")


@row("J03", "other types in place of a sum")
def types(case):
    number, message, text = plain(case)
    case.refused(sealed(message, [
        (value, text.replace('"total": 10000', f'"total": {value}')) for value in
        ('"10000"', "[10000]", '{"a": 10000}', "true", "false", "null", '""', "[]", "{}",
         '["10000"]')]), REFUSED)
    case.refused(sealed(message, [
        (value, replaced(text, r'"amount": \{[^}]*\}', f'"amount": {value}')) for value in
        ("10000", '"10000"', "[]", "null", "true", '[{"total": 10000}]')]), REFUSED)
    case.expect_state(number, "awaiting")


@row("J04", "spellings of numbers")
def numbers(case):
    number, message, text = plain(case)
    wrong = ["1e4", "1E4", "10000.0", "1E400", "-0", "010000", "+10000", ".5", "5.", "0x64", "NaN",
             "Infinity", "-Infinity", "1" + "0" * 400, "9223372036854775808",
             "18446744073709551616",
             "1e-2", "10000e0", "1_0000", "10,000", "0o17", "10000L", "--1", "0e400", "-10000",
             "1.0E4", "１００００"]
    case.refused(sealed(message, [(one, text.replace('"total": 10000', f'"total": {one}'))
                                  for one in wrong]), REFUSED)
    case.expect_state(number, "awaiting")
    for large in ("9007199254740993", "9223372036854775807"):
        number, message, text = plain(case)
        one = message.clone().say_text(text.replace('"total": 10000', f'"total": {large}'))
        case.without_effect(one, number, "quarantined", "amount_mismatch", large)
        fact = case.site.order(number)["facts"][0]
        case.require(fact["money"]["minor"] == int(large), f"kept as {fact['money']}")


@row("J05", "something behind the value")
def trailing(case):
    number, message, text = plain(case)
    behind = ["{}", ",", "x", "\0", "]", "}", "null", "\x1a", " {}", "\n{}", "//", "/**/", "\ufeff"]
    case.refused(sealed(message, [(repr(one), text + one) for one in behind]), REFUSED)
    body = message.body.decode()
    case.refused(enveloped(message, [(repr(one), body + one) for one in behind]), REFUSED)
    case.expect_state(number, "awaiting")
    case.pays(message.clone().sign_body(message.body + b" \r\n\t" * 100), number, "white space")
    _, message = case.genuine("wechat")
    huge = message.clone().sign_body(message.body + b" " * 1024 * 1024)
    case.broken([("1 MiB of blanks", huge.raw())], (413,))


@row("J06", "what is JSON only to some")
def non_standard(case):
    number, message, text = plain(case)
    forms = [("// comment", text.replace("{", "{ // c\n", 1)), ("/* */", "/* c */" + text),
             ("# comment", "# c\n" + text), ("trailing comma", text[:-1] + ",}"),
             ("leading comma", text.replace("{", "{,", 1)), ("two commas", text.replace(",", ",,",
                                                                                        1)),
             ("single quotes", text.replace('"', "'")), ("no quotes", text.replace('"total"',
                                                                                   "total")),
             ("no colon", text.replace('"total": ', '"total" ')),
             ("equals", text.replace('"total": ', '"total"= ')),
             ("line in a string", text.replace("JSAPI", "JS\nAPI")),
             ("continued", text.replace("JSAPI", "JS\\\nAPI")),
             ("\\x escape", text.replace("JSAPI", "\\x4aSAPI")), ("\\' escape", text.replace(
                 "JSAPI", "\\'JSAPI")), ("open", text[:-1]), ("a bracket", text[:-1] + "]"),
             ("True", text.replace("10000", "True", 1)), ("undefined", text.replace(
                 "10000", "undefined", 1)), ("()", "(" + text + ")"), ("XSSI", ")]}'\n" + text),
             ("form feed", "\f" + text), ("no-break space", "\u00a0" + text)]
    case.refused(sealed(message, forms), REFUSED)
    case.expect_state(number, "awaiting")


@row("J07", "strings that are no texts")
def strings(case):
    number, message, text = plain(case)
    value = f'"{number}"'
    bad = ['"\\ud800"', '"\\udc00x"', '"\\ud800\\ud800"', '"a\nb"', '"a\tb"', '"a\x1fb"', '"\\u12"',
           '"\\uZZZZ"', '"\\u0000"', f'"{number}\\u0000"', '"\\u0007x"', '"\\u007f"', '"\\q"']
    case.refused(sealed(message, [(one, text.replace(value, one)) for one in bad]), REFUSED)
    raw = text.encode()
    case.refused([(repr(one), message.clone().say_text(raw.replace(b"JSAPI", one))) for one in
                  (b"\xff", b"\xc0\xae", b"\xed\xa0\x80", b"\xe4\xb8", b"\x80",
                   b"\xf8\x88\x80\x80")],
                 REFUSED)
    case.expect_state(number, "awaiting")
    case.pays(message.clone().say_text(text.replace("JSAPI", "\\ud83d\\ude00\\u0000")), number,
              "a pair of surrogates, and a NUL where it is free text")


@row("J08", "other things than an object")
def top_level(case):
    number, message, text = plain(case)
    others = ["[]", "null", '""', "1", "", " ", "true", "[" + text + "]", '"' + "x" * 99 + '"',
              "\0",
              "\ufeff" + text, "{", "}", "[[]]", "-"]
    case.refused(sealed(message, [(one[:20], one) for one in others]), REFUSED)
    case.refused(enveloped(message, [(one[:20], one) for one in others]), REFUSED)
    case.refused([("UTF-16", message.clone().sign_body(message.body.decode().encode("utf-16"))),
                  ("UTF-32", message.clone().sign_body(message.body.decode().encode("utf-32")))],
                 REFUSED)
    case.expect_state(number, "awaiting")


@row("J09", "names in other letters")
def names(case):
    number, message, text = plain(case)
    case.refused(sealed(message, [(one, text.replace('"total"', f'"{one}"')) for one in
                                  ("Total", "TOTAL", "tota\u200bl", "ｔｏｔａｌ", "total ", " total",
                                   "tоtal", "total\\u0000", "total\\u200d")]), REFUSED)
    case.refused(sealed(message, [(one, text.replace('"out_trade_no"', f'"{one}"')) for one in
                                  ("Out_trade_no", "outTradeNo", "out-trade-no")]), REFUSED)
    case.expect_state(number, "awaiting")
    more = text.replace('"total": 10000', '"Total": 1, "total ": 2, "total": 10000')
    case.pays(message.clone().say_text(more), number, "beside the true name they are unknown")


@row("J10", "names that are magic elsewhere")
def magic(case):
    for member in ('"__proto__": {"total": 1}', '"constructor": {"prototype": {"total": 1}}',
                   '"toString": null', '"$ref": "#/amount"', '"@type": "x"', '"$where": "1"',
                   '"__class__": "x"'):
        number, message, text = plain(case)
        case.pays(message.clone().say_text("{" + member + ", " + text[1:]), number, member)
        for path in (f"/v1/orders/{number}", "/v1/callbacks?limit=5"):
            code, body = case.site.call("GET", path)
            case.require(code == 200 and json.loads(body), "cannot be shown")


@row("J11", "Postern, Python and jq read the same")
def agreement(case):
    site = case.site
    spellings = [("plain", "{}"), ("escaped", "".join(f"\\u{ord(c):04x}" for c in "{}")),
                 ("half", "T\\u0030"), ("capitals", "\\u0054\\u004A"), ("chinese", "单\\u53f7"),
                 ("emoji", "\\ud83d\\ude00x"), ("slashes", "a\\/b\\\\c"), ("quotes", 'a\\"b')]
    for label, spelled in spellings:
        own = site.fresh()
        text = plain(case)[2]
        first = re.search(r'"out_trade_no": "([^"]*)"', text)[1]
        text = text.replace(f'"{first}"', f'"{own}{spelled}"')
        text = text.replace('"total": 10000', '"total": 10000 , "list":[1, -5,{"a":[]},2.5e3]')
        message = site["wechat"].pay(own).say_text(text)
        read = json.loads(text)
        number = site.register(read["out_trade_no"])
        jq = subprocess.run(["jq", "-r", ".out_trade_no"], input=text, text=True,
                            capture_output=True) if case_has_jq() else None
        case.pays(message, number, label)
        fact = site.order(number)["facts"][0]
        case.require(fact["number"] == read["out_trade_no"], f"{label}: read {fact['number']!r}")
        case.require(fact["channel_payment_id"] == read["transaction_id"], label)
        case.require(fact["money"]["minor"] == read["amount"]["total"], label)
        if jq is not None:
            case.require(jq.stdout.rstrip("\n") == read["out_trade_no"], f"{label}: jq disagrees")


def case_has_jq():

    return shutil.which("jq") is not None


@row("J12", "numbers of orders that only look alike")
def look_alikes(case):
    site = case.site
    number = site.register("ABC" + site.fresh())
    digits = str.maketrans("0123456789", "０１２３４５６７８９")
    alike = [number.translate(digits), number.replace("A", "А"), number + "\u200b", number + " ",
             " " + number, number.lower(), number + "\u0301", "\u00c5" + number, "A\u030a" + number,
             number + "\ufe0f", number.replace("A", "\u1d00"), number[:-1], number + "0"]
    for other in alike:
        message = site["wechat"].pay(other)
        case.without_effect(message, number, "unknown_order", "unknown_order", repr(other))
    case.expect_state(number, "awaiting")
    case.pays(site["wechat"].pay(number), number)
    composed, decomposed = "\u00e9" + site.fresh(), None
    decomposed = composed.replace("\u00e9", "e\u0301")
    site.register(composed)
    site.register(decomposed)
    case.pays(site["wechat"].pay(composed), composed, "composed")
    case.expect_state(decomposed, "awaiting")


